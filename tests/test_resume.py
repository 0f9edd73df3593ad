"""A killed run, started again, is the run that was never killed: to the bit."""

import signal
import subprocess
import time

import numpy as np
import programs
import pytest

from perceiver_jax import checkpoint

RUN = (
    *programs.MINI,
    "--config.steps=14",
    "--config.log_every=3",
    "--config.eval_every=7",
    "--config.checkpoint_every=4",
)


@pytest.fixture(autouse=True)
def compiled_anew(monkeypatch):
    """A resumed run compiles its programs again, as on the next day."""
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")


def train(workdir, devices, *flags):
    return programs.run(
        "experiments.train", *RUN, *flags, f"--workdir={workdir}", devices=devices
    )


def train_until(workdir, devices, step, signal_number):
    """Starts a run and sends it a signal as soon as it has logged `step`."""
    with subprocess.Popen(
        programs.command("experiments.train", *RUN, f"--workdir={workdir}"),
        cwd=programs.ROOT,
        env=programs.environment(devices),
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 120
        metrics = workdir / "metrics.jsonl"
        while not (metrics.exists() and f'"step": {step},' in metrics.read_text()):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal_number)
        return process.wait(120)


def arrays(workdir, step):
    """Every array of a checkpoint: parameters, optimizer, step."""
    checkpoints = checkpoint.Checkpoints(workdir, read_only=True)
    found = checkpoints.restore(
        step,
        variables=checkpoints.abstract(step, "variables"),
        optimizer=checkpoints.abstract(step, "optimizer"),
    )
    return checkpoint.leaves(dict(found.items()))


def assert_equal_runs(one, other):
    left, right = arrays(one, 14), arrays(other, 14)
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)
    assert programs.numbers(one) == programs.numbers(other)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory):
    """The workdir of a run that was never stopped, for a number of devices."""
    runs = {}

    def run(devices):
        if devices not in runs:
            runs[devices] = tmp_path_factory.mktemp("whole")
            train(runs[devices], devices)
        return runs[devices]

    return run


@pytest.mark.parametrize("devices", [1, 8])
def test_killed_run_resumes_bit_identically(tmp_path, whole_run, devices):
    assert train_until(tmp_path, devices, 6, signal.SIGKILL) == -signal.SIGKILL
    train(tmp_path, devices)
    assert_equal_runs(whole_run(devices), tmp_path)


def test_preempted_run_saves_where_it_is_and_resumes_bit_identically(
    tmp_path, whole_run
):
    # A step that is neither a checkpoint's nor the end of a metrics window.
    assert train_until(tmp_path, 1, 3, signal.SIGTERM) == 0
    saved = checkpoint.Checkpoints(tmp_path, read_only=True).latest_step()
    assert saved is not None and saved >= 3
    train(tmp_path, 1)
    assert_equal_runs(whole_run(1), tmp_path)
