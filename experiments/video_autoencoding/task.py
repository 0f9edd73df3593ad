"""Autoencoding of video, sound and a label, all through one latent array."""

from ml_collections import config_dict

from experiments.video_autoencoding.data import eval_loader, load_splits, train_loader
from experiments.video_autoencoding.model import LABEL, make_model
from experiments.video_autoencoding.pictures import make_show
from perceiver_jax.engine.task import Evaluation, Identity, Task


def make_task(config: config_dict.ConfigDict) -> Task:
    """Builds the task from a config of configs/video_autoencoding.py."""
    splits = load_splits(config)
    show = make_show(config, splits.class_names)
    return Task(
        name="video_autoencoding",
        model=make_model(config),
        train=train_loader(config, splits.train),
        evaluations={
            "test": Evaluation(
                batches=eval_loader(config, splits.test).batches,
                pictures=show.pictures,
                sounds=show.sounds,
            )
        },
        score=lambda numbers: -numbers["test/loss"],
        identity=Identity(class_names={LABEL: tuple(splits.class_names)}),
        protocol={
            "clip": "of a file, the one in its middle; all pixels and samples decoded",
            "label": "hidden",
            "psnr": "peak 1; of each clip, then the mean over clips",
        },
    )
