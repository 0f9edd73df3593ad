"""The models of the papers: their sizes, their costs, and scans as plain loops."""

import functools

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxprs import all_shapes, count_equations

from configs import digits
from configs import imagenet as configs
from experiments.imagenet import task as imagenet
from perceiver_jax.engine import flops as flops_module
from perceiver_jax.model import attention, perceiver, position, stack


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def random_like(params, seed=0):
    """The same tree with no zero anywhere, so that every bias and norm is seen."""
    leaves, structure = jax.tree.flatten(params)
    leaves = [0.4 * normal(*x.shape, seed=seed + i) for i, x in enumerate(leaves)]
    return jax.tree.unflatten(structure, leaves)


def random_params_of(module, *args):
    return random_like(jax.eval_shape(lambda: module.init(jax.random.key(0), *args)))


def transform(config):
    forward = imagenet.make_forward(config.model, config.data.num_classes, None)
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


# Repetition by scan.

WIDTH, CHANNELS = 8, 6
make_self = functools.partial(attention.SelfAttention, 2)
make_cross = functools.partial(attention.CrossAttention, 1)


def processor(
    inputs,
    num_blocks=4,
    layers_per_block=2,
    num_cross_attends=1,
    dropout=0.0,
    **options,
):
    """(latents) -> latents as a Haiku function that is given its key."""
    blocks = (
        num_blocks,
        layers_per_block,
        functools.partial(make_self, dropout_rate=dropout),
    )
    cross_attention = functools.partial(make_cross, dropout_rate=dropout)

    def process(latents):
        if num_cross_attends == 1:
            return perceiver.Processor(*blocks, **options)(latents, is_training=True)
        module = perceiver.IterativeProcessor(
            *blocks, num_cross_attends, cross_attention, **options
        )
        return module(latents, inputs, is_training=True)

    return hk.transform(process)


def module_slice(params, prefix, index):
    """The parameters of one layer of a stack, as of a module on its own."""
    return {
        module.removeprefix(prefix): {
            name: array[index] for name, array in arrays.items()
        }
        for module, arrays in params.items()
        if module.startswith(prefix)
    }


process = jax.jit(hk.transform(lambda x: make_self()(x)).apply)
look = jax.jit(hk.transform(lambda x, inputs: make_cross()(x, inputs)).apply)


def plain_loop(params, latents, inputs, num_cross, shared, at_start):
    """4 blocks of 2 layers and the later cross-attends, one call after the other."""

    def cross(latents, number):
        prefix, index = "iterative_processor/", ()
        if not shared:
            prefix += "cross_attends/" if at_start else "segments/"
            index = number - 1
        cross_params = module_slice(params, prefix, index)
        only_cross = {k: v for k, v in cross_params.items() if k.startswith("cross")}
        return look(only_cross, None, latents, inputs)

    def block(latents, number):
        segment, within = divmod(number, 4 // num_cross)
        prefix = "processor/" if num_cross == 1 else "iterative_processor/processor/"
        for layer in range(2):
            if shared:
                blocks, index = "block/layers/", layer
            elif at_start or segment == 0:
                blocks, index = "blocks/block/layers/", (number, layer)
            else:
                prefix = "iterative_processor/segments/processor/"
                blocks, index = "blocks/block/layers/", (segment - 1, within, layer)
            latents = process(
                module_slice(params, prefix + blocks, index), None, latents
            )
        return latents

    if at_start:
        for number in range(1, num_cross):
            latents = cross(latents, number)
    for number in range(4):
        segment, within = divmod(number, 4 // num_cross)
        if not at_start and segment and not within:
            latents = cross(latents, segment)
        latents = block(latents, number)
    return latents


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(
    ("num_cross", "at_start"),
    [(1, False), (2, False), (4, False), (2, True), (4, True)],
)
def test_scans_are_plain_loops_over_layers(num_cross, shared, at_start):
    latents, inputs = normal(2, 3, WIDTH), normal(2, 5, CHANNELS, seed=1)
    options = {"cross_attends_at_start": True} if at_start else {}
    module = processor(
        inputs, num_cross_attends=num_cross, share_weights=shared, **options
    )
    params = random_params_of(module, latents)
    layers = [a.size for m, p in params.items() for a in p.values() if "self_" in m]
    crosses = [a.size for m, p in params.items() for a in p.values() if "cross_" in m]
    one_layer = 4 * (WIDTH**2 + WIDTH) + 2 * (WIDTH**2 + WIDTH) + 4 * WIDTH
    assert sum(layers) == one_layer * 2 * (1 if shared else 4)
    count = min(num_cross - 1, 1) if shared else num_cross - 1
    one_cross = sum(crosses) // max(count, 1)
    assert sum(crosses) == one_cross * count

    expected = plain_loop(params, latents, inputs, num_cross, shared, at_start)
    outputs = jax.jit(module.apply)(params, None, latents)
    np.testing.assert_allclose(outputs, expected, atol=1e-4)


def test_layers_of_a_stack_start_from_different_weights():
    module = processor(None, share_weights=False)
    params = jax.jit(module.init)(jax.random.key(0), normal(1, 3, WIDTH))
    w = params["processor/blocks/block/layers/self_attention/mlp/hidden"]["w"]
    assert w.shape == (4, 2, WIDTH, WIDTH)
    assert len(np.unique(w.reshape(8, -1)[:, 0])) == 8


def test_recomputing_layers_changes_no_value_and_no_gradient():
    latents, inputs = normal(2, 3, WIDTH), normal(2, 5, CHANNELS, seed=1)
    # Layers with their own weights in a block, shared blocks, and dropout.
    options = {
        "num_blocks": 2,
        "num_cross_attends": 2,
        "cross_attends_at_start": True,
        "dropout": 0.3,
    }

    def value_and_gradients(remat, params=None):
        module = processor(inputs, remat=remat, **options)
        if params is None:
            params = random_params_of(module, latents)
        loss = lambda *args: (
            module.apply(args[0], jax.random.key(1), args[1]) ** 2
        ).sum()
        compute = jax.value_and_grad(loss, (0, 1))
        flops = flops_module.count_flops(compute, params, latents)
        return *jax.jit(compute)(params, latents), params, flops

    value, gradients, params, flops = value_and_gradients(False)
    same_value, same_gradients, _, more_flops = value_and_gradients(True, params)
    assert more_flops > 1.1 * flops, "layers are computed again"
    np.testing.assert_allclose(same_value, value, rtol=1e-5)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-4),
        same_gradients,
        gradients,
    )


