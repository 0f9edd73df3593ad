"""Pairs of frames, or videos, to optical flow."""

import dataclasses
import itertools
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from ml_collections import config_dict
from PIL import Image

from experiments import drawing, predicting
from experiments.optical_flow import model as flow_model
from experiments.predicting import Apply, Folder, Item, Record
from perceiver_jax.data.flow import files, pairs, pictures
from perceiver_jax.data.image import decoding
from perceiver_jax.data.video import files as video

NUM_LATENTS = 5  # with maps in the picture of attention

Pair = tuple[np.ndarray, np.ndarray]  # frames, [H, W, 3] uint8


@dataclasses.dataclass(frozen=True)
class Predictor(predicting.Predictor):
    """Writes the flow from each image to the next one, and of videos."""

    suffixes = (*decoding.SUFFIXES, *video.SUFFIXES)
    needs_folder = True

    @property
    def config_to_look_at(self) -> config_dict.ConfigDict:
        """See the base class."""
        config = self.config.copy_and_resolve_references()
        config.model.query_chunk = 0
        return config

    def items(
        self, paths: Sequence[pathlib.Path], lines: Sequence[bytes]
    ) -> Iterator[Item]:
        """See the base class: images with the next one each, then videos."""
        paths = [item.data for item in predicting.path_items(paths, lines)]
        moving = [path for path in paths if path.suffix.lower() in video.SUFFIXES]
        still = [path for path in paths if path not in moving]
        if len(still) == 1:
            yield Item(str(still[0]), still[0].stem, (still[0],))
        for first, second in itertools.pairwise(still):
            yield Item(f"{first} -> {second}", first.stem, (first, second))
        for path in moving:
            yield Item(str(path), path.stem, path)

    def predict(self, apply: Apply, item: Item, folder: Folder | None) -> Record:
        """See the base class; the files are each pair's flow, and one picture."""
        if folder is None:
            raise ValueError("Flow is written to files: say where with --output=DIR.")
        moves = _is_video(item)
        picture = folder.file(f"{item.stem}_flow{'.mp4' if moves else '.png'}")
        paths, lengths = [], []
        for number, pair in enumerate(_pairs(item)):
            flow = self._flow(apply, pair, item.name)
            name = f"{item.stem}_{number:06}" if moves else item.stem
            paths.append(folder.file(f"{name}.flo"))
            files.write_flow(paths[-1], flow)
            length = np.linalg.norm(flow, axis=-1)
            lengths.append((float(length.mean()), float(length.max())))
        if not paths:
            raise ValueError(f"{item.name} has fewer than two frames.")
        mean, largest = np.mean(lengths, 0)[0], np.max(lengths, 0)[1]
        drawn = (_draw(path, largest) for path in paths)
        if moves:
            video.write(picture, drawn, video.frame_rate(item.data))
        else:
            Image.fromarray(next(drawn)).save(picture)
        return {
            "input": item.name,
            "flow": [str(path) for path in paths],
            "picture": str(picture),
            "mean_length": float(mean),
            "largest_length": float(largest),
        }

    def _flow(self, apply: Apply, pair: Pair, name: str) -> np.ndarray:
        """Returns the flow [H, W, 2] of a pair; `name` is for errors."""
        pairs.check_size(pair[0].shape[:2], tuple(self.config.model.image_size), name)
        frames = pairs.normalize(np.stack(pair))
        return np.asarray(apply({"frames": frames[None]})[0], np.float32)

    def attend(self, look: Apply, item: Item, folder: Folder) -> list[str]:
        """See the base class; of the first tile of the first pair.

        The picture shows attention to the first frame. In the arrays, where frames are
        inputs of their own, the encoder's has the second frame after the first.
        """
        height, width = self.config.model.image_size
        frames = np.stack([x[:height, :width] for x in next(iter(_pairs(item)))])
        maps = look({"frames": pairs.normalize(frames)[None]})
        encoder = np.asarray(maps[drawing.ENCODER])[0].mean(0)  # [N, M]
        decoder = np.asarray(maps[drawing.DECODER])[0].mean(0)  # [O, N]
        latents = drawing.choose_latents(encoder[None], NUM_LATENTS)
        grid = flow_model.grid_shape(self.config.model)
        looked = encoder.reshape(len(encoder), -1, *grid)[latents, 0]
        read = decoder.T.reshape(-1, *grid)[latents]
        figure = drawing.draw_cells(
            frames[0],
            np.concatenate([looked, read]),
            [
                *(f"latent {n} looks at" for n in latents),
                *(f"latent {n} is read by" for n in latents),
            ],
        )
        arrays, picture = (
            folder.file(f"{item.stem}_attention{suffix}") for suffix in (".npz", ".png")
        )
        # Of the released model 0.7 GB, which take minutes to compress.
        np.savez(arrays, encoder=encoder.astype("f2"), decoder=decoder.astype("f2"))
        drawing.save(figure, picture)
        return [str(arrays), str(picture)]

    def describe(self, record: Record) -> str:
        """See the base class."""
        return (
            f"{record['input']}: mean length {record['mean_length']:.2f} pixels, "
            f"largest {record['largest_length']:.2f}; {record['picture']}"
        )


def _is_video(item: Item) -> bool:
    return isinstance(item.data, pathlib.Path)


def _pairs(item: Item) -> Iterator[Pair]:
    """Yields consecutive frames.

    Raises:
      ValueError: one can't be decoded, there is only one, or sizes differ.
    """
    if _is_video(item):
        yield from itertools.pairwise(video.read_frames(item.data))
        return
    if len(item.data) == 1:
        raise ValueError(f"Flow is between two frames; only {item.name} is given.")
    first, second = (decoding.read_image(path) for path in item.data)
    if first.shape != second.shape:
        raise ValueError(
            f"{item.name}: frames of {first.shape[:2]} and {second.shape[:2]} pixels "
            "differ in size."
        )
    yield first, second


def _draw(path: pathlib.Path, largest: float) -> np.ndarray:
    """Colours of a flow file, with arrows; one scale for all frames of a video."""
    flow, _ = files.read_flow(path)
    return pictures.draw_arrows(pictures.to_colors(flow, largest), flow)
