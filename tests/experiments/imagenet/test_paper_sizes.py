"""The image classifiers of the papers: their sizes and costs, and their inputs."""

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from judge import normal, random_like

from configs import digits
from configs import imagenet as configs
from experiments.imagenet import model as image_model
from perceiver_jax.engine.costs import flops as flops_module


def transform(config):
    forward = image_model.Forward(config.model, config.data.num_classes)
    return hk.without_apply_rng(hk.transform_with_state(forward))


def abstract_init(config):
    batch = {"images": jnp.zeros((1, *config.data.image_size, 3))}
    init = lambda: transform(config).init(jax.random.key(0), batch, True)
    return jax.eval_shape(init)


# The sizes and costs that the papers print.


def linear(rows, inputs, outputs):
    return 2 * rows * inputs * outputs


def cross_attend(num_queries, width, num_inputs, channels):
    """FLOPs with keys and values made from all inputs, as the papers count."""
    return (
        linear(num_queries, width, channels)  # queries
        + 2 * linear(num_inputs, channels, channels)  # keys, values
        + 2 * linear(num_queries, channels, num_inputs)  # scores, mixing
        + linear(num_queries, channels, width)
        + 2 * linear(num_queries, width, width)  # MLP
    )


def saved(num_queries, num_inputs, channels):
    """FLOPs that we save: keys and values are projected per query, not per input."""
    return 2 * linear(num_inputs - num_queries, channels, channels)


def self_attend(latents=512, width=1024, widening=1):
    projections = (4 + 2 * widening) * linear(latents, width, width)
    return projections + 2 * linear(latents, width, latents)


def model_flops(num_inputs, channels, num_cross, num_layers, queried, **layer):
    """Returns FLOPs of a classifier, as the papers count and as we compute."""
    heads = linear(1, 1024, 1000) + queried * cross_attend(1, 1024, 512, 1024)
    total = (
        num_cross * cross_attend(512, 1024, num_inputs, channels)
        + num_layers * self_attend(**layer)
        + heads
    )
    less = num_cross * saved(512, num_inputs, channels) + queried * saved(1, 512, 1024)
    return total, total - less


PIXELS, QUARTER = 224**2, 56**2
NO_LATENT_TRANSFORMER = {
    "layers_per_block": 0,
    "share_weights": False,
}
MODELS = {
    # variant, changes: parameters; inputs, channels, cross-attends, layers, queried,
    # FLOPs of the stem; printed GFLOPs by arithmetic on the papers' architecture
    "fourier": ("fourier", {}, 48_440_627, (PIXELS, 261, 1, 48, True), 0, 406.1),
    "learned": (
        "learned",
        {},
        62_255_848,
        (PIXELS, 512, 1, 48, True),
        linear(PIXELS, 3 + 256, 256),
        478.0,
    ),
    "conv": (
        "conv",
        {},
        48_646_522,
        (QUARTER, 322, 1, 48, True),
        linear(112**2, 7 * 7 * 3, 64),
        369.2,
    ),
    "2021": ("perceiver", {}, 44_912_254, (PIXELS, 261, 8, 48, False), 0, 706.3),
    "2021, at the start": (
        "perceiver",
        {"cross_attends_at_start": True},
        44_912_254,
        (PIXELS, 261, 8, 48, False),
        0,
        706.3,
    ),
    "2021, unshared": (
        "perceiver_unshared",
        {},
        326_241_856,
        (PIXELS, 261, 8, 48, False),
        0,
        706.3,
    ),
    "2021, unshared, at the start": (
        "perceiver_unshared",
        {"cross_attends_at_start": True},
        326_241_856,
        (PIXELS, 261, 8, 48, False),
        0,
        706.3,
    ),
    "2021, one cross-attend": (
        "perceiver",
        {"num_cross_attends": 1},
        42_135_859,
        (PIXELS, 261, 1, 48, False),
        0,
        404.0,
    ),
    "2021, 4 cross-attends only": (
        "perceiver",
        {**NO_LATENT_TRANSFORMER, "num_cross_attends": 4, "num_blocks": 4},
        12_654_868,
        (PIXELS, 261, 4, 0, False),
        0,
        172.7,
    ),
    "2021, 8 cross-attends only": (
        "perceiver",
        NO_LATENT_TRANSFORMER,
        23_760_448,
        (PIXELS, 261, 8, 0, False),
        0,
        345.5,
    ),
    # The learned positions of 2022 under the head of 2021.
    "2021, positions of 2022": (
        "learned",
        {"head": "mean"},
        55_951_080,
        (PIXELS, 512, 1, 48, False),
        linear(PIXELS, 3 + 256, 256),
        475.9,
    ),
}


def model_config(variant, changes):
    config = configs.get_config(variant)
    config.model.update(changes)
    return config


