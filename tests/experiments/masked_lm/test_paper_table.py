"""Sizes of text models beside what the paper prints."""

import pytest

from configs import masked_lm as configs
from experiments import build
from experiments.masked_lm import paper_table


@pytest.mark.parametrize("name", paper_table.ROWS)
def test_models_have_the_parameters_of_table_1(name):
    variant, printed, printed_flops = paper_table.ROWS[name]
    config = configs.get_config(variant)
    size = build.model_size(config)
    assert size.parameters / 1e6 == pytest.approx(printed, abs=0.7)
    # Those printed are without the logits where these cost much, and of 24 layers for
    # Perceiver IO on bytes: docs/log.md.
    billions = (size.flops - paper_table.flops_of_logits(config)) / 1e9
    assert billions == pytest.approx(printed_flops, rel=0.12)


def test_logits_cost_a_product_with_the_table_of_tokens():
    config = configs.get_config("bytes")
    assert paper_table.flops_of_logits(config) == 2 * 2048 * 768 * 262


def test_a_row_has_its_name_and_both_sizes():
    lines = list(paper_table.lines(configs))
    assert len(lines) == 1 + len(paper_table.ROWS)
    assert lines[5].split() == [
        *("Perceiver", "IO", "201,108,230", "201", "M", "120.9", "113", "0.8")
    ]
