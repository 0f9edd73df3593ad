"""Sizes of models beside arithmetic, and beside what the papers print."""

import pytest

from configs import audioset as configs
from experiments.audioset import paper_table
from experiments.audioset.model import input_modalities

CHANNELS = 487  # printed, Perceiver IO, table 6
RAW, MEL = 32 * 224 * 224 // 128 + 480, 32 * 224 * 224 // 128 + 4800


def linear(rows, inputs, outputs):
    return 2 * rows * inputs * outputs


def attend(queries, width, inputs, input_width, inner):
    """With keys and values made of all inputs, and an MLP of the queries' width."""
    return (
        linear(queries, width, inner)
        + 2 * linear(inputs, input_width, inner)
        + 2 * linear(queries, inner, inputs)
        + linear(queries, inner, width)
        + 2 * linear(queries, width, width)
    )


def by_hand(inputs, width, is_io):
    encoder = attend(512, width, inputs, CHANNELS, CHANNELS)
    processor = 12 * attend(512, width, 512, width, width)
    head = linear(1, 1024 if is_io else width, 527)
    return encoder + processor + head + is_io * attend(1, 1024, 512, width, width)


@pytest.mark.parametrize(
    ("name", "parameters", "arguments"),
    [
        ("Perceiver, raw", 20_971_870, (RAW, 512, False)),
        ("Perceiver IO, raw", 24_922_462, (RAW, 512, True)),
        ("Perceiver, mel", 20_971_997, (MEL, 512, False)),
        ("Perceiver IO, mel", 86_568_413, (MEL, 1024, True)),
    ],
)
def test_models_have_the_sizes_of_table_10(name, parameters, arguments):
    variant, printed, printed_flops = paper_table.ROWS[name]
    size = paper_table.size_of(configs, variant)
    assert size.parameters == parameters
    whole = size.flops + paper_table.flops_of_keys(configs, variant)
    # Of the decoder's one query, keys and values of latents are not made either.
    by_arithmetic = by_hand(*arguments)
    assert abs(whole / by_arithmetic - 1) < 0.018
    # The last row is printed larger than the text describes.
    closeness = 0.02 if name == "Perceiver IO, mel" else 0.015
    assert abs(parameters / 1e6 / printed - 1) < closeness
    assert abs(by_arithmetic / 1e9 / printed_flops - 1) < closeness


def test_inputs_are_those_of_tables_5_and_6():
    for variant, elements in (("io_audio_video", RAW), ("io_mel_video", MEL)):
        modalities = input_modalities(configs.get_config(variant).model)
        assert sum(m.num_elements for m in modalities) == elements
        widths = [m.element_channels + m.position_channels for m in modalities]
        assert 4 + max(widths) == CHANNELS
    assert (RAW, MEL) == (13_024, 17_344)


def test_models_of_2021_are_told_without_print():
    lines = list(paper_table.lines(configs))
    assert len(lines) == 2 + len(paper_table.ROWS) + len(paper_table.ROWS_2021)
    (both,) = [line for line in lines if line.startswith("raw + video")]
    assert "109,048,771" in both
