"""Clips beside what was decoded of them: frames, waveforms, spectrograms, sound."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from ml_collections import config_dict
from scipy import signal

from experiments.video_autoencoding.model import input_modalities, output_modalities
from experiments.video_autoencoding.outputs import to_frames
from perceiver_jax import extras
from perceiver_jax.engine.task import Batch, Sound
from perceiver_jax.model.adapters.modalities import Modality

matplotlib = extras.Library(
    "matplotlib", "figure", "backends.backend_agg", extra="video"
)

MAX_CLIPS = 3  # in a picture
MAX_FRAMES = 8  # of a clip in it
_WINDOW = 1024  # samples of a spectrogram's window; an eighth of a short clip
_RANGE = 80.0  # decibels below the loudest


class Clip(NamedTuple):
    """A clip, or what was decoded of one.

    Attributes:
      video: [T, H, W, 3] uint8.
      audio: [samples, 1] from -1 to 1.
      title: what is said of it.
    """

    video: np.ndarray
    audio: np.ndarray
    title: str


def to_clip(
    modalities: Sequence[Modality], decoded: Mapping[str, np.ndarray], title: str
) -> Clip:
    """Returns the clip that elements [M, channels] of each modality make."""
    arrays = {
        m.name: np.asarray(m.join(jnp.asarray(decoded[m.name], jnp.float32)[None]))[0]
        for m in modalities
        if m.grid
    }
    return Clip(to_frames(arrays["video"]), arrays["audio"], title)


def draw(clips: Sequence[Clip], sample_rate: int) -> np.ndarray:
    """Returns a picture [h, w, 3] uint8: a row for each clip."""
    figure = matplotlib.figure.Figure(
        figsize=(15, 1.55 * len(clips) + 0.4), dpi=100, layout="constrained"
    )
    axes = figure.subplots(
        len(clips), 3, width_ratios=(7, 3, 3), squeeze=False, sharex="col"
    )
    for (frames, wave, spectrum), clip in zip(axes, clips):
        shown = clip.video[:: -(-len(clip.video) // MAX_FRAMES)]
        frames.imshow(np.concatenate(list(shown), axis=1), interpolation="nearest")
        frames.set(xticks=[], yticks=[])
        frames.set_title(clip.title, fontsize=8, loc="left")
        sound = clip.audio[:, 0]
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
        for ax in (wave, spectrum):
            ax.tick_params(labelsize=7)
    axes[-1, 1].set_xlabel("waveform, seconds", fontsize=8)
    axes[-1, 2].set_xlabel("spectrogram, kHz over seconds", fontsize=8)
    canvas = matplotlib.backends.backend_agg.FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _spectrogram(sound: np.ndarray, sample_rate: int) -> tuple[np.ndarray, float]:
    """Returns decibels below full scale [frequencies, times], and the highest Hz."""
    window = min(_WINDOW, max(8, len(sound) // 8))
    frequencies, _, power = signal.spectrogram(
        sound, sample_rate, nperseg=window, noverlap=window // 2, scaling="spectrum"
    )
    return 10 * np.log10(power + 10 ** (-_RANGE / 10)), frequencies[-1]


@dataclasses.dataclass(frozen=True)
class Show:
    """Makes pictures and sounds of the first clips of an evaluation.

    Attributes:
      modalities: what is decoded.
      class_names: of the label.
      sample_rate: samples a second.
    """

    modalities: Sequence[Modality]
    class_names: Sequence[str]
    sample_rate: int

    def clips(self, outputs: Mapping[str, np.ndarray], batch: Batch) -> list[Clip]:
        """Returns clips and what was decoded of them, in turn."""
        found = []
        for row in range(min(MAX_CLIPS, len(batch["mask"]))):
            said = self.class_names[int(outputs["label"][row, 0].argmax())]
            label = self.class_names[int(batch["label"][row].argmax())]
            decoded = {name: x[row] for name, x in outputs.items()}
            found += [
                Clip(batch["video"][row], batch["audio"][row], f"clip: {label}"),
                to_clip(self.modalities, decoded, f"decoded: {said}"),
            ]
        return found

    def pictures(
        self, outputs: Mapping[str, np.ndarray], batch: Batch
    ) -> dict[str, np.ndarray]:
        """Returns a picture of the clips, none where there are none."""
        clips = self.clips(outputs, batch)
        return {"clips": draw(clips, self.sample_rate)} if clips else {}

    def sounds(
        self, outputs: Mapping[str, np.ndarray], batch: Batch
    ) -> dict[str, Sound]:
        """Returns the sound of each clip, and what was decoded of it."""
        names = [
            f"{n}_{kind}" for n in range(MAX_CLIPS) for kind in ("clip", "decoded")
        ]
        return {
            name: Sound(clip.audio[:, 0], self.sample_rate)
            for name, clip in zip(names, self.clips(outputs, batch))
        }


def make_show(config: config_dict.ConfigDict, class_names: Sequence[str]) -> Show:
    """Returns what makes pictures and sounds of clips."""
    modalities = input_modalities(config.model, config.data.num_classes)
    rate = config.data.frames_per_second * config.model.samples_per_frame
    return Show(output_modalities(modalities), class_names, rate)
