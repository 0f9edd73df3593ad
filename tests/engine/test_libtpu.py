"""libtpu is told what no cloud tells it, and only where there is no TPU."""

from perceiver_jax.engine import libtpu

NAMES = ("TPU_WORKER_HOSTNAMES", "TPU_ACCELERATOR_TYPE", "ALLOW_MULTIPLE_LIBTPU_LOAD")


def told(monkeypatch, **environment):
    """What is set besides."""
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that all is as before in the end
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    libtpu.be_quiet()
    return {name: libtpu.os.environ.get(name) for name in NAMES}


def test_without_a_tpu_all_is_told_that_is_not_set(monkeypatch):
    found = told(monkeypatch, TPU_SKIP_MDS_QUERY="1", TPU_ACCELERATOR_TYPE="v4-8")
    assert found == dict(zip(NAMES, ("localhost", "v4-8", "1")))


def test_with_a_tpu_nothing_is(monkeypatch):
    found = told(monkeypatch, TPU_SKIP_MDS_QUERY="0")
    assert found == dict.fromkeys(NAMES)
