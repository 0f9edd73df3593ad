"""Sizes of models beside arithmetic, and beside what the paper prints."""

from configs import video_autoencoding as configs
from experiments.video_autoencoding import paper_table

INPUTS = 16 * 56 * 56 + 1920 + 1
OUTPUTS = 16 * 224 * 224 + 1920 + 1


def linear(rows, inputs, outputs):
    return 2 * rows * inputs * outputs


def attend(queries, width, inputs, input_width, inner):
    """With keys and values made, and an MLP of the queries' width."""
    return (
        linear(queries, width, inner)
        + 2 * linear(inputs, input_width, inner)
        + 2 * linear(queries, inner, inputs)
        + linear(queries, inner, width)
        + 2 * linear(queries, width, width)
    )


def by_hand(latents, audio, video):
    encoder = attend(latents, 512, INPUTS, 704, 704)
    processor = 8 * attend(latents, 512, latents, 512, 512)
    queries = audio + video + 1
    decoder = attend(queries, 1026, latents, 512, 512) + linear(queries, 1026, 512)
    keys = 2 * 2 * linear(latents, 512, 512)  # made anew for each modality
    own = linear(audio, 512, 16) + linear(video, 512, 3) + linear(1, 512, 700)
    return encoder + processor + decoder + keys + own


def test_models_have_the_sizes_of_tables_4_and_17():
    counts = [19_858_855, 19_658_151, 19_557_799]
    for changes, expected in zip(configs.sweep(), counts, strict=True):
        training, evaluation = paper_table.sizes_of(configs, changes)
        assert training.parameters == evaluation.parameters == expected
        latents = changes["model.num_latents"]
        # Ours never makes the encoder's keys and values, but the queries by their
        # weights; nor keys and values of latents where few queries read them.
        made = 2 * linear(INPUTS, 704, 704) - 2 * linear(latents, 704, 704)
        whole = by_hand(latents, 1920, OUTPUTS - 1921) - made
        assert abs(evaluation.flops / whole - 1) < 0.002
        few = by_hand(latents, 512, 512) - made
        assert few > training.flops > 0.96 * few
    printed_parameters, _, printed_evaluation = paper_table.PRINTED
    assert abs(counts[0] / 1e6 / printed_parameters - 1) < 0.01
    assert abs(by_hand(784, 1920, OUTPUTS - 1921) / 1e9 / printed_evaluation - 1) < 0.1
