"""Attention and the two residual blocks that Perceiver is made of.

`attend` is the one place that decides how softmax attention is computed; everything
above it is projections, norms and residuals (Perceiver, section 3.1; Perceiver IO,
section 3.1 and appendix E).
"""

import dataclasses

import haiku as hk
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from perceiver_jax import stack

# Keys are visited in blocks of about this many once there are at least two blocks:
# the [N, M] score matrix is then never held. Larger inputs became both faster and
# smaller with it on CPU; below that, one dense product wins.
KEY_BLOCK = 4096

_LOWEST = -1e30  # the score of a masked key: finite, as -inf - -inf is not a number

_weight_init = hk.initializers.VarianceScaling(1.0)  # fan-in, truncated normal


@jax.custom_vjp
def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    key_mask: jax.Array | None = None,
) -> jax.Array:
    """Softmax attention, in float32 inside whatever the inputs' type.

    A leading axis of 1 in `query` serves the whole batch, and a heads axis of 1 in
    `key` or `value` serves all heads. Its gradient makes the weights again from the
    outputs and one number a row, so no [N, M] array outlives its use.

    Args:
      query: [B or 1, N, heads, d], already scaled by 1/sqrt(channels of a head).
      key: [B, M, heads or 1, d].
      value: [B, M, heads or 1, e].
      key_mask: [B, M], true where a key may be attended to.

    Returns:
      [B, N, heads, e]. Rows with no key left are zero.
    """
    return _attend_forward(query, key, value, key_mask)[0]


def attention_weights(
    query: jax.Array, key: jax.Array, key_mask: jax.Array | None = None
) -> jax.Array:
    """Returns the weights [B, heads, N, M] in float32; arguments as in `attend`."""
    weights = jax.nn.softmax(_scores(query, key, key_mask), axis=-1)
    if key_mask is not None:
        weights = jnp.where(key_mask[:, None, None, :], weights, 0.0)
    return weights


def _attend_forward(query, key, value, key_mask):
    """Online softmax: one pass over blocks of keys, of which there may be one."""

    def visit(carry, block):
        largest, total, mixed = carry
        block_key, block_value, block_mask = block
        scores = _scores(query, block_key, block_mask)
        new_largest = jnp.maximum(largest, scores.max(-1))
        weights = jnp.exp(scores - new_largest[..., None])
        shrink = jnp.exp(largest - new_largest)
        total = total * shrink + weights.sum(-1)
        # In this order of operands, XLA on CPU can do it in bfloat16 for all shapes.
        block_mixed = jnp.einsum(
            "bmhe,bhnm->bnhe",
            block_value,
            weights.astype(value.dtype),
            preferred_element_type=jnp.float32,
        )
        mixed = mixed * _as_column(shrink) + block_mixed
        return (new_largest, total, mixed), None

    batch, (queries, heads) = key.shape[0], query.shape[1:3]
    start = (
        jnp.full((batch, heads, queries), _LOWEST / 2, jnp.float32),
        jnp.zeros((batch, heads, queries), jnp.float32),
        jnp.zeros((batch, queries, heads, value.shape[-1]), jnp.float32),
    )
    blocks = _to_blocks(key, value, key_mask)
    (largest, total, mixed), _ = _scan_blocks(visit, start, blocks)
    total = jnp.where(total > 0, total, 1.0)  # rows without keys stay zero
    outputs = (mixed / _as_column(total)).astype(value.dtype)
    # A layer that is recomputed in the backward pass keeps these two.
    outputs = checkpoint_name(outputs, stack.KEPT)
    log_total = checkpoint_name(largest + jnp.log(total), stack.KEPT)
    return outputs, (query, key, value, key_mask, outputs, log_total)


