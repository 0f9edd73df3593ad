"""What is to blame where a step went wrong."""

import math

import pytest

from perceiver_jax.engine.findings import Example, Found, Layer, verdict

NAN, INF = math.nan, math.inf
SOUND = Layer("encoder", "", 1.0, 0.1, 0.01)
FINE = {"loss": 1.0, "grad_norm": 0.1}


def example(row, value=1.0, **alone):
    return Example(row, f"file {row}", {"loss": value}, alone)


def found(metrics, examples, *layers):
    return Found(metrics, [SOUND, *layers], examples)


def test_a_step_that_is_finite_has_nothing_to_blame():
    fine = found(FINE, [example(0), example(1)])
    assert verdict(fine) == ["Loss, gradient and update are finite."]
    assert fine.guilty == []


def test_an_example_whose_loss_is_not_finite_is_named():
    bad = Layer("decoder", "2", 1.0, NAN, NAN)
    examples = [example(1, NAN, loss=NAN, grad_norm=NAN), example(0)]
    wrong = found({"loss": NAN, "grad_norm": NAN}, examples, bad)
    assert [e.name for e in wrong.guilty] == ["file 1"]
    assert verdict(wrong) == [
        "The loss is nan.",
        "The gradient's norm is nan.",
        "The gradient is not finite in 1 of 2 layers: decoder layer 2.",
        "Not finite by itself: file 1.",
    ]


def test_an_example_that_spoils_those_beside_it_is_told_from_them():
    examples = [
        example(0, NAN, loss=1.0, grad_norm=0.1),
        example(1, NAN, loss=NAN, grad_norm=NAN),
        example(2, NAN, loss=2.0, grad_norm=0.2),
    ]
    wrong = found({"loss": NAN, "grad_norm": NAN}, examples)
    assert [e.name for e in wrong.guilty] == ["file 1"]
    none = found({"loss": NAN, "grad_norm": NAN}, [*examples[::2], example(3)])
    assert [e.name for e in none.guilty] == ["file 0", "file 2"]
    assert (
        verdict(none)[-1]
        == "Not finite in this batch, though not alone: file 0; file 2."
    )


def test_an_example_is_found_by_its_gradient_alone():
    examples = [example(0, 3.0, loss=3.0, grad_norm=INF), example(1)]
    wrong = found({"loss": 2.0, "grad_norm": INF}, examples)
    assert verdict(wrong)[-1] == "Not finite by itself: file 0."


def test_a_sum_may_be_too_large_where_no_example_is():
    examples = [example(n, 3e38, loss=3e38, grad_norm=0.1) for n in range(2)]
    wrong = found({"loss": INF, "grad_norm": 0.1}, examples)
    assert wrong.guilty == []
    assert "Each example is finite alone" in verdict(wrong)[-1]


@pytest.mark.parametrize("loss", [1.0, NAN])
def test_parameters_that_were_not_finite_before_are_to_blame_and_no_example(loss):
    broken = Layer("decoder", "", INF, NAN, NAN)
    wrong = found({"loss": loss, "grad_norm": NAN}, [example(0, NAN)], broken)
    assert wrong.guilty == []
    (said,) = verdict(wrong)
    assert said.startswith("Parameters were not finite before this step: decoder.")


def test_where_no_example_is_finite_none_is_to_blame():
    examples = [example(n, NAN, loss=NAN, grad_norm=NAN) for n in range(3)]
    wrong = found({"loss": NAN, "grad_norm": NAN}, examples)
    assert "parameters or code are at fault" in verdict(wrong)[-1]


def test_an_update_may_be_what_is_not_finite():
    wrong = found(FINE, [example(0)], Layer("decoder", "", 1.0, 0.1, NAN))
    assert verdict(wrong) == [
        "Loss and gradient are finite, but not the update: decoder."
    ]
