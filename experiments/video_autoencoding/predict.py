"""Files of video or sound, through the latents and back."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import scipy.special
from ml_collections import config_dict
from PIL import Image

from experiments import drawing, predicting
from experiments.predicting import Apply, Folder, Item, Record
from experiments.video_autoencoding import attention
from experiments.video_autoencoding.data import clip_reader, make_to_arrays
from experiments.video_autoencoding.model import LABEL
from experiments.video_autoencoding.outputs import psnr, to_floats
from experiments.video_autoencoding.pictures import Clip, Show, draw, make_show, to_clip
from perceiver_jax.data.audio import files as sound_files
from perceiver_jax.data.sources import Example
from perceiver_jax.data.video import clips
from perceiver_jax.data.video import files as video_files

TOP = 5  # classes told
_SHOWN = 3  # clips in a picture


@dataclasses.dataclass(frozen=True)
class Predictor(predicting.Predictor):
    """Writes what comes of a file: a video with sound, a picture, likely labels."""

    start: float = predicting.flag(0.0, "Second of the file to begin at.", at_least=0)
    clips: int = predicting.flag(
        1, "Clips to take, one after the other; 0: to the end of the file.", at_least=0
    )
    pad: bool = predicting.flag(
        False, "Take a file that is shorter than a clip, what is missing not seen."
    )
    suffixes = (*video_files.SUFFIXES, *sound_files.SUFFIXES)
    needs_folder = True

    @property
    def config_to_look_at(self) -> config_dict.ConfigDict:
        """See the base class."""
        return attention.looked_at(self.config)

    @property
    def show(self) -> Show:
        """What knows how clips look and sound."""
        names = self.identity.class_names.get(LABEL)
        count = self.config.data.num_classes
        return make_show(self.config, names or [f"class {n}" for n in range(count)])

    def items(
        self, paths: Sequence[pathlib.Path], lines: Sequence[bytes]
    ) -> Iterator[Item]:
        """See the base class."""
        return predicting.path_items(paths, lines)

    def predict(self, apply: Apply, item: Item, folder: Folder | None) -> Record:
        """See the base class; a modality that the file lacks is made up."""
        if folder is None:
            raise ValueError("Clips are written to files: say where with --output=DIR.")
        found = [self._decode(apply, clip) for clip in self._clips(item.data)]
        record: Record = {"input": item.name, "start": self.start, "clips": len(found)}
        for name in ("video", "audio"):
            known = [float(psnr(x.errors[name])) for x in found if name in x.errors]
            record[f"{name}_psnr"] = float(np.mean(known)) if known else None
        record["top"] = self._top(np.mean([x.logits for x in found], axis=0))
        names = {
            "clip": f"{item.stem}_clip.mp4",
            "decoded": f"{item.stem}_decoded.mp4",
            "sound": f"{item.stem}_decoded.wav",
            "picture": f"{item.stem}_decoded.png",
        }
        paths = {kind: folder.file(name) for kind, name in names.items()}
        self._write(paths, found)
        return {**record, **{kind: str(path) for kind, path in paths.items()}}

    def attend(self, look: Apply, item: Item, folder: Folder) -> list[str]:
        """See the base class; of the first clip."""
        batch = self._batch(next(self._clips(item.data)))
        arrays, picture = (
            folder.file(f"{item.stem}_attention{suffix}") for suffix in (".npz", ".png")
        )
        maps = attention.by_modality(
            self.config, look(attention.without_outputs(batch))
        )
        np.savez(arrays, allow_pickle=False, **maps)
        figure = attention.draw(batch["video"][0], batch["audio"][0], maps)
        drawing.save(figure, picture)
        return [str(arrays), str(picture)]

    def describe(self, record: Record) -> str:
        """See the base class."""
        told = [
            f"{name} {record[f'{name}_psnr']:.1f} dB"
            for name in ("video", "audio")
            if record[f"{name}_psnr"] is not None
        ]
        best = record["top"][0]
        return (
            f"{record['input']}: {', '.join(told)}; {best['label']} "
            f"{best['probability']:.0%}; {record['decoded']}, {record['picture']}"
        )

    def _clips(self, path: pathlib.Path) -> Iterator[Example]:
        """Yields the clips to take.

        Raises:
          CorruptExample: the file is damaged, or shorter than a clip.
          ValueError: it ends before `start`.
        """
        reader = clip_reader(self.config)
        length = reader.num_frames / reader.frame_rate
        duration = clips.probe(path).duration
        if self.start >= duration:
            raise ValueError(
                f"{path} is {duration:.2f} s long: it ends before --start="
                f"{self.start:g}."
            )
        # Seconds are rounded in files, by up to a millisecond.
        whole = max(1, int((duration - self.start + 1e-3) / length))
        for number in range(min(self.clips, whole) if self.clips else whole):
            yield clips.read_clip(
                path,
                self.start + number * length,
                reader.num_frames,
                reader.size,
                reader.frame_rate,
                reader.sample_rate,
                self.pad,
            )

    def _batch(self, clip: Example) -> dict[str, np.ndarray]:
        arrays = make_to_arrays(self.config)({**clip, "label": ()})
        return {name: np.asarray(x)[None] for name, x in arrays.items()}

    def _decode(self, apply: Apply, clip: Example) -> "_Decoded":
        batch = self._batch(clip)
        outputs = {name: np.asarray(x[0]) for name, x in apply(batch).items()}
        decoded = to_clip(self.show.modalities, outputs, "decoded")
        given = Clip(batch["video"][0], batch["audio"][0], "clip")
        errors = {}
        for name, there, here in (
            ("video", given.video, decoded.video),
            ("audio", given.audio, decoded.audio),
        ):
            if count := int(batch[f"{name}_known"][0]):
                error = to_floats(here[:count]) - to_floats(there[:count])
                errors[name] = float(jnp.square(error).mean())
        return _Decoded(given, decoded, outputs[LABEL][0], errors)

    def _top(self, logits: np.ndarray) -> list[dict[str, object]]:
        scores = scipy.special.softmax(logits.astype(np.float64))
        return [
            {
                "class": int(i),
                "label": self.show.class_names[i],
                "probability": float(scores[i]),
            }
            for i in np.argsort(-scores, kind="stable")[:TOP]
        ]

    def _write(
        self, paths: dict[str, pathlib.Path], found: Sequence["_Decoded"]
    ) -> None:
        reader = clip_reader(self.config)
        for kind in ("clip", "decoded"):
            parts = [getattr(x, kind) for x in found]
            video_files.write(
                paths[kind],
                (frame for part in parts for frame in part.video),
                Fraction(reader.frame_rate),
                np.concatenate([part.audio for part in parts]),
                reader.sample_rate,
            )
        sound = np.concatenate([x.decoded.audio for x in found])
        sound_files.write_wav(paths["sound"], sound, reader.sample_rate)
        rows = [row for x in found[:_SHOWN] for row in (x.clip, x.decoded)]
        Image.fromarray(draw(rows, reader.sample_rate)).save(paths["picture"])


@dataclasses.dataclass(frozen=True)
class _Decoded:
    """What came of a clip.

    Attributes:
      clip: as the model sees it.
      decoded: what it makes of it.
      logits: of the label.
      errors: mean square errors of the modalities that the clip has.
    """

    clip: Clip
    decoded: Clip
    logits: np.ndarray
    errors: dict[str, float]
