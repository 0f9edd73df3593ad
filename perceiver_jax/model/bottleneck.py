"""A code of a few values for each latent, between the encoder and the decoder."""

import dataclasses

import haiku as hk

from perceiver_jax.model import attention, position
from perceiver_jax.model.perceiver import Latents


@dataclasses.dataclass
class Bottleneck(hk.Module):
    """What the decoder gets of latents: a few values of each, and which one it is."""

    code_channels: int
    init_scale: float = 0.02  # of what tells latents apart
    name: str | None = None

    def __call__(self, latents: Latents) -> Latents:
        """Maps latents [B, N, D] to others of the same shape."""
        num_latents, channels = latents.shape[1:]
        code = attention.Projection(self.code_channels, name="code")(latents)
        own = position.learned_array("latents", num_latents, channels, self.init_scale)
        return attention.Projection(channels, name="from_code")(code) + own
