"""All outputs of a clip by the released video model, beside transformers' at full size.

    pip install torch transformers -e .    # in an environment of its own
    python -m benchmarks.video

transformers makes a model with random weights, scripts.convert_pretrained converts it,
and both decode the same clip: a class, 30,720 samples of sound, and 802,816 pixels.
Ours asks for all at once, and decodes in chunks by itself. Theirs is asked once for
each of --parts parts, as its documentation does: at once it takes more memory than is
here. Printed: seconds of a clip (median), peak memory of the process, both without
converting, loading and compiling, and the largest difference between the outputs.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from absl import flags

from benchmarks import figures
from experiments import build, program, restore
from perceiver_jax import extras
from perceiver_jax.engine.forward import make_forward, parse_policy

torch = extras.Library("torch", extra="")
transformers = extras.Library("transformers", extra="")

_PARTS = flags.DEFINE_integer("parts", 16, "Parts to ask transformers for.")
_REPEATS = flags.DEFINE_integer("repeats", 3, "Timed runs of each.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the figures.")
_OURS = flags.DEFINE_string("ours", None, "Internal: run this checkpoint.")
_THEIRS = flags.DEFINE_string("theirs", None, "Internal: run this folder.")
_MAKE = flags.DEFINE_string("make", None, "Internal: write this folder.")

Arrays = dict[str, np.ndarray]

ROOT = pathlib.Path(__file__).parent.parent
ARCHITECTURE = "PerceiverForMultimodalAutoencoding"


def make_clip() -> Arrays:
    """A batch of one random clip of the released model's size."""
    rng = np.random.default_rng(0)
    return {
        "video": rng.uniform(0, 1, (1, 16, 224, 224, 3)).astype(np.float32),
        "audio": rng.uniform(-1, 1, (1, 30_720, 1)).astype(np.float32),
        "label": np.zeros((1, 700), np.float32),
        "label_hidden": np.ones(1, bool),
        "mask": np.ones(1, np.float32),
    }


def make(folder: str) -> int:
    """Writes a folder of transformers' with random weights; returns how many."""
    torch.manual_seed(0)
    config = transformers.PerceiverConfig(
        num_latents=784,
        d_latents=512,
        num_blocks=1,
        num_self_attends_per_block=8,
        num_self_attention_heads=8,
        num_cross_attention_heads=1,
        num_labels=700,
    )
    network = getattr(transformers, ARCHITECTURE)(config)
    for parameter in network.parameters():  # biases and norms are not random there
        torch.nn.init.normal_(parameter, std=0.02)
    network.save_pretrained(folder)
    return sum(parameter.numel() for parameter in network.parameters())


def run_ours(workdir: str) -> dict[str, Any]:
    """Decodes everything, in this process."""
    restored = restore.load(workdir)
    model = build.make_model(restored.config)
    forward = make_forward(model.forward, parse_policy(restored.config.precision))
    arguments = (*jax.block_until_ready(restored.whole_variables), None)
    clip = make_clip()
    start = time.perf_counter()
    apply = jax.jit(forward.apply, static_argnums=4)
    compiled = apply.lower(*arguments, clip, False).compile()
    compile_s = time.perf_counter() - start

    def decode() -> Arrays:
        return jax.device_get(compiled(*arguments, clip)[0])

    return {"compile_s": compile_s, **timed(decode, workdir)}


def run_theirs(folder: str) -> dict[str, Any]:
    """Decodes everything, part by part, in this process."""
    network = getattr(transformers, ARCHITECTURE).from_pretrained(folder).eval()
    clip = make_clip()
    inputs = {
        "image": torch.tensor(np.moveaxis(clip["video"], -1, 2)),
        "audio": torch.tensor(clip["audio"]),
        "label": torch.tensor(clip["label"]),
    }
    parts = [
        {"image": torch.tensor(pixels), "audio": torch.tensor(patches), "label": None}
        for pixels, patches in zip(
            np.array_split(np.arange(clip["video"][0, ..., 0].size), _PARTS.value),
            np.array_split(np.arange(1920), _PARTS.value),
        )
    ]

    @torch.no_grad()
    def decode() -> Arrays:
        found = [
            network(inputs=inputs, subsampled_output_points=part).logits
            for part in parts
        ]
        return {
            "video": np.concatenate([x["image"] for x in found], 1),
            "audio": np.concatenate([x["audio"] for x in found], 1).reshape(1, -1, 16),
            "label": found[0]["label"][:, None].numpy(),
        }

    return timed(decode, folder)


def timed(decode: Callable[[], Arrays], folder: str) -> dict[str, float]:
    """Figures of a function, whose outputs are left in the folder."""
    seconds = []
    for _ in range(_REPEATS.value):
        start = time.perf_counter()
        outputs = decode()
        seconds.append(time.perf_counter() - start)
    np.savez(f"{folder}/outputs.npz", allow_pickle=False, **outputs)
    return {"seconds": statistics.median(seconds), "peak_gb": figures.peak_gb()}


def run_self(*arguments: str) -> Any:
    """Runs this program in a process of its own, and returns what it prints."""
    flags_ = [f"--parts={_PARTS.value}", f"--repeats={_REPEATS.value}", *arguments]
    command = [sys.executable, "-m", "benchmarks.video", *flags_]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main(_) -> None:
    for flag, work in ((_MAKE, make), (_OURS, run_ours), (_THEIRS, run_theirs)):
        if flag.value:
            print(json.dumps(work(flag.value)))
            return
    with tempfile.TemporaryDirectory() as temporary:
        there, here = f"{temporary}/there", f"{temporary}/here"
        found = {"parameters": run_self(f"--make={there}")}
        command = [sys.executable, "-m", "scripts.convert_pretrained"]
        command += [f"--from={there}", f"--out={here}"]
        subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        found["ours"] = run_self(f"--ours={here}")
        found["transformers"] = run_self(f"--theirs={there}")
        with (
            np.load(f"{here}/outputs.npz") as ours,
            np.load(f"{there}/outputs.npz") as theirs,
        ):
            found["largest_difference"] = {
                name: float(np.abs(ours[name] - x).max() / np.abs(x).max())
                for name, x in theirs.items()
            }
    print(json.dumps(found, indent=2))
    if _OUTPUT.value:
        figures.save(_OUTPUT.value, "benchmarks.video", found)


if __name__ == "__main__":
    program.run(main)
