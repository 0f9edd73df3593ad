"""Our numbers beside those of Hugging Face's transformers, in both directions.

    pip install torch transformers -e .    # in an environment of its own
    python -m scripts.compare_huggingface

1. Every architecture, made small with random weights by transformers, is converted to
   ours: the outputs of both.
2. A digit classifier and a masked language model, trained here for some seconds, are
   exported and loaded by transformers: the outputs of both.

Exits with an error where any differ by more than 1e-4 of the largest output. Not a test
and not needed by one: torch alone is larger than everything else here.
"""

import pathlib
import subprocess
import sys
import tempfile
from typing import Any

import jax
import numpy as np
import torch
import transformers
from absl import app

from experiments import build, restore
from perceiver_jax.data.text import tokenizer
from perceiver_jax.engine.forward import make_forward, parse_policy
from perceiver_jax.model.adapters.flow import PIXELS_PER_OUTPUT, neighbours
from perceiver_jax.pretrained import huggingface_config
from scripts import convert_pretrained

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
# What the sizes of their code leave to be said.
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "imagenet_fourier": {"d_model": 261},
    "imagenet_learned": {"d_model": 512, "image_size": 12},
    "imagenet_conv": {"d_model": 322},
    "byte_mlm": {
        "d_model": 24,
        "max_position_embeddings": 20,
        "num_cross_attention_heads": 4,
        "qk_channels": 16,
        "v_channels": 32,
        "num_blocks": 1,
    },
    "optical_flow": {"d_model": 322, "train_size": [10, 14], "num_blocks": 1},
}
IMAGE_SIZES = {"imagenet_fourier": 24, "imagenet_learned": 12, "imagenet_conv": 50}


def make_batch(name: str, length: int = 20, size: int | None = None) -> dict:
    """Random inputs, as our models take them."""
    rng = np.random.default_rng(0)
    if name == "byte_mlm":
        size = tokenizer.Bytes().vocab_size
        tokens = rng.integers(0, size, (2, length), dtype=np.int32)
        return {"tokens": tokens, "token_mask": np.arange(length) < [[length], [12]]}
    if name == "optical_flow":
        return {"frames": rng.normal(size=(2, 2, 10, 14, 3)).astype(np.float32)}
    size = size or IMAGE_SIZES[name]
    return {"images": rng.normal(size=(2, size, size, 3)).astype(np.float32)}


def run_theirs(folder: pathlib.Path, name: str, batch: dict) -> np.ndarray:
    """The outputs of transformers for a folder, with flow in pixels."""
    model = getattr(transformers, huggingface_config.ARCHITECTURES[name])
    network = model.from_pretrained(folder).eval()
    if name == "byte_mlm":
        inputs = {
            "inputs": torch.tensor(batch["tokens"], dtype=torch.long),
            "attention_mask": torch.tensor(batch["token_mask"], dtype=torch.long),
        }
    elif name == "optical_flow":
        patches = np.asarray(neighbours(batch["frames"]))
        inputs = {"inputs": torch.tensor(np.moveaxis(patches, -1, 2))}
    else:
        inputs = {"inputs": torch.tensor(np.moveaxis(batch["images"], -1, 1))}
    with torch.no_grad():
        outputs = network(**inputs).logits.numpy()
    return 100 * PIXELS_PER_OUTPUT * outputs if name == "optical_flow" else outputs


def run_ours(workdir: pathlib.Path, batch: dict) -> np.ndarray:
    """The outputs of a checkpoint, in float32."""
    restored = restore.load(workdir)
    predictor = build.make_predictor(restored.config)
    policy = parse_policy(convert_pretrained.PRECISION)
    forward = make_forward(predictor.forward, policy)
    with jax.default_matmul_precision("highest"):
        apply = jax.jit(forward.apply, static_argnums=4)
        return np.asarray(apply(*restored.whole_variables, None, batch, False)[0])


def compare(title: str, ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Prints one line and returns whether the two agree."""
    error = np.abs(ours - theirs).max() / np.abs(theirs).max()
    print(f"{title:58} {str(theirs.shape):14} {error:.1e}", flush=True)
    return bool(error <= LIMIT)


def convert_theirs(name: str, folder: pathlib.Path) -> bool:
    """Direction 1: random weights made there, converted to ours."""
    torch.manual_seed(0)
    config = transformers.PerceiverConfig(**(SMALL | ARCHITECTURES[name]))
    network = getattr(transformers, huggingface_config.ARCHITECTURES[name])(config)
    for parameter in network.parameters():  # biases and norms are not random there
        torch.nn.init.normal_(parameter, std=0.2)
    there, here = folder / "there", folder / "here"
    network.save_pretrained(there)
    run_program("scripts/convert_pretrained.py", f"--from={there}", f"--out={here}")
    batch = make_batch(name)
    return compare(
        f"{huggingface_config.ARCHITECTURES[name]} -> ours",
        run_ours(here, batch),
        run_theirs(there, name, batch),
    )


def export_ours(name: str, workdir: pathlib.Path, folder: pathlib.Path) -> bool:
    """Direction 2: weights trained here, loaded there."""
    run_program(
        "scripts/convert_pretrained.py",
        f"--from={workdir}",
        "--to=huggingface",
        f"--out={folder}",
    )
    batch = make_batch(name, length=64, size=8)
    ours, theirs = run_ours(workdir, batch), run_theirs(folder, name, batch)
    if name == "byte_mlm":  # padded positions are the difference that is known
        ours, theirs = (x[batch["token_mask"]] for x in (ours, theirs))
    return compare(f"ours -> {huggingface_config.ARCHITECTURES[name]}", ours, theirs)


def run_program(*command: str) -> None:
    subprocess.run(
        [sys.executable, *command], check=True, cwd=ROOT, stdout=subprocess.DEVNULL
    )


def train_digits(workdir: pathlib.Path) -> None:
    """The digits of configs/digits.py, with the positions that their code has."""
    run_program(
        "-m",
        "experiments.train",
        "--config=configs/digits.py",
        f"--workdir={workdir}",
        "--config.model.num_bands=64",
        "--config.model.max_resolution=(224,224)",
        "--config.epochs=2.0",
    )


def train_masked_lm(workdir: pathlib.Path) -> None:
    """A small model of bytes on Python's documentation, with their code's decoder."""
    run_program(
        "-m",
        "experiments.train",
        "--config=configs/masked_lm.py:docs",
        f"--workdir={workdir}",
        "--config.data.length=64",
        "--config.model.max_length=64",
        "--config.model.num_cross_heads=8",
        "--config.model.num_decoder_heads=8",
        "--config.model.decoder_qk_channels=256",
        "--config.steps=300",
    )


def main(_) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        print(f"transformers {transformers.__version__}, torch {torch.__version__}")
        print(f"{'model':58} {'outputs':14} largest difference / largest output")
        good = [convert_theirs(name, folder / name) for name in ARCHITECTURES]
        for name, train in (
            ("imagenet_fourier", train_digits),
            ("byte_mlm", train_masked_lm),
        ):
            workdir = folder / f"trained_{name}"
            train(workdir)
            good.append(export_ours(name, workdir, folder / f"exported_{name}"))
    if not all(good):
        sys.exit(f"Differences of more than {LIMIT:g}.")


if __name__ == "__main__":
    app.run(main)
