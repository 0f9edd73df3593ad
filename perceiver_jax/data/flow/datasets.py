"""Datasets of optical flow as they are distributed, unpacked into one folder each."""

import pathlib
from collections.abc import Callable

from perceiver_jax.data.flow.pair_files import PairFiles, Paths, pair_folder


def flying_chairs(root: pathlib.Path, validation: bool = False) -> PairFiles:
    """Returns FlyingChairs (Dosovitskiy et al. 2015), by its official split.

    Raises:
      FileNotFoundError: a file, or the split, is missing.
      ValueError: the split is damaged, or of fewer pairs than there are.
    """
    split, data = root / "FlyingChairs_train_val.txt", root / "data"
    if not split.is_file():
        raise FileNotFoundError(
            f"{split} is missing; it is a file of its own beside the dataset: "
            "https://lmb.informatik.uni-freiburg.de/resources/datasets/FlyingChairs/"
            "FlyingChairs_train_val.txt"
        )
    kinds = split.read_text(errors="replace").split()
    for n, kind in enumerate(kinds, 1):
        if kind not in ("1", "2"):
            raise ValueError(
                f"{split} says {kind!r} of pair {n}, not 1 (to train on) or 2 (to "
                "validate on); download it again."
            )
    count = len(list(data.glob("*_flow.flo")))
    if count > len(kinds):
        raise ValueError(f"{split} is of {len(kinds)} pairs, but {data} has {count}.")
    wanted = "2" if validation else "1"
    pairs = [
        Paths(*(data / f"{n:05}_{end}" for end in ("img1.ppm", "img2.ppm", "flow.flo")))
        for n, kind in enumerate(kinds, 1)
        if kind == wanted
    ]
    return PairFiles(pairs, root, "data/00001_img1.ppm, ...")


def flying_things(root: pathlib.Path, rendering: str) -> PairFiles:
    """Returns FlyingThings3D (Mayer et al. 2016): left camera, both ways in time.

    Args:
      root: with the folders frames_cleanpass, frames_finalpass and optical_flow.
      rendering: "clean" or "final".
    """
    pairs = []
    frames = root / f"frames_{rendering}pass" / "TRAIN"
    for folder in sorted(frames.glob("*/*/left")):
        scene = folder.parent.relative_to(frames)
        images = _sequence(folder, "*.png")
        for way, neighbour in (("Future", 1), ("Past", -1)):
            flows = root / "optical_flow" / "TRAIN" / scene / f"into_{way.lower()}"
            ordered = images[::neighbour]
            for first, second in zip(ordered, ordered[1:]):
                flow = flows / "left" / f"OpticalFlowInto{way}_{first.stem}_L.pfm"
                pairs.append(Paths(first, second, flow))
    return PairFiles(
        pairs, root, f"frames_{rendering}pass/TRAIN/A/0000/left/0006.png, ..."
    )


def _sequence(folder: pathlib.Path, pattern: str) -> list[pathlib.Path]:
    """Returns a scene's frames in the order of their numbers; none may be missing."""
    images = sorted(folder.glob(pattern))
    for first, second in zip(images, images[1:]):
        if second != (after := _next_frame(first)):
            raise FileNotFoundError(f"{after} is missing, the frame after {first.name}")
    return images


def _next_frame(path: pathlib.Path) -> pathlib.Path:
    """The name of a frame whose number is one more: x_0009.png to x_0010.png."""
    start = path.stem.rstrip("0123456789")
    number = path.stem.removeprefix(start)
    if not number:
        raise ValueError(f"{path} ends in no number, as frames do; remove it.")
    return path.with_stem(f"{start}{int(number) + 1:0{len(number)}}")


def sintel(root: pathlib.Path, rendering: str, test: bool = False) -> PairFiles:
    """Returns MPI-Sintel (Butler et al. 2012), each frame with the next one.

    Args:
      root: with the folders training and test.
      rendering: "clean" or "final".
      test: the set whose flow is not public.
    """
    split = root / ("test" if test else "training")
    pairs = []
    for folder in sorted((split / rendering).glob("*")):
        images = _sequence(folder, "frame_*.png")
        for first, second in zip(images, images[1:]):
            if test:
                pairs.append(Paths(first, second))
                continue
            flow, occluded, invalid = (
                split / kind / folder.name / f"{first.stem}{suffix}"
                for kind, suffix in (
                    ("flow", ".flo"),
                    ("occlusions", ".png"),
                    ("invalid", ".png"),
                )
            )
            pairs.append(Paths(first, second, flow, occluded, invalid))
    return PairFiles(pairs, root, f"{split.name}/{rendering}/alley_1/frame_0001.png")


