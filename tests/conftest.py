"""What all tests run on: virtual CPU devices, and one small trained model."""

import importlib.metadata
import os
import pathlib
import re

# Before anything imports JAX. Tests compile much and compute little: programs are
# optimised less, and compiled once for all processes and sessions.
os.environ |= {
    "JAX_PLATFORMS": "cpu",
    "XLA_FLAGS": "--xla_backend_optimization_level=0 "
    "--xla_llvm_disable_expensive_passes=true "
    "--xla_force_host_platform_device_count=8",
    "JAX_COMPILATION_CACHE_DIR": str(pathlib.Path(__file__).parent / ".jax_cache"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.2",
}
# Fusion emitters compile for longer. Later versions have nothing else, and abort at
# flags that they do not know.
if importlib.metadata.version("jaxlib") < "0.11":
    os.environ["XLA_FLAGS"] += " --xla_cpu_use_fusion_emitters=false"

import jax  # noqa: E402
import programs  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture(scope="session")
def trained_digits(
    tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> pathlib.Path:
    """The workdir of a tiny digits run, made by one worker; not to be written to."""
    return programs.train_once(tmp_path_factory, worker_id, "digits", *programs.RUN)


@pytest.fixture
def tpu_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """XLA_FLAGS without those for CPUs, at which libtpu ends the process."""
    jax.devices()  # the CPU has read its own
    flags = re.sub(r"--xla_cpu\S+", "", os.environ["XLA_FLAGS"])
    monkeypatch.setenv("XLA_FLAGS", flags)
