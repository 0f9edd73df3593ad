"""Softmax attention that never holds a large [N, M] score matrix.

Keys are visited in chunks with an online softmax, forward and backward; short inputs
are one chunk. This is the one place that decides how attention is computed.

Where devices share the keys, each visits its own, and what they found is merged: the
largest score, the sum and the mixed values of each row. What they tell each other does
not grow with the number of keys.
"""

import functools

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from perceiver_jax.model import chunks, spread, stack

# Keys in a chunk, at most, where there are twice as many or more: on a CPU, chunks are
# then both faster and smaller than one dense product, which wins for fewer keys.
KEY_CHUNK = 4096

# Scores of a chunk, at most, for each example: where there are many queries and heads
# (2,048 latents of 16 heads), chunks have fewer keys. Fewer still would be faster on a
# CPU, but a TPU would move more memory, by its compiler's count.
MAX_SCORES = 2**25

_LOWEST = -1e30  # score of a masked key; finite, as -inf minus -inf is no number


@functools.partial(jax.custom_vjp, nondiff_argnums=(4,))
def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    key_mask: jax.Array | None = None,
    long_axis: spread.LongAxis = None,
) -> jax.Array:
    """Softmax attention, in float32 inside whatever the inputs' type.

    A leading axis of 1 in `query` serves the whole batch, and a heads axis of 1 in
    `key` or `value` serves all heads. The gradient recomputes the attention weights
    from one number a row, chunk by chunk, so that none are kept for it.

    Args:
      query: [B or 1, N, heads, d], already scaled by 1/sqrt(channels of a head).
      key: [B, M, heads or 1, d].
      value: [B, M, heads or 1, e].
      key_mask: [B, M], true where a key may be attended to.
      long_axis: which axis devices share, where they do and its length divides.

    Returns:
      [B, N, heads, e]. Rows with no key left are zero.
    """
    return _attend_forward(query, key, value, key_mask, long_axis)[0]


def attention_weights(
    query: jax.Array, key: jax.Array, key_mask: jax.Array | None = None
) -> jax.Array:
    """Returns [B, heads, N, M] in float32; arguments as in `attend`."""
    weights = jax.nn.softmax(_scores(query, key, key_mask), axis=-1)
    if key_mask is not None:
        weights = jnp.where(key_mask[:, None, None, :], weights, 0.0)
    return weights


def _attend_forward(query, key, value, key_mask, long_axis):
    long_axis = _shared_axis(long_axis, query, key)
    forward = _over_devices(
        _forward, long_axis, ("query", *_KEYS), results=("query", "total")
    )
    outputs, log_total = forward(query, key, value, key_mask)
    # Where a layer is recomputed in the backward pass, these two are kept (stack.py).
    outputs = checkpoint_name(outputs, stack.KEPT)
    log_total = checkpoint_name(log_total, stack.KEPT)
    return outputs, (query, key, value, key_mask, outputs, log_total)


def _attend_backward(long_axis, saved, grad):
    long_axis = _shared_axis(long_axis, *saved[:2])
    backward = _over_devices(
        _backward,
        long_axis,
        ("query", *_KEYS, "query", "total", "query"),
        results=("query", "key", "key"),
    )
    return *backward(*saved, grad), None


attend.defvjp(_attend_forward, _attend_backward)


def _forward(query, key, value, key_mask, long_axis):
    """Online softmax: one pass over the chunks of keys.

    Returns:
      The outputs, and the logarithm of each row's sum [B, heads, N].
    """

    def visit(carry, chunk):
        largest, total, mixed = carry
        chunk_key, chunk_value, chunk_mask = chunk
        scores = _scores(query, chunk_key, chunk_mask)
        new_largest = jnp.maximum(largest, scores.max(-1))
        weights = jnp.exp(scores - new_largest[..., None])
        shrink = jnp.exp(largest - new_largest)
        total = total * shrink + weights.sum(-1)
        # With the operands swapped, XLA on CPU has no bfloat16 product for some shapes.
        chunk_mixed = jnp.einsum(
            "bmhe,bhnm->bnhe",
            chunk_value,
            weights.astype(value.dtype),
            preferred_element_type=jnp.float32,
        )
        mixed = mixed * _as_column(shrink) + chunk_mixed
        return (new_largest, total, mixed), None

    batch, (queries, heads) = key.shape[0], query.shape[1:3]
    start = (
        jnp.full((batch, heads, queries), _LOWEST / 2, jnp.float32),
        jnp.zeros((batch, heads, queries), jnp.float32),
        jnp.zeros((batch, queries, heads, value.shape[-1]), jnp.float32),
    )
    count = _num_chunks(query, key)
    keys = (key, value, key_mask)
    (largest, total, mixed), _ = _visit_chunks(visit, start, keys, count)
    if long_axis == "inputs":
        largest, total, mixed = _merge(largest, total, mixed)
    total = jnp.where(total > 0, total, 1.0)  # rows without keys stay zero
    outputs = (mixed / _as_column(total)).astype(value.dtype)
    return outputs, largest + jnp.log(total)


def _merge(largest, total, mixed):
    """Joins what the devices found, each among its own keys."""
    new_largest = jax.lax.pmax(largest, spread.AXIS)
    shrink = jnp.exp(largest - new_largest)
    total, mixed = jax.lax.psum(
        (total * shrink, mixed * _as_column(shrink)), spread.AXIS
    )
    return new_largest, total, mixed


