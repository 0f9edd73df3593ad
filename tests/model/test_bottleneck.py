"""The decoder gets a few values of each latent, and which one it is."""

import haiku as hk
import jax
import numpy as np

from perceiver_jax.model.bottleneck import Bottleneck

CHANNELS, CODE = 16, 2
MODULE = hk.transform(lambda x: Bottleneck(CODE)(x))


def test_no_more_passes_than_the_code():
    """What comes out depends on a latent in as many directions as its code has values.

    It does not depend on other latents.
    """
    latents = np.random.default_rng(0).normal(size=(1, 2, CHANNELS)).astype("f4")
    params = MODULE.init(jax.random.key(0), latents)
    slopes = jax.jacobian(lambda x: MODULE.apply(params, None, x))(latents)
    slopes = slopes.reshape(2, CHANNELS, 2, CHANNELS)
    found = np.linalg.svd(slopes[0, :, 0], compute_uv=False)
    assert found[CODE - 1] > 1e-3 and found[CODE] < 1e-5
    assert np.abs(slopes[0, :, 1]).max() == 0


def test_latents_behind_the_code_are_what_the_transformer_makes_of_them():
    def double(latents, is_training):
        return 2 * latents if is_training else latents

    module = hk.transform(lambda x, t: Bottleneck(CODE, lambda: double)(x, t))
    latents = np.ones((1, 3, CHANNELS), np.float32)
    params = module.init(jax.random.key(0), latents, True)
    once, twice = (module.apply(params, None, latents, t) for t in (False, True))
    np.testing.assert_allclose(twice, 2 * once)


def test_latents_that_are_alike_are_told_apart():
    latents = np.ones((1, 3, CHANNELS), np.float32)
    params = MODULE.init(jax.random.key(0), latents)
    first, second, third = MODULE.apply(params, None, latents)[0]
    assert np.ptp(first - second) > 1e-3 and np.ptp(second - third) > 1e-3
