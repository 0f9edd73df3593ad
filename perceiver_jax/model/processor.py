"""What works on the latents: a deep Transformer, which may look at the inputs again.

Letters in shapes are those of perceiver.py.
"""

import dataclasses
import functools

import haiku as hk
import jax

from perceiver_jax.model import attention, stack

Latents = jax.Array


@dataclasses.dataclass
class Processor(hk.Module):
    """A deep Transformer on the latents: blocks of self-attends (Perceiver IO)."""

    num_blocks: int
    layers_per_block: int
    self_attention: attention.MakeSelfAttention
    share_weights: bool = True  # all blocks are one block, repeated
    remat: bool = False  # recompute each layer in the backward pass, keep its input
    name: str | None = None

    def __call__(self, latents: Latents, is_training: bool = False) -> Latents:
        """Maps latents [B, N, D] to the same shape."""

        def make_block():
            block = Block(self.layers_per_block, self.self_attention, self.remat)
            return functools.partial(block, is_training=is_training)

        blocks = stack.repeated(
            make_block, self.num_blocks, self.share_weights, "blocks"
        )
        return blocks(latents)


@dataclasses.dataclass
class IterativeProcessor(hk.Module):
    """The Processor of 2021, which looks at the inputs again (Perceiver, section 3.1).

    The cross-attends come either evenly spaced between the blocks or all at the start
    (Perceiver, table 6).
    """

    num_blocks: int
    layers_per_block: int
    self_attention: attention.MakeSelfAttention
    num_cross_attends: int  # in all: the first is the encoder's
    cross_attention: attention.MakeCrossAttention
    cross_attends_at_start: bool = False
    share_weights: bool = True  # of all blocks, and of all cross-attends made here
    remat: bool = False  # recompute each layer in the backward pass, keep its input
    name: str | None = None

    def __post_init__(self):
        super().__post_init__()
        interleaved = not self.cross_attends_at_start
        if interleaved and self.num_blocks % self.num_cross_attends:
            raise ValueError(
                f"num_cross_attends={self.num_cross_attends} can't be spread evenly "
                f"over num_blocks={self.num_blocks}: choose a divisor."
            )

    def __call__(
        self,
        latents: Latents,
        inputs: jax.Array,
        input_mask: jax.Array | None = None,
        is_training: bool = False,
    ) -> Latents:
        """Maps latents [B, N, D] to the same shape.

        Args:
          latents: [B, N, D], which have looked at the inputs once.
          inputs: [B, M, C].
          input_mask: [B, M], true where an input is valid.
          is_training: whether dropout is on.

        Returns:
          [B, N, D].
        """
        segments = 1 if self.cross_attends_at_start else self.num_cross_attends

        def make_processor():
            processor = Processor(
                self.num_blocks // segments,
                self.layers_per_block,
                self.self_attention,
                self.share_weights,
                self.remat,
            )
            return functools.partial(processor, is_training=is_training)

        def make_look():
            look = functools.partial(
                self.cross_attention(),
                inputs=inputs,
                input_mask=input_mask,
                is_training=is_training,
            )
            return stack.remat(look) if self.remat else look

        process = make_processor()
        repeat = functools.partial(
            stack.repeated, count=self.num_cross_attends - 1, share=self.share_weights
        )
        if self.cross_attends_at_start:
            looks = repeat(make_look, name="cross_attends")
            return process(looks(latents))

        def make_segment():
            look = make_look()
            process_again = process if self.share_weights else make_processor()
            return lambda latents: process_again(look(latents))

        return repeat(make_segment, name="segments")(process(latents))


@dataclasses.dataclass
class Block(hk.Module):
    """`num_layers` self-attends, each with parameters of its own."""

    num_layers: int
    self_attention: attention.MakeSelfAttention
    remat: bool = False  # recompute each layer in the backward pass, keep its input
    name: str | None = None

    def __call__(self, latents: Latents, is_training: bool = False) -> Latents:
        """Maps latents [B, N, D] to the same shape."""

        def layer(latents):
            return self.self_attention()(latents, is_training=is_training)

        if self.remat:
            layer = stack.remat(layer)
        return stack.stacked(layer, self.num_layers, "layers")(latents)
