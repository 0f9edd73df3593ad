"""The released models at full size on this machine: from a file to an output.

    python -m benchmarks.released

For each released list of parameters a pickle with exactly those names and shapes is
made (random numbers: the real ones can't be told from them by size), converted by
scripts.convert_pretrained, and run on one input of the size it was trained for, each
in a process of its own. Printed: seconds to convert, to load, to trace and compile, and
a run (median), and the peak memory of the converting and of the running process.
"""

import json
import os
import pathlib
import pickle
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import haiku as hk
import jax
import numpy as np
from absl import flags

from benchmarks import figures
from experiments import build, program, released, restore
from perceiver_jax.engine.forward import make_forward, parse_policy

_REPEATS = flags.DEFINE_integer("repeats", 3, "Timed runs of each model.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the figures.")
_PICKLE = flags.DEFINE_string("pickle", None, "Internal: write this file.")
_WORKDIR = flags.DEFINE_string("run", None, "Internal: run this checkpoint.")

ROOT = pathlib.Path(__file__).parent.parent
LISTS = {
    "imagenet_fourier": "imagenet_fourier",
    "imagenet_learned": "imagenet_learned",
    "imagenet_conv": "imagenet_conv",
    "byte_mlm": "mlm",
    "optical_flow": "flow",
    "video_autoencoding": "video",
}


def write_pickle(path: pathlib.Path, listed: str) -> int:
    """Writes a file as DeepMind's, and returns its number of parameters."""
    trees = {kind: read_list(f"{kind}_{listed}") for kind in ("params", "state")}
    with path.open("wb") as file:
        pickle.dump(trees, file)
    return sum(x.size for x in jax.tree.leaves(trees["params"]))


def read_list(name: str) -> Mapping[str, Mapping[str, Any]]:
    """Random arrays, of the names and shapes in a list; none where there is no list."""
    path = ROOT / "tests" / "fixtures" / f"{name}.txt"
    rng = np.random.default_rng(0)
    tree: dict[str, dict[str, Any]] = {}
    lines = path.read_text().splitlines() if path.exists() else []
    for line in lines:
        if not line.startswith("#"):
            module, leaf, shape = line.split("\t")
            array = rng.normal(0, 0.02, json.loads(shape)).astype(np.float32)
            if name.startswith("state"):  # averages of variances are not negative
                array = np.abs(array) + 1
            tree.setdefault(module, {})[leaf] = array
    return hk.data_structures.to_immutable_dict(tree)


def run(workdir: str) -> dict[str, float]:
    """Loads, compiles and runs a checkpoint, in this process."""
    times = [time.perf_counter()]
    restored = restore.load(workdir)
    model = build.make_model(restored.config)
    forward = make_forward(model.forward, parse_policy(restored.config.precision))
    arguments = (*jax.block_until_ready(restored.variables), None)
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.normal(size=x.shape).astype(x.dtype)
        if x.dtype.kind == "f"
        else np.zeros(x.shape, x.dtype)
        for name, x in model.batch(1).items()
    }
    # Of a clip everything is decoded, not just what training does.
    name = pathlib.Path(workdir).name
    batch = released.find()[name].comparison.prepare(arrays)
    times.append(time.perf_counter())
    apply = jax.jit(forward.apply, static_argnums=4)
    compiled = apply.lower(*arguments, batch, False).compile()
    times.append(time.perf_counter())
    seconds = []
    for _ in range(_REPEATS.value):
        start = time.perf_counter()
        outputs = jax.block_until_ready(compiled(*arguments, batch)[0])
        seconds.append(time.perf_counter() - start)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(outputs))
    return {
        "load_s": times[1] - times[0],
        "compile_s": times[2] - times[1],
        "run_s": statistics.median(seconds),
        "peak_gb": figures.peak_gb(),
    }


def measure(name: str, folder: pathlib.Path) -> dict[str, float]:
    """Figures of one model, from its file on."""
    path, workdir = folder / f"{name}.pickle", folder / name
    # A process has its parent's peak in what wait4 tells, so this one stays small.
    found: dict[str, float] = {"parameters": int(run_self(f"--pickle={path}"))}
    start = time.perf_counter()
    # time(1) is not everywhere: a child's peak comes from os.wait4.
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.convert_pretrained"]
        + [f"--from={path}", f"--model={name}", f"--out={workdir}"],
        cwd=ROOT,
    )
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"converting {name} failed"
    found["convert_s"] = time.perf_counter() - start
    found["convert_peak_gb"] = usage.ru_maxrss / 1e6
    arguments = (f"--run={workdir}", f"--repeats={_REPEATS.value}")
    return found | json.loads(run_self(*arguments))


def run_self(*arguments: str) -> str:
    """Runs this program in a process of its own, and returns its last line."""
    command = [sys.executable, "-m", "benchmarks.released", *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.splitlines()[-1]


COLUMNS = {
    "convert_s": "convert, s",
    "convert_peak_gb": "peak, GB",
    "load_s": "load, s",
    "compile_s": "compile, s",
    "run_s": "a run, s",
    "peak_gb": "peak, GB",
}


def main(_):
    if _PICKLE.value:
        path = pathlib.Path(_PICKLE.value)
        print(write_pickle(path, LISTS[path.stem]))
        return
    if _WORKDIR.value:
        print(json.dumps(run(_WORKDIR.value)))
        return
    found = {}
    for name in LISTS:
        with tempfile.TemporaryDirectory() as folder:
            found[name] = measure(name, pathlib.Path(folder))
    print(f"{'model':18}{'parameters':>13}", *(f"{c:>11}" for c in COLUMNS.values()))
    for name, row in found.items():
        shown = " ".join(f"{row[key]:11.2f}" for key in COLUMNS)
        print(f"{name:18}{row['parameters']:13,} {shown}")
    if _OUTPUT.value:
        figures.save(_OUTPUT.value, "benchmarks.released", found)


if __name__ == "__main__":
    program.run(main)
