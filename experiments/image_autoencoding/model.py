"""The autoencoder of pictures that a config's `model` describes.

image [B, H, W, 3] -> patches -> latents [B, N, D] -> code [B, N, code_channels]
-> latents [B, N, D] -> decoder, asked for any places -> colours [B, O, 3] from -1 to 1
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import config_dict

from experiments.image_autoencoding.fields import check_sizes
from experiments.image_autoencoding.outputs import Measure
from experiments.model_parts import make_decoder, make_perceiver
from perceiver_jax.engine.task import Batch, Model
from perceiver_jax.model import position
from perceiver_jax.model.adapters import image as adapters
from perceiver_jax.model.bottleneck import Bottleneck


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
        """Maps `image` [B, H, W, 3] from -1 to 1 to colours.

        Args:
          batch: besides the image, it may say what is asked for. `rows` [h, F] and
            `columns` [w, F], of `place_features`, make a grid of any places; it is
            that of the image's own pixels by default. `points` [B, n] int32 are some
            of the grid, numbered row by row; all by default.
          is_training: whether dropout is on.

        Returns:
          [B, n, 3] or, without `points`, [B, h w, 3], float32.
        """
        model, image = self.model, batch["image"]
        rows, columns = (
            batch.get(name, place_features(model, axis, np.linspace(-1, 1, length)))
            for axis, (name, length) in enumerate(
                zip(("rows", "columns"), image.shape[1:3])
            )
        )
        points = batch.get("points", jnp.arange(len(rows) * len(columns))[None])
        inputs = adapters.ImageInputs(
            [lambda: position.FourierPosition(model.num_bands, model.max_resolution)],
            lambda: adapters.Patches(model.patch_size, model.stem_channels),
        )(image, is_training)
        decoder = make_decoder(model, output_channels=3)
        network = make_perceiver(model, decoder)
        latents = network.encode(inputs, is_training=is_training)
        # Here a latent stands for a place: a processor behind the code gained nothing
        # (docs/log.md).
        code = Bottleneck(model.code_channels, init_scale=model.latent_init_scale)
        latents = code(latents)

        def embed(points: jax.Array) -> jax.Array:
            row, column = jnp.divmod(points, len(columns))
            parts = (jnp.asarray(rows)[row], jnp.asarray(columns)[column])
            return jnp.concatenate(parts, axis=-1).astype(latents.dtype)

        return decoder(latents, points, None, is_training, embed=embed)


def place_features(
    model: config_dict.ConfigDict, axis: int, places: np.ndarray
) -> np.ndarray:
    """Returns what the decoder is told of places along an axis of the image.

    Args:
      model: the config's.
      axis: 0 for rows, 1 for columns.
      places: [n], from -1, the first row or column, to 1, the last.

    Returns:
      [n, 2 num_bands + 1] float32.
    """
    resolution = model.query_max_resolution[axis]
    return position.fourier_features(places[:, None], model.num_bands, [resolution])


def coded_values(model: config_dict.ConfigDict) -> int:
    """Returns how many numbers the decoder gets of an image."""
    return model.num_latents * model.code_channels
