"""Pickles of weights: what is read, and what is refused before anything runs."""

import collections
import contextlib
import copyreg
import io
import os
import pickle

import haiku as hk
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from perceiver_jax.pretrained import files, pickles

PARAMS = {"a/linear": {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}}


def write(path, value, protocol=pickle.DEFAULT_PROTOCOL):
    path.write_bytes(pickle.dumps(value, protocol))
    return path


def assert_params(trees):
    np.testing.assert_array_equal(
        trees["params"]["a/linear"]["w"], PARAMS["a/linear"]["w"]
    )


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("wrap", [dict, hk.data_structures.to_immutable_dict])
def test_pickles_of_every_protocol_with_and_without_state(tmp_path, protocol, wrap):
    bare = write(tmp_path / "bare.pickle", wrap(PARAMS), protocol)
    assert_params(files.read_deepmind(bare))
    both = {"params": wrap(PARAMS), "state": wrap({})}
    trees = files.read_deepmind(write(tmp_path / "both.pystate", both, protocol))
    assert_params(trees)
    assert trees["state"] == {}


def test_arrays_of_any_order_and_type(tmp_path):
    w = PARAMS["a/linear"]["w"]
    arrays = {
        "columns": np.asfortranarray(w),
        "big_endian": w.astype(">f4"),
        "double": w.astype(np.float64),
        "half": w.astype(np.float16),
        "bfloat16": w.astype(ml_dtypes.bfloat16),
        "jax": jnp.asarray(w),
        "transposed": w.T,
    }
    path = write(tmp_path / "x.pickle", {"a": arrays | {"count": np.int32(7)}})
    found = files.read_deepmind(path)["params"]["a"]
    for name in arrays:
        assert found[name].dtype == np.float32
        expected = w.T if name == "transposed" else w
        np.testing.assert_array_equal(found[name], expected, err_msg=name)
    assert found["count"].dtype == np.int32 and found["count"] == 7


def test_jax_arrays_as_old_versions_pickled_them(tmp_path):
    """As reconstruct_device_array(make, args, state, aval), which JAX no longer has."""

    class Old:
        def __reduce__(self):
            make, args, state = PARAMS["a/linear"]["w"].__reduce__()
            return _old_jax, (make, args, state, {"weak_type": False})

    stream = io.BytesIO()
    pickler = pickle._Pickler(stream)  # the one in Python lets us name a lost function
    pickler.dispatch_table = copyreg.dispatch_table.copy()
    save_global = pickler.save_global

    def save(value, name=None):
        if value is _old_jax:
            pickler.write(b"cjax._src.device_array\nreconstruct_device_array\n")
        else:
            save_global(value, name)

    pickler.save_global = save
    pickler.dispatch = {**pickler.dispatch, type(_old_jax): lambda p, v: save(v)}
    pickler.dump({"a/linear": {"w": Old()}})
    path = tmp_path / "x.pickle"
    path.write_bytes(stream.getvalue())
    assert_params(files.read_deepmind(path))


def _old_jax():
    raise AssertionError("never called")


class Shell:
    """os.system when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


class Nested(Shell):
    """A harmless type made from something that is not."""

    def __reduce__(self):
        return collections.OrderedDict, ({"a": Shell(self.mark)},)


class Hidden(Shell):
    """In the state of an array."""

    def __reduce__(self):
        make, args, state = np.zeros(2).__reduce__()
        return make, args, (*state[:-1], Shell(self.mark))


@pytest.mark.parametrize("evil", [Shell, Nested, Hidden])
def test_programs_in_pickles_are_refused_and_not_run(tmp_path, evil):
    mark = tmp_path / "ran"
    path = write(tmp_path / "x.pickle", {"params": {"a": {"w": evil(mark)}}})
    with pytest.raises(ValueError, match=r"Refused.*posix\.system"):
        files.read_deepmind(path)
    assert not mark.exists()
    with contextlib.suppress(TypeError):  # the test's own check: unguarded, it runs
        pickle.loads(path.read_bytes())
    assert mark.exists()


RAW = [
    # A function through copyreg, as a pickled lambda comes.
    (b"ccopyreg\n__newobj__\n.", r"copyreg\.__newobj__"),
    (b"ccopyreg\n_reconstructor\n.", r"copyreg\._reconstructor"),
    (b"cbuiltins\neval\n(V1+1\ntR.", r"builtins\.eval"),
    (b"cbuiltins\ngetattr\n.", r"builtins\.getattr"),
    (b"cnumpy\nload\n.", r"numpy\.load"),
    (b"cnumpy\ndtype.__class__\n.", "numpy.dtype.__class__"),
    (b"cnumpy\nndarray\n(I4\ntR.", "calls the type"),
    (b"cnumpy\ndtype\n(VO8\ntR.", "type 'O8'"),
    (b"ccollections\nnamedtuple\n.", r"collections\.namedtuple"),
    (b"Pexternal\n.", "external"),
]


@pytest.mark.parametrize(("data", "message"), RAW)
def test_names_beyond_the_allowed_are_refused_by_name(tmp_path, data, message):
    path = tmp_path / "x.pickle"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=message):
        files.read_deepmind(path)


def test_allowed_names_can_not_be_changed_by_a_pickle(tmp_path):
    """BUILD would set attributes on what it is given."""
    for module, name in pickles._ALLOWED:
        path = tmp_path / "x.pickle"
        for state in (b"}(Vx\nI1\nu", b"(N}(Vx\nI1\nut"):  # attributes, slots
            path.write_bytes(f"c{module}\n{name}\n".encode() + state + b"b.")
            with pytest.raises(ValueError):
                files.read_deepmind(path)
        assert not hasattr(pickles._ALLOWED[module, name], "x")


@pytest.mark.parametrize("length", [0, 1, 30, -1])
def test_truncated_pickle(tmp_path, length):
    path = write(tmp_path / "x.pickle", PARAMS)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match="x.pickle is damaged or truncated"):
        files.read_deepmind(path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "a list, not parameters"),
        ({"params": {"a": 3}}, "'a' is no mapping"),
        ({"params": {"a": {"w": 3.0}}}, "a/w is a float"),
        ({"params": {"a": {"w": np.array([{}, None])}}}, "type 'O8'"),
        ({"params": {}}, "no parameters"),
        ({"params": PARAMS, "optimizer": {}}, "optimizer beside params"),
    ],
)
def test_pickles_of_something_else(tmp_path, value, message):
    with pytest.raises(ValueError, match=message):
        files.read_deepmind(write(tmp_path / "x.pickle", value))


def test_array_with_too_little_data(tmp_path):
    data = pickle.dumps(PARAMS, 2).replace(b"K\x02K\x03\x86", b"K\x02K\x04\x86")
    path = tmp_path / "x.pickle"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="a/linear/w"):
        files.read_deepmind(path)
