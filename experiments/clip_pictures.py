"""Clips as pictures: frames, waveforms, spectrograms, and what a model says of them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import signal

from perceiver_jax import extras

matplotlib = extras.Library(
    "matplotlib", "figure", "backends.backend_agg", extra="video"
)

MAX_FRAMES = 8  # of a clip in a picture
_WINDOW = 1024  # samples of a spectrogram's window; an eighth of a short clip
_RANGE = 80.0  # decibels below the loudest
_RIGHT, _WRONG = "#2e7d4f", "#8fa9bf"  # colours of bars


class Answer(NamedTuple):
    """What a model says of a class, and whether the clip has it, where known."""

    label: str
    probability: float
    is_right: bool = False


class Clip(NamedTuple):
    """A clip, or what was decoded of one.

    Attributes:
      video: [T, H, W, 3] uint8; no frames where there are none.
      audio: [samples, 1] from -1 to 1; likewise.
      title: what is said of it.
      answers: of a model, the likeliest first.
    """

    video: np.ndarray
    audio: np.ndarray
    title: str
    answers: Sequence[Answer] = ()


def draw(clips: Sequence[Clip], sample_rate: int) -> np.ndarray:
    """Returns a picture [h, w, 3] uint8: a row for each clip."""
    has_answers = any(clip.answers for clip in clips)
    widths = (7, 3, 3, 3) if has_answers else (7, 3, 3)
    figure = matplotlib.figure.Figure(
        figsize=(15, 1.55 * len(clips) + 0.4), dpi=100, layout="constrained"
    )
    axes = figure.subplots(
        len(clips), len(widths), width_ratios=widths, squeeze=False, sharex="col"
    )
    for row, clip in zip(axes, clips):
        frames, wave, spectrum, *bars = row
        for ax in row:
            ax.tick_params(labelsize=7)
        frames.set(xticks=[], yticks=[])
        frames.set_title(clip.title, fontsize=8, loc="left")
        if len(clip.video):
            frames.imshow(side_by_side(clip.video), interpolation="nearest")
        if len(clip.audio):
            _draw_sound(wave, spectrum, clip.audio[:, 0], sample_rate)
        for ax in bars:
            _draw_answers(ax, clip.answers)
    axes[-1, 1].set_xlabel("waveform, seconds", fontsize=8)
    axes[-1, 2].set_xlabel("spectrogram, kHz over seconds", fontsize=8)
    if has_answers:
        axes[-1, 3].set_xlabel("probability; green: is so", fontsize=8)
    canvas = matplotlib.backends.backend_agg.FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def side_by_side(frames: np.ndarray) -> np.ndarray:
    """Lays some of the frames [T, h, w, ...] side by side."""
    return np.concatenate(list(frames[:: -(-len(frames) // MAX_FRAMES)]), axis=1)


def _draw_sound(wave: Any, spectrum: Any, sound: np.ndarray, sample_rate: int) -> None:
    times = np.arange(len(sound)) / sample_rate
    wave.plot(times, sound, linewidth=0.5)
    wave.set(ylim=(-1, 1))
    loudness, highest = _spectrogram(sound, sample_rate)
    spectrum.imshow(
        loudness,
        origin="lower",
        aspect="auto",
        extent=(0, times[-1], 0, highest / 1000),
        vmin=-_RANGE,
        vmax=0,
        cmap="magma",
    )


def _spectrogram(sound: np.ndarray, sample_rate: int) -> tuple[np.ndarray, float]:
    """Returns decibels below full scale [frequencies, times], and the highest Hz."""
    window = min(_WINDOW, max(8, len(sound) // 8))
    frequencies, _, power = signal.spectrogram(
        sound, sample_rate, nperseg=window, noverlap=window // 2, scaling="spectrum"
    )
    return 10 * np.log10(power + 10 ** (-_RANGE / 10)), frequencies[-1]


def _draw_answers(ax: Any, answers: Sequence[Answer]) -> None:
    """A bar for each class, its name on it."""
    for place, answer in enumerate(answers):
        color = _RIGHT if answer.is_right else _WRONG
        ax.barh(place, answer.probability, color=color)
        text = f" {answer.label} {answer.probability:.0%}"
        ax.text(0, place, text, fontsize=7, va="center")
    ax.set(xlim=(0, 1), yticks=[])
    ax.invert_yaxis()
