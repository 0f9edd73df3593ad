"""Perceiver (2021) and Perceiver IO (2022): encode, process, decode.

Letters used in shapes throughout the library: B batch, M inputs, C input channels,
N latents, D latent channels, O outputs, E query channels, H W image height and width.

Depth costs neither tracing nor compile time: layers are repeated by scans (stack.py).
"""

import dataclasses
from collections.abc import Callable

import haiku as hk
import jax
import jax.numpy as jnp

from perceiver_jax.model import attention, chunks, position, spread, stack
from perceiver_jax.model.processor import IterativeProcessor, Latents, Processor


@dataclasses.dataclass
class Encoder(hk.Module):
    """Reads inputs of any kind into a learned latent array, by one cross-attend."""

    num_latents: int
    latent_channels: int
    cross_attention: attention.MakeCrossAttention
    latent_init_scale: float = 0.02
    name: str | None = None

    def __call__(
        self,
        inputs: jax.Array,
        input_mask: jax.Array | None = None,
        is_training: bool = False,
    ) -> Latents:
        """Maps inputs [B, M, C], with input_mask [B, M], to latents [B, N, D]."""
        latents = position.learned_array(
            "latents", self.num_latents, self.latent_channels, self.latent_init_scale
        )
        # Not repeated for the batch: projecting the latents costs the same for any B.
        latents = latents.astype(inputs.dtype)[None]
        return self.cross_attention()(
            latents, inputs, input_mask, is_training=is_training
        )


@dataclasses.dataclass
class Decoder(hk.Module):
    """Output queries cross-attend to the latents (Perceiver IO, section 3.2).

    Queries know nothing of each other, so they can be decoded in chunks: the arrays in
    between are then as long as a chunk.
    """

    cross_attention: attention.MakeCrossAttention
    output_channels: int | None = None  # a final linear map; none by default
    zero_output: bool = False  # start from outputs of zero (optical flow)
    query_chunk: int = 0  # queries at a time, where there are twice as many; 0: all
    remat: bool = False  # recompute each chunk in the backward pass
    name: str | None = None

    def __call__(
        self,
        latents: Latents,
        queries: jax.Array,
        query_mask: jax.Array | None = None,
        is_training: bool = False,
        embed: Callable[[jax.Array], jax.Array] | None = None,
        finish: Callable[[jax.Array], jax.Array] | None = None,
    ) -> jax.Array:
        """Maps latents [B, N, D] and queries [B or 1, O, E] to [B, O, E or channels].

        With output_channels, outputs are float32 whatever the inputs' type.

        Args:
          latents: [B, N, D].
          queries: [B or 1, O, E], or what `embed` makes them of.
          query_mask: [B, O], true for valid queries; the others attend to nothing.
          is_training: whether dropout is on.
          embed: makes the queries of a chunk, [B or 1, chunk, ...] -> [.., chunk, E],
            where all at once would take much memory, such as those of a whole video.
          finish: maps the outputs of a chunk, [B, chunk, channels], likewise.
        """
        cross_attention = self.cross_attention()
        project = None
        if self.output_channels is not None:
            project = attention.Projection(
                self.output_channels, self.zero_output, name="output"
            )

        def decode(chunk):
            queries, query_mask = chunk
            if embed is not None:
                queries = embed(queries)
            outputs = cross_attention(
                queries, latents, None, query_mask, is_training=is_training
            )
            if project is not None:
                # Outputs may be pixels: bfloat16 rounds a flow of 100 to half a pixel.
                outputs = project(outputs.astype(jnp.float32))
            return outputs if finish is None else finish(outputs)

        parts = spread.num_parts(queries.shape[1])  # each decoded by its own devices
        length = -(-queries.shape[1] // parts)
        count = chunks.num_chunks(length, self.query_chunk or length)
        if count == 1 or hk.running_init():  # a loop can't make parameters
            return decode((queries, query_mask))
        if self.remat:
            decode = stack.remat(decode)
        arrays = (queries, query_mask)
        return chunks.map_chunks(decode, arrays, count, hk.map, parts)


@dataclasses.dataclass
class MeanPool(hk.Module):
    """The head of 2021: the mean over the latents, then one linear map."""

    output_channels: int
    name: str | None = None

    def __call__(self, latents: Latents) -> jax.Array:
        """Maps latents [B, N, D] to [B, 1, output_channels]: one output."""
        pooled = latents.mean(axis=1, keepdims=True)
        return attention.Projection(self.output_channels, name="output")(pooled)


@dataclasses.dataclass
class LearnedQueries(hk.Module):
    """Queries that are the same for every example, such as one for a class."""

    num_queries: int
    channels: int
    init_scale: float = 0.02
    name: str | None = None

    def __call__(self) -> jax.Array:
        """Returns [1, O, E]; 1 serves the whole batch."""
        return position.learned_array(
            "queries", self.num_queries, self.channels, self.init_scale
        )[None]


Head = Decoder | MeanPool


@dataclasses.dataclass
class Perceiver(hk.Module):
    """inputs -> Encoder -> latents -> Processor -> latents -> head -> outputs."""

    encoder: Encoder
    processor: Processor | IterativeProcessor
    head: Head
    name: str | None = None

    def __call__(
        self,
        inputs: jax.Array,
        queries: jax.Array | None = None,
        input_mask: jax.Array | None = None,
        query_mask: jax.Array | None = None,
        is_training: bool = False,
    ) -> jax.Array:
        """Maps inputs [B, M, C] and queries [B or 1, O, E] to outputs.

        Args:
          inputs: [B, M, C].
          queries: [B or 1, O, E]; None for a head without queries (MeanPool).
          input_mask: [B, M], true where an input is valid.
          query_mask: [B, O], true where a query is valid.
          is_training: whether dropout is on.

        Returns:
          [B, O, E or output_channels]; [B, 1, output_channels] from MeanPool.
        """
        latents = self.encode(inputs, input_mask, is_training)
        if isinstance(self.head, MeanPool):
            return self.head(latents)
        assert queries is not None, "a Decoder needs queries"
        return self.head(latents, queries, query_mask, is_training)

    def encode(
        self,
        inputs: jax.Array,
        input_mask: jax.Array | None = None,
        is_training: bool = False,
    ) -> Latents:
        """Maps inputs [B, M, C] to the latents [B, N, D] that outputs are made of."""
        latents = self.encoder(inputs, input_mask, is_training)
        if isinstance(self.processor, IterativeProcessor):
            return self.processor(latents, inputs, input_mask, is_training)
        return self.processor(latents, is_training)
