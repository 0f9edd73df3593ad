"""Elementwise losses, unreduced: the engine divides global sums by global weights."""

import jax
import jax.numpy as jnp
import optax


def softmax_cross_entropy(
    logits: jax.Array, labels: jax.Array, smoothing: float = 0.0
) -> jax.Array:
    """Cross-entropy of each example against a distribution over classes.

    Args:
      logits: [..., classes], any float type; computed in float32.
      labels: [..., classes], probabilities (one-hot, or mixed).
      smoothing: share of the probability that is spread evenly over all classes.

    Returns:
      [...] float32.
    """
    labels = optax.smooth_labels(labels.astype(jnp.float32), smoothing)
    return optax.softmax_cross_entropy(logits.astype(jnp.float32), labels)


def sigmoid_cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Multi-label cross-entropy: [..., classes] to [...], summed over the classes."""
    losses = optax.sigmoid_binary_cross_entropy(
        logits.astype(jnp.float32), labels.astype(jnp.float32)
    )
    return losses.sum(-1)


def token_cross_entropy(logits: jax.Array, tokens: jax.Array) -> jax.Array:
    """Cross-entropy in nats of tokens [...] under logits [..., V]: [...] float32."""
    return optax.softmax_cross_entropy_with_integer_labels(
        logits.astype(jnp.float32), tokens
    )


def end_point_error(flow: jax.Array, target: jax.Array) -> jax.Array:
    """Euclidean distance in pixels of two flow fields: [..., 2] to [...] float32.

    Its gradient is 0 where they are equal.
    """
    square = jnp.square((flow - target).astype(jnp.float32)).sum(-1)
    differs = square > 0
    return jnp.where(differs, jnp.sqrt(jnp.where(differs, square, 1.0)), 0.0)