def kitti(root: pathlib.Path, year: int, test: bool = False) -> PairFiles:
    """Returns KITTI 2012 (Geiger et al.) or 2015 (Menze & Geiger): sparse flow.

    Args:
      root: with the folders training and testing.
      year: 2012 or 2015.
      test: the set whose flow is not public.
    """
    split = root / ("testing" if test else "training")
    frames = split / {2012: "colored_0", 2015: "image_2"}[year]
    names = {path.name for path in frames.glob("*_10.png")}
    if not test:
        names |= {path.name for path in (split / "flow_occ").glob("*_10.png")}
    pairs = []
    for name in sorted(names):
        first, second = frames / name, _next_frame(frames / name)
        if test:
            pairs.append(Paths(first, second))
            continue
        flow, visible = (split / f"flow_{kind}" / name for kind in ("occ", "noc"))
        pairs.append(Paths(first, second, flow, visible=visible))
    return PairFiles(pairs, root, f"{split.name}/{frames.name}/000000_10.png")


def hd1k(root: pathlib.Path) -> PairFiles:
    """Returns HD1K (Kondermann et al. 2016): sparse flow of its sequences."""
    flows, frames = (
        root / folder for folder in ("hd1k_flow_gt/flow_occ", "hd1k_input/image_2")
    )
    names = sorted({p.name for part in (flows, frames) for p in part.glob("*_*.png")})
    pairs = []
    for name, after in zip(names, names[1:]):
        if name.split("_")[0] == after.split("_")[0]:  # else the last of a sequence
            first = frames / name
            pairs.append(Paths(first, _next_frame(first), flows / name))
    return PairFiles(pairs, root, "hd1k_input/image_2/000000_0000.png, hd1k_flow_gt")


def autoflow(root: pathlib.Path) -> PairFiles:
    """Returns AutoFlow's 40,000 static pairs as released (Sun et al. 2021)."""
    pairs = [
        Paths(folder / "im0.png", folder / "im1.png", folder / "forward.flo")
        for folder in sorted(root.glob("static_40k_png_*_of_4/*"))
        if folder.is_dir()
    ]
    layout = "static_40k_png_1_of_4/table_0_batch_0/im0.png, im1.png, forward.flo"
    return PairFiles(pairs, root, layout)


# Name in a config -> the folder that it lies in, and how it is read.
DATASETS: dict[str, tuple[str, Callable[[pathlib.Path], PairFiles]]] = {
    "autoflow": ("AutoFlow", autoflow),
    "chairs": ("FlyingChairs_release", flying_chairs),
    "chairs_validation": (
        "FlyingChairs_release",
        lambda root: flying_chairs(root, validation=True),
    ),
    "things_clean": ("FlyingThings3D", lambda root: flying_things(root, "clean")),
    "things_final": ("FlyingThings3D", lambda root: flying_things(root, "final")),
    "sintel_clean": ("Sintel", lambda root: sintel(root, "clean")),
    "sintel_final": ("Sintel", lambda root: sintel(root, "final")),
    "sintel_clean_test": ("Sintel", lambda root: sintel(root, "clean", test=True)),
    "sintel_final_test": ("Sintel", lambda root: sintel(root, "final", test=True)),
    "kitti_2012": ("KITTI_2012", lambda root: kitti(root, 2012)),
    "kitti_2015": ("KITTI_2015", lambda root: kitti(root, 2015)),
    "kitti_2012_test": ("KITTI_2012", lambda root: kitti(root, 2012, test=True)),
    "kitti_2015_test": ("KITTI_2015", lambda root: kitti(root, 2015, test=True)),
    "hd1k": ("HD1K", hd1k),
    "pairs_train": ("train", pair_folder),
    "pairs_test": ("test", pair_folder),
}


# Those whose flow is not public: what servers evaluate on.
TEST_SETS = [
    name for name in DATASETS if name.endswith("_test") and name != "pairs_test"
]


def open_dataset(name: str, folder: str | pathlib.Path) -> PairFiles:
    """Returns a dataset of DATASETS, from its own folder in `folder`.

    Raises:
      FileNotFoundError: it, or a file of it, is not there.
      ValueError: its files do not fit each other.
    """
    directory, read = DATASETS[name]
    root = pathlib.Path(folder).expanduser() / directory
    if not root.is_dir():
        raise FileNotFoundError(
            f"{root} is not there: unpack, or link, dataset '{name}' to it, or say "
            "with data.dir in which folder it is."
        )
    return read(root)
