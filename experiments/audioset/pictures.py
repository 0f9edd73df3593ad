"""Clips beside what a model says of them, to look at and to listen to."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import scipy.special
from ml_collections import config_dict

from experiments import clip_attention
from experiments.clip_pictures import Answer, Clip, draw
from perceiver_jax.engine.task import Batch, Sound

MAX_CLIPS = 6  # in a picture
TOP = 5  # classes told of a clip


@dataclasses.dataclass(frozen=True)
class Show:
    """Makes pictures and sounds of the clips of an evaluation.

    Attributes:
      class_names: the name of every class.
      sample_rate: samples a second.
    """

    class_names: Sequence[str]
    sample_rate: int

    def clips(self, logits: np.ndarray, batch: Batch) -> list[Clip]:
        """Returns the first clip of each of some files."""
        first = np.sort(np.unique(batch["file"], return_index=True)[1])[:MAX_CLIPS]
        return [
            self.clip(
                {name: x[row] for name, x in batch.items()},
                scipy.special.expit(np.asarray(logits[row], np.float64)),
            )
            for row in first
        ]

    def clip(self, arrays: Mapping[str, np.ndarray], probabilities: np.ndarray) -> Clip:
        """Returns a clip of the arrays of one row of a batch."""
        right = np.flatnonzero(arrays["labels"]).tolist()
        named = ", ".join(self.class_names[i] for i in right)
        return Clip(
            _known(arrays, "video", (0, 1, 1, 3)),
            _known(arrays, "audio", (0, 1)),
            named or "no labels",
            [
                Answer(self.class_names[i], float(probabilities[i]), i in right)
                for i in best(probabilities)
            ],
        )

    def pictures(self, logits: np.ndarray, batch: Batch) -> dict[str, np.ndarray]:
        """Returns a picture of the clips, none where there are none."""
        clips = self.clips(logits, batch)
        return {"clips": draw(clips, self.sample_rate)} if clips else {}

    def sounds(self, logits: np.ndarray, batch: Batch) -> dict[str, Sound]:
        """Returns the sounds of clips that have some."""
        return {
            f"clip_{number}": Sound(clip.audio[:, 0], self.sample_rate)
            for number, clip in enumerate(self.clips(logits, batch))
            if len(clip.audio)
        }


def make_show(config: config_dict.ConfigDict, class_names: Sequence[str]) -> Show:
    """Returns what makes pictures and sounds of clips."""
    rate = config.data.frames_per_second * config.model.samples_per_frame
    return Show(class_names, rate)


def best(probabilities: np.ndarray) -> list[int]:
    """Returns the numbers of the likeliest classes, the likeliest first."""
    return np.argsort(-probabilities, kind="stable")[:TOP].tolist()


def senses(
    arrays: Mapping[str, np.ndarray], inputs: Sequence[str], bins: int
) -> dict[str, clip_attention.Sense]:
    """Returns what one clip has of each input, to draw attention over.

    Args:
      arrays: one row of a batch.
      inputs: of the model.
      bins: of a spectrogram.
    """
    makers: dict[str, Callable[[np.ndarray], clip_attention.Sense]] = {
        "video": clip_attention.Frames,
        "audio": clip_attention.Wave,
        "mel": lambda x: clip_attention.Spectrum(x.reshape(-1, bins)),
    }
    return {
        name: makers[name](arrays[name])
        for name in inputs
        if int(arrays[f"{name}_known"])
    }


def _known(
    arrays: Mapping[str, np.ndarray], name: str, empty: tuple[int, ...]
) -> np.ndarray:
    """Returns the frames or samples of a clip, without what was filled up."""
    if name not in arrays:
        return np.zeros(empty, np.uint8)
    return np.asarray(arrays[name])[: int(arrays[f"{name}_known"])]
