"""Our numbers beside those of Hugging Face's transformers, in both directions.

    pip install torch transformers -e .    # in an environment of its own
    python -m scripts.compare_huggingface

1. Every released model, made small with random weights by transformers, is converted to
   ours: the outputs of both.
2. Models that train here in some seconds are exported and loaded by transformers: the
   outputs of both.

Exits with an error where any differ by more than 1e-4 of the largest output. Not a test
and not needed by one: torch alone is larger than everything else here. What differs
between models is said by Comparison, in experiments/<task>/released.py.
"""

import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import torch
import transformers

from experiments import build, program, restore
from perceiver_jax.engine.forward import make_forward, parse_policy
from perceiver_jax.pretrained.released import Batch, Released
from scripts.convert_pretrained import MODELS, PRECISION

ROOT = pathlib.Path(__file__).parent.parent
LIMIT = 1e-4  # of the largest output

SMALL: dict[str, Any] = {
    "num_latents": 6,
    "d_latents": 32,
    "num_blocks": 2,
    "num_self_attends_per_block": 2,
    "num_self_attention_heads": 4,
    "num_cross_attention_heads": 1,
    "num_labels": 7,
}


def make_batch(shapes: Mapping[str, Any], num_tokens: int) -> Batch:
    """Two random examples.

    Args:
      shapes: of a batch of two. What is an integer is a token, and what is a truth
        value says which tokens are no padding.
      num_tokens: how many different ones there are.
    """
    rng = np.random.default_rng(0)
    batch: dict[str, np.ndarray] = {}
    for name, x in shapes.items():
        if x.dtype.kind == "b":
            batch[name] = np.ones(x.shape, bool)
            if x.ndim > 1:
                batch[name][1, 12:] = False
        elif x.dtype.kind == "i":
            batch[name] = rng.integers(0, num_tokens, x.shape, dtype=np.int32)
        else:
            batch[name] = rng.normal(size=x.shape).astype(np.float32)
    return batch


def run_theirs(folder: pathlib.Path, model: Released, batch: Batch) -> Any:
    """The outputs of transformers for a folder, as ours are."""
    network = getattr(transformers, model.huggingface.architecture)
    network = network.from_pretrained(folder).eval()
    arguments = jax.tree.map(
        lambda x: torch.tensor(x, dtype=None if x.dtype.kind == "f" else torch.long),
        dict(model.comparison.arguments(batch)),
    )
    with torch.no_grad():
        found = network(**arguments).logits
    return model.comparison.outputs(jax.tree.map(np.asarray, found))


def compare(
    title: str, model: Released, workdir: pathlib.Path, folder: pathlib.Path
) -> bool:
    """Prints one line, and returns whether a checkpoint and a folder agree."""
    restored = restore.load(workdir)
    network = build.make_model(restored.config)
    num_tokens = restored.config.model.get("vocab_size", 2)
    batch = model.comparison.prepare(make_batch(network.batch(2), num_tokens))
    forward = make_forward(network.forward, parse_policy(PRECISION))
    with jax.default_matmul_precision("highest"):
        apply = jax.jit(forward.apply, static_argnums=4)
        ours, _ = apply(*restored.whole_variables, None, batch, False)
    theirs = run_theirs(folder, model, batch)
    errors = jax.tree.map(
        lambda a, b: np.abs(np.asarray(a) - b).max() / np.abs(b).max(), ours, theirs
    )
    error = max(jax.tree.leaves(errors))
    sizes = ", ".join("x".join(map(str, x.shape)) for x in jax.tree.leaves(theirs))
    print(f"{title:58} {sizes:28} {error:.1e}", flush=True)
    return bool(error <= LIMIT)


def convert_theirs(model: Released, folder: pathlib.Path) -> bool:
    """Direction 1: random weights made there, converted to ours."""
    torch.manual_seed(0)
    settings = SMALL | dict(model.comparison.settings)
    config = transformers.PerceiverConfig(**settings)
    network = getattr(transformers, model.huggingface.architecture)(config)
    for parameter in network.parameters():  # biases and norms are not random there
        torch.nn.init.normal_(parameter, std=0.2)
    there, here = folder / "there", folder / "here"
    network.save_pretrained(there)
    run_program("scripts.convert_pretrained", f"--from={there}", f"--out={here}")
    return compare(f"{model.huggingface.architecture} -> ours", model, here, there)


def export_ours(model: Released, folder: pathlib.Path) -> bool:
    """Direction 2: weights trained here, loaded there."""
    fields = {**model.huggingface.fixed, **model.huggingface.numbers}
    there, here = folder / "exported", folder / "trained"
    run_program(
        "experiments.train",
        *model.comparison.training,
        *(f"--config.model.{name}={value}" for name, value in fields.items()),
        f"--workdir={here}",
    )
    run_program(
        "scripts.convert_pretrained",
        f"--from={here}",
        "--to=huggingface",
        f"--out={there}",
    )
    return compare(f"ours -> {model.huggingface.architecture}", model, here, there)


def run_program(program: str, *flags: str) -> None:
    """Runs a program of ours to its end, which must be good."""
    command = [sys.executable, "-m", program, *flags]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def main(_) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        print(f"transformers {transformers.__version__}, torch {torch.__version__}")
        print(f"{'model':58} {'outputs':28} largest difference / largest output")
        good = [convert_theirs(model, folder / name) for name, model in MODELS.items()]
        good += [
            export_ours(model, folder / name)
            for name, model in MODELS.items()
            if model.comparison.training
        ]
    if not all(good):
        raise ValueError(f"Some differ by more than {LIMIT:g} of the largest output.")


if __name__ == "__main__":
    program.run(main)
