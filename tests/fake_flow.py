"""A few random pairs in the files and folders of the real datasets of optical flow.

Files are written by OpenCV and Pillow, and what was written is returned.
"""

import pathlib
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image


class Pair(NamedTuple):
    """What was written; flow is 0 where it is not valid."""

    frames: np.ndarray
    flow: np.ndarray
    valid: np.ndarray
    occluded: np.ndarray


def make_pair(seed: int, size: tuple[int, int], share_valid: float = 1.0) -> Pair:
    """Random frames and flow; KITTI's format holds it exactly."""
    rng = np.random.default_rng(seed)
    flow = rng.integers(-500, 500, (*size, 2)).astype(np.float32) / 64
    valid = rng.random(size) < share_valid
    frames = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    occluded = valid & (rng.random(size) < 0.3)
    return Pair(frames, np.where(valid[..., None], flow, 0), valid, occluded)


def write_image(path: pathlib.Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def write_flo(path: pathlib.Path, flow: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.writeOpticalFlow(str(path), flow)


def write_kitti(path: pathlib.Path, flow: np.ndarray, valid: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    steps = np.where(valid[..., None], flow * 64 + 2**15, 0)
    pixels = np.dstack([steps, valid]).astype(np.uint16)
    assert cv2.imwrite(str(path), pixels[..., ::-1])


def write_pfm(path: pathlib.Path, flow: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width, _ = flow.shape
    rows = np.dstack([flow, np.zeros(flow.shape[:2])])[::-1].astype("<f4")
    path.write_bytes(b"PF\n%d %d\n-1.0\n" % (width, height) + rows.tobytes())


def chairs(root: pathlib.Path, size=(24, 32)) -> list[Pair]:
    """Three pairs: to train on, to validate on, to train on."""
    pairs = [make_pair(n, size) for n in range(3)]
    for number, pair in enumerate(pairs, 1):
        for frame, pixels in enumerate(pair.frames, 1):
            write_image(root / "data" / f"{number:05}_img{frame}.ppm", pixels)
        write_flo(root / "data" / f"{number:05}_flow.flo", pair.flow)
    (root / "FlyingChairs_train_val.txt").write_text("1\n2\n1\n")
    return pairs


def things(root: pathlib.Path, size=(24, 32)) -> list[np.ndarray]:
    """Three frames of a scene; the flow of each is full of its number, both ways."""
    frames = [make_pair(n, size).frames[0] for n in range(3)]
    for number, pixels in enumerate(frames, 6):
        for rendering in ("clean", "final"):
            folder = root / f"frames_{rendering}pass" / "TRAIN" / "A" / "0000" / "left"
            write_image(folder / f"{number:04}.png", pixels)
        for way, sign in (("Future", 1), ("Past", -1)):
            scene = root / "optical_flow" / "TRAIN" / "A" / "0000"
            folder = scene / f"into_{way.lower()}" / "left"
            flow = np.full((*size, 2), sign * number, np.float32)
            write_pfm(folder / f"OpticalFlowInto{way}_{number:04}_L.pfm", flow)
    return frames


def sintel(root: pathlib.Path, size=(24, 32)) -> list[Pair]:
    """Two scenes of three and of two frames: three pairs; and a test scene."""
    pairs = []
    for scene, count in (("alley_1", 3), ("temple_2", 2)):
        images = [make_pair(len(pairs) + 10 * n, size).frames[0] for n in range(count)]
        for number, pixels in enumerate(images, 1):
            for rendering in ("clean", "final"):
                folder = root / "training" / rendering / scene
                write_image(folder / f"frame_{number:04}.png", pixels)
        for number, frames in enumerate(zip(images, images[1:]), 1):
            pair = make_pair(len(pairs), size, share_valid=0.9)
            pair = pair._replace(frames=np.stack(frames))
            name = f"{scene}/frame_{number:04}"
            write_flo(root / "training" / "flow" / f"{name}.flo", pair.flow)
            for kind, mask in (("occlusions", pair.occluded), ("invalid", ~pair.valid)):
                pixels = 255 * mask.astype(np.uint8)
                write_image(root / "training" / kind / f"{name}.png", pixels)
            pairs.append(pair)
    for rendering in ("clean", "final"):
        for number in (1, 2, 3):
            pixels = make_pair(number, size).frames[0]
            folder = root / "test" / rendering / "cave_3"
            write_image(folder / f"frame_{number:04}.png", pixels)
    return pairs


def kitti(root: pathlib.Path, sizes, frames="image_2") -> list[Pair]:
    """Sparse pairs of the given sizes to train on, and as many to test on."""
    pairs = [make_pair(n, size, share_valid=0.3) for n, size in enumerate(sizes)]
    for number, pair in enumerate(pairs):
        name = f"{number:06}_10.png"
        for split in ("training", "testing"):
            for frame, pixels in zip((10, 11), pair.frames):
                write_image(root / split / frames / f"{number:06}_{frame}.png", pixels)
        write_kitti(root / "training" / "flow_occ" / name, pair.flow, pair.valid)
        seen = pair.valid & ~pair.occluded
        write_kitti(root / "training" / "flow_noc" / name, pair.flow, seen)
    return pairs


def hd1k(root: pathlib.Path, size=(24, 32)) -> list[Pair]:
    """Two sequences of three and of two frames: three pairs."""
    pairs = []
    for sequence, count in enumerate((3, 2)):
        images = [make_pair(len(pairs) + 10 * n, size).frames[0] for n in range(count)]
        for number, pixels in enumerate(images):
            name = f"{sequence:06}_{number:04}.png"
            write_image(root / "hd1k_input" / "image_2" / name, pixels)
            pair = make_pair(len(pairs), size, share_valid=0.3)
            folder = root / "hd1k_flow_gt" / "flow_occ"
            write_kitti(folder / name, pair.flow, pair.valid)
            if number + 1 < count:
                frames = np.stack(images[number : number + 2])
                pairs.append(pair._replace(frames=frames))
    return pairs


def autoflow(root: pathlib.Path, size=(24, 32)) -> list[Pair]:
    """A pair in each of two of the released parts."""
    pairs = [make_pair(n, size) for n in range(2)]
    for number, pair in enumerate(pairs, 1):
        folder = root / f"static_40k_png_{number}_of_4" / f"table_{number}_batch_0"
        for frame, pixels in enumerate(pair.frames):
            write_image(folder / f"im{frame}.png", pixels)
        write_flo(folder / "forward.flo", pair.flow)
    return pairs


def pair_folder(root: pathlib.Path, pairs) -> None:
    """One's own pairs, {frames, flow}, in the folders and names that we ask for."""
    for number, pair in enumerate(pairs):
        folder = root / f"clip{number % 2}"
        for frame, pixels in enumerate(pair["frames"], 1):
            write_image(folder / f"{number}_img{frame}.png", pixels)
        write_flo(folder / f"{number}_flow.flo", pair["flow"])
