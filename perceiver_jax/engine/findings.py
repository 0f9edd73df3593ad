"""What is found in one step of training, and what is to blame where it went wrong."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Layer(NamedTuple):
    """The norms of one module, or of one layer of a stack of them.

    Attributes:
      module: its name.
      layer: its index in the stack, such as "3"; "" where it is in none.
      parameter: before the step.
      gradient: of the mean loss over the batch, before it is clipped.
      update: what the step adds to the parameters.
    """

    module: str
    layer: str
    parameter: float
    gradient: float
    update: float

    @property
    def title(self) -> str:
        """Module and layer."""
        return f"{self.module} layer {self.layer}" if self.layer else self.module


class Example(NamedTuple):
    """One example of the batch.

    Attributes:
      row: its place in the global batch.
      name: what it is, of TrainData.names.
      metrics: its own means, as it is in the batch; those without any weight left out.
      alone: loss and gradient norm of a batch of nothing else; none where nobody asked.
    """

    row: int
    name: str
    metrics: Mapping[str, float]
    alone: Mapping[str, float] = {}

    @property
    def loss(self) -> float:
        """Its loss in the batch; 0 where it has no weight in it."""
        return self.metrics.get("loss", 0.0)

    @property
    def is_finite(self) -> bool:
        """Whether its loss in the batch is, and all that it gives alone."""
        return bool(np.isfinite([self.loss, *self.alone.values()]).all())


class Found(NamedTuple):
    """What a step is made of.

    Attributes:
      metrics: as training logs them.
      layers: of the whole model.
      examples: of the whole batch: what is not finite, then by falling loss.
    """

    metrics: Mapping[str, float]
    layers: Sequence[Layer]
    examples: Sequence[Example]

    @property
    def guilty(self) -> list[Example]:
        """The examples that are to blame for what is not finite.

        Those that are not finite alone; where each is finite alone, those that are not
        in the batch. None where the parameters are not finite: then no example is.
        """
        if not np.isfinite([layer.parameter for layer in self.layers]).all():
            return []
        wrong = [e for e in self.examples if not e.is_finite]
        alone = [e for e in wrong if not np.isfinite([*e.alone.values()]).all()]
        return alone or wrong


def verdict(found: Found) -> list[str]:
    """Returns sentences: what is not finite, and what is to blame for it."""
    bad = {
        kind: [x.title for x in found.layers if not np.isfinite(getattr(x, kind))]
        for kind in ("parameter", "gradient", "update")
    }
    if bad["parameter"]:
        return [
            f"Parameters were not finite before this step: {_some(bad['parameter'])}. "
            "The step before it made them so."
        ]
    values = {
        "The loss": found.metrics["loss"],
        "The gradient's norm": found.metrics["grad_norm"],
    }
    said = [f"{what} is {n}." for what, n in values.items() if not np.isfinite(n)]
    if not said and bad["update"]:
        where = _some(bad["update"])
        return [f"Loss and gradient are finite, but not the update: {where}."]
    if not said:
        return ["Loss, gradient and update are finite."]
    if bad["gradient"]:
        count = f"{len(bad['gradient'])} of {len(found.layers)}"
        where = _some(bad["gradient"])
        said.append(f"The gradient is not finite in {count} layers: {where}.")
    guilty = found.guilty
    if len(guilty) == len(found.examples) > 1:
        return [*said, "No example is finite: parameters or code are at fault."]
    if not guilty:
        return [*said, "Each example is finite alone: it is their sum that is not."]
    together = all(np.isfinite([*e.alone.values()]).all() for e in guilty)
    how = "in this batch, though not alone" if together else "by itself"
    blame = f"Not finite {how}: {_some([e.name for e in guilty], '; ')}."
    return [*said, blame]


def _some(names: Sequence[str], between: str = ", ") -> str:
    """Lists the first names, and says how many more there are."""
    more = len(names) - 5
    return between.join(names[:5]) + (f" and {more} more" if more > 0 else "")
