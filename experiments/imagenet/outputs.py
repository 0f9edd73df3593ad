"""What is made of an image classifier's logits: numbers and pictures."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from perceiver_jax.data import picture
from perceiver_jax.data.image import transforms
from perceiver_jax.engine import losses, metrics
from perceiver_jax.engine.task import Batch


@dataclasses.dataclass(frozen=True)
class Metrics:
    """Loss, top-1 and top-5 of each example.

    Attributes:
      loss: "softmax", or "sigmoid" for several labels an image.
      label_smoothing: of "softmax".
    """

    loss: str
    label_smoothing: float

    def __call__(self, logits: jax.Array, batch: Batch) -> metrics.Metrics:
        """Maps logits [B, classes] and a batch to [B] each."""
        labels, mask = batch["labels"], batch["mask"]
        if self.loss == "sigmoid":
            loss = losses.sigmoid_cross_entropy(logits, labels)
        else:
            loss = losses.softmax_cross_entropy(logits, labels, self.label_smoothing)
        return {
            "loss": (loss, mask),
            "top1": (metrics.top_k(logits, labels, 1), mask),
            "top5": (metrics.top_k(logits, labels, 5), mask),
        }


def predictions(logits: jax.Array, batch: Batch) -> dict[str, jax.Array]:
    """Returns the predicted and the labelled class of each example."""
    return {
        "predicted": jnp.argmax(logits, -1),
        "label": jnp.argmax(batch["labels"], -1),
    }


def pictures(logits: np.ndarray, batch: Batch) -> dict[str, np.ndarray]:
    """Returns the images of a batch side by side; a red frame where top-1 is wrong."""
    images = transforms.denormalize(np.asarray(batch["images"], np.float32))
    wrong = np.argmax(logits, -1) != np.argmax(batch["labels"], -1)
    return {"predictions": picture.contact_sheet(images, wrong)}
