"""Positions are features, not architecture: coordinates, Fourier features, tables.

Fourier features are computed on the host in float64. In float32 they would be off by
1e-4 at the frequencies of an image, and by 1e-2 at those of audio.
"""

import dataclasses
import math
from collections.abc import Sequence

import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np

from perceiver_jax.model import attention, parameters


def coordinates(shape: Sequence[int], reaches_end: bool = True) -> np.ndarray:
    """Returns the positions of an array's cells: [*shape, len(shape)] in [-1, 1].

    An axis of length 1 sits at -1, as the first cell of every axis does. The last cell
    sits at 1, or unless `reaches_end` one step before.
    """
    axes = [np.linspace(-1.0, 1.0, length, endpoint=reaches_end) for length in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def fourier_features(
    positions: np.ndarray, num_bands: int, max_resolution: Sequence[int]
) -> np.ndarray:
    """Returns [x, sin(pi f_k x), cos(pi f_k x)] (Perceiver, section 3.2).

    The K frequencies f_k of each of the d dimensions are spaced linearly from 1 to
    half of max_resolution, the Nyquist frequency of an axis with that many cells.

    Args:
      positions: [..., d] in [-1, 1].
      num_bands: K.
      max_resolution: cells along each dimension that the last band just resolves. Not
        taken from the positions: inputs of another size keep the frequencies that a
        model was trained with.

    Returns:
      [..., d (2K + 1)] float32: positions, all sines, all cosines.

    Raises:
      ValueError: max_resolution has not d entries.
    """
    if len(max_resolution) != positions.shape[-1]:
        raise ValueError(
            f"max_resolution {tuple(max_resolution)} needs one entry for each of the "
            f"{positions.shape[-1]} dimensions."
        )
    bands = np.stack([np.linspace(1.0, r / 2, num_bands) for r in max_resolution])
    angles = np.pi * positions[..., None].astype(np.float64) * bands
    angles = angles.reshape(*positions.shape[:-1], -1)
    features = [positions, np.sin(angles), np.cos(angles)]
    return np.concatenate(features, axis=-1).astype(np.float32)


@dataclasses.dataclass
class FourierPosition(hk.Module):
    """Fourier features of an array's own coordinates; any shape works."""

    num_bands: int
    max_resolution: Sequence[int]  # see fourier_features
    name: str | None = None

    def __call__(self, shape: Sequence[int]) -> jax.Array:
        """Returns [prod(shape), d (2K + 1)] float32."""
        return grid_fourier_features(shape, self.num_bands, self.max_resolution)


def grid_fourier_features(
    shape: Sequence[int], num_bands: int, max_resolution: Sequence[int]
) -> jax.Array:
    """Returns the `fourier_features` of an array's cells, [prod(shape), d (2K + 1)].

    Compiled programs store one small table per axis, not the full grid.
    """
    parts: list[list[jax.Array]] = [[], [], []]  # positions, sines, cosines
    for axis, tables in enumerate(_axis_tables(shape, num_bands, max_resolution)):
        for part, columns in zip(parts, tables):
            place = [1] * len(shape) + [columns.shape[1]]
            place[axis] = shape[axis]
            wide = jnp.asarray(columns).reshape(place)
            part.append(jnp.broadcast_to(wide, (*shape, columns.shape[1])))
    features = jnp.concatenate([x for part in parts for x in part], axis=-1)
    return features.reshape(math.prod(shape), -1)


def fourier_features_at(
    indices: jax.Array,
    shape: Sequence[int],
    num_bands: int,
    max_resolution: Sequence[int],
    reaches_end: bool = True,
) -> jax.Array:
    """Returns rows of `grid_fourier_features`, without the others.

    Args:
      indices: [..., n] int32 of an array's cells, flattened with the last axis fastest.
      shape: of that array.
      num_bands: K; see fourier_features.
      max_resolution: see fourier_features.
      reaches_end: see coordinates; `grid_fourier_features` does.

    Returns:
      [..., n, d (2K + 1)] float32.
    """
    parts: list[list[jax.Array]] = [[], [], []]  # positions, sines, cosines
    cells = jnp.unravel_index(indices, tuple(shape))
    for cell, tables in zip(
        cells, _axis_tables(shape, num_bands, max_resolution, reaches_end)
    ):
        for part, columns in zip(parts, tables):
            part.append(jnp.asarray(columns)[cell])
    return jnp.concatenate([x for part in parts for x in part], axis=-1)


def _axis_tables(
    shape: Sequence[int],
    num_bands: int,
    max_resolution: Sequence[int],
    reaches_end: bool = True,
) -> list[list[np.ndarray]]:
    """Returns positions [L, 1], sines and cosines [L, K] of each axis of length L."""
    if len(max_resolution) != len(shape):
        raise ValueError(
            f"max_resolution {tuple(max_resolution)} needs one entry for each of the "
            f"{len(shape)} dimensions."
        )
    ends = [1, 1 + num_bands]
    return [
        np.split(
            fourier_features(
                coordinates([length], reaches_end), num_bands, [resolution]
            ),
            ends,
            axis=1,
        )
        for length, resolution in zip(shape, max_resolution)
    ]


@dataclasses.dataclass
class LearnedPosition(hk.Module):
    """A learned table, one row per position, resampled for arrays of another shape."""

    shape: Sequence[int]  # of the arrays that the table is learned for
    channels: int  # of a row
    init_scale: float = 0.02
    projection: int = 0  # width of a linear map applied to the rows; 0 for none
    name: str | None = None

    def __call__(self, shape: Sequence[int]) -> jax.Array:
        """Returns [prod(shape), channels or projection].

        Raises:
          ValueError: shape has another number of dimensions than the table's.
        """
        table = learned_array(
            "table", math.prod(self.shape), self.channels, self.init_scale
        )
        own_shape = tuple(self.shape)
        if tuple(shape) != own_shape:
            if len(shape) != len(own_shape):
                raise ValueError(
                    f"A table learned for shape {own_shape} can't be resampled to "
                    f"{tuple(shape)}: the number of dimensions differs."
                )
            table = table.reshape(*own_shape, self.channels)
            table = jax.image.resize(table, (*shape, self.channels), "cubic")
            table = table.reshape(-1, self.channels)
        if self.projection:
            table = attention.Projection(self.projection, name="projection")(table)
        return table


def learned_array(
    name: str, length: int, channels: int, init_scale: float = 0.02
) -> jax.Array:
    """Returns a parameter [length, channels] of the current module.

    Latents, queries, positions and embeddings all start from a truncated normal; 0.02
    is the papers' scale for latents and queries.
    """
    init = hk.initializers.TruncatedNormal(init_scale)
    return hk.get_parameter(name, [length, channels], init=parameters.table(init))