def _attend_backward(saved, grad):
    query, key, value, key_mask, outputs, log_total = saved
    # Rows without keys have weights exp(_LOWEST - _LOWEST / 2) = 0 here as well.
    mean = jnp.einsum("bnhe,bnhe->bhn", *map(_float32, (grad, outputs)))[..., None]

    def visit(query_grad, block):
        block_key, block_value, block_mask = block
        scores = _scores(query, block_key, block_mask)
        weights = jnp.exp(scores - log_total[..., None])
        weights_grad = jnp.einsum(
            "bnhe,bmhe->bhnm", grad, block_value, preferred_element_type=jnp.float32
        )
        scores_grad = (weights * (weights_grad - mean)).astype(query.dtype)
        value_grad = jnp.einsum("bhnm,bnhe->bmhe", weights.astype(grad.dtype), grad)
        key_grad = jnp.einsum("bhnm,bnhd->bmhd", scores_grad, query)
        query_grad += _sum_to(
            query.shape,
            jnp.einsum(
                "bmhd,bhnm->bnhd",
                block_key,
                scores_grad,
                preferred_element_type=jnp.float32,
            ),
        )
        return query_grad, (
            _sum_to(block_key.shape, key_grad),
            _sum_to(block_value.shape, value_grad),
        )

    start = jnp.zeros(query.shape, jnp.float32)
    blocks = _to_blocks(key, value, key_mask)
    query_grad, key_value_grads = _scan_blocks(visit, start, blocks)
    key_grad, value_grad = (_from_blocks(x, key.shape[1]) for x in key_value_grads)
    return query_grad.astype(query.dtype), key_grad, value_grad, None


attend.defvjp(_attend_forward, _attend_backward)


def _scores(query, key, key_mask):
    scores = jnp.einsum(
        "bnhd,bmhd->bhnm", query, key, preferred_element_type=jnp.float32
    )
    if key_mask is None:
        return scores
    return jnp.where(key_mask[:, None, None, :], scores, _LOWEST)


