"""The image classifier of a config."""

import jax
import numpy as np
import pytest
import small_digits

from configs import imagenet
from experiments import build
from experiments.imagenet import model as image_model
from perceiver_jax.engine.forward import make_forward, parse_policy

FLOAT32 = parse_policy("params=float32,compute=float32,output=float32")


def shapes(config):
    """Shapes of the parameters, of which none is made."""
    model = build.make_model(config)
    forward = make_forward(model.forward, FLOAT32)
    init = lambda key, batch: forward.init(key, batch, True)
    params, _ = jax.eval_shape(init, jax.random.key(0), model.batch(1))
    return jax.tree.map(lambda x: x.shape, params)


def logits(config):
    """Logits of two images of noise, by a model just initialised."""
    forward = make_forward(build.make_model(config).forward, FLOAT32)
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)

    @jax.jit
    def run(batch):
        variables = forward.init(jax.random.key(0), batch, True)
        return forward.apply(*variables, None, batch, False)[0]

    return np.asarray(run({"images": images}))


@pytest.mark.parametrize("variant", ["fourier", "learned", "conv", "perceiver"])
def test_every_kind_of_model_makes_finite_logits(variant):
    config = small_digits.get_config(variant)
    found = logits(config)
    assert found.shape == (2, 10) and np.isfinite(found).all()
    assert (found[0] != found[1]).any()
    heads = [name for name in shapes(config) if "mean_pool" in name]
    assert bool(heads) == (variant == "perceiver")


@pytest.mark.parametrize(
    ("fields", "channels"),
    [
        ({}, 3 + 2 + 2 * 2 * 4),  # colours, position, sines and cosines
        ({"model__positions": ("learned",)}, 3 + 16),
        ({"model__positions": ("fourier", "learned")}, 3 + 18 + 16),
        (
            {
                "model__stem": "patches",
                "model__patch_size": 4,
                "model__stem_channels": 5,
            },
            5 + 18,
        ),
    ],
)
def test_inputs_are_features_beside_positions(fields, channels):
    found = shapes(small_digits.get_config(**fields))
    assert found["encoder/cross_attention/attention/key"]["w"][0] == channels


def test_a_fixed_shuffle_of_the_inputs_changes_nothing_the_model_says():
    plain, shuffled = (
        logits(small_digits.get_config(model__permute=permute))
        for permute in (False, True)
    )
    np.testing.assert_allclose(plain, shuffled, rtol=1e-4, atol=1e-5)


def test_example_is_the_config_s():
    model = build.make_model(imagenet.get_config("b_pretrain"))
    assert model.example["images"].shape == (224, 224, 3)
    assert model.example["labels"].shape == (18_000,)
    assert image_model.PERMUTATION_SEED == 0  # one for all experiments
