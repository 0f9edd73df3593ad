"""Files of video or sound: what is seen and heard in them."""

import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
import scipy.special
from PIL import Image

from experiments import clip_attention, drawing, predicting
from experiments.audioset.data import clip_reader, make_to_arrays
from experiments.audioset.model import input_modalities
from experiments.audioset.pictures import Show, make_show, senses
from experiments.audioset.task import CLASSES
from experiments.clip_pictures import draw
from experiments.predicting import Apply, Folder, Item, Record
from perceiver_jax.data.audio import files as sound_files
from perceiver_jax.data.sources import CorruptExample, Example
from perceiver_jax.data.video import clips
from perceiver_jax.data.video import files as video_files
from perceiver_jax.data.video.lists import Listing, Segment
from perceiver_jax.data.video.sampling import ClipFiles, ClipReader


@dataclasses.dataclass(frozen=True)
class Predictor(predicting.Predictor):
    """Tells the likeliest classes of files, the mean of some clips of each."""

    top: int = predicting.flag(5, "Answers to tell.", at_least=1)
    clips: int = predicting.flag(
        0, "Clips of a file, evenly spaced; 0: as many as in evaluation.", at_least=0
    )
    start: float = predicting.flag(0.0, "Second of the file to begin at.", at_least=0)
    end: float = predicting.flag(
        0.0, "Second of the file to end at; 0: the end of the file.", at_least=0
    )
    pad: bool = predicting.flag(
        False,
        "Take a file that is shorter than a clip, what is missing not attended to.",
    )
    suffixes = (*video_files.SUFFIXES, *sound_files.SUFFIXES)

    @functools.cached_property
    def show(self) -> Show:
        """What knows how clips look."""
        names = self.identity.class_names.get(CLASSES)
        count = self.config.data.num_classes
        return make_show(self.config, names or [f"class {n}" for n in range(count)])

    @functools.cached_property
    def reader(self) -> ClipReader:
        """What reads clips of the model's size."""
        reader = clip_reader(self.config, tuple(self.config.model.image_size))
        return dataclasses.replace(reader, pad=self.pad)

    def items(
        self, paths: Sequence[pathlib.Path], lines: Sequence[bytes]
    ) -> Iterator[Item]:
        """See the base class."""
        return predicting.path_items(paths, lines)

    def predict(self, apply: Apply, item: Item, folder: Folder | None) -> Record:
        """See the base class; the file is the clips beside their likely classes."""
        found, shown = [], []
        for clip in self._clips(item.data):
            batch = self._batch(clip)
            logits = np.asarray(apply(batch)[0], np.float64)
            found.append(scipy.special.expit(logits))
            row = {name: x[0] for name, x in batch.items()}
            shown.append(self.show.clip(row, found[-1])._replace(title=clip["name"]))
        mean = np.mean(found, axis=0)
        order = np.argsort(-mean, kind="stable")[: self.top]
        names = self.show.class_names
        record: Record = {
            "input": item.name,
            "clips": len(found),
            "top": [
                {"class": int(i), "label": names[i], "probability": float(mean[i])}
                for i in order
            ],
        }
        if folder is not None:
            path = folder.file(f"{item.stem}.png")
            Image.fromarray(draw(shown, self.show.sample_rate)).save(path)
            record["picture"] = str(path)
        return record

    def attend(self, look: Apply, item: Item, folder: Folder) -> list[str]:
        """See the base class; of the clip in the middle."""
        clips = list(self._clips(item.data))
        batch = self._batch(clips[len(clips) // 2])
        arrays, picture = (
            folder.file(f"{item.stem}_attention{suffix}") for suffix in (".npz", ".png")
        )
        model = self.config.model
        encoder = np.asarray(look(batch)[drawing.ENCODER])[0]
        maps = clip_attention.by_modality(input_modalities(model), encoder)
        np.savez(arrays, allow_pickle=False, **maps)
        row = {name: x[0] for name, x in batch.items()}
        there = senses(row, model.inputs, model.mel_bins)
        drawing.save(clip_attention.draw(there, maps), picture)
        return [str(arrays), str(picture)]

    def describe(self, record: Record) -> str:
        """See the base class."""
        lines = [record["input"]]
        for answer in record["top"]:
            lines.append(f"  {answer['probability']:6.1%}  {answer['label']}")
        return "\n".join(lines)

    def _clips(self, path: pathlib.Path) -> Iterator[Example]:
        """Yields the clips to take.

        Raises:
          CorruptExample: the file is damaged, shorter than a clip, or has nothing that
            the model reads.
          ValueError: it ends before `start`, or is to end before it starts.
        """
        duration = clips.probe(path, self.reader.streams).duration
        end = min(self.end or duration, duration)
        if self.start >= end:
            raise ValueError(
                f"{path} is {duration:.2f} s long: nothing of it is between "
                f"--start={self.start:g} and --end={end:g}."
            )
        segment = Segment(str(path), (), self.start, end)
        count = self.clips or self.config.data.eval_clips
        source = ClipFiles(Listing([segment], ()), count)
        for number in range(len(source)):
            clip = self.reader.spaced(source[number])
            if not clip["num_frames"] and not clip["num_samples"]:
                raise CorruptExample(f"{path} has nothing that the model reads.")
            yield {**clip, "name": f"{path.name}, clip {number + 1}"}

    def _batch(self, clip: Example) -> dict[str, np.ndarray]:
        arrays = make_to_arrays(self.config)(clip)
        return {name: np.asarray(x)[None] for name, x in arrays.items()}