def _backward(query, key, value, key_mask, outputs, log_total, grad, long_axis):
    """Returns the gradients of query, key and value."""
    # Rows without keys have weights exp(_LOWEST - _LOWEST / 2) = 0 here as well.
    mean = jnp.einsum("bnhe,bnhe->bhn", *map(_float32, (grad, outputs)))[..., None]

    def visit(query_grad, chunk):
        chunk_key, chunk_value, chunk_mask = chunk
        scores = _scores(query, chunk_key, chunk_mask)
        weights = jnp.exp(scores - log_total[..., None])
        weights_grad = jnp.einsum(
            "bnhe,bmhe->bhnm", grad, chunk_value, preferred_element_type=jnp.float32
        )
        scores_grad = (weights * (weights_grad - mean)).astype(query.dtype)
        value_grad = jnp.einsum("bhnm,bnhe->bmhe", weights.astype(grad.dtype), grad)
        key_grad = jnp.einsum("bhnm,bnhd->bmhd", scores_grad, query)
        query_grad += _sum_to(
            query.shape,
            jnp.einsum(
                "bmhd,bhnm->bnhd",
                chunk_key,
                scores_grad,
                preferred_element_type=jnp.float32,
            ),
        )
        return query_grad, (
            _sum_to(chunk_key.shape, key_grad),
            _sum_to(chunk_value.shape, value_grad),
        )

    start = jnp.zeros(query.shape, jnp.float32)
    count = _num_chunks(query, key)
    keys = (key, value, key_mask)
    query_grad, key_value_grads = _visit_chunks(visit, start, keys, count)
    key_grad, value_grad = (chunks.join(x, key.shape[1]) for x in key_value_grads)
    if long_axis == "inputs":
        query_grad = jax.lax.psum(query_grad, spread.AXIS)
    if long_axis == "queries":
        sums = jax.lax.psum((_float32(key_grad), _float32(value_grad)), spread.AXIS)
        key_grad, value_grad = sums[0].astype(key.dtype), sums[1].astype(value.dtype)
    return query_grad.astype(query.dtype), key_grad, value_grad


def _shared_axis(long_axis, query, key):
    """Returns long_axis where devices share it, else None."""
    length = {"inputs": key.shape[1], "queries": query.shape[1]}.get(long_axis, 1)
    parts = spread.num_parts(length)
    return long_axis if parts > 1 and length % parts == 0 else None


_KEYS = ("key", "key", "key")  # key, value and key_mask

# Where the long axis is in queries and outputs [B, N, ...], totals [B, heads, N] and
# keys [B, M, ...].
_PLACES: dict[str, dict[str, int | None]] = {
    "inputs": {"query": None, "total": None, "key": 1},
    "queries": {"query": 1, "total": 2, "key": None},
}


def _over_devices(function, long_axis, arguments, results):
    """Returns `function`, run by every device on its parts where they share an axis."""
    function = functools.partial(function, long_axis=long_axis)
    if long_axis is None:
        return function
    axes = _PLACES[long_axis]
    return spread.over_devices(
        function, [axes[name] for name in arguments], [axes[name] for name in results]
    )


def _scores(query, key, key_mask):
    scores = jnp.einsum(
        "bnhd,bmhd->bhnm", query, key, preferred_element_type=jnp.float32
    )
    if key_mask is None:
        return scores
    return jnp.where(key_mask[:, None, None, :], scores, _LOWEST)


def _num_chunks(query, key):
    _, num_queries, heads, _ = query.shape
    longest = min(KEY_CHUNK, max(1, MAX_SCORES // (num_queries * heads)))
    return chunks.num_chunks(key.shape[1], longest)


def _visit_chunks(visit, carry, keys, count):
    """Scans visit(carry, (key, value, key_mask)) over chunks, masking what it pads.

    No loop for a single chunk. Heads are merged before slicing, so XLA makes no copies.

    Returns:
      The last carry, and what the visits returned besides, stacked: [count, ...].
    """
    if count == 1:
        carry, outputs = visit(carry, keys)
        return carry, jax.tree.map(lambda x: x[None], outputs)
    length = keys[0].shape[1]
    if length % count and keys[2] is None:
        keys = (*keys[:2], jnp.ones(keys[0].shape[:2], bool))

    def merge_heads(x):
        return chunks.pad(x.reshape(*x.shape[:2], -1), count)

    merged = jax.tree.map(merge_heads, keys)
    size = merged[0].shape[1] // count

    def step(carry, number):
        def cut(x, like):
            chunk = jax.lax.dynamic_slice_in_dim(x, number * size, size, axis=1)
            return chunk.reshape(-1, size, *like.shape[2:])

        return visit(carry, jax.tree.map(cut, merged, keys))

    return jax.lax.scan(step, carry, jnp.arange(count))


def _as_column(x):
    """[B, heads, N] to [B, N, heads, 1], to scale outputs by."""
    return jnp.moveaxis(x, 1, 2)[..., None]


def _sum_to(shape, x):
    """Sums over the axes along which an array of `shape` was broadcast to x's."""
    axes = [a for a, size in enumerate(shape) if size == 1 and x.shape[a] > 1]
    return x.sum(axes, keepdims=True) if axes else x


def _float32(x):
    return x.astype(jnp.float32)
