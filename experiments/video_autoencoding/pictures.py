"""Clips beside what was decoded of them, to look at and to listen to."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np
from ml_collections import config_dict

from experiments.clip_pictures import Clip, draw
from experiments.video_autoencoding.model import input_modalities, output_modalities
from experiments.video_autoencoding.outputs import to_frames
from perceiver_jax.engine.task import Batch, Sound
from perceiver_jax.model.adapters.modalities import Modality

MAX_CLIPS = 3  # in a picture


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
