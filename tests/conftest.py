"""What all tests run on: virtual CPU devices, and one small trained model."""

import os

# Before anything imports JAX. Eight devices, as in the tests of meshes.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = " ".join(
    [os.environ.get("XLA_FLAGS", ""), "--xla_force_host_platform_device_count=8"]
)

import pathlib  # noqa: E402

import programs  # noqa: E402
import pytest  # noqa: E402


@pytest.fixture(scope="session")
def trained_digits(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The workdir of a tiny digits run of 20 steps; not to be written to."""
    workdir = tmp_path_factory.mktemp("trained") / "digits"
    programs.run(
        "experiments.train",
        *programs.MINI,
        f"--workdir={workdir}",
        "--config.steps=20",
        "--config.log_every=5",
        "--config.eval_every=10",
    )
    return workdir
