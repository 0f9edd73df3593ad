"""Optical flow at full size on this machine, and how fast pairs are rendered.

    python -m benchmarks.flow

The released model on a pair of 368x496 frames, as it is and as one would first write it
(keys and values of all inputs, all scores at once), each in processes of its own, in
turn. Then pairs that one core renders and augments in a second.
"""

import functools
import json
import statistics
import subprocess
import sys
import time

import cv2
import jax
import numpy as np
from absl import flags

from benchmarks import figures
from configs import optical_flow
from experiments import program
from experiments.optical_flow import model as flow_model
from perceiver_jax.data.flow import augmentation, pairs, photos, rendering
from perceiver_jax.engine.forward import make_forward, parse_policy
from perceiver_jax.model import attention, kernel

_REPEATS = flags.DEFINE_integer("repeats", 3, "Processes for each way.")
_PAIRS = flags.DEFINE_integer("pairs", 100, "Pairs to render.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the figures.")
_RUN = flags.DEFINE_enum("run", None, ["ours", "naive"], "Internal: run the model.")

SIZE = (368, 496)


def run_model(way: str) -> dict[str, float]:
    """Compiles the model and runs it once, in this process."""
    config = optical_flow.get_config("autoflow")
    if way == "naive":
        config.model.query_chunk = 0
        kernel.KEY_CHUNK = kernel.MAX_SCORES = 10**12
        attention._project_after = lambda *_: False
    precision = parse_policy("params=float32,compute=float32,output=float32")
    forward = make_forward(flow_model.Forward(config.model), precision)
    frames = np.random.default_rng(0).uniform(-1, 1, (1, 2, *SIZE, 3))
    batch = {"frames": frames.astype(np.float32)}
    init = functools.partial(forward.init, is_training=False)
    params, state = jax.block_until_ready(jax.jit(init)(jax.random.key(0), batch))
    start = time.perf_counter()
    apply = jax.jit(functools.partial(forward.apply, is_training=False))
    compiled = apply.lower(params, state, None, batch).compile()
    middle = time.perf_counter()
    jax.block_until_ready(compiled(params, state, None, batch)[0])
    return {
        "compile_s": middle - start,
        "run_s": time.perf_counter() - middle,
        "peak_gb": figures.peak_gb(),
    }


def measure_model() -> dict[str, dict[str, float]]:
    """Medians over processes, of both ways in turn."""
    found: dict[str, list[dict[str, float]]] = {"ours": [], "naive": []}
    for _ in range(_REPEATS.value):
        for way, rows in found.items():
            command = [sys.executable, "-m", "benchmarks.flow", f"--run={way}"]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
    return {
        way: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        for way, rows in found.items()
    }


def measure_data() -> dict[str, float]:
    """Pairs a second of one core."""
    cv2.setNumThreads(1)
    data = optical_flow.get_config("synthetic").data
    size, objects, zoom = map(tuple, (data.render_size, data.objects, data.zoom))
    look = rendering.Rendering(size, data.motion, objects, zoom)
    source = rendering.RenderedPairs(photos.scikit_learn(), look, _PAIRS.value)
    start = time.perf_counter()
    rendered = [pairs.mask_damage(source[index]) for index in range(len(source))]
    middle = time.perf_counter()
    for index, pair in enumerate(rendered):
        augmentation.augment(pair, np.random.default_rng(index), SIZE, 1.0)
    end = time.perf_counter()
    return {
        "rendered_per_s": len(rendered) / (middle - start),
        "augmented_per_s": len(rendered) / (end - middle),
    }


def main(_):
    if _RUN.value:
        print(json.dumps(run_model(_RUN.value)))
        return
    found = {"model": measure_model(), "data": measure_data()}
    print(f"{'368x496, float32':20}" + "".join(f"{way:>10}" for way in found["model"]))
    for key in found["model"]["ours"]:
        cells = "".join(f"{row[key]:10.2f}" for row in found["model"].values())
        print(f"{key:20}{cells}")
    height, width = optical_flow.get_config("synthetic").data.render_size
    print(f"\npairs of {height}x{width} pixels a second, one core")
    for key, value in found["data"].items():
        print(f"{key:20}{value:10.1f}")
    if _OUTPUT.value:
        figures.save(_OUTPUT.value, "benchmarks.flow", found)


if __name__ == "__main__":
    program.run(main)
