"""The autoencoder of pictures that a config's `model` describes.

image [B, H, W, 3] -> patches -> latents [B, N, D] -> code [B, N, code_channels]
-> decoder, asked for any pixels by their positions -> colours [B, O, 3] from -1 to 1
"""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np
from ml_collections import config_dict

from experiments.image_autoencoding.fields import check_sizes
from experiments.image_autoencoding.outputs import Measure
from experiments.model_parts import make_decoder_attention, make_perceiver
from perceiver_jax.engine.task import Batch, Model
from perceiver_jax.model import attention, perceiver, position
from perceiver_jax.model.adapters import image as adapters
from perceiver_jax.model.processor import Latents


def make_model(config: config_dict.ConfigDict) -> Model:
    """Builds the model of a config of configs/image_autoencoding.py.

    Raises:
      ValueError: sizes do not go together, see fields.check_sizes.
    """
    check_sizes(config)
    size = tuple(config.model.image_size)
    return Model(
        forward=Forward(config.model),
        example={
            "image": jax.ShapeDtypeStruct((*size, 3), np.float32),
            "points": jax.ShapeDtypeStruct((config.data.num_queries,), np.int32),
        },
        metrics=Measure(config.data.loss),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Forward:
    """The Haiku function of a config: (batch, is_training) -> colours."""

    model: config_dict.ConfigDict

    def __call__(self, batch: Batch, is_training: bool) -> jax.Array:
        """Maps `image` [B, H, W, 3] from -1 to 1, and maybe `points`, to colours.

        Args:
          batch: `points` [B, n] int32 are the pixels asked for, as indices of the
            flattened `query_grid`; without them, all of its pixels are.
          is_training: whether dropout is on.

        Returns:
          [B, n, 3] or, without `points`, [B, pixels of the grid, 3].
        """
        model, image = self.model, batch["image"]
        inputs = adapters.ImageInputs(
            [lambda: position.FourierPosition(model.num_bands, model.max_resolution)],
            lambda: adapters.Patches(model.patch_size, model.stem_channels),
        )(image, is_training)
        grid = query_grid(image.shape[1:3], model.query_scale)
        bands = (model.num_bands, model.max_resolution)
        if "points" in batch:
            queries = position.fourier_features_at(batch["points"], grid, *bands)
        else:
            queries = position.grid_fourier_features(grid, *bands)[None]
        decoder = CodeDecoder(
            lambda: make_decoder_attention(model),
            output_channels=3,
            query_chunk=model.query_chunk,
            remat=model.remat,
            code_channels=model.code_channels,
            name="decoder",
        )
        network = make_perceiver(model, decoder)
        return network(inputs, queries.astype(inputs.dtype), is_training=is_training)


@dataclasses.dataclass
class CodeDecoder(perceiver.Decoder):
    """A Decoder that sees only a few values of each latent, and which latent it is."""

    code_channels: int = 8

    def __call__(
        self,
        latents: Latents,
        queries: jax.Array,
        query_mask: jax.Array | None = None,
        is_training: bool = False,
    ) -> jax.Array:
        """See Decoder."""
        num_latents, channels = latents.shape[1:]
        code = attention.Projection(self.code_channels, name="code")(latents)
        own = position.learned_array("latents", num_latents, channels)
        latents = attention.Projection(channels, name="from_code")(code) + own
        return super().__call__(latents, queries, query_mask, is_training)


def query_grid(shape: Sequence[int], scale: int) -> tuple[int, int]:
    """Returns the height and width of the pixels that can be asked for.

    Those of an image of this shape and, for a scale above 1, so many steps from each
    to the next: none lies beyond the outermost ones.
    """
    height, width = ((length - 1) * scale + 1 for length in shape)
    return height, width


def coded_values(model: config_dict.ConfigDict) -> int:
    """Returns how many numbers the decoder gets of an image."""
    return model.num_latents * model.code_channels
