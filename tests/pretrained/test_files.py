"""Files of weights and what lies beside them: what is read, and how damage is told."""

import numpy as np
import pytest
import safetensors.numpy

from perceiver_jax.pretrained import files

PARAMS = {"a/linear": {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}}


def test_npz_and_its_damage(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, **{"params/a/linear|w": PARAMS["a/linear"]["w"]})
    found = files.read_deepmind(path)["params"]["a/linear"]["w"]
    np.testing.assert_array_equal(found, PARAMS["a/linear"]["w"])
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="x.npz"):
        files.read_deepmind(path)
    np.savez(path, weights=np.zeros(3))
    with pytest.raises(ValueError, match="weights is not named"):
        files.read_deepmind(path)
    np.savez(path, **{"params/a|w": np.array([None])})
    with pytest.raises(ValueError, match="x.npz"):
        files.read_deepmind(path)


def test_safetensors_and_its_damage(tmp_path):
    path = tmp_path / "model.safetensors"
    w = PARAMS["a/linear"]["w"]
    safetensors.numpy.save_file({"w": w, "half": w.astype(np.float16)}, path)
    found = files.read_safetensors(path)
    for array in found.values():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, w)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match="damaged or truncated"):
        files.read_safetensors(path)
    with pytest.raises(FileNotFoundError, match="no file"):
        files.read_safetensors(tmp_path / "none.safetensors")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.pickle"):
        files.read_deepmind(tmp_path / "none.pickle")


def test_numbers_that_are_not_finite_are_named(tmp_path):
    arrays = {"good": np.zeros(2), "bad": np.array([0, np.nan]), "count": np.int32(1)}
    with pytest.raises(ValueError, match=r"1 arrays hold NaN or infinity:\n  bad$"):
        files.check_finite(arrays, tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("model.safetensors.index.json", "in several files.*max_shard_size"),
        ("pytorch_model.bin", "in a pickle.*save_pretrained"),
        ("pytorch_model.bin.index.json", "in pickles.*save_pretrained"),
        ("README.md", "no file .*model.safetensors: download it too"),
    ],
)
def test_folders_with_weights_of_another_kind_say_what_to_do(tmp_path, name, message):
    (tmp_path / name).write_text("{}")
    with pytest.raises(FileNotFoundError, match=message):
        files.find_safetensors(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert files.find_safetensors(tmp_path) == tmp_path / "model.safetensors"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged or truncated"),
        (b'{"architectures": ["Perc', r"truncated.*line 1.*download it again"),
        (b"\xff\xfe{}", "damaged or truncated"),
        (b"[1, 2]", "holds a list where an object"),
        (b"null", "holds a NoneType where an object"),
    ],
)
def test_json_that_is_damaged_is_named(tmp_path, content, message):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"config.json.*{message}"):
        files.read_json(path)


def test_json_of_an_object_is_read(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"num_latents": 3}')
    assert files.read_json(path) == {"num_latents": 3}
