r"""Writes a model's flow of a test set as the server of Sintel or of KITTI takes it.

    python -m experiments.optical_flow.submission --workdir=DIR \
        --dataset=sintel_clean_test --out=submission --config.data.dir=DATASETS

Sintel's bundler takes submission/clean and submission/final, one call each; for KITTI,
pack the images into a zip archive. protocol_DATASET.json beside them says how they were
made.
"""

import json
import pathlib
from collections.abc import Sequence

import jax
import numpy as np
from absl import flags

from experiments import build, restore
from experiments.optical_flow.task import protocol
from perceiver_jax.data.flow import datasets, files, pairs
from perceiver_jax.engine.forward import make_forward, parse_policy

_DATASET = flags.DEFINE_enum(
    "dataset",
    None,
    datasets.TEST_SETS,
    "What to predict.",
    required=True,
)
_OUT = flags.DEFINE_string("out", None, "Folder to write files in.", required=True)


def submission_path(dataset: str, first: pathlib.Path) -> pathlib.Path:
    """Returns where a server looks for the flow that starts in a frame."""
    if dataset.startswith("sintel"):
        rendering, scene = first.parts[-3:-1]
        return pathlib.Path(rendering, scene, f"{first.stem}.flo")
    return pathlib.Path("flow" if dataset == "kitti_2015_test" else "", first.name)


def main(restored: restore.Restored, _: Sequence[str] = ()) -> None:
    config = restored.config
    if config.task != "optical_flow":
        raise ValueError(f"{restored.folder} is of task '{config.task}', not of flow.")
    source = datasets.open_dataset(_DATASET.value, config.data.dir)
    source.check_sizes(tuple(config.model.image_size))
    model = build.make_model(config)
    forward = make_forward(model.forward, parse_policy(config.precision))

    @jax.jit
    def predict(variables, frames):
        return forward.apply(*variables, None, {"frames": frames}, False)[0][0]

    variables = restored.whole_variables
    out = pathlib.Path(_OUT.value)
    for index, paths in enumerate(source.pairs):
        frames = pairs.normalize(source[index]["frames"])
        flow = np.asarray(predict(variables, frames[None]), np.float32)
        path = out / submission_path(_DATASET.value, paths.first)
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_flow(path, flow)
    about = {
        "checkpoint": str(restored.folder),
        "dataset": _DATASET.value,
        "pairs": len(source),
        "protocol": protocol(config.model.image_size),
    }
    path = out / f"protocol_{_DATASET.value}.json"
    path.write_text(json.dumps(about, indent=2) + "\n")
    print(f"{len(source)} pairs: {out}")


if __name__ == "__main__":
    restore.run(main)
