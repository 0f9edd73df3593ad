"""Errors of damaged files: in one line, on all processes, and nothing besides."""

import errno
import logging
import os
import subprocess
import sys

import jax
import numpy as np
import programs
import pytest

from perceiver_jax.engine.checkpoints import checkpoint, damage

# Two processes save a state that is split over them. Both restore it, with one file
# that only the second can't read, and with a changed one.
RESTORES = """
import pathlib, sys
import jax, numpy as np
from perceiver_jax.engine import sharding
from perceiver_jax.engine.checkpoints import checkpoint
from perceiver_jax.engine.checkpoints.on_disk import Folder

index, port, workdir = int(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
jax.distributed.initialize(f"127.0.0.1:{port}", 2, index)
parallel = sharding.OverMesh(sharding.make_mesh(), "fsdp")
state = {"m": {"w": np.arange(2**17, dtype=np.float32).reshape(2, -1)}}
state = parallel.from_saved(state)
assert not state["m"]["w"].is_fully_addressable
checkpoints = checkpoint.Checkpoints(workdir)
for step in (1, 2):
    checkpoints.save(step, {"params": state}, None, {})
checkpoints.add_metrics(2, {"score": 0.0})
wanted = jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state
)

def restore(case):
    try:
        found = checkpoints.restore(2, variables={"params": wanted})
        is_equal = (found["variables"]["params"]["m"]["w"] == state["m"]["w"]).all()
        told = "equal" if is_equal else "other"
    except ValueError as error:
        told = str(error)
    print(case, told, flush=True)

restore("whole:")
read_about = Folder._read_about
if index == 1:
    def fails(self):
        if self.path.name == "2":
            raise PermissionError(13, "Permission denied", "about")
        return read_about(self)
    Folder._read_about = fails
restore("one:")
Folder._read_about = read_about
data = max((workdir / "checkpoints/2").rglob("*"), key=lambda p: p.stat().st_size)
if index == 0:
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 16
    data.write_bytes(content)
checkpoint.multihost_utils.sync_global_devices("changed")
restore("changed:")
"""


def test_all_processes_tell_the_same_damage_and_none_waits(tmp_path):
    port = str(programs.free_port())
    command = [sys.executable, "-c", RESTORES]
    processes = [
        subprocess.Popen(
            [*command, str(index), port, str(tmp_path)],
            cwd=programs.ROOT,
            env=programs.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]
    told = [process.communicate(timeout=120) for process in processes]
    first, second = (out.partition("whole: ")[2] for out, _ in told)
    assert first == second and first, told
    whole, one, changed = first.splitlines()
    assert whole == "equal"
    assert "checkpoints/2 is damaged: about can't be read (Permission denied" in one
    assert "Whole are those of steps 1: " in one
    assert "checkpoints/2 is damaged: variables" in changed


def test_reason_is_short_and_names_what_is_known():
    denied = PermissionError(errno.EACCES, "Permission denied", "/a/b")
    assert damage.reason(denied) == "Permission denied (/a/b)"
    assert damage.reason(OSError(errno.EIO, "Input/output error")).startswith("Input")
    assert damage.reason(ValueError()) == "ValueError()"
    full = f'RESOURCE_EXHAUSTED: Writing "{"x" * 300}": {os.strerror(errno.ENOSPC)} [a'
    assert damage.reason(ValueError(full)) == "No space left on device"
    long = "DATA_LOSS: it differs [tensorstore_spec='{...}'\nand more"
    assert damage.reason(ValueError(long)) == "DATA_LOSS: it differs"


def test_errors_of_orbax_are_not_logged_and_those_of_others_are():
    damage.hush_orbax()
    damage.hush_orbax()
    log = logging.getLogger("absl")
    record = lambda path, level: logging.LogRecord("absl", level, path, 1, "", (), None)
    orbax = checkpoint.ocp.__file__
    assert not log.filter(record(orbax, logging.ERROR))
    assert log.filter(record(orbax, logging.WARNING))
    assert log.filter(record(np.__file__, logging.ERROR))
    assert log.filters.count(damage._ORBAX_ERRORS) == 1


def test_an_error_of_reading_is_damage_and_memory_is_not():
    def fails(error):
        def read():
            raise error

        return read

    assert damage.agreed("it", lambda: 3) == 3
    with pytest.raises(damage.DamagedError, match=r"^it can't be read \(none\)$"):
        damage.agreed("it", fails(ValueError("none")))
    with pytest.raises(damage.DamagedError, match="^it differs$"):
        damage.agreed("it", fails(damage.DamagedError("differs")))
    for error in (MemoryError(), jax.errors.JaxRuntimeError("full")):
        with pytest.raises(type(error)):
            damage.agreed("it", fails(error))
