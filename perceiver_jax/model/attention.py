"""Attention and the two layers that Perceiver is made of: self- and cross-attends.

Softmax attention itself is in kernel.py; here are the projections, norms and residuals
around it (Perceiver, section 3.1; Perceiver IO, section 3.1 and appendix E).
"""

import dataclasses
from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp

from perceiver_jax.model import kernel, parameters, spread


@dataclasses.dataclass
class Projection(hk.Module):
    """A linear map whose parameters can be had as arrays: attention may fold them."""

    channels: int
    zeros: bool = False  # start from zeros, else variance scaling (fan-in); bias 0
    split: parameters.Split | None = None  # of w; where it is by channels, of b too
    name: str | None = None

    def parameters(self, in_channels: int) -> tuple[jax.Array, jax.Array]:
        """Returns w [in_channels, channels] and b [channels]."""
        w_init = jnp.zeros if self.zeros else hk.initializers.VarianceScaling(1.0)
        w_start = parameters.matrix(w_init, self.split)
        w = hk.get_parameter("w", [in_channels, self.channels], init=w_start)
        by_channels = self.split is not None and self.split.axis == -1
        b_start = parameters.bias(jnp.zeros, self.split if by_channels else None)
        b = hk.get_parameter("b", [self.channels], init=b_start)
        return w, b

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Maps [..., in_channels] to [..., channels]."""
        w, b = self.parameters(inputs.shape[-1])
        return inputs @ w + b


class LayerNorm(hk.Module):
    """Layer normalisation over channels, eps 1e-5, statistics always in float32."""

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Maps [..., channels] to the same shape and type."""
        channels = inputs.shape[-1:]
        scale = hk.get_parameter("scale", channels, init=parameters.norm(jnp.ones))
        offset = hk.get_parameter("offset", channels, init=parameters.norm(jnp.zeros))
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
    split_heads: bool = False  # devices may share the heads (tensor parallelism)
    long_axis: spread.LongAxis = None  # devices may share the long axis
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
        project = self._projection(self.v_channels, "value")
        if self._project_after(q, inputs, self.v_channels):
            w, b = map(self._split_heads, project.parameters(inputs.shape[-1]))
            value = inputs[:, :, None]
            mixed = kernel.attend(q, k, value, input_mask, self.long_axis)
            mixed = jnp.einsum("bnhc,che->bnhe", mixed, w) + b
        else:
            value = self._split_heads(project(inputs))
            mixed = kernel.attend(q, k, value, input_mask, self.long_axis)
        if input_mask is not None:
            # Rows without keys are to be zero, but have got the value's bias by now.
            mixed = jnp.where(input_mask.any(-1)[:, None, None, None], mixed, 0)
        if query_mask is not None:
            mixed = jnp.where(query_mask[:, :, None, None], mixed, 0)
        mixed = mixed.reshape(*mixed.shape[:2], self.v_channels)
        return self._projection(self.output_channels, "output", heads_axis=-2)(mixed)

    @hk.name_like("__call__")
    def weights(
        self,
        query: jax.Array,
        inputs: jax.Array,
        input_mask: jax.Array | None = None,
    ) -> jax.Array:
        """Returns the attention weights of `__call__`: [B or 1, heads, N, M]."""
        q, k = self._queries_and_keys(query, inputs)
        return kernel.attention_weights(q, k, input_mask)

    @hk.name_like("__call__")
    def _queries_and_keys(self, query, inputs):
        q = self._split_heads(self._projection(self.qk_channels, "query")(query))
        q = q * q.shape[-1] ** -0.5
        project = self._projection(self.qk_channels, "key")
        if self._project_after(q, inputs, self.qk_channels):
            # The key bias adds the same to all scores of a query: softmax ignores it.
            w, _ = map(self._split_heads, project.parameters(inputs.shape[-1]))
            return jnp.einsum("bnhd,chd->bnhc", q, w), inputs[:, :, None]
        return q, self._split_heads(project(inputs))

    @hk.name_like("__call__")
    def _projection(self, channels, name, heads_axis=-1):
        """Makes a linear map whose matrix has the heads along an axis."""
        heads = parameters.Split(heads_axis, self.num_heads)
        return Projection(
            channels, split=heads if self.split_heads else None, name=name
        )

    def _split_heads(self, x):
        return x.reshape(*x.shape[:-1], self.num_heads, -1)

    def _project_after(self, query, inputs, channels):
        return _project_after(
            query.shape[1], *inputs.shape[1:], channels // self.num_heads
        )