def test_passes_of_a_shared_layer_drop_different_values():
    def drop(x):
        return hk.dropout(hk.next_rng_key(), 0.5, x)

    module = hk.transform(lambda x: stack.shared(drop, 3)(x))
    outputs = module.apply({}, jax.random.key(0), jnp.ones(2000))
    np.testing.assert_allclose((outputs != 0).mean(), 1 / 8, atol=0.03)


@pytest.mark.parametrize("shared", [True, False])
def test_traces_do_not_grow_with_depth(shared):
    latents, inputs = normal(1, 3, WIDTH), normal(1, 5, CHANNELS, seed=1)

    def size(num_blocks, layers_per_block, num_cross):
        module = processor(
            inputs,
            num_blocks,
            layers_per_block,
            num_cross,
            share_weights=shared,
        )
        params = jax.eval_shape(lambda: module.init(jax.random.key(0), latents))
        loss = lambda params: module.apply(params, None, latents).sum()
        return count_equations(jax.make_jaxpr(jax.grad(loss))(params).jaxpr)

    assert size(2, 2, 1) == size(16, 2, 1) == size(2, 16, 1)
    assert size(6, 2, 3) == size(32, 16, 16)


def test_cross_attends_that_cannot_be_spread_are_refused():
    build = lambda at_start: hk.transform(
        lambda: perceiver.IterativeProcessor(8, 1, make_self, 3, make_cross, at_start)
    ).init(jax.random.key(0))
    with pytest.raises(ValueError, match="num_cross_attends=3 .* num_blocks=8"):
        build(at_start=False)
    build(at_start=True)


# The whole model.


def small(variant, **changes):
    config = digits.get_config(variant)
    config.model.update(changes)
    return config


def random_params(config):
    params, state = abstract_init(config)
    state = jax.tree.map(lambda x: np.ones(x.shape, x.dtype), state)
    return random_like(params), state


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


def whole_model(head, num_cross=2):
    encoder = perceiver.Encoder(3, WIDTH, make_cross)
    process = perceiver.IterativeProcessor(2, 1, make_self, num_cross, make_cross)
    return perceiver.Perceiver(encoder, process, head)


