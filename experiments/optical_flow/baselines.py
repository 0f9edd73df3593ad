r"""A model of optical flow beside OpenCV's classic methods, on the same pairs.

    python -m experiments.optical_flow.baselines --workdir=/tmp/flow

Prints, for each held-out set, the metrics of no motion at all, of Farneback's method
and DIS, which were made for the task and learn nothing, and of the model.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import cv2
import jax
import numpy as np

from experiments import restore
from experiments.optical_flow import outputs
from perceiver_jax.data.flow import pairs
from perceiver_jax.engine import evaluation, metrics
from perceiver_jax.engine.task import Batch

UNTOLD = ("loss", "damaged", "left_out")  # "loss" is "epe", the others are the data's

Method = Callable[[np.ndarray, np.ndarray], np.ndarray]  # grey frames -> flow [H, W, 2]


def no_motion(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Flow of 0."""
    del second
    return np.zeros((*first.shape, 2), np.float32)


def farneback(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Farneback 2003, with the settings of OpenCV's tutorial."""
    flow = no_motion(first, second)
    return cv2.calcOpticalFlowFarneback(
        first,
        second,
        flow,
        pyr_scale=0.5,
        levels=3,
        winsize=15,
        iterations=3,
        poly_n=5,
        poly_sigma=1.2,
        flags=0,
    )


def dis(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Dense inverse search (Kroeger et al. 2016), at OpenCV's best and full size."""
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    method.setFinestScale(0)  # the preset stops at half the size
    return method.calc(first, second, no_motion(first, second))


METHODS: dict[str, Method] = {
    "no motion": no_motion,
    "Farneback": farneback,
    "DIS": dis,
}


def evaluate(method: Method, batches: Iterable[Batch]) -> dict[str, float]:
    """Returns a method's metrics, those of outputs.measure."""
    mean = metrics.Mean()
    for batch in batches:
        frames = pairs.denormalize(batch["frames"])
        grey = [[cv2.cvtColor(f, cv2.COLOR_RGB2GRAY) for f in pair] for pair in frames]
        flow = np.stack([method(*pair) for pair in grey])
        mean.add(jax.device_get(_sums(flow, batch)))
    return mean.result()


@jax.jit
def _sums(flow: jax.Array, batch: Batch) -> metrics.Sums:
    return metrics.sums(outputs.measure(flow, batch))


def main(restored: restore.Restored, _: Sequence[str] = ()) -> None:
    if restored.config.task != "optical_flow":
        raise ValueError(
            f"{restored.folder} is of task '{restored.config.task}', not of flow."
        )
    task, forward = restored.make_task()
    evaluator = evaluation.Evaluator(task, forward, restored.parallel)
    found = evaluator(restored.variables).metrics
    for name, held_out in task.evaluations.items():
        rows = {
            title: evaluate(method, held_out.batches())
            for title, method in METHODS.items()
        }
        prefix = f"{name}/"
        rows["this model"] = {
            key.removeprefix(prefix): value
            for key, value in found.items()
            if key.startswith(prefix)
        }
        print_table(name, rows)


def print_table(name: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    """Prints errors in pixels, and shares of pixels in percent."""
    columns = [key for key in rows["this model"] if key not in UNTOLD]
    print(f"\n{name:20} " + " ".join(f"{column:>13}" for column in columns))
    for title, row in rows.items():
        cells = []
        for column in columns:
            if column not in row:
                cells.append(f"{'':13}")
            elif column.startswith("epe"):
                cells.append(f"{row[column]:13.3f}")
            else:
                cells.append(f"{row[column]:13.1%}")
        print(f"{title:20} " + " ".join(cells))


if __name__ == "__main__":
    restore.run(main)
