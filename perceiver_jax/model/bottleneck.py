"""A code of a few values for each latent, between the encoder and the decoder."""

import dataclasses
from collections.abc import Callable

import haiku as hk

from perceiver_jax.model import attention, position, processor
from perceiver_jax.model.perceiver import Latents


@dataclasses.dataclass
class Bottleneck(hk.Module):
    """What the decoder gets of latents: a few values of each, and which one it is.

    With a processor, latents then attend to each other: without, a query's head, which
    gets a mean over latents, knows of no more than `code_channels` values in all.
    """

    code_channels: int
    make_processor: Callable[[], processor.Processor] | None = None
    init_scale: float = 0.02  # of what tells latents apart
    name: str | None = None

    def __call__(self, latents: Latents, is_training: bool = False) -> Latents:
        """Maps latents [B, N, D] to others of the same shape."""
        num_latents, channels = latents.shape[1:]
        code = attention.Projection(self.code_channels, name="code")(latents)
        own = position.learned_array("latents", num_latents, channels, self.init_scale)
        decoded = attention.Projection(channels, name="from_code")(code) + own
        if self.make_processor is None:
            return decoded
        return self.make_processor()(decoded, is_training)
