"""Sizes of models beside arithmetic, and beside what the paper prints."""

from configs import optical_flow as configs
from experiments.optical_flow import paper_table

PIXELS = 368 * 496
SIZES = [41_057_134, 41_720_272, 41_054_062, 41_718_736, 41_119_070, 41_793_104]


def linear(rows, inputs, outputs):
    return 2 * rows * inputs * outputs


def textbook_flops(pixels, channels, latents, width, layers, outputs):
    """By hand: multiplies and adds of every matrix product, keys and values made."""

    def attend(num_queries, query_width, num_inputs, input_width, inner):
        return (
            linear(num_queries, query_width, inner)
            + 2 * linear(num_inputs, input_width, inner)
            + 2 * linear(num_queries, inner, num_inputs)
            + linear(num_queries, inner, query_width)
            + 2 * linear(num_queries, query_width, query_width)
        )

    return (
        attend(latents, width, pixels, channels, channels)
        + layers * attend(latents, width, latents, width, width)
        + attend(pixels, channels, latents, width, width)
        + linear(pixels, channels, outputs)
    )


def test_models_have_the_size_of_table_16_and_appendix_h():
    """Perceiver IO prints 27.9M and 987 GFLOP: 16 layers and 1,024 latents."""
    rows = [paper_table.size_of(configs, changes) for changes in configs.sweep()]
    assert [row.parameters for row in rows] == [*SIZES, 27_970_910]
    found = paper_table.size_of(configs, paper_table.PRINTED_FITS)
    printed_parameters, printed_flops = paper_table.PRINTED
    assert abs(found.parameters / 1e6 / printed_parameters - 1) < 0.005
    patches = linear(PIXELS, 54, 64)
    by_hand = patches + textbook_flops(PIXELS, 322, 1024, 512, 16, 2)
    assert abs(by_hand / 1e9 / printed_flops - 1) < 0.005
    # Ours never makes the encoder's keys and values, but the queries by their weights.
    made = 2 * linear(PIXELS, 322, 322)
    folded = 2 * linear(1024, 322, 322)
    assert found.flops == by_hand - made + folded


def test_released_model_costs_less_than_the_textbook():
    textbook = textbook_flops(PIXELS, 322, 2048, 512, 24, 2)
    assert paper_table.size_of(configs, {}).flops < 0.97 * textbook


def test_a_row_has_its_name_its_parameters_and_its_flops():
    lines = list(paper_table.lines(configs))
    assert lines[1] == "3x3 patches of both frames       41,057,134   1811.9"
    assert len(lines) == 1 + len(configs.sweep()) + 2
