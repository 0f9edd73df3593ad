"""Evaluation of a checkpoint as a user starts it."""

import json

import pytest
from programs import evaluate, rows, run

from experiments import evaluate as program
from experiments import restore


def test_a_checkpoint_is_evaluated_as_in_training(trained_digits):
    found = evaluate(trained_digits)
    assert found.pop("checkpoint") == str(trained_digits / "checkpoints" / "14")
    trained = rows(trained_digits)[-1]
    assert trained.pop("step") == 14
    assert found == pytest.approx(trained, rel=1e-5)


def test_protocol_comes_with_the_numbers(trained_digits, monkeypatch, capsys):
    restored = restore.load(trained_digits, "best")
    task, forward = restored.make_task()
    object.__setattr__(task, "protocol", {"crop": "centre"})
    monkeypatch.setattr(restore.Restored, "make_task", lambda self: (task, forward))
    program.main(restored)
    found = json.loads(capsys.readouterr().out)
    assert found["protocol"] == {"crop": "centre"} and "score" in found


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "--workdir=DIR is missing: the folder of a run."),
        (
            ("--workdir=/none",),
            "No checkpoints in /none: it must be the --workdir of a run.",
        ),
        (("--workdir={digits}", "stray"), "Unexpected: stray. All is said by flags."),
        (
            ("--workdir={digits}", "--step=3"),
            "No checkpoint '3' in {digits}; it has [4, 7, 8, 12, 14].",
        ),
        (
            ("--workdir={digits}", "--config.eval_batchsize=3"),
            "The config has no field 'eval_batchsize'. Did you mean "
            '"eval_batch_size" instead of "eval_batchsize"?',
        ),
    ],
)
def test_wrong_command_lines_are_told_in_the_last_line(trained_digits, flags, message):
    flags = [flag.format(digits=trained_digits) for flag in flags]
    done = run("experiments.evaluate", *flags, fails=True)
    last = done.stderr.splitlines()[-1]
    assert last == message.format(digits=trained_digits)
    assert "Traceback" not in done.stderr
