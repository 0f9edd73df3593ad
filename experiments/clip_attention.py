"""Where latents look in a clip: over its frames, and over its sound."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments import drawing
from experiments.clip_pictures import side_by_side
from perceiver_jax.model.adapters.modalities import Modality, slices

NUM_LATENTS = 6


class Sense(Protocol):
    """What a clip has of a modality, as a column of a picture."""

    @property
    def title(self) -> str:
        """Of the column."""

    @property
    def width(self) -> int:
        """Of the column, beside those of others."""

    def show(self, ax: Axes) -> None:
        """Draws it."""

    def look(self, ax: Axes, weights: np.ndarray, top: float) -> None:
        """Draws how much, of `top`, a latent gives to each of its elements [*grid]."""


@dataclasses.dataclass(frozen=True)
class Frames:
    """A video [T, H, W, 3] uint8."""

    video: np.ndarray
    title: str = "frames"
    width: int = 3

    def show(self, ax: Axes) -> None:
        """See `Sense`."""
        ax.imshow(side_by_side(self.video), interpolation="nearest")

    def look(self, ax: Axes, weights: np.ndarray, top: float) -> None:
        """See `Sense`."""
        for axis, length in enumerate(weights.shape):  # an element on all its pixels
            weights = weights.repeat(self.video.shape[axis] // length, axis)
        ax.imshow(side_by_side(weights), cmap="magma", vmin=0, vmax=top)


@dataclasses.dataclass(frozen=True)
class Wave:
    """Sound [samples, 1]."""

    audio: np.ndarray
    title: str = "sound"
    width: int = 1

    def show(self, ax: Axes) -> None:
        """See `Sense`."""
        ax.plot(np.linspace(0, 1, len(self.audio)), self.audio[:, 0], linewidth=0.5)

    def look(self, ax: Axes, weights: np.ndarray, top: float) -> None:
        """See `Sense`."""
        edges = np.linspace(0, 1, len(weights) + 1)
        ax.stairs(weights, edges, fill=True)
        ax.set_ylim(0, top)


@dataclasses.dataclass(frozen=True)
class Spectrum:
    """A spectrogram [windows, bins], whose elements lie window after window."""

    spectrogram: np.ndarray
    title: str = "spectrogram"
    width: int = 1

    def show(self, ax: Axes) -> None:
        """See `Sense`."""
        ax.imshow(self.spectrogram.T, cmap="magma", origin="lower", aspect="auto")

    def look(self, ax: Axes, weights: np.ndarray, top: float) -> None:
        """See `Sense`."""
        # An element may be a part of a window, or several windows.
        places = np.arange(self.spectrogram.size) * len(weights)
        spread = weights[places // self.spectrogram.size]
        spread = spread.reshape(self.spectrogram.shape)
        image = ax.imshow(spread.T, cmap="magma", origin="lower", aspect="auto")
        image.set_clim(0, top)


def by_modality(
    modalities: Sequence[Modality], encoder: np.ndarray
) -> dict[str, np.ndarray]:
    """Splits the encoder's attention weights of one clip.

    Args:
      modalities: that are read, in order.
      encoder: [heads, N, M].

    Returns:
      Of each modality, [N, *grid] float16: what each latent gives to each of its
      elements, the mean of all heads.
    """
    mean = np.asarray(encoder).mean(0)
    parts = slices(modalities)
    return {
        m.name: mean[:, parts[m.name]].reshape(-1, *m.grid).astype("f2")
        for m in modalities
    }


def draw(senses: Mapping[str, Sense], maps: Mapping[str, np.ndarray]) -> Figure:
    """Draws a clip, and below it where some latents look.

    Args:
      senses: of the clip, by modality.
      maps: of `by_modality`, for each of them at least.
    """
    weights = {name: np.asarray(maps[name], np.float32) for name in senses}
    together = [x.reshape(len(x), -1) for x in weights.values()]
    latents = drawing.choose_latents(np.concatenate(together, 1)[None], NUM_LATENTS)
    figure, axes = plt.subplots(
        1 + len(latents),
        len(senses),
        figsize=(4 + 10 * len(senses) / 2, 1.5 * (1 + len(latents))),
        width_ratios=[sense.width for sense in senses.values()],
        layout="constrained",
        squeeze=False,
    )
    for ax, sense in zip(axes[0], senses.values()):
        sense.show(ax)
        ax.set_title(sense.title, fontsize=9, loc="left")
    for row, latent in zip(axes[1:], latents):
        top = max(x[latent].max() for x in together)  # one scale for all senses
        for ax, name in zip(row, senses):
            senses[name].look(ax, weights[name][latent], top)
        shares = ", ".join(
            f"{sense.title} {x[latent].sum():.0%}"
            for sense, x in zip(senses.values(), together)
        )
        row[0].set_title(f"latent {latent}: {shares}", fontsize=9, loc="left")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    return figure
