"""Starting from another run's variables, with a report of what was taken."""

import dataclasses
import fnmatch
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from perceiver_jax.engine.checkpoints.named_arrays import shapes_of

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Donor:
    """Variables of another run to start from (`init_from`).

    Attributes:
      name: where they come from, for messages.
      variables: {"params": {module: {name: array}}, "model_state": ...}.
      skip: patterns over "module/name", as in the shell, of arrays that stay at their
        initialisation, such as "decoder/*".
    """

    name: str
    variables: Mapping[str, Any]
    skip: Sequence[str] = ()

    def load_into(self, **fresh: Any) -> dict[str, Any]:
        """Replaces arrays of the freshly initialised trees, and logs what is what.

        Args:
          **fresh: `params` and `model_state` trees {module: {name: array}}.

        Returns:
          The same trees, with every array that the donor has and `skip` does not
          match taken from the donor.

        Raises:
          ValueError: an array that is not skipped has another shape, or none matches.
        """
        return {k: self._load_tree(k, tree) for k, tree in fresh.items()}

    def _load_tree(self, kind: str, fresh: Any) -> Any:
        saved = self.variables[kind]
        wanted, found = shapes_of(fresh), shapes_of(saved)
        skipped = {name for name in wanted if self._skips(name)}
        loaded = (wanted.keys() & found.keys()) - skipped
        wrong = [n for n in sorted(loaded) if wanted[n][0] != found[n][0]]
        if wrong:
            rows = (f"  {n}: {found[n][0]} there, {wanted[n][0]} here" for n in wrong)
            raise ValueError(
                f"Can't start from {self.name}: shapes differ. Leave these at their "
                "initialisation with --config.init_skip:\n" + "\n".join(rows)
            )
        if wanted and not loaded:
            raise ValueError(
                f"Can't start from {self.name}: none of this model's {kind} is in it "
                "or all are skipped."
            )
        unused = {name for name in found.keys() - wanted if not self._skips(name)}
        for title, names in (
            ("loaded", loaded),
            ("skipped", skipped),
            ("left at initialisation, as not in the source", wanted.keys() - found),
            ("not used, as only in the source", unused),
        ):
            listed = "" if title == "loaded" else ": " + ", ".join(sorted(names))
            if names:
                logger.info("init_from: %d %s %s%s", len(names), kind, title, listed)
        return {
            module: {
                name: saved[module][name] if f"{module}/{name}" in loaded else array
                for name, array in arrays.items()
            }
            for module, arrays in fresh.items()
        }

    def _skips(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.skip)
