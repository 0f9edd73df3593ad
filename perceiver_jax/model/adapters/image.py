"""Images as inputs: a stem makes features, positions are concatenated to them.

    ImageInputs(stem=None,            positions=FourierPosition(...))   261 channels
    ImageInputs(stem=Pointwise(256),  positions=LearnedPosition(...))   512 channels
    ImageInputs(stem=ConvStem(64),    positions=FourierPosition(...))   322 channels
    ImageInputs(stem=Patches(4, 64),  positions=FourierPosition(...))

(Perceiver IO, table 6, at the papers' sizes.)
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import ClassVar

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from einops import rearrange

from perceiver_jax.model import attention, parameters

Stem = Callable[[jax.Array, bool], jax.Array]
Position = Callable[[Sequence[int]], jax.Array]


@dataclasses.dataclass
class ImageInputs(hk.Module):
    """Features and positions of every cell of an image, flattened.

    Positions come from the feature map's own shape, so any image size works.
    """

    positions: Sequence[Callable[[], Position]]  # made and concatenated in order
    stem: Callable[[], Stem] | None = None  # None: the pixels themselves
    permutation_seed: int | None = None  # of one shuffle of all inputs; None: in order
    name: str | None = None

    def __call__(self, images: jax.Array, is_training: bool = False) -> jax.Array:
        """Maps images [B, H, W, channels] to inputs [B, M, C].

        Raises:
          ValueError: images are not four-dimensional.
        """
        if images.ndim != 4:
            raise ValueError(f"images must be [B, H, W, channels], got {images.shape}.")
        features = images if self.stem is None else self.stem()(images, is_training)
        batch, *shape, _ = features.shape
        parts = [rearrange(features, "b h w c -> b (h w) c")]
        for position in self.positions:
            table = position()(shape).astype(features.dtype)
            parts.append(jnp.broadcast_to(table, (batch, *table.shape)))
        inputs = jnp.concatenate(parts, axis=-1)
        if self.permutation_seed is not None:
            # Inputs keep their positions (Perceiver, table 2): only an architecture
            # that relies on their order suffers.
            inputs = inputs[:, permutation(inputs.shape[1], self.permutation_seed)]
        return inputs


def grid_shape(
    make_stem: Callable[[], Stem] | None, image_size: Sequence[int]
) -> tuple[int, int]:
    """Returns the rows and columns of the cells that a stem makes of an image.

    The stem itself is asked, and nothing is computed; None is as in ImageInputs.
    """
    height, width = image_size
    if make_stem is None:
        return height, width
    stem = hk.transform_with_state(lambda *args: make_stem()(*args))

    def features(images):
        variables = stem.init(jax.random.key(0), images, True)
        return stem.apply(*variables, None, images, False)[0]

    images = jax.ShapeDtypeStruct((1, height, width, 3), jnp.float32)
    _, rows, columns, _ = jax.eval_shape(features, images).shape
    return rows, columns


def permutation(length: int, seed: int) -> np.ndarray:
    """Returns the fixed order of the permuted-ImageNet experiment."""
    return np.random.default_rng(seed).permutation(length)


@dataclasses.dataclass
class Pointwise(hk.Module):
    """A linear map of each pixel: a 1x1 convolution."""

    channels: int
    name: str | None = None

    def __call__(self, images: jax.Array, is_training: bool = False) -> jax.Array:
        """Maps [B, H, W, channels] to [B, H, W, self.channels]."""
        del is_training
        return attention.Projection(self.channels, name="linear")(images)


@dataclasses.dataclass
class Patches(hk.Module):
    """Non-overlapping square patches, each mapped linearly; the rest is cut off."""

    size: int
    channels: int
    name: str | None = None

    def __call__(self, images: jax.Array, is_training: bool = False) -> jax.Array:
        """Maps [B, H, W, channels] to [B, H // size, W // size, self.channels]."""
        del is_training
        height, width = (n // self.size for n in images.shape[1:3])
        if not (height and width):
            raise ValueError(
                f"An image of {images.shape[1]}x{images.shape[2]} pixels has no patch "
                f"of size {self.size}."
            )
        patches = rearrange(
            images[:, : height * self.size, : width * self.size],
            "b (h p) (w q) c -> b h w (p q c)",
            p=self.size,
            q=self.size,
        )
        return attention.Projection(self.channels, name="linear")(patches)


@dataclasses.dataclass
class ConvStem(hk.Module):
    """7x7 convolution, BatchNorm, ReLU and 3x3 max-pool: a quarter of the size."""

    strides: ClassVar = (2, 2)  # of the convolution and of the pooling, along each axis

    channels: int = 64
    bn_axis: str | None = None  # axis to average statistics over; pmap needs it
    same_padding: bool = True  # else as in Hugging Face's port: see __call__
    name: str | None = None

    def __call__(self, images: jax.Array, is_training: bool = False) -> jax.Array:
        """Maps [B, H, W, channels] to [B, ceil(H/4), ceil(W/4), self.channels].

        Without same_padding the convolution pads 3 cells on all sides and the pooling
        none: 224 pixels give 55 cells, not 56.
        """
        conv_stride, pool_stride = self.strides
        conv = hk.Conv2D(
            self.channels,
            kernel_shape=7,
            stride=conv_stride,
            padding="SAME" if self.same_padding else [(3, 3), (3, 3)],
            with_bias=False,
            w_init=parameters.matrix(hk.initializers.VarianceScaling(1.0)),
            name="conv",
        )
        norm = hk.BatchNorm(
            create_scale=True,
            create_offset=True,
            decay_rate=0.9,
            scale_init=parameters.norm(jnp.ones),
            offset_init=parameters.norm(jnp.zeros),
            # Initialisation runs outside the program that has the axis.
            cross_replica_axis=None if hk.running_init() else self.bn_axis,
            name="batch_norm",
        )
        # Statistics in float32: bfloat16 loses the variance of a large batch.
        x = norm(conv(images).astype(jnp.float32), is_training)
        x = jax.nn.relu(x).astype(images.dtype)
        padding = "SAME" if self.same_padding else "VALID"
        pool_strides = (1, pool_stride, pool_stride, 1)
        return hk.max_pool(x, (1, 3, 3, 1), pool_strides, padding)
