"""Optical flow: two frames as inputs, and a displacement of every pixel as output.

    FlowInputs(PixelPatches(3, 64), FourierPosition)                       322 channels
    FlowInputs(PixelPatches(3, 64), FourierPosition, concat_frames=False)  451 channels
    FlowInputs(ConvStem(64), FourierPosition)                              322 channels

The inputs of the first frame are also the output queries: each pixel asks where it went
(Perceiver IO, section 4.2, tables 5, 6 and 16).
"""

import dataclasses
from collections.abc import Callable, Sequence

import haiku as hk
import jax
import jax.numpy as jnp
from einops import rearrange

from perceiver_jax.model import attention

Stem = Callable[[jax.Array, bool], jax.Array]
Position = Callable[[Sequence[int]], jax.Array]

# The released weights were trained on flow divided by 20, with outputs divided by 100.
# Both factors are applied here, so flow is in pixels everywhere else.
PIXELS_PER_OUTPUT = 20 / 100


@dataclasses.dataclass
class FlowInputs(hk.Module):
    """Features and position of each cell of the frames, flattened.

    With `concat_frames` an input is a cell of both frames, at a position in the plane.
    Without, it is a cell of one frame, at a position in time and the plane; those of
    the first frame come first.
    """

    stem: Callable[[], Stem]
    position: Callable[[], Position]
    concat_frames: bool = True
    name: str | None = None

    def __call__(self, frames: jax.Array, is_training: bool = False) -> jax.Array:
        """Maps frames [B, 2, H, W, 3] to inputs [B, M, C].

        Raises:
          ValueError: frames have another shape.
        """
        if frames.ndim != 5 or frames.shape[1] != 2 or frames.shape[-1] != 3:
            raise ValueError(f"frames must be [B, 2, H, W, 3], got {frames.shape}.")
        together = "b t h w c -> b h w (t c)"
        apart = "b t h w c -> (b t) h w c"
        images = rearrange(frames, together if self.concat_frames else apart)
        features = self.stem()(images, is_training)
        shape = features.shape[1:3]
        features = rearrange(features, "(b t) h w f -> b (t h w) f", b=len(frames))
        shape = shape if self.concat_frames else (2, *shape)
        table = self.position()(shape).astype(features.dtype)
        positions = jnp.broadcast_to(table, (len(frames), *table.shape))
        return jnp.concatenate([features, positions], axis=-1)

    def queries(self, inputs: jax.Array) -> jax.Array:
        """Returns those of the inputs that are also queries, the first frame's."""
        return inputs if self.concat_frames else inputs[:, : inputs.shape[1] // 2]


@dataclasses.dataclass
class PixelPatches(hk.Module):
    """Each pixel with its neighbours, mapped linearly."""

    size: int  # 3, or 1 for the pixel alone
    channels: int
    name: str | None = None

    def __call__(self, images: jax.Array, is_training: bool = False) -> jax.Array:
        """Maps [B, H, W, C] to [B, H, W, channels]."""
        del is_training
        patches = neighbours(images, self.size)
        return attention.Projection(self.channels, name="linear")(patches)


def neighbours(images: jax.Array, size: int = 3, mode: str = "constant") -> jax.Array:
    """Maps [..., H, W, C] to the patches around each pixel, [..., H, W, size^2 C].

    Ordered by row, column and channel; beyond the image is what jnp.pad's `mode` says,
    zeros by default.
    """
    height, width = images.shape[-3:-1]
    reach = size // 2
    padding = [(0, 0)] * (images.ndim - 3) + [(reach, reach), (reach, reach), (0, 0)]
    padded = jnp.pad(images, padding, mode)
    shifted = [
        padded[..., row : row + height, column : column + width, :]
        for row in range(size)
        for column in range(size)
    ]
    return jnp.concatenate(shifted, axis=-1)


def to_flow(outputs: jax.Array, shape: Sequence[int]) -> jax.Array:
    """Maps the decoder's outputs [B, H * W, 2] to flow (x, y) in pixels, [B, H, W, 2].

    Flow points from where a pixel is in the first frame to where it is in the second.
    """
    height, width = shape
    flow = rearrange(outputs, "b (h w) c -> b h w c", h=height, w=width)
    return PIXELS_PER_OUTPUT * flow


def upsampled_channels(factor: int) -> int:
    """Returns how many channels `upsample` needs.

    For the flow of a cell, and for each of its pixels the weights of 9 cells.
    """
    return 2 + 9 * factor**2


def upsample(outputs: jax.Array, shape: Sequence[int], factor: int) -> jax.Array:
    """Maps outputs of coarse cells to flow of pixels, as convex combinations.

    The flow of a pixel is a weighted mean of the flows of its cell and the 8 around it,
    with weights that the model gives (RAFT, Teed & Deng 2020, section 3.3). Beyond the
    edge cells repeat, so that a constant field stays constant.

    Args:
      outputs: [B, h * w, upsampled_channels(factor)], of ceil(H / factor) times
        ceil(W / factor) cells.
      shape: H and W.
      factor: pixels of a cell's side.

    Returns:
      [B, H, W, 2] in pixels.
    """
    height, width = shape
    cells = [-(-n // factor) for n in shape]
    coarse = to_flow(outputs[..., :2], cells)
    around = rearrange(neighbours(coarse, mode="edge"), "b h w (k c) -> b h w k c", c=2)
    weights = rearrange(
        outputs[..., 2:],
        "b (h w) (k p q) -> b h w p q k",
        h=cells[0],
        p=factor,
        q=factor,
    )
    weights = jax.nn.softmax(weights.astype(jnp.float32), axis=-1).astype(coarse.dtype)
    flow = jnp.einsum("bhwpqk,bhwkc->bhpwqc", weights, around)
    flow = rearrange(flow, "b h p w q c -> b (h p) (w q) c")
    return flow[:, :height, :width]
