"""A killed run, started again, is the run that was never killed: to the bit."""

import gzip
import json
import signal
import subprocess
import time

import numpy as np
import programs
import pytest
import small_clips

from perceiver_jax.engine.checkpoints import checkpoint, named_arrays


def train(workdir, devices, run=programs.RUN):
    programs.run("experiments.train", *run, f"--workdir={workdir}", devices=devices)


def train_until(workdir, devices, step, signal_number, run=programs.RUN):
    """Starts a run and sends it a signal as soon as it has logged `step`."""
    with subprocess.Popen(
        programs.command("experiments.train", *run, f"--workdir={workdir}"),
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
    return named_arrays.leaves(dict(found.items()))


def assert_equal_runs(one, other):
    left, right = arrays(one, 14), arrays(other, 14)
    assert left.keys() == right.keys()
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)
    assert programs.rows(one) == programs.rows(other)
    shown = [(tag, step) for tag, step, _ in programs.board(one)]
    assert len(shown) == len(set(shown))
    assert sorted(shown) == sorted(
        (tag, step) for tag, step, _ in programs.board(other)
    )


@pytest.fixture
def compiled_anew(monkeypatch):
    """Call it before resuming: programs are compiled again, as on the next day."""
    return lambda: monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")


def test_killed_run_on_two_devices_resumes_bit_identically(tmp_path, compiled_anew):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(whole, 2)
    assert train_until(killed, 2, 6, signal.SIGKILL) == -signal.SIGKILL
    compiled_anew()
    train(killed, 2)
    assert_equal_runs(whole, killed)


def test_killed_run_on_a_stream_of_text_resumes_bit_identically(
    tmp_path, compiled_anew
):
    for split in ("train", "test"):
        lines = [json.dumps({"text": f"{split} {n} words " * 40}) for n in range(300)]
        (tmp_path / f"{split}.jsonl.gz").write_bytes(
            gzip.compress("\n".join(lines).encode())
        )
    run = (
        *programs.TEXT,
        f"--config.data.cache={tmp_path}/cache",
        f"--config.data.train=('{tmp_path}/train.jsonl.gz',)",
        f"--config.data.held_out=('{tmp_path}/test.jsonl.gz',)",
        *("--config.steps=14", "--config.log_every=3"),
        *("--config.eval_every=7", "--config.checkpoint_every=4"),
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(whole, 1, run)
    assert train_until(killed, 1, 6, signal.SIGKILL, run) == -signal.SIGKILL
    compiled_anew()
    train(killed, 1, run)
    assert_equal_runs(whole, killed)


def test_killed_run_on_a_stream_of_videos_resumes_bit_identically(
    tmp_path, compiled_anew
):
    """Though another number of processes reads them."""
    run = (
        *small_clips.RUN,
        f"--config.data.dir={small_clips.dataset(tmp_path)}",
        *("--config.steps=14", "--config.log_every=3"),
        *("--config.eval_every=7", "--config.checkpoint_every=4"),
    )
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    train(whole, 1, run)
    assert train_until(killed, 1, 6, signal.SIGKILL, run) == -signal.SIGKILL
    compiled_anew()
    train(killed, 1, (*run, "--config.data.num_workers=2"))
    assert_equal_runs(whole, killed)


def test_preempted_run_saves_where_it_is_and_resumes_bit_identically(
    trained_digits, tmp_path, compiled_anew
):
    # A step that is neither a checkpoint's nor the end of a metrics window.
    assert train_until(tmp_path, 1, 3, signal.SIGTERM) == 75
    saved = checkpoint.Checkpoints(tmp_path, read_only=True).latest_step()
    assert saved is not None and 3 <= saved < 14
    compiled_anew()
    train(tmp_path, 1)
    assert_equal_runs(trained_digits, tmp_path)
