"""Several senses at once: any number of modalities in one array of inputs, or queries.

    video = Modality("video", (16, 224, 224), 3, (1, 4, 4), 32, (16, 56, 56))
    sound = Modality("audio", (30720,), 1, (16,), 192, (1920,))
    label = Modality("label", (), 700)
    inputs = ModalityInputs([video, sound, label])({"video": ..., ...})  # 704 channels

Every modality is cut into elements, which have positions where it has axes. Channels
are padded to a common width with a learned embedding, which also tells which modality
an element is of (Perceiver, section 4.2; Perceiver IO, section 4.3).
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
from einops import rearrange

from perceiver_jax.model import position

Arrays = Mapping[str, jax.Array]  # by modality


@dataclasses.dataclass(frozen=True)
class Modality:
    """What one example is of a modality: an array [*shape, channels], in patches.

    Attributes:
      name: unique among those that are read, or asked for, together.
      shape: cells along each axis; none for a vector, such as a label.
      channels: of a cell.
      patch: cells along each axis that make one element.
      num_bands: of the Fourier features of its positions.
      max_resolution: see position.fourier_features; one for each axis.
    """

    name: str
    shape: tuple[int, ...]
    channels: int
    patch: tuple[int, ...] = ()
    num_bands: int = 0
    max_resolution: tuple[int, ...] = ()

    def __post_init__(self):
        """Raises ValueError: axes that patches don't divide, or without a patch."""
        axes = {len(self.shape), len(self.patch), len(self.max_resolution)}
        if len(axes) > 1:
            raise ValueError(
                f"{self.name} of shape {self.shape} needs a patch and a max_resolution "
                f"of as many axes, got {self.patch} and {self.max_resolution}."
            )
        if any(length % size for length, size in zip(self.shape, self.patch)):
            raise ValueError(
                f"{self.name} of {self.shape} cells can't be cut into patches of "
                f"{self.patch}: choose sizes that divide."
            )

    @property
    def grid(self) -> tuple[int, ...]:
        """Elements along each axis."""
        return tuple(n // size for n, size in zip(self.shape, self.patch))

    @property
    def num_elements(self) -> int:
        """How many elements an example has."""
        return math.prod(self.grid)

    @property
    def element_channels(self) -> int:
        """Channels of an element, without its position."""
        return math.prod(self.patch) * self.channels

    @property
    def position_channels(self) -> int:
        """Channels of an element's position; 0 without axes."""
        return len(self.grid) * (2 * self.num_bands + 1)

    def cut(self, x: jax.Array) -> jax.Array:
        """Maps examples [B, *shape, channels] to elements [B, M, element_channels].

        Raises:
          ValueError: another shape.
        """
        if x.shape[1:] != (*self.shape, self.channels):
            raise ValueError(
                f"{self.name} must be [B, "
                f"{', '.join(map(str, (*self.shape, self.channels)))}], got {x.shape}."
            )
        grid, cells, sizes = self._letters()
        return rearrange(x, f"b {cells} c -> b ({grid}) ({self._inner()} c)", **sizes)

    def join(self, elements: jax.Array) -> jax.Array:
        """The inverse of `cut`."""
        grid, cells, sizes = self._letters()
        lengths = {f"g{axis}": n for axis, n in enumerate(self.grid)}
        return rearrange(
            elements,
            f"b ({grid}) ({self._inner()} c) -> b {cells} c",
            **sizes,
            **lengths,
        )

    def known(self, counts: jax.Array) -> jax.Array:
        """Returns which elements [B, M] are there: bool.

        Args:
          counts: [B] int, how many cells of the first axis are, from the first one on:
            frames of a video that ends early; 0 where there is none at all.
        """
        first, step = self.grid[0], self.patch[0]
        cells = jnp.repeat(step * jnp.arange(first), self.num_elements // first)
        return cells < counts[:, None]

    def positions(self) -> jax.Array:
        """Returns the Fourier features of all elements in order, [M, channels]."""
        return position.grid_fourier_features(
            self.grid, self.num_bands, self.max_resolution
        )

    def positions_at(self, points: jax.Array) -> jax.Array:
        """Returns the Fourier features of elements by number, [..., n, channels].

        As in the released model, the elements that are asked for end one step before
        1, where those that are read end at 1.
        """
        return position.fourier_features_at(
            *(points, self.grid, self.num_bands, self.max_resolution),
            reaches_end=False,
        )

    def _letters(self) -> tuple[str, str, dict[str, int]]:
        axes = range(len(self.shape))
        grid = " ".join(f"g{axis}" for axis in axes)
        cells = " ".join(f"(g{axis} p{axis})" for axis in axes)
        return grid, cells, {f"p{axis}": size for axis, size in enumerate(self.patch)}

    def _inner(self) -> str:
        return " ".join(f"p{axis}" for axis in range(len(self.shape)))


class Inputs(NamedTuple):
    """The elements of several modalities, one after the other.

    Attributes:
      array: [B, M, C].
      mask: [B, M], true where an example has the modality; None where all have all.
    """

    array: jax.Array
    mask: jax.Array | None


def slices(modalities: Sequence[Modality]) -> dict[str, slice]:
    """Returns which of the M inputs, or O outputs, are of which modality."""
    found, start = {}, 0
    for modality in modalities:
        end = start + modality.num_elements
        found[modality.name], start = slice(start, end), end
    return found


@dataclasses.dataclass
class ModalityInputs(hk.Module):
    """The inputs of all modalities, of one width."""

    modalities: Sequence[Modality]
    min_embedding: int = 4  # channels of the widest one's embedding
    hides: bool = False  # whether there are embeddings of what is hidden
    name: str | None = None

    @property
    def channels(self) -> int:
        """C: the widest modality's channels, and min_embedding more."""
        return self.min_embedding + max(
            m.element_channels + m.position_channels for m in self.modalities
        )

    def __call__(
        self, arrays: Arrays, hidden: Arrays | None = None, known: Arrays | None = None
    ) -> Inputs:
        """Maps examples of each modality to the inputs of an encoder.

        Args:
          arrays: by modality, [B, *shape, channels].
          hidden: [B] bool, true where all elements of an example are replaced by one
            learned embedding, so that the model knows that there was something.
          known: [B] int, how much there is, see Modality.known; elements that are not
            there are not attended to.
        """
        hidden, known = hidden or {}, known or {}
        parts, masks = [], []
        for modality in self.modalities:
            x = self._pad(modality, arrays[modality.name])
            name = modality.name
            if self.hides:
                token = position.learned_array(f"{name}_hidden", 1, self.channels)
                if name in hidden:
                    covered = hidden[name][:, None, None]
                    x = jnp.where(covered, token.astype(x.dtype), x)
            parts.append(x)
            masks.append(
                modality.known(known[name])
                if name in known
                else jnp.ones(x.shape[:2], bool)
            )
        mask = jnp.concatenate(masks, axis=1) if known else None
        return Inputs(jnp.concatenate(parts, axis=1), mask)

    def _pad(self, modality: Modality, array: jax.Array) -> jax.Array:
        features = [modality.cut(array)]
        if modality.grid:
            features.append(modality.positions())
        width = self.channels - modality.element_channels - modality.position_channels
        features.append(position.learned_array(f"{modality.name}_embedding", 1, width))
        batch, length, _ = features[0].shape
        return jnp.concatenate(
            [
                jnp.broadcast_to(x.astype(array.dtype), (batch, length, x.shape[-1]))
                for x in features
            ],
            axis=-1,
        )


@dataclasses.dataclass
class ModalityQueries(hk.Module):
    """The queries of one modality or another, of one width.

    A modality without axes has one query, which is learned.
    """

    modalities: Sequence[Modality]
    vector_channels: int  # of the learned query of a modality without axes
    min_embedding: int = 2  # channels of the widest one's embedding
    name: str | None = None

    @property
    def channels(self) -> int:
        """E: the widest modality's channels, and min_embedding more."""
        return self.min_embedding + max(map(self._own_channels, self.modalities))

    def __call__(self, modality: Modality, points: jax.Array) -> jax.Array:
        """Maps numbers of elements [B or 1, n] to queries [B or 1, n, E]."""
        if modality.grid:
            own = modality.positions_at(points)
        else:
            own = position.learned_array(
                f"{modality.name}_query", 1, self.vector_channels
            )
        width = self.channels - self._own_channels(modality)
        embedding = position.learned_array(f"{modality.name}_embedding", 1, width)
        shape = points.shape
        return jnp.concatenate(
            [jnp.broadcast_to(x, (*shape, x.shape[-1])) for x in (own, embedding)], -1
        )

    def _own_channels(self, modality: Modality) -> int:
        return modality.position_channels if modality.grid else self.vector_channels
