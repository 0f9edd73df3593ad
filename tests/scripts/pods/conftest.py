"""A slice on a stand-in for gcloud, and a training on it."""

import pytest
from fake_gcloud import gcloud  # noqa: F401

from scripts.pods.gcloud import Gcloud
from scripts.pods.slices import Slice
from scripts.pods.training import Training

ARGUMENTS = ("--config=configs/digits.py", "--workdir=/mnt/b/a run")


@pytest.fixture
def pod():
    runtime = "v2-alpha-tpuv5-lite"
    return Slice(Gcloud("z", "p"), "n", "v5litepod-8", runtime, poll_seconds=0.05)


@pytest.fixture
def job(pod):
    return Training(pod, ARGUMENTS, bucket="b")