def test_pixels_and_learned_positions_may_be_permuted_together():
    pixels, order = normal(2, 12, 3), np.random.default_rng(0).permutation(12)

    def model(pixels):
        table = position.LearnedPosition((3, 4), 3)((3, 4))
        inputs = jnp.concatenate([pixels, jnp.stack([table] * 2)], axis=-1)
        return whole_model(perceiver.MeanPool(5))(inputs)

    module = hk.transform(model)
    params = random_params_of(module, pixels)
    apply = jax.jit(lambda params, pixels: module.apply(params, None, pixels))
    expected = apply(params, pixels)
    table = params["learned_position"]["table"]
    moved = {**params, "learned_position": {"table": table[order]}}
    np.testing.assert_allclose(apply(moved, pixels[:, order]), expected, atol=1e-4)
    assert np.abs(apply(params, pixels[:, order]) - expected).max() > 1e-2


def test_masked_inputs_and_queries_do_not_reach_the_outputs_of_others():
    inputs, queries = normal(2, 9, CHANNELS), normal(2, 4, 5, seed=1)
    input_mask = np.arange(9) < np.array([[6], [9]])
    query_mask = np.arange(4) < np.array([[4], [2]])

    def model(*args):
        decoder = perceiver.Decoder(make_cross, output_channels=3)
        return whole_model(decoder)(*args)

    module = hk.transform(model)
    args = (inputs, queries, input_mask, query_mask)
    params = random_params_of(module, *args)
    apply = jax.jit(lambda *args: module.apply(params, None, *args))
    outputs = apply(*args)
    assert outputs.shape == (2, 4, 3)
    noise = np.where(input_mask[..., None], inputs, 100.0)
    np.testing.assert_array_equal(apply(noise, *args[1:]), outputs)
    noise = np.where(query_mask[..., None], queries, 100.0)
    same = apply(inputs, noise, input_mask, query_mask)
    np.testing.assert_array_equal(same[query_mask], outputs[query_mask])


@pytest.mark.parametrize("num_queries", [32, 37])  # with and without padding
@pytest.mark.parametrize(("remat", "query_batch"), [(False, 1), (True, 2)])
def test_decoding_in_blocks_changes_nothing_but_memory(num_queries, remat, query_batch):
    """Neither outputs nor gradients; and no array of all queries by all latents."""

    def decode(latents, queries, mask, query_chunk):
        cross_attention = functools.partial(attention.CrossAttention, num_heads=2)
        decoder = perceiver.Decoder(
            cross_attention, 3, query_chunk=query_chunk, remat=remat
        )
        return decoder(latents, queries, mask)

    latents, queries = normal(2, 24, 8), normal(query_batch, num_queries, 6, seed=1)
    mask = np.arange(num_queries) < np.array([[num_queries], [20]])
    module = hk.without_apply_rng(hk.transform(decode))
    params = random_params_of(module, latents, queries, mask, 0)

    def loss(params, latents, queries, query_chunk):
        outputs = module.apply(params, latents, queries, mask, query_chunk)
        return (outputs**2).sum(), outputs

    gradient = jax.grad(loss, (0, 1, 2), has_aux=True)
    compiled = jax.jit(gradient, static_argnums=3)
    whole, in_blocks = (compiled(params, latents, queries, n) for n in (0, 8))
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, atol=1e-4, rtol=1e-4),
        whole,
        in_blocks,
    )

    def largest(query_chunk):
        traced = jax.make_jaxpr(gradient, static_argnums=3)
        shapes = all_shapes(traced(params, latents, queries, query_chunk).jaxpr)
        return max(map(np.prod, shapes))

    scores = 2 * 2 * num_queries * 24
    assert largest(8) < scores <= largest(0)


def test_mean_pool_is_a_linear_map_of_the_mean_latent():
    latents = normal(2, 3, WIDTH)
    module = hk.transform(lambda x: perceiver.MeanPool(5)(x))
    params = random_params_of(module, latents)
    w, b = (params["mean_pool/output"][name] for name in "wb")
    expected = latents.mean(1, keepdims=True) @ w + b
    np.testing.assert_allclose(module.apply(params, None, latents), expected, atol=1e-5)


def test_learned_queries_serve_every_example_alike():
    latents = normal(3, 3, WIDTH)
    latents[1] = latents[0]

    def decode(latents):
        queries = perceiver.LearnedQueries(4, 5)()
        assert queries.shape == (1, 4, 5)
        return perceiver.Decoder(make_cross)(latents, queries)

    module = hk.transform(decode)
    params = random_params_of(module, latents)
    outputs = jax.jit(module.apply)(params, None, latents)
    assert outputs.shape == (3, 4, 5)
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-6)
    assert np.abs(outputs[2] - outputs[0]).max() > 0.1


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
