"""Image autoencoding: pictures into a few values, and back, pixel by pixel."""

from ml_collections import config_dict

from experiments.image_autoencoding import outputs
from experiments.image_autoencoding.data import test_loader, train_loader
from experiments.image_autoencoding.model import coded_values, make_model
from perceiver_jax.engine.task import Evaluation, Task


def make_task(config: config_dict.ConfigDict) -> Task:
    """Builds the task from a config of configs/image_autoencoding.py.

    Raises:
      ValueError: sizes do not go together.
    """
    model = make_model(config)
    height, width = config.model.image_size
    return Task(
        name="image_autoencoding",
        model=model,
        train=train_loader(config),
        evaluations={
            "test": Evaluation(
                batches=test_loader(config).batches, pictures=outputs.draw
            )
        },
        score=lambda numbers: numbers["test/psnr"],
        protocol={
            "crop": [height, width],
            "values_of_a_crop": 3 * height * width,
            "values_of_its_code": coded_values(config.model),
            "psnr": "mean over crops of each one's, colours clipped",
        },
    )
