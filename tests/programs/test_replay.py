"""A step that went wrong, looked at again as a user does it."""

import json

import fake_glue
import programs
import pytest

from perceiver_jax.engine.checkpoints import description

RUN = (
    "--config=configs/glue.py:stsb,docs",
    *(flag for flag in programs.TEXT[1:] if "data." not in flag),
    "--config.data.source=tsv",
    "--config.data.length=48",
    "--config.epochs=0.0",
    "--config.steps=9",
    "--config.log_every=1",
)


@pytest.fixture
def stopped(tmp_path):
    """A run that met a score that is none, and the line of the file that has it."""
    fake_glue.write_tsv(tmp_path / "glue", ("stsb",), num_train=40)
    path = tmp_path / "glue" / "STS-B" / "train.tsv"
    lines = path.read_text().splitlines()
    lines[12] = lines[12].rpartition("\t")[0] + "\t1e30"  # its square is infinite
    path.write_text("\n".join(lines))
    workdir = tmp_path / "run"
    flags = (*RUN, f"--config.data.dir={tmp_path / 'glue'}", f"--workdir={workdir}")
    log = programs.train(*flags, fails=True)
    assert "loss is inf at step" in log and "There is no checkpoint yet" in log
    command = log.splitlines()[-1].split()  # as it is pasted
    assert command[:3] == ["python", "-m", "experiments.replay"]
    return workdir, command[3:], f"{path} line 13"


def test_the_example_that_stopped_a_run_is_named(stopped):
    workdir, flags, name = stopped
    step = flags[-1].removeprefix("--step=")
    assert description.read(workdir)["config"]["data"]["length"] == 48
    done = programs.run("experiments.replay", *flags, devices=2)
    folder = workdir / "replay" / f"step_{step}"
    *said, last = done.stdout.splitlines()
    assert said[0] == "The loss is inf." and said[-1].endswith(f"itself: {name}.")
    assert last == f"Replay: {folder / 'index.md'}"
    assert "checkpoint_manager" not in done.stderr  # what libraries log
    page = (folder / "index.md").read_text()
    for part in (f"# Step {step} of {workdir}", "the run's start", said[0]):
        assert part in page
    rows = [line for line in page.splitlines() if "| " in line and ".tsv line" in line]
    assert len(rows) == 8 and name in rows[0] and "inf" in rows[0]
    assert "| decoder/cross_attention/attention/key |" in page
    assert "self_attention/mlp/hidden layer 0 |" in page
    written = (folder / "record.json").read_text()
    record = json.loads(written, parse_constant=pytest.fail)
    assert record["guilty"] == [name] and record["metrics"]["loss"] == "inf"
    assert record["steps taken again"] == str(int(step) - 1)
    assert {e["row"] for e in record["examples"]} == set(range(8))
    assert all(layer["gradient"] > 1e20 for layer in record["layers"])


def test_a_run_and_a_step_of_it_are_needed(tmp_path):
    description.write(tmp_path, {"config": {"task": "glue"}})
    for flags, message in (
        ((), "--workdir=DIR is missing"),
        ((f"--workdir={tmp_path}",), "--step=K is missing"),
    ):
        done = programs.run("experiments.replay", *flags, fails=True)
        assert message in done.stdout + done.stderr
