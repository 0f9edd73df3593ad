"""Random arrays, and a judge of ours: softmax attention by plain numpy in float64."""

import jax
import numpy as np


def normal(*shape, seed=0, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def random_like(params, seed=0, scale=0.5):
    """The same tree with no zero anywhere, so that every bias and norm is seen."""
    leaves, structure = jax.tree.flatten(params)
    leaves = [
        normal(*x.shape, seed=seed + i, scale=scale) for i, x in enumerate(leaves)
    ]
    return jax.tree.unflatten(structure, leaves)


def numpy_weights(query, key, key_mask=None):
    """[B, N, h, d] and [B, M, h, d] to [B, h, N, M], in loops over B and h."""
    batch, heads = key.shape[0], query.shape[2]
    query, key = np.float64(query), np.float64(key)
    weights = np.zeros((batch, heads, query.shape[1], key.shape[1]))
    for b in range(batch):
        keep = np.ones(key.shape[1], bool) if key_mask is None else key_mask[b]
        for h in range(heads):
            q = query[b % query.shape[0], :, h]
            k = key[b, keep, h % key.shape[2]]
            if keep.any():
                scores = np.exp(q @ k.T)
                weights[b, h, :, keep] = (scores / scores.sum(-1, keepdims=True)).T
    return weights


def numpy_attend(query, key, value, key_mask=None):
    weights = numpy_weights(query, key, key_mask)
    value = np.broadcast_to(
        np.float64(value), (*value.shape[:2], query.shape[2], value.shape[3])
    )
    return np.stack(
        [
            np.stack([weights[b, h] @ value[b, :, h] for h in range(value.shape[2])], 1)
            for b in range(value.shape[0])
        ]
    )
