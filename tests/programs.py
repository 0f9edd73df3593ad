"""Runs the programs as a user does: in a process of their own."""

import fcntl
import json
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from tensorboardX.proto import event_pb2

from perceiver_jax.engine.writer import read_metrics

ROOT = pathlib.Path(__file__).parent.parent

# The digits task at a size that compiles in seconds and that Hugging Face's code has.
MINI = (
    "--config=configs/digits.py",
    "--config.batch_size=16",
    "--config.eval_batch_size=120",
    "--config.model.num_bands=64",
    "--config.model.max_resolution=(224,224)",
    "--config.model.num_latents=4",
    "--config.model.latent_channels=16",
    "--config.model.num_blocks=2",
    "--config.model.layers_per_block=1",
    "--config.keep_last=100",
)

# A whole run of it. The schedule, and so the program to compile, depends on its length.
RUN = (
    *MINI,
    "--config.steps=14",
    "--config.log_every=3",
    "--config.eval_every=7",
    "--config.checkpoint_every=4",
)

# Masked language modelling at a size that compiles in seconds, on files of text.
TEXT = (
    "--config=configs/masked_lm.py:docs",
    "--config.batch_size=8",
    "--config.eval_batch_size=8",
    "--config.optimizer.schedule=constant",
    "--config.data.source=files",
    "--config.data.length=48",
    "--config.model.max_length=48",
    "--config.model.input_channels=16",
    "--config.model.num_latents=4",
    "--config.model.latent_channels=16",
    "--config.model.layers_per_block=1",
    "--config.model.qk_channels=16",
    "--config.model.v_channels=16",
    "--config.model.decoder_v_channels=16",
)


def command(program: str, *flags: str) -> list[str]:
    """The command line of `experiments.train` or the like."""
    return [sys.executable, "-m", program, *flags]


def environment(devices: int = 1) -> dict[str, str]:
    """What tests run in (conftest.py), with another number of virtual devices."""
    flags = os.environ["XLA_FLAGS"]
    flags = re.sub(r"device_count=\d+", f"device_count={devices}", flags)
    return {**os.environ, "XLA_FLAGS": flags}


def run(
    program: str,
    *flags: str,
    devices: int = 1,
    fails: bool = False,
    root: pathlib.Path = ROOT,
) -> subprocess.CompletedProcess[str]:
    """Runs a program of the repository to its end, which must be as expected."""
    done = subprocess.run(
        command(program, *flags),
        cwd=root,
        env=environment(devices),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert (done.returncode != 0) == fails, done.stdout + done.stderr
    return done


def once(
    tmp_path_factory: pytest.TempPathFactory,
    worker_id: str,
    name: str,
    make: Callable[[pathlib.Path], object],
) -> pathlib.Path:
    """A folder that one of the test workers makes for all of them."""
    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent  # of all workers
    made = folder / name
    with open(folder / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make(made)
    return made


def train_once(
    tmp_path_factory: pytest.TempPathFactory,
    worker_id: str,
    name: str,
    *flags: str,
    root: pathlib.Path = ROOT,
) -> pathlib.Path:
    """The workdir of a run that one of the test workers makes for all of them."""

    def make(workdir):
        run("experiments.train", *flags, f"--workdir={workdir}", root=root)

    return once(tmp_path_factory, worker_id, f"trained_{name}", make)


def train(*flags: str, fails: bool = False, devices: int = 1) -> str:
    """What `experiments.train` says."""
    done = run("experiments.train", *flags, fails=fails, devices=devices)
    return done.stdout + done.stderr


def evaluate(workdir: pathlib.Path, *flags: str, devices: int = 1) -> dict:
    """What `experiments.evaluate` finds."""
    flags = (f"--workdir={workdir}", *flags)
    done = run("experiments.evaluate", *flags, devices=devices)
    return json.loads(done.stdout.splitlines()[-1])


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def board(workdir: pathlib.Path) -> list[tuple[str, int, Any]]:
    """All that TensorBoard shows of a run, in order: (tag, step, value)."""
    found = []
    for path in sorted((workdir / "tensorboard").iterdir()):
        rest = path.read_bytes()
        while rest:  # length, checksum, event, checksum
            (length,) = struct.unpack("<Q", rest[:8])
            event = event_pb2.Event.FromString(rest[12 : 12 + length])
            rest = rest[16 + length :]
            for value in event.summary.value:
                shown = value.simple_value
                if value.HasField("image"):
                    shown = value.image.encoded_image_string
                elif value.HasField("audio"):
                    shown = value.audio.encoded_audio_string
                elif value.HasField("tensor"):
                    shown = value.tensor.string_val[0].decode()
                found.append((value.tag, event.step, shown))
    return found


TIMING = ("steps_per_second", "data_wait", "goodput/")


def rows(workdir: pathlib.Path) -> list[dict[str, float]]:
    """All rows that a run measured, in order, without how fast it went."""
    timing = ("steps_per_second", "data_wait", "goodput/")
    return [
        {name: value for name, value in row.items() if not name.startswith(timing)}
        for row in read_metrics(workdir)
    ]
