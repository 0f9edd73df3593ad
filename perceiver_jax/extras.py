"""Libraries that only one kind of data or program needs: the extras of setup.py."""

import importlib
from typing import Any

DISTRIBUTION = "perceiver-haiku"  # the name in setup.py


class Library:
    """A library that may not be installed, imported when it is first used.

    It stands where the import would, so that its module can do without:

        cv2 = extras.Library("cv2", extra="flow")
        sklearn = extras.Library("sklearn", "metrics", extra="scores")
    """

    def __init__(self, name: str, *submodules: str, extra: str):
        """Imports nothing yet.

        Args:
          name: of the package.
          *submodules: that its own import leaves out.
          extra: of setup.py, that installs it.
        """
        self._names = (name, *(f"{name}.{submodule}" for submodule in submodules))
        self._extra = extra

    def __getattr__(self, attribute: str) -> Any:
        """Returns the package's attribute.

        Raises:
          ImportError: the library is not installed. The message has the command.
        """
        try:
            package, *_ = map(importlib.import_module, self._names)
        except ModuleNotFoundError as error:
            raise ImportError(
                f"{error.name} is not installed. It comes with the extra"
                f" '{self._extra}': pip install '{DISTRIBUTION}[{self._extra}]', or in"
                f" a checkout: pip install -e '.[{self._extra}]'"
            ) from error
        return getattr(package, attribute)
