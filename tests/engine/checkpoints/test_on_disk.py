"""What was changed on disk is named and never loaded, wherever it was changed."""

import json
import os
import pathlib
import random
import shutil

import jax
import numpy as np
import pytest

from perceiver_jax.engine.checkpoints import checkpoint, named_arrays
from perceiver_jax.engine.checkpoints.damage import DamagedError
from perceiver_jax.engine.checkpoints.on_disk import Folder, seal, unseal

RNG = np.random.default_rng(0)
VARIABLES = {
    "params": {
        # Larger arrays lie in files of their own.
        "encoder/large": {"w": RNG.normal(size=(64, 40)).astype(np.float32)},
        "small": {"b": RNG.normal(size=3).astype(np.float32)},
    },
    "model_state": {},
}
OPTIMIZER = {"step": np.int32(7)[None]}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A workdir with a checkpoint of step 1, not to be written to."""
    workdir = tmp_path_factory.mktemp("saved")
    checkpoints = checkpoint.Checkpoints(workdir)
    checkpoints.save(1, VARIABLES, OPTIMIZER, {"config": {"rate": 0.1}, "git": "1a2b"})
    checkpoints.add_metrics(1, {"score": 0.5})
    checkpoints.close()
    return workdir


@pytest.fixture
def folder(saved, tmp_path):
    """A copy of that checkpoint."""
    shutil.copytree(saved, tmp_path / "run")
    return Folder(tmp_path / "run" / "checkpoints" / "1")


def read(folder):
    """All that a checkpoint holds, as the same numbers."""
    items = {item: folder.abstract(item) for item in ("variables", "optimizer")}
    found = named_arrays.leaves(folder.read(items))
    arrays = {name: np.asarray(x).tolist() for name, x in found.items()}
    return arrays, folder.about(), folder.evaluation()


def flip(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def files_of(folder):
    return sorted(path for path in folder.path.rglob("*") if path.is_file())


def test_a_flipped_bit_in_any_file_is_found_or_changes_nothing(saved, folder, capfd):
    good = read(Folder(saved / "checkpoints" / "1"))
    pick = random.Random(0)
    outcomes = []
    for path in files_of(folder):
        whole = path.read_bytes()
        for bit in pick.sample(range(8 * len(whole)), 1):
            flip(path, bit)
            try:
                assert read(folder) == good, (path, bit)
                outcomes.append("equal")
            except DamagedError as error:
                assert "\n" not in str(error)
                outcomes.append("damaged")
            path.write_bytes(whole)
    assert read(folder) == good
    assert outcomes.count("damaged") >= 5 and outcomes.count("equal") >= 5
    assert capfd.readouterr().err == ""


def test_the_numbers_of_a_large_array_are_protected(folder):
    path = max(files_of(folder), key=lambda path: path.stat().st_size)
    whole = path.read_bytes()
    wanted = {"variables": folder.abstract("variables")}
    # Its compressed numbers, behind what says how they are.
    bits = range(8 * 500, 8 * len(whole), 8 * len(whole) // 12)
    assert len(whole) > 64 * 40 * 3 and len(bits) > 10
    for bit in bits:
        flip(path, bit)
        with pytest.raises(
            DamagedError, match=r"^variables(/params/encoder/large/w)? "
        ):
            folder.read(wanted)
        path.write_bytes(whole)
    folder.read(wanted)


@pytest.mark.parametrize("length", [0, 60])
def test_files_that_are_cut_short(folder, length, capfd):
    for name in ("variables/manifest.ocdbt", "variables/_METADATA", "about/metadata"):
        path = folder.path / name
        whole = path.read_bytes()
        os.truncate(path, length)
        with pytest.raises(DamagedError, match=name.partition("/")[0]):
            folder.read({"variables": folder.abstract("variables")})
        path.write_bytes(whole)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("item", ["variables", "optimizer", "about"])
def test_lost_parts_are_damage(folder, item):
    shutil.rmtree(folder.path / item)
    with pytest.raises(DamagedError, match=f"{item} can't be read"):
        read(folder)


def test_array_that_differs_is_named(folder):
    # The arrays of another checkpoint, with the description of this one.
    workdir = folder.path.parent.parent
    other = {
        **VARIABLES,
        "params": {**VARIABLES["params"], "small": {"b": np.zeros(3, np.float32)}},
    }
    checkpoints = checkpoint.Checkpoints(workdir)
    checkpoints.save(2, other, OPTIMIZER, {})
    checkpoints.close()
    shutil.copytree(
        workdir / "checkpoints/2/variables",
        folder.path / "variables",
        dirs_exist_ok=True,
    )
    with pytest.raises(DamagedError, match="^variables/params/small/b not as saved"):
        folder.read({"variables": folder.abstract("variables")})


def test_converted_is_told_by_what_was_saved(folder, tmp_path):
    checkpoints = checkpoint.Checkpoints(tmp_path / "converted")
    checkpoints.save(0, VARIABLES, None, {})
    checkpoints.close()
    with pytest.raises(ValueError, match="no optimizer: it was converted"):
        Folder(tmp_path / "converted/checkpoints/0").check_has("optimizer")
    shutil.rmtree(folder.path / "optimizer")
    folder.check_has("optimizer")  # it was trained: what is lost is told at reading


def test_checkpoint_of_an_earlier_version_is_refused_with_its_git_hash(folder):
    path = folder.path / "about" / "metadata"
    path.write_text(json.dumps({"config": {}, "git": "1a2b"}))
    with pytest.raises(ValueError, match="no checksums: an earlier version.*1a2b"):
        folder.about()


@pytest.mark.parametrize("changed", [b"0.25", b'"x"', b"", b"[]"])
def test_changed_evaluation_is_named(folder, changed):
    path = folder.path / "evaluation.json"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"0.5", changed) if changed[:1] != b"[" else changed)
    with pytest.raises(DamagedError, match="1/evaluation.json is damaged.*remove it"):
        folder.evaluation()


def test_what_is_sealed_is_compared():
    content = {"a": [1, 2.5, float("nan")], "b": {"c": "d"}}
    written = json.loads(json.dumps(seal({**content, "t": (1, 2)})))
    assert str(unseal(written)) == str({**content, "t": [1, 2]})
    with pytest.raises(DamagedError, match="differs"):
        unseal({**written, "b": {}})
    with pytest.raises(DamagedError, match="differs"):
        unseal(content)


def test_full_memory_is_not_called_damage(folder, monkeypatch):
    def out_of_memory(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    wanted = {"variables": folder.abstract("variables")}
    monkeypatch.setattr(jax, "block_until_ready", out_of_memory)
    with pytest.raises(jax.errors.JaxRuntimeError, match="out of memory"):
        folder.read(wanted)


def test_remedies(folder):
    workdir = folder.path.parent.parent
    checkpoints = checkpoint.Checkpoints(workdir)
    for step in (2, 3):
        checkpoints.save(step, VARIABLES, OPTIMIZER, {})
    checkpoints.close()
    aside = pathlib.Path("aside")
    shutil.rmtree(workdir / "checkpoints/2/optimizer")
    last = Folder(workdir / "checkpoints/3")
    assert "of steps 1: go on" in last.remedy([1, 2], None, aside)
    assert "--resume_from=1; later ones are then moved to aside" in last.remedy(
        [1, 2], None, aside
    )
    # To evaluate needs no optimizer.
    only = {"variables": None}
    assert "of steps 1, 2: choose one with --step=2" in last.remedy([1, 2], only, None)
    told = last.remedy([2], None, aside)
    assert told.startswith("No other of this run is whole. Put it back")
    assert f"--config.init_from={last.path}" in told
    shutil.rmtree(last.path / "variables")
    told = last.remedy([], None, aside)
    assert told.startswith("It is the only one. Put it back")
    assert "remove" not in told and "init_from" not in told
