"""libtpu says nothing where there is no TPU, and what others have set stays."""

import os
import subprocess
import sys

import pytest
from programs import ROOT, environment

from perceiver_jax.engine.costs import libtpu

SET = ("TPU_WORKER_HOSTNAMES", "TPU_ACCELERATOR_TYPE", "ALLOW_MULTIPLE_LIBTPU_LOAD")


@pytest.fixture(autouse=True)
def unset(monkeypatch):
    for name in SET:
        monkeypatch.setenv(name, "")  # so that it is put back
        monkeypatch.delenv(name)


def test_jax_finds_its_device_in_silence_and_as_before():
    environ = environment()
    del environ["JAX_PLATFORMS"]
    environ["XLA_FLAGS"] = ""  # at those of CPUs, libtpu ends the process
    program = "import jax; libtpu.configure(); print(jax.default_backend())"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from perceiver_jax.engine.costs import libtpu; {program}",
        ],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() in ("cpu", "gpu", "tpu")


def test_nothing_is_set_where_jax_has_found_a_tpu(monkeypatch):
    monkeypatch.delenv("TPU_SKIP_MDS_QUERY", raising=False)
    libtpu.configure()
    assert not set(SET) & set(os.environ)


def test_what_is_set_stays(monkeypatch):
    monkeypatch.setenv("TPU_SKIP_MDS_QUERY", "1")
    monkeypatch.setenv("TPU_WORKER_HOSTNAMES", "host-0,host-1")
    libtpu.configure()
    assert os.environ["TPU_WORKER_HOSTNAMES"] == "host-0,host-1"
    assert os.environ["TPU_ACCELERATOR_TYPE"] == "v5e-4"
