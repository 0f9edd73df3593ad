"""Pairs of frames, or videos, to optical flow."""

import functools
import itertools
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from ml_collections import config_dict
from PIL import Image

from experiments import drawing as attention_pictures
from experiments.optical_flow import model as flow_model
from experiments.predicting import Apply, Item, Options, Predictor, Record
from perceiver_jax.data.flow import files, pairs, pictures
from perceiver_jax.data.image import decoding
from perceiver_jax.data.video import files as video

OPTIONS = ()
NUM_LATENTS = 5  # with maps in the picture of attention


def make_predictor(config: config_dict.ConfigDict, options: Options) -> Predictor:
    """Builds the predictor of a config of configs/optical_flow.py."""
    del options
    tile = tuple(config.model.image_size)
    whole = config.model.copy_and_resolve_references()
    whole.query_chunk = 0  # attention in a loop can't be looked at
    return Predictor(
        forward=flow_model.make_forward(config.model),
        looked_at=flow_model.make_forward(whole),
        example={"frames": np.zeros((1, 2, *tile, 3), np.float32)},
        suffixes=(*decoding.SUFFIXES, *video.SUFFIXES),
        items=_items,
        predict=functools.partial(_predict, tile=tile),
        attend=functools.partial(
            _attend, tile=tile, grid=flow_model.grid_shape(config.model)
        ),
        describe=_describe,
    )


def _items(paths: Sequence[pathlib.Path], lines: Sequence[bytes]) -> Iterator[Item]:
    """Each image with the next one, then each video by itself."""
    paths = [*paths, *(pathlib.Path(line.decode()) for line in lines)]
    moving = [path for path in paths if path.suffix.lower() in video.SUFFIXES]
    still = [path for path in paths if path not in moving]
    if len(still) == 1:
        raise ValueError(f"Flow is between two frames; only {still[0]} is given.")
    for first, second in itertools.pairwise(still):
        yield Item(f"{first} -> {second}", first.stem, (first, second))
    for path in moving:
        yield Item(str(path), path.stem, path)


def _pairs(item: Item) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Consecutive frames, uint8."""
    if isinstance(item.data, tuple):
        first, second = map(decoding.read_image, item.data)
        if first.shape != second.shape:
            raise ValueError(
                f"{item.name}: frames of {first.shape[:2]} and {second.shape[:2]} "
                "pixels differ in size."
            )
        yield first, second
    else:
        yield from itertools.pairwise(video.read_frames(item.data))


def _predict(
    apply: Apply, item: Item, folder: pathlib.Path | None, *, tile: tuple[int, int]
) -> Record:
    if folder is None:
        raise ValueError("Flow is written to files: say where with --output=FOLDER.")
    paths, lengths = [], []
    for number, pair in enumerate(_pairs(item)):
        pairs.check_size(pair[0].shape[:2], tile, item.name)
        frames = pairs.normalize(np.stack(pair))
        flow = np.asarray(apply({"frames": frames[None]})[0], np.float32)
        name = item.stem if isinstance(item.data, tuple) else f"{item.stem}_{number:06}"
        paths.append(folder / f"{name}.flo")
        files.write_flow(paths[-1], flow)
        length = np.linalg.norm(flow, axis=-1)
        lengths.append((float(length.mean()), float(length.max())))
    if not paths:
        raise ValueError(f"{item.name} has fewer than two frames.")
    mean, largest = np.mean(lengths, 0)[0], np.max(lengths, 0)[1]
    drawn = (_draw(path, largest) for path in paths)
    if isinstance(item.data, tuple):
        picture = folder / f"{item.stem}_flow.png"
        Image.fromarray(next(drawn)).save(picture)
    else:
        picture = folder / f"{item.stem}_flow.mp4"
        video.write(picture, drawn, video.frame_rate(item.data))
    return {
        "input": item.name,
        "flow": [str(path) for path in paths],
        "picture": str(picture),
        "mean_length": float(mean),
        "largest_length": float(largest),
    }


def _draw(path: pathlib.Path, largest: float) -> np.ndarray:
    """Colours of a flow file, with arrows; one scale for all frames of a video."""
    flow, _ = files.read_flow(path)
    return pictures.draw_arrows(pictures.to_colors(flow, largest), flow)


def _attend(
    look: Apply,
    item: Item,
    folder: pathlib.Path,
    *,
    tile: tuple[int, int],
    grid: tuple[int, int],
) -> list[str]:
    """Attention in the first tile of the first pair; drawn is that to the first frame.

    Where frames are apart, the encoder's map has the second frame after the first.
    """
    pair = next(_pairs(item))
    frames = np.stack([frame[: tile[0], : tile[1]] for frame in pair])
    maps = look({"frames": pairs.normalize(frames)[None]})
    encoder = np.asarray(maps[attention_pictures.ENCODER])[0].mean(0)  # [N, M]
    decoder = np.asarray(maps[attention_pictures.DECODER])[0].mean(0)  # [O, N]
    latents = attention_pictures.choose_latents(encoder[None], NUM_LATENTS)
    looked = encoder.reshape(len(encoder), -1, *grid)[latents, 0]
    read = decoder.T.reshape(-1, *grid)[latents]
    figure = attention_pictures.draw_cells(
        frames[0],
        np.concatenate([looked, read]),
        [
            *(f"latent {n} looks at" for n in latents),
            *(f"latent {n} is read by" for n in latents),
        ],
    )
    arrays, picture = (folder / f"{item.stem}_attention{s}" for s in (".npz", ".png"))
    # Of the released model 0.7 GB, which take minutes to compress.
    np.savez(arrays, encoder=encoder.astype("f2"), decoder=decoder.astype("f2"))
    attention_pictures.save(figure, picture)
    return [str(arrays), str(picture)]


def _describe(record: Record) -> str:
    return (
        f"{record['input']}: mean length {record['mean_length']:.2f} pixels, largest "
        f"{record['largest_length']:.2f}; {record['picture']}"
    )
