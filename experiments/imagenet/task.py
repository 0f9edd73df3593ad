"""Image classification: ImageNet, folders of class folders, handwritten digits."""

from ml_collections import config_dict

from experiments.imagenet import outputs
from experiments.imagenet.class_names import readable
from experiments.imagenet.data import eval_loader, load_splits, train_loader
from experiments.imagenet.model import make_model
from perceiver_jax.engine.task import Evaluation, Identity, Task

CLASSES = "classes"  # the one output, in Identity.class_names


def make_task(config: config_dict.ConfigDict) -> Task:
    """Builds the task from a config of configs/imagenet.py or configs/digits.py."""
    splits = load_splits(config.data)
    return Task(
        name="imagenet",
        model=make_model(config),
        train=train_loader(config, splits.train),
        evaluations={
            "test": Evaluation(
                batches=eval_loader(config, splits.test).batches,
                predictions=outputs.predictions,
                pictures=outputs.pictures,
            )
        },
        score=lambda numbers: numbers["test/top1"],
        identity=Identity(class_names={CLASSES: readable(splits.class_names)}),
    )
