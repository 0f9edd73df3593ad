"""Optical flow: two frames as inputs, and a displacement of every pixel as output.

The inputs are also the output queries: each pixel asks where it went (Perceiver IO,
section 4.2).
"""

import dataclasses
from collections.abc import Callable, Sequence

import haiku as hk
import jax
import jax.numpy as jnp
from einops import rearrange

from perceiver_jax import attention

Position = Callable[[Sequence[int]], jax.Array]

# The released weights were trained on flow divided by 20, with outputs divided by 100.
# Both factors are applied here, so flow is in pixels everywhere else.
PIXELS_PER_OUTPUT = 20 / 100


@dataclasses.dataclass
class FlowInputs(hk.Module):
    """Each pixel with its neighbours in both frames, mapped linearly; and positions."""

    channels: int
    position: Callable[[], Position]
    name: str | None = None

    def __call__(self, frames: jax.Array) -> jax.Array:
        """Maps frames [B, 2, H, W, 3] to inputs [B, H * W, C].

        Raises:
          ValueError: frames have another shape.
        """
        if frames.ndim != 5 or frames.shape[1] != 2:
            raise ValueError(f"frames must be [B, 2, H, W, 3], got {frames.shape}.")
        batch, _, *shape, _ = frames.shape
        patches = rearrange(neighbours(frames), "b t h w c -> b (h w) (t c)")
        features = attention.Projection(self.channels, name="patches")(patches)
        table = self.position()(shape).astype(features.dtype)
        positions = jnp.broadcast_to(table, (batch, *table.shape))
        return jnp.concatenate([features, positions], axis=-1)


def neighbours(images: jax.Array) -> jax.Array:
    """Maps [..., H, W, C] to the 3x3 patches around each pixel, [..., H, W, 9 C].

    Ordered by row, column and channel; zeros outside the image.
    """
    height, width = images.shape[-3:-1]
    padding = [(0, 0)] * (images.ndim - 3) + [(1, 1), (1, 1), (0, 0)]
    padded = jnp.pad(images, padding)
    shifted = [
        padded[..., row : row + height, column : column + width, :]
        for row in range(3)
        for column in range(3)
    ]
    return jnp.concatenate(shifted, axis=-1)


def to_flow(outputs: jax.Array, shape: Sequence[int]) -> jax.Array:
    """Maps the decoder's outputs [B, H * W, 2] to flow (x, y) in pixels, [B, H, W, 2].

    Flow points from where a pixel is in the first frame to where it is in the second.
    """
    height, width = shape
    flow = rearrange(outputs, "b (h w) c -> b h w c", h=height, w=width)
    return PIXELS_PER_OUTPUT * flow
