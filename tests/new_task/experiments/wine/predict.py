"""Tables of wines to their growers."""

import dataclasses
import pathlib
from collections.abc import Iterator, Sequence

import matplotlib.pyplot as plt
import numpy as np
import scipy.special

from experiments import drawing, predicting
from experiments.predicting import Apply, Folder, Item, Record
from experiments.wine import data


@dataclasses.dataclass(frozen=True)
class Predictor(predicting.Predictor):
    """Tells the grower of the wine in each line of a file."""

    separator: str = predicting.flag(",", "What stands between two measurements.")
    suffixes = (".csv",)

    def items(
        self, paths: Sequence[pathlib.Path], lines: Sequence[bytes]
    ) -> Iterator[Item]:
        """See the base class."""
        for item in predicting.path_items(paths, []):
            for number, line in enumerate(item.data.read_bytes().splitlines(), 1):
                yield Item(f"{item.name}:{number}", f"{item.stem}_{number}", line)
        for number, line in enumerate(lines, 1):
            yield Item(f"line {number}", f"line_{number}", line)

    def _batch(self, item: Item) -> dict[str, np.ndarray]:
        measured = [float(cell) for cell in item.data.decode().split(self.separator)]
        return {"measured": data.standardize(np.float32(measured))[None]}

    def predict(self, apply: Apply, item: Item, folder: Folder | None) -> Record:
        """See the base class; no file, as the record holds all."""
        shares = scipy.special.softmax(np.asarray(apply(self._batch(item))[0]))
        best = int(np.argmax(shares))
        names = self.identity.class_names["grower"]
        probability = float(shares[best])
        return {"input": item.name, "grower": names[best], "probability": probability}

    def attend(self, look: Apply, item: Item, folder: Folder) -> list[str]:
        """See the base class."""
        weights = np.asarray(look(self._batch(item))[drawing.ENCODER])[0].mean(0)
        figure, ax = plt.subplots()
        ax.imshow(weights)
        ax.set(xlabel="Measurement", ylabel="Latent")
        path = folder.file(f"{item.stem}_attention.png")
        drawing.save(figure, path)
        return [str(path)]

    def describe(self, record: Record) -> str:
        """See the base class."""
        return f"{record['input']}: {record['grower']}, {record['probability']:.1%}"
