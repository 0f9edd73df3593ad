"""What is heard and seen in a clip: AudioSet, files of one's own, rendered clips."""

from ml_collections import config_dict

from experiments.audioset import outputs
from experiments.audioset.data import eval_loader, load_splits, train_loader
from experiments.audioset.model import make_model
from experiments.audioset.pictures import make_show
from perceiver_jax.engine.task import Evaluation, Identity, Task

CLASSES = "classes"  # the one output, in Identity.class_names


def make_task(config: config_dict.ConfigDict) -> Task:
    """Builds the task from a config of configs/audioset.py."""
    model = make_model(config)  # what is wrong with it is found before data is read
    splits = load_splits(config)
    show = make_show(config, splits.class_names)
    return Task(
        name="audioset",
        model=model,
        train=train_loader(config, splits.train),
        evaluations={
            "test": Evaluation(
                batches=eval_loader(config, splits.test).batches,
                predictions=outputs.predictions,
                summary=outputs.summary,
                pictures=show.pictures,
                sounds=show.sounds,
            )
        },
        score=lambda numbers: numbers["test/mAP"],
        identity=Identity(class_names={CLASSES: tuple(splits.class_names)}),
        protocol=protocol(config),
    )


def protocol(config: config_dict.ConfigDict) -> dict[str, object]:
    """Returns how evaluation is done."""
    count = 1 if config.data.source == "rendered" else config.data.eval_clips
    return {
        "clips_of_a_file": count,
        "clips": "evenly spaced; their probabilities are averaged",
        "mAP": "the mean over classes that some file has",
    }
