r"""An autoencoder of clips beside two that are not learned, or are linear.

    python -m experiments.video_autoencoding.baselines --workdir=/tmp/av

Prints PSNR of video and of sound, in decibels, on the held-out clips:

mean frame  each clip's own mean frame, for all of its frames, and silence
PCA         the linear autoencoder with as many coded values as the model's latents
            have, fitted to --fitted clips of those that are trained on
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from absl import flags
from ml_collections import config_dict

from experiments import restore
from experiments.video_autoencoding.model import coded_values
from experiments.video_autoencoding.outputs import psnr
from perceiver_jax import extras
from perceiver_jax.engine import evaluation
from perceiver_jax.engine.task import Batch, Task

sklearn = extras.Library("sklearn", "decomposition", extra="scores")

_FITTED = flags.DEFINE_integer("fitted", 6000, "Clips to fit PCA to.", lower_bound=2)


class Rows(NamedTuple):
    """Clips as rows of numbers.

    Attributes:
      video: [clips, T, H, W, 3] from 0 to 1.
      audio: [clips, samples] from -1 to 1.
    """

    video: np.ndarray
    audio: np.ndarray

    def flat(self) -> np.ndarray:
        """Returns [clips, all numbers of a clip]."""
        return np.concatenate([self.video.reshape(len(self.video), -1), self.audio], 1)

    def split(self, flat: np.ndarray) -> "Rows":
        """The inverse of `flat`, for as many clips as these."""
        video, audio = np.split(flat, [self.video[0].size], axis=1)
        return Rows(video.reshape(self.video.shape), audio)


def to_rows(batches: Iterable[Batch], count: int | None = None) -> Rows:
    """Returns the clips of batches, or the first ones, that have video and sound."""
    videos, sounds = [], []
    for batch in batches:
        shape = batch["video"].shape[1], batch["audio"].shape[1]
        whole = batch["mask"] * (batch["video_known"] == shape[0])
        whole = np.flatnonzero(whole * (batch["audio_known"] == shape[1]))
        videos += list(batch["video"][whole])
        sounds += list(batch["audio"][whole, :, 0])
        if count is not None and len(videos) >= count:
            break
    video = np.stack(videos[:count]).astype(np.float32) / 255
    return Rows(video, np.stack(sounds[:count]).astype(np.float32))


def mean_frame(clips: Rows) -> Rows:
    """Returns each clip's mean frame as all its frames, and silence."""
    mean = np.broadcast_to(clips.video.mean(1, keepdims=True), clips.video.shape)
    return Rows(mean, np.zeros_like(clips.audio))


def pca(fitted: Rows, clips: Rows, values: int) -> Rows:
    """Returns what is left of clips in so many principal components of others."""
    found = sklearn.decomposition.PCA(values, svd_solver="randomized", random_state=0)
    found.fit(fitted.flat())
    return clips.split(found.inverse_transform(found.transform(clips.flat())))


def quality(decoded: Rows, clips: Rows) -> dict[str, float]:
    """Returns PSNR in decibels, as outputs.Measure: of each clip, then the mean."""
    return {
        name: float(np.mean(psnr(np.square(a - b).reshape(len(a), -1).mean(1))))
        for name, a, b in zip(Rows._fields, decoded, clips)
    }


def rows_of(task: Task, config: config_dict.ConfigDict, fitted: int) -> dict[str, dict]:
    """Returns what the two come to on a task's held-out clips."""
    test = to_rows(task.evaluations["test"].batches())
    train = to_rows(task.train.batches(0, 1), fitted)
    values = coded_values(config.model)
    if values > min(fitted, train.flat().shape[1]):
        raise ValueError(
            f"PCA of {values} values, as the latents have, needs more than "
            f"--fitted={fitted} clips, and clips of more values."
        )
    return {
        "mean frame": quality(mean_frame(test), test),
        f"PCA, {values} values": quality(pca(train, test, values), test),
    }


def main(restored: restore.Restored, _: Sequence[str] = ()) -> None:
    config = restored.config
    if config.task != "video_autoencoding":
        raise ValueError(
            f"{restored.folder} is of task '{config.task}', not of video autoencoding."
        )
    task, forward = restored.make_task()
    found = evaluation.Evaluator(task, forward, restored.parallel)(restored.variables)
    rows = rows_of(task, config, _FITTED.value)
    rows["this model"] = {
        name: found.metrics[f"test/{name}_psnr"] for name in Rows._fields
    }
    print(f"{'':24}{'video':>8}{'audio':>8}  PSNR, dB")
    for title, row in rows.items():
        print(f"{title:24}{row['video']:8.2f}{row['audio']:8.2f}")
    chance = 1 / config.data.num_classes
    top1 = found.metrics["test/label_top1"]
    print(f"label, hidden: {top1:.1%} right, by chance {chance:.1%}")


if __name__ == "__main__":
    restore.run(main)
