"""A small classifier of clips, untrained; and small files for a trained one."""

import pathlib

import jax
import numpy as np
import small_clips

from configs import audioset
from experiments import build
from perceiver_jax.engine.evaluation import Variables
from perceiver_jax.engine.forward import make_forward, parse_policy

FIELDS = {
    "batch_size": 8,
    "eval_batch_size": 8,
    "data.rendered_clips": 40,
    "data.read_side": 8,
    "model.num_frames": 2,
    "model.image_size": (8, 8),
    "model.samples_per_frame": 32,
    "model.video_patch": (2, 4, 4),
    "model.mel_windows": 4,
    "model.mel_bins": 4,
    "model.mel_patch": 4,
    "model.num_latents": 4,
    "model.latent_channels": 16,
    "model.layers_per_block": 1,
    "model.query_channels": 16,
}

FILES = {
    "batch_size": 4,
    "eval_batch_size": 4,
    "data.source": "folder",
    "data.held_out": "validate",
    "data.num_classes": 2,
    "data.eval_clips": 2,
    "data.read_side": 20,
    "data.crop_area": (0.3, 1.0),
    "data.color": 0.2,
    "model.inputs": ("audio", "mel", "video"),
    "model.num_frames": 4,
    "model.image_size": (16, 16),
    "model.samples_per_frame": 320,
    "model.mel_windows": 16,
}

# Training on such files; `data.dir` is to be added.
RUN = (
    "--config=configs/audioset.py",
    *(
        f"--config.{field}={value}"
        for field, value in {**FIELDS, **FILES}.items()
        if field != "data.rendered_clips"
    ),
    "--config.steps=4",
    "--config.log_every=2",
    "--config.eval_every=4",
)


def make_config(**changes):
    """A config on rendered clips."""
    config = audioset.get_config("shapes")
    config.update_from_flattened_dict({**FIELDS, **changes})
    return config


def file_config(folder: pathlib.Path, **changes):
    """A config on the files of `small_clips.dataset`."""
    return make_config(**{**FILES, "data.dir": str(folder), **changes})


def random_variables(config):
    """The forward pass, and variables of it that are not those of initialisation."""
    model = build.make_model(config)
    forward = make_forward(model.forward, parse_policy(config.precision))
    batch = {n: np.zeros(x.shape, x.dtype) for n, x in model.batch(1).items()}
    params, state = forward.init(jax.random.key(0), batch, False)
    leaves, tree = jax.tree.flatten(params)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    noisy = [x + 0.3 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys)]
    return forward, Variables(jax.tree.unflatten(tree, noisy), state)


def official(folder: pathlib.Path) -> pathlib.Path:
    """Writes clips and AudioSet's own lists of them, and returns the folder.

    Files are id0.mp4 to id5.mp4 below; the last two are held out, and id9 is missing.
    """
    for path in small_clips.write(folder / "clips", 6):
        path.rename(path.with_name(f"id{path.stem}.mp4"))
    (folder / "class_labels_indices.csv").write_text(
        'index,mid,display_name\n0,/m/a,"Speech"\n1,/m/b,"Dog, barking"\n'
        '2,/m/c,"Music"\n'
    )
    head = "# Segments csv\n# num_ytids=3\n# YTID, start, end, positive_labels\n"
    rows = [
        f'id{number}, 30.000, 40.000, "{mids}"\n'
        for number, mids in enumerate(
            ["/m/a", "/m/b", "/m/a,/m/c", "/m/c", "/m/a,/m/c", "/m/b"]
        )
    ]
    gone = 'id9, 0.000, 10.000, "/m/a"\n'
    parts = {
        "balanced_train_segments": rows[:2],
        "unbalanced_train_segments": [*rows[2:4], gone],
        "eval_segments": rows[4:],
    }
    for name, found in parts.items():
        (folder / f"{name}.csv").write_text(head + "".join(found))
    return folder