def _project_after(
    num_queries: int, num_inputs: int, in_channels: int, head_channels: int
) -> bool:
    """Whether it takes fewer FLOPs to project the N queries than the M inputs.

    (q W) x = q (W x), so keys and values [M, head_channels] need not be made. That is
    cheaper for few queries and few wide heads, as in the papers' one-headed encoder.
    For each head, N C d + N M C is compared with M C d + N M d.
    """
    after = num_queries * in_channels * (head_channels + num_inputs)
    before = num_inputs * head_channels * (in_channels + num_queries)
    return after < before


@dataclasses.dataclass
class Mlp(hk.Module):
    """Two linear maps with a GELU between them."""

    widening_factor: int = 1
    exact_gelu: bool = False  # else its tanh approximation, as in both papers' code
    split_hidden: bool = False  # devices may share the hidden channels
    name: str | None = None

    def __call__(self, inputs: jax.Array) -> jax.Array:
        """Maps [..., channels] to the same shape."""
        channels = inputs.shape[-1]
        width = self.widening_factor * channels
        columns = parameters.Split(-1, width) if self.split_hidden else None
        rows = parameters.Split(-2, width) if self.split_hidden else None
        hidden = Projection(width, split=columns, name="hidden")(inputs)
        hidden = jax.nn.gelu(hidden, approximate=not self.exact_gelu)
        return Projection(channels, split=rows, name="output")(hidden)


@dataclasses.dataclass
class SelfAttention(hk.Module):
    """Pre-norm self-attention and MLP, each with its residual.

    Devices may share its heads and its hidden channels: each then has the columns of
    the query, key, value and hidden matrices, and the rows of the output matrices,
    that belong to its share, and outputs are summed (tensor parallelism).
    """

    num_heads: int = 8
    qk_channels: int | None = None  # default: the input's channels
    v_channels: int | None = None  # default: qk_channels
    widening_factor: int = 1
    dropout_rate: float = 0.0  # on both residual branches
    exact_gelu: bool = False  # see Mlp
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
            split_heads=True,
            name="attention",
        )
        normed = LayerNorm(name="attention_norm")(inputs)
        x = inputs + _dropout(rate, attention(normed, normed, input_mask, input_mask))
        mlp = Mlp(self.widening_factor, self.exact_gelu, True, name="mlp")
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
    exact_gelu: bool = False  # see Mlp
    long_axis: spread.LongAxis = None  # devices may share the long axis
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
        num_queries = query.shape[1]
        if self.long_axis == "inputs":
            inputs, input_mask = spread.place(inputs, input_mask)
        if self.long_axis == "queries":
            query, query_mask = spread.place(query, query_mask)
        qk_channels = self.qk_channels or inputs.shape[-1]
        attention = MultiHeadAttention(
            self.num_heads,
            qk_channels,
            self.v_channels or qk_channels,
            query.shape[-1],
            long_axis=self.long_axis,
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
        mlp = Mlp(self.widening_factor, self.exact_gelu, name="mlp")
        x = x + _dropout(rate, mlp(LayerNorm(name="mlp_norm")(x)))
        return x[:, :num_queries]  # without what was padded for the devices


# Layers are made where they are used, so that their names tell where they sit.
MakeSelfAttention = Callable[[], SelfAttention]
MakeCrossAttention = Callable[[], CrossAttention]


def _dropout(rate: float, x: jax.Array) -> jax.Array:
    return hk.dropout(hk.next_rng_key(), rate, x) if rate else x
