"""Processes agree before they start; where there is one, it agrees with itself."""

import socket

import jax
import numpy as np
import pytest

from perceiver_jax.cluster import processes


@pytest.fixture
def others(monkeypatch):
    """What another process says, of a run of two."""
    said = {}

    def gather(mine):
        return [mine, mine._replace(host="b", run=99, **said)]

    monkeypatch.setattr(processes, "_gather", gather)
    return said


FACTS = {"config": {"seed": 0, "model.width": 8}, "code": "abc"}


def test_equal_processes_have_one_number(others):
    assert processes.agree(FACTS) not in (0, 99)


def test_one_that_differs_is_named_with_both_values(others):
    others["facts"] = {"config": {"seed": 1, "model.width": 8}, "code": "abd"}
    with pytest.raises(ValueError, match="not started alike") as told:
        processes.agree(FACTS)
    config, code = str(told.value).splitlines()[1:]
    host = socket.gethostname()
    assert f"process 1 on b has another config than process 0 on {host}" in config
    assert config.endswith("seed=1, not 0")
    assert code.endswith("'abd', not 'abc'")


def test_problem_of_one_is_told_by_all(others):
    others["problem"] = "No data in /data."
    with pytest.raises(ValueError, match="process 1 on b: No data in /data."):
        processes.agree(FACTS)


def test_one_process_needs_no_address():
    with pytest.raises(ValueError, match="^No room$"):
        processes.agree(FACTS, "No room")
    assert processes.agree(FACTS) > 0
    processes.tell("nobody listens")


@pytest.fixture
def nowhere(monkeypatch):
    """Has JAX find no cluster, as it says it."""

    def initialize(*args, **kwargs):
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(jax.distributed, "initialize", initialize)


def test_start_without_a_cluster_is_one_process(nowhere):
    processes.start()
    with pytest.raises(ValueError, match="should be defined"):
        processes.start("host:1", 2, 0)


def test_half_an_address_is_refused():
    with pytest.raises(ValueError, match="--process_id go together"):
        processes.start("host:1", 2)


def test_new_open_mpi_is_told_what_to_add(nowhere, monkeypatch):
    monkeypatch.setenv("OMPI_COMM_WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="--process_id=\\$OMPI_COMM_WORLD_RANK"):
        processes.start()


@pytest.mark.parametrize(
    ("tasks", "gpus", "devices"),
    [("1(x4)", "8", range(8)), ("8(x2)", "8", None), ("1", "1", None), ("1", "", None)],
)
def test_one_task_a_node_gets_all_gpus(tasks, gpus, devices):
    environ = {"SLURM_STEP_TASKS_PER_NODE": tasks, "SLURM_GPUS_ON_NODE": gpus}
    assert processes._slurm_devices(environ) == devices


def test_code_version_is_that_of_the_text(tmp_path):
    (tmp_path / "a.py").write_text("x = 1")
    (tmp_path / "notes.txt").write_text("anything")
    before = processes.code_version(tmp_path)
    (tmp_path / "notes.txt").write_text("else")
    assert processes.code_version(tmp_path) == before
    (tmp_path / "a.py").write_text("x = 2")
    assert processes.code_version(tmp_path) != before


def test_any_process_answers_for_all_devices(monkeypatch):
    assert processes.AnyProcess()(True) is True
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    asks = processes.AnyProcess()
    said = [False, True, False, False, False]
    answers = [asks(word) for word in said]
    assert answers == [False, False, False, True, False]
    assert np.array(answers).dtype == bool
