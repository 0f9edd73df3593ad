"""The parts of Hugging Face's Perceivers, and BatchNorm's state there and here."""

import haiku as hk
import numpy as np
import oracles

from perceiver_jax.pretrained import huggingface

NORM = huggingface.batch_norm("here", "there")


def state_dict(batches, rng):
    """A batch norm of 3 channels as PyTorch saves it after that many batches."""
    names = ("weight", "bias", "running_mean", "running_var")
    arrays = {f"there.{n}": rng.normal(size=3).astype(np.float32) for n in names}
    return arrays | {"there.num_batches_tracked": np.asarray(batches, np.int64)}


def test_linear_maps_are_transposed():
    theirs = {"there.weight": np.arange(6).reshape(2, 3), "there.bias": np.ones(2)}
    table = huggingface.linear("here", "there")
    ours = huggingface.from_arrays(theirs, table)
    np.testing.assert_array_equal(ours["here/w"], [[0, 3], [1, 4], [2, 5]])
    back = huggingface.to_arrays(ours, table)
    np.testing.assert_array_equal(back["there.weight"], theirs["there.weight"])


def test_a_batch_norm_goes_on_here_where_it_stopped_there():
    """Haiku's average, from the state that we make up, is PyTorch's."""
    theirs = state_dict(3, np.random.default_rng(0))
    ours = huggingface.from_arrays(theirs, NORM)
    for average, name in (("mean_ema", "running_mean"), ("var_ema", "running_var")):
        state = {
            leaf: ours[f"here/~/{average}/{leaf}"]
            for leaf in ("average", "hidden", "counter")
        }
        assert state["average"].shape == (1, 1, 1, 3)
        assert state["counter"].dtype == np.int32 and state["counter"] == 3
        # One more value, as Haiku adds it to a state of its own.
        ema = hk.transform_with_state(lambda x: hk.ExponentialMovingAverage(0.9)(x))
        value = np.full((1, 1, 1, 3), 2.0, np.float32)
        _, after = ema.apply({}, {"exponential_moving_average": state}, None, value)
        weights = 0.1 * 0.9 ** np.arange(4)  # of the newest first
        old = theirs[f"there.{name}"] * weights[1:].sum()
        expected = (2.0 * weights[0] + old) / weights.sum()
        found = after["exponential_moving_average"]["average"]
        np.testing.assert_allclose(found[0, 0, 0], expected, rtol=1e-5)


def test_a_batch_norm_goes_there_and_back_to_the_bit():
    theirs = state_dict(7, np.random.default_rng(1))
    back = huggingface.to_arrays(huggingface.from_arrays(theirs, NORM), NORM)
    oracles.assert_same(back, theirs)
    assert back["there.num_batches_tracked"].shape == ()


def test_a_batch_norm_of_an_old_file_has_seen_no_batches():
    theirs = state_dict(7, np.random.default_rng(1))
    del theirs["there.num_batches_tracked"]
    ours = huggingface.from_arrays(theirs, NORM)
    for average in ("mean_ema", "var_ema"):
        assert ours[f"here/~/{average}/counter"] == 0
        assert not ours[f"here/~/{average}/hidden"].any()
        assert ours[f"here/~/{average}/average"].any()


def test_layers_are_numbered_from_zero():
    paths = {rule.their_path(1) for rule in huggingface.encoder()}
    assert "perceiver.encoder.self_attends.1.attention.self.layernorm1.weight" in paths
    assert "perceiver.encoder.cross_attention.attention.self.layernorm2.bias" in paths
    names = {rule.theirs for rule in huggingface.decoder("there")}
    assert "there.final_layer.weight" in names
    assert "there.decoding_cross_attention.mlp.dense1.weight" in names
