"""Libraries that only one kind of data or program needs: the extras of setup.py."""

import importlib
from typing import Any

DISTRIBUTION = "perceiver-haiku"  # the name in setup.py


class Library:
    """A module of a library that may not be installed, imported at its first use.

    It stands where the import would, and the module with it needs no such library:

        cv2 = extras.Library("cv2", extra="flow")
    """

    def __init__(self, name: str, *others: str, extra: str):
        """Imports nothing yet.

        Args:
          name: of the module whose attributes these are.
          *others: modules to import with it, for what their import does to it.
          extra: of setup.py, that installs them.
        """
        self._names = (name, *others)
        self._extra = extra

    def __getattr__(self, attribute: str) -> Any:
        """Returns the module's attribute.

        Raises:
          ImportError: the library is not installed. The message has the command.
        """
        try:
            module, *_ = map(importlib.import_module, self._names)
        except ModuleNotFoundError as error:
            raise ImportError(
                f"{error.name} is not installed. It comes with the extra"
                f" '{self._extra}': pip install '{DISTRIBUTION}[{self._extra}]', or in"
                f" a checkout: pip install -e '.[{self._extra}]'"
            ) from error
        return getattr(module, attribute)
