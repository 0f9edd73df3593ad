"""A training on all workers, restarted until it is done, and cleaned up after."""

import os
import signal
import subprocess
import tarfile
import threading
import time

import pytest

from scripts.pods import training
from scripts.pods.gcloud import Failed
from scripts.pods.slices import Refused
from scripts.pods.training import Ended

PREPARE = ["tpu-vm scp", "unpack", "install", "mount"]
CREATE, DELETE = "queued-resources create", "queued-resources delete"


@pytest.fixture(autouse=True)
def small_code(monkeypatch, tmp_path):
    """Instead of the whole repository: what a worker needs."""
    root = training.ROOT
    monkeypatch.setattr(training, "ROOT", tmp_path / "code")
    (training.ROOT / "scripts" / "pods").mkdir(parents=True)
    text = (root / "scripts" / "pods" / "worker.sh").read_text()
    (training.ROOT / "scripts" / "pods" / "worker.sh").write_text(text)
    subprocess.run(["git", "init", "-q"], cwd=training.ROOT, check=True)


def test_it_trains_and_the_slice_goes(gcloud, job):
    gcloud.cue(state=["", "WAITING_FOR_RESOURCES", "PROVISIONING"])
    assert job.run_and_clean_up(0) == 0
    assert gcloud.told() == [CREATE, *PREPARE, "start", DELETE]
    assert not gcloud.workers()


def test_all_workers_run_the_same_command(gcloud, job):
    assert job.run_and_clean_up(0, keep=True) == 0
    for worker in gcloud.workers():
        log = (worker / "perceiver_jax_run" / "log").read_text()
        flags = "--config=configs/digits.py --workdir=/mnt/b/a run"
        assert log == f"{worker.name} trains: -m experiments.train {flags}\n"
    assert job.statuses() == {"worker-0": "0", "worker-1": "0"}
    assert DELETE not in gcloud.told()


def test_a_slice_that_is_taken_away_is_made_anew(gcloud, job):
    gcloud.cue(training=["preempted", "75", "0"])
    assert job.run_and_clean_up(5) == 0
    once = [CREATE, *PREPARE, "start"]
    # Where the slice stays, only training is started again.
    assert gcloud.told() == [*once, DELETE, *once, "start", DELETE]


def test_a_queue_that_is_suspended_is_joined_anew(gcloud, job):
    gcloud.cue(state=["PROVISIONING", "SUSPENDED", "SUSPENDED", "SUSPENDED"])
    assert job.run_and_clean_up(5) == 0
    assert gcloud.told()[:4] == [CREATE, DELETE, CREATE, "tpu-vm scp"]


def test_a_lost_connection_is_not_the_end(gcloud, job):
    reset = "ssh: Connection reset"
    gcloud.cue(tpu_vm__ssh=[reset, "", "", reset, "", "", "", "", "", reset, reset])
    assert job.run_and_clean_up(2) == 0
    # Once before anything, once in the middle of it, and while training runs.
    assert gcloud.told() == [CREATE, *PREPARE[:3], *PREPARE, "start", DELETE]


def test_an_error_of_training_ends_it_with_its_log(gcloud, job):
    gcloud.cue(training=["one_fails"])
    with pytest.raises(Ended) as error:
        job.run_and_clean_up(5)
    assert "worker-1\n" in str(error.value) and "no such data" in str(error.value)
    assert "ended with exit status 1" in str(error.value)
    assert gcloud.told()[-2:] == ["log", DELETE]
    assert gcloud.told().count("start") == 1


def test_too_many_restarts_end_it(gcloud, job):
    gcloud.cue(training=["75"] * 9)
    with pytest.raises(Ended, match="started 3 times and not finished .*restarts=2"):
        job.run_and_clean_up(2)
    assert gcloud.told().count("start") == 3
    assert gcloud.told()[-1] == DELETE


def test_a_slice_that_can_not_be_had_is_told(gcloud, job):
    gcloud.cue(queued_resources__create=["ERROR: Quota 'TPUS' exceeded. Limit: 0.0"])
    with pytest.raises(Failed, match="Quota 'TPUS' exceeded.*iam-admin/quotas"):
        job.run_and_clean_up(5)
    assert gcloud.told() == [CREATE]  # there is nothing to delete


def test_a_failed_request_is_cleaned_up(gcloud, job):
    gcloud.cue(state=["PROVISIONING", "FAILED", "FAILED"])
    with pytest.raises(Refused, match="n did not come: its queued resource is FAILED"):
        job.run_and_clean_up(5)
    assert gcloud.told() == [CREATE, DELETE]


@pytest.mark.parametrize("keep", [False, True])
def test_ctrl_c_saves_and_cleans_up(gcloud, job, keep):
    gcloud.cue(training=["until_stopped"])

    def interrupt():
        while "start" not in gcloud.told():
            time.sleep(0.05)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert job.run_and_clean_up(5, keep) == training.AGAIN
    finally:
        signal.signal(signal.SIGTERM, before)
    thread.join()
    end = [] if keep else ["stop", DELETE]
    assert gcloud.told() == [CREATE, *PREPARE, "start", *end]
    if keep:
        assert set(job.statuses().values()) == {"running"}
        # Called again it goes on watching; here it only ends.
        job.stop()
        assert set(job.statuses().values()) == {"75"}
        assert "saved" in gcloud.log()


def test_a_training_that_runs_is_not_started_twice(gcloud, job):
    gcloud.cue(training=["until_stopped"])
    job.slice.request()
    job.copy()
    job.install()
    job.start()
    with pytest.raises(Failed, match="Training runs already"):
        job.start()
    waiting = threading.Timer(0.5, job.stop)
    waiting.start()
    job.run_until_done(1)
    waiting.join()
    assert gcloud.told() == [CREATE, *PREPARE, "start", "start", "stop", "start"]


def test_a_process_that_vanished_is_lost(gcloud, job):
    job.slice.request()
    assert job.statuses() == {"worker-0": "none", "worker-1": "none"}
    job.copy()
    for worker in gcloud.workers():
        (worker / "perceiver_jax_run").mkdir()
        (worker / "perceiver_jax_run" / "pid").write_text(str(os.getpid()))
    assert job.statuses() == {"worker-0": "lost", "worker-1": "lost"}


def test_setup_is_run_on_each_worker(gcloud, job):
    object.__setattr__(job, "setup", "echo mounted >~/done")
    job.slice.request()
    job.install()
    assert [(w / "done").read_text() for w in gcloud.workers()] == ["mounted\n"] * 2


def test_code_is_packed_as_it_is(tmp_path):
    root = training.ROOT
    (root / ".gitignore").write_text("big\n")
    (root / "big").write_text("ignored")
    (root / "new.py").write_text("not committed")
    training.pack(tmp_path / "code.tar.gz")
    with tarfile.open(tmp_path / "code.tar.gz") as archive:
        names = archive.getnames()
    assert names == [".gitignore", "new.py", "scripts/pods/worker.sh"]


def test_what_training_needs_is_looked_at_before_anything_is_paid_for():
    both = ("--config=a.py", "--workdir=/mnt/b/run")
    training.check_arguments(both)
    for one in both:
        with pytest.raises(ValueError, match="-- --config=FILE --workdir=DIR"):
            training.check_arguments([one])
    training.check_workdir(both, "b", "")
    training.check_workdir(both, "", "mount nfs:/ /mnt/b")
    with pytest.raises(ValueError, match="outlive the slice: mount a bucket"):
        training.check_workdir(both, "", "")
    with pytest.raises(ValueError, match="in the bucket: --workdir=/mnt/c/RUN"):
        training.check_workdir(both, "c", "")