def _num_blocks(num_keys: int) -> int:
    """The fewest blocks of at most KEY_BLOCK keys, preferring not to need padding."""
    if num_keys < 2 * KEY_BLOCK:
        return 1
    fewest = -(-num_keys // KEY_BLOCK)
    even = (n for n in range(fewest, 2 * fewest) if num_keys % n == 0)
    return next(even, fewest)


def _to_blocks(key, value, key_mask):
    """Splits [B, M, ...] into [blocks, B, M / blocks, ...], masking what it pads."""
    num_keys = key.shape[1]
    num_blocks = _num_blocks(num_keys)
    padding = -num_keys % num_blocks
    if padding and key_mask is None:
        key_mask = jnp.ones(key.shape[:2], bool)

    def split(x):
        x = jnp.pad(x, [(0, 0), (0, padding)] + [(0, 0)] * (x.ndim - 2))
        return jnp.moveaxis(x.reshape(x.shape[0], num_blocks, -1, *x.shape[2:]), 1, 0)

    return jax.tree.map(split, (key, value, key_mask))


def _from_blocks(blocks, num_keys):
    joined = jnp.moveaxis(blocks, 0, 1)
    return joined.reshape(joined.shape[0], -1, *joined.shape[3:])[:, :num_keys]


def _scan_blocks(visit, carry, blocks):
    """lax.scan, without a loop where there is one block."""
    if blocks[0].shape[0] > 1:
        return jax.lax.scan(visit, carry, blocks)
    carry, outputs = visit(carry, jax.tree.map(lambda x: x[0], blocks))
    return carry, jax.tree.map(lambda x: x[None], outputs)


def _as_column(x):
    """[B, heads, N] to [B, N, heads, 1], to scale outputs by."""
    return jnp.moveaxis(x, 1, 2)[..., None]


def _sum_to(shape, x):
    """Sums over the axes along which an array of `shape` was broadcast to x's."""
    axes = [a for a, size in enumerate(shape) if size == 1 and x.shape[a] > 1]
    return x.sum(axes, keepdims=True) if axes else x


def _float32(x):
    return x.astype(jnp.float32)


class Projection(hk.Module):
    """A linear map whose weights can be had as arrays, so that attention may fold them.

    Initialised by variance scaling 1.0 (fan-in, truncated normal), bias 0.
    """

    def __init__(self, channels: int, name: str | None = None):
        super().__init__(name=name)
        self.channels = channels

    def weights(self, in_channels: int) -> tuple[jax.Array, jax.Array]:
        """Returns w [in_channels, channels] and b [channels]."""
        w = hk.get_parameter("w", [in_channels, self.channels], init=_weight_init)
        b = hk.get_parameter("b", [self.channels], init=jnp.zeros)
        return w, b

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Maps [..., in_channels] to [..., channels]."""
        w, b = self.weights(inputs.shape[-1])
        return inputs @ w + b


class LayerNorm(hk.Module):
    """Layer normalisation over channels, eps 1e-5, statistics always in float32."""

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Maps [..., channels] to the same shape and type."""
        channels = inputs.shape[-1:]
        scale = hk.get_parameter("scale", channels, init=jnp.ones)
        offset = hk.get_parameter("offset", channels, init=jnp.zeros)
        x = inputs.astype(jnp.float32)
        x = jax.nn.standardize(x, axis=-1, epsilon=1e-5)
        return (x * scale + offset).astype(inputs.dtype)


@dataclasses.dataclass
class MultiHeadAttention(hk.Module):
    """Projects to queries, keys and values, attends, projects back."""

    num_heads: int
    qk_channels: int  # over all heads
    v_channels: int  # over all heads
    output_channels: int
    name: str | None = None

    def __post_init__(self):
        super().__post_init__()
        for field in ("qk_channels", "v_channels"):
            channels = getattr(self, field)
            if channels % self.num_heads:
                raise ValueError(
                    f"{field}={channels} is not divisible by num_heads="
                    f"{self.num_heads}: choose a multiple."
                )

    def __call__(
        self,
        query: jax.Array,
        inputs: jax.Array,
        input_mask: jax.Array | None = None,
        query_mask: jax.Array | None = None,
    ) -> jax.Array:
        """Attends from `query` to `inputs`.

        Args:
          query: [B or 1, N, query channels]; 1 serves the whole batch.
          inputs: [B, M, C].
          input_mask: [B, M], true for valid inputs.
          query_mask: [B, N], true for valid queries; the others attend to nothing.

        Returns:
          [B, N, output_channels].
        """
        q, k = self._queries_and_keys(query, inputs)
        project = Projection(self.v_channels, name="value")
        w, b = project.weights(inputs.shape[-1])
        w, b = self._split_heads(w), self._split_heads(b)
        if _project_after(q.shape[1], *w.shape[::2]):
            mixed = attend(q, k, inputs[:, :, None], input_mask)
            mixed = jnp.einsum("bnhc,che->bnhe", mixed, w) + b
        else:
            value = jnp.einsum("bmc,che->bmhe", inputs, w) + b
            mixed = attend(q, k, value, input_mask)
        if input_mask is not None:
            # The bias came after mixing, so a row without keys is cleared here.
            mixed = jnp.where(input_mask.any(-1)[:, None, None, None], mixed, 0)
        if query_mask is not None:
            mixed = jnp.where(query_mask[:, :, None, None], mixed, 0)
        mixed = mixed.reshape(*mixed.shape[:2], self.v_channels)
        return Projection(self.output_channels, name="output")(mixed)

    @hk.name_like("__call__")
    def weights(
        self,
        query: jax.Array,
        inputs: jax.Array,
        input_mask: jax.Array | None = None,
    ) -> jax.Array:
        """Returns the weights [B or 1, heads, N, M] that `__call__` mixes with."""
        q, k = self._queries_and_keys(query, inputs)
        return attention_weights(q, k, input_mask)

    @hk.name_like("__call__")
    def _queries_and_keys(self, query, inputs):
        q = self._split_heads(Projection(self.qk_channels, name="query")(query))
        q = q * q.shape[-1] ** -0.5
        project = Projection(self.qk_channels, name="key")
        w, b = project.weights(inputs.shape[-1])
        w, b = self._split_heads(w), self._split_heads(b)
        if _project_after(q.shape[1], *w.shape[::2]):
            # The key bias adds the same to all scores of a query: softmax ignores it.
            return jnp.einsum("bnhd,chd->bnhc", q, w), inputs[:, :, None]
        return q, jnp.einsum("bmc,chd->bmhd", inputs, w) + b

    def _split_heads(self, x):
        return x.reshape(*x.shape[:-1], self.num_heads, -1)


def _project_after(num_queries: int, in_channels: int, head_channels: int) -> bool:
    """Whether it takes fewer FLOPs to project the N queries than the M inputs.

    (q W) x = q (W x): with few wide heads, as in the papers' one-headed
    cross-attention, the [M, head_channels] keys and values need never be made.
    Compared per input and head: N C against N d + C d.
    """
    return num_queries * in_channels < (num_queries + in_channels) * head_channels


@dataclasses.dataclass
class Mlp(hk.Module):
    """Two linear maps with a tanh-approximated GELU between them."""

    widening_factor: int = 1
    name: str | None = None

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Maps [..., channels] to the same shape."""
        channels = inputs.shape[-1]
        hidden = Projection(self.widening_factor * channels, name="hidden")(inputs)
        hidden = jax.nn.gelu(hidden, approximate=True)
        return Projection(channels, name="output")(hidden)


@dataclasses.dataclass
class SelfAttention(hk.Module):
    """Pre-norm self-attention and MLP, each with its residual."""

    num_heads: int = 8
    qk_channels: int | None = None  # default: the input's channels
    v_channels: int | None = None  # default: qk_channels
    widening_factor: int = 1
    dropout_rate: float = 0.0  # on both residual branches
    name: str | None = None

    def __call__(
        self,
        inputs: jax.Array,
        input_mask: jax.Array | None = None,
        is_training: bool = False,
    ) -> jax.Array:
        """Maps [B, N, D] to the same shape; input_mask [B, N] is true where valid."""
        rate = self.dropout_rate if is_training else 0.0
        channels = inputs.shape[-1]
        qk_channels = self.qk_channels or channels
        attention = MultiHeadAttention(
            self.num_heads,
            qk_channels,
            self.v_channels or qk_channels,
            channels,
            name="attention",
        )
        normed = LayerNorm(name="attention_norm")(inputs)
        x = inputs + _dropout(rate, attention(normed, normed, input_mask, input_mask))
        mlp = Mlp(self.widening_factor, name="mlp")
        return x + _dropout(rate, mlp(LayerNorm(name="mlp_norm")(x)))


@dataclasses.dataclass
class CrossAttention(hk.Module):
    """Pre-norm attention from queries to inputs, then an MLP on the queries."""

    num_heads: int = 1
    qk_channels: int | None = None  # default: the inputs' channels (both papers)
    v_channels: int | None = None  # default: qk_channels
    widening_factor: int = 1
    query_residual: bool = True  # off where queries are made of input features
    dropout_rate: float = 0.0  # on both residual branches
    name: str | None = None

    def __call__(
        self,
        query: jax.Array,
        inputs: jax.Array,
        input_mask: jax.Array | None = None,
        query_mask: jax.Array | None = None,
        is_training: bool = False,
    ) -> jax.Array:
        """Attends from query [B or 1, N, D] to inputs [B, M, C].

        Args:
          query: [B, N, D], or [1, N, D] to serve the whole batch.
          inputs: [B, M, C].
          input_mask: [B, M], true where an input is valid.
          query_mask: [B, N], true where a query is valid.
          is_training: whether dropout is on.

        Returns:
          [B, N, D].
        """
        rate = self.dropout_rate if is_training else 0.0
        qk_channels = self.qk_channels or inputs.shape[-1]
        attention = MultiHeadAttention(
            self.num_heads,
            qk_channels,
            self.v_channels or qk_channels,
            query.shape[-1],
            name="attention",
        )
        attended = attention(
            LayerNorm(name="query_norm")(query),
            LayerNorm(name="input_norm")(inputs),
            input_mask,
            query_mask,
        )
        x = _dropout(rate, attended)
        if self.query_residual:
            x = query + x
        mlp = Mlp(self.widening_factor, name="mlp")
        return x + _dropout(rate, mlp(LayerNorm(name="mlp_norm")(x)))


def _dropout(rate: float, x: jax.Array) -> jax.Array:
    return hk.dropout(hk.next_rng_key(), rate, x) if rate else x
