"""The Transformer on the inputs, as a plain loop over its layers."""

import functools

import haiku as hk
import jax
import numpy as np
import pytest
from judge import normal, random_like

from perceiver_jax.model import attention, transformer

make_self = functools.partial(attention.SelfAttention, 2, widening_factor=2)


@pytest.mark.parametrize("remat", [False, True])
def test_a_transformer_is_its_layers_and_a_norm(remat):
    inputs = normal(2, 5, 8)
    mask = np.arange(5) < np.array([[3], [5]])
    module = hk.transform(lambda *x: transformer.Transformer(3, make_self, remat)(*x))
    shapes = jax.eval_shape(module.init, jax.random.key(0), inputs, mask)
    params = random_like(shapes, scale=0.4)

    layer = hk.transform(lambda *x: make_self()(*x))
    expected = inputs
    for number in range(3):
        layer_params = {
            name.removeprefix("transformer/layers/"): jax.tree.map(
                lambda x, n=number: x[n], arrays
            )
            for name, arrays in params.items()
            if "/layers/" in name
        }
        expected = layer.apply(layer_params, None, expected, mask)
    norm = hk.transform(lambda x: attention.LayerNorm()(x))
    norm_params = {"layer_norm": params["transformer/output_norm"]}
    expected = norm.apply(norm_params, None, expected)
    outputs = jax.jit(module.apply)(params, None, inputs, mask)
    np.testing.assert_allclose(outputs, expected, atol=1e-4)


def test_masked_inputs_do_not_reach_the_others():
    inputs = normal(2, 5, 8)
    mask = np.arange(5) < np.array([[3], [5]])
    module = hk.transform(lambda *x: transformer.Transformer(2, make_self)(*x))
    params = random_like(jax.eval_shape(module.init, jax.random.key(0), inputs, mask))
    apply = jax.jit(module.apply)
    outputs = apply(params, None, inputs, mask)
    noise = np.where(mask[..., None], inputs, 100.0)
    same = apply(params, None, noise, mask)
    np.testing.assert_array_equal(same[mask], outputs[mask])