@pytest.mark.parametrize("name", MODELS)
def test_parameters_and_flops_of_the_papers(name):
    variant, changes, num_params, sizes, stem_flops, gflops = MODELS[name]
    config = model_config(variant, changes)
    params, state = abstract_init(config)
    assert hk.data_structures.tree_size(params) == num_params

    papers, ours = (stem_flops + flops for flops in model_flops(*sizes))
    assert abs(papers / 1e9 - gflops) < 0.2  # to the last digit, and the conv stem's
    images = jax.ShapeDtypeStruct((1, 224, 224, 3), jnp.float32)
    apply = lambda *args: transform(config).apply(*args, False)
    assert flops_module.count_flops(apply, params, state, {"images": images}) == ours


@pytest.mark.parametrize(
    ("variant", "changes", "num_params"),
    [
        # The paper's text maps RGB to 256 channels first, 213M; its table prints 212M,
        # which is the count with plain pixels.
        ("b_finetune", {}, 213_082_618),
        ("b_finetune", {"stem": "pixels"}, 212_170_035),
        ("b_conv_finetune", {}, 212_375_930),
    ],
)
def test_parameters_of_config_b(variant, changes, num_params):
    params, _ = abstract_init(model_config(variant, changes))
    assert hk.data_structures.tree_size(params) == num_params


def test_an_example_of_a_batch_costs_no_latent_queries_of_its_own():
    config = configs.get_config("fourier")
    params, state = abstract_init(config)
    apply = lambda *args: transform(config).apply(*args, False)
    one, two = (
        flops_module.count_flops(
            apply, params, state, {"images": jnp.zeros((batch, 224, 224, 3))}
        )
        for batch in (1, 2)
    )
    # Latents to queries, folded with the keys' projection; the same for the class.
    once = linear(512, 1024, 261) + linear(512, 261, 261) + 2 * linear(1, 1024, 1024)
    assert two == 2 * one - once


# Small ones.


def small(variant, **changes):
    config = digits.get_config(variant)
    config.model.update(changes)
    return config


def random_params(config):
    params, state = abstract_init(config)
    state = jax.tree.map(lambda x: np.ones(x.shape, x.dtype), state)
    return random_like(params, scale=0.4), state


@pytest.mark.parametrize("variant", ["fourier", "conv"])
def test_order_of_the_inputs_does_not_matter(variant):
    config = small(variant, num_blocks=1, layers_per_block=1)
    params, state = random_params(config)
    batch = {"images": normal(2, 8, 8, 3)}

    def logits(permute, batch):
        config.model.permute = permute
        apply = jax.jit(transform(config).apply, static_argnums=3)
        return apply(params, state, batch, False)[0]

    expected = logits(False, batch)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(logits(True, batch), expected, atol=1e-5 * scale)
    # Pixels that leave their positions behind are another image.
    order = np.random.default_rng(0).permutation(64)
    moved = batch["images"].reshape(2, 64, 3)[:, order].reshape(2, 8, 8, 3)
    assert np.abs(logits(False, {"images": moved}) - expected).max() > 1e-3 * scale


@pytest.mark.parametrize("permute", [False, True])
@pytest.mark.parametrize("stem", ["pixels", "patches"])
def test_what_inputs_see_is_laid_out_as_the_image(stem, permute):
    """The first channel of the inputs comes back where it was in the image."""
    config = digits.get_config()
    config.model.update(stem=stem, patch_size=2, stem_channels=1, permute=permute)
    inputs = hk.transform(lambda x: image_model.make_inputs(config.model, None)(x))
    images = np.random.default_rng(0).normal(size=(2, 6, 10, 3)).astype(np.float32)
    params = inputs.init(jax.random.key(0), images)
    if stem == "patches":
        w = np.zeros((12, 1), np.float32)
        w[0] = 1  # the first colour of a patch's first pixel
        params["image_inputs/patches/linear"]["w"] = w
        images = np.repeat(np.repeat(images[:, ::2, ::2], 2, 1), 2, 2)
    found = np.asarray(inputs.apply(params, None, images))[..., 0]
    step = 2 if stem == "patches" else 1
    np.testing.assert_array_equal(
        image_model.lay_out(config.model, found, (6, 10)), images[:, ::step, ::step, 0]
    )


def test_bfloat16_model_stays_close_to_float32():
    config = small("perceiver")
    params, state = random_params(config)
    apply = jax.jit(transform(config).apply, static_argnums=3)
    batch = {"images": normal(2, 8, 8, 3)}
    expected, _ = apply(params, state, batch, False)
    cast = lambda tree: jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), tree)
    logits, _ = apply(cast(params), state, cast(batch), False)
    assert logits.dtype == jnp.bfloat16
    scale = np.abs(expected).max()
    np.testing.assert_allclose(np.float32(logits), expected, atol=0.05 * scale)
