"""Clips of labelled files: at random to train on, evenly spaced to evaluate on."""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from perceiver_jax.data.sources import Example
from perceiver_jax.data.video import clips
from perceiver_jax.data.video.container import STREAMS
from perceiver_jax.data.video.lists import Listing, Segment


@dataclasses.dataclass(frozen=True)
class ClipFiles:
    """A source of files that clips are to be read from; it reads none itself.

    An example is `{"segment": Segment, "clip": its number among the "clips" of the
    segment, "clips": int, "index": int, "label": (class id, ...), "name": str}`.

    Attributes:
      listing: the files and their labels.
      clips: of each segment; its examples follow each other.
    """

    listing: Listing
    clips: int = 1

    @property
    def class_names(self) -> list[str]:
        """The name of every class id."""
        return list(self.listing.class_names)

    def __len__(self) -> int:
        """The number of clips."""
        return len(self.listing.segments) * self.clips

    def __getitem__(self, index: int) -> Example:
        """What to read at `index`."""
        index = range(len(self))[index]
        place, clip = divmod(index, self.clips)
        segment = self.listing.segments[place]
        return {
            "segment": segment,
            "clip": clip,
            "clips": self.clips,
            "index": index,
            "label": segment.label,
            "name": self.name(index),
        }

    def name(self, index: int) -> str:
        """The file of a clip, and where it is."""
        place, clip = divmod(index, self.clips)
        segment = self.listing.segments[place]
        part = f", from {segment.start:g} s on" if segment.end is not None else ""
        number = f", clip {clip + 1} of {self.clips}" if self.clips > 1 else ""
        return f"{segment.path}{part}{number}"


@dataclasses.dataclass(frozen=True)
class ClipReader:
    """Reads the clips of ClipFiles.

    A clip is within its segment; one that is longer begins where the segment does.

    Attributes:
      num_frames: of a clip.
      size: of frames, see clips.read_clip.
      frame_rate: frames a second.
      sample_rate: samples a second.
      pad: see clips.read_clip.
      streams: see clips.read_clip.
    """

    num_frames: int
    size: tuple[int, int] | int | None = None
    frame_rate: int = clips.FRAME_RATE
    sample_rate: int = clips.SAMPLE_RATE
    pad: bool = False
    streams: Sequence[str] = tuple(STREAMS)

    def random(self, example: Example, rng: np.random.Generator) -> Example:
        """Reads a clip that begins at a random frame.

        Args:
          example: of ClipFiles.
          rng: decides where it begins.

        Returns:
          "video", "audio", "num_frames", "num_samples" of clips.read_clip, "label" and
          "name".

        Raises:
          CorruptExample: the file is damaged, or shorter than a clip.
          FileNotFoundError: it is gone.
        """
        return self._read(example, int(rng.integers(self._room(example) + 1)))

    def spaced(self, example: Example) -> Example:
        """Reads one of some clips, that are spaced evenly from the start to the end.

        Where there is one, it is that in the middle. Clips overlap where there are
        many. Arguments, results and errors are those of `random`.
        """
        clip, others = example["clip"], example["clips"] - 1
        share = clip / others if others else 0.5
        return self._read(example, round(share * self._room(example)))

    def _room(self, example: Example) -> int:
        """Returns how many frames later than the segment a clip can begin."""
        segment: Segment = example["segment"]
        end = clips.probe(segment.path, self.streams).duration
        if segment.end is not None:
            end = min(end, segment.end)
        # Seconds are rounded in files and lists, by up to a millisecond.
        frames = math.floor((end - segment.start + 1e-3) * self.frame_rate)
        return max(frames - self.num_frames, 0)

    def _read(self, example: Example, frame: int) -> Example:
        segment: Segment = example["segment"]
        clip = clips.read_clip(
            segment.path,
            segment.start + frame / self.frame_rate,
            self.num_frames,
            self.size,
            self.frame_rate,
            self.sample_rate,
            self.pad,
            self.streams,
        )
        return {**clip, "label": example["label"], "name": example["name"]}
