"""Names that a registry knows, for the help of a command."""

from __future__ import annotations

import importlib
from collections.abc import Iterator


class Known:
    """``choices`` of an option, read when help is shown, so that no command imports torch to start.

    Any value is taken: the configuration refuses a wrong one, with a message that names its key.

    Args:
        module: which registry, such as ``kws.transfer``.
        function: what of it lists the names.
    """

    def __init__(self, module: str, function: str) -> None:
        self.module, self.function = module, function

    def __iter__(self) -> Iterator[str]:
        try:
            registry = importlib.import_module(self.module)
        except ModuleNotFoundError:  # only the device part is installed
            return iter(['those that `pip install "kws[train]"` brings'])
        return iter(getattr(registry, self.function)())

    def __contains__(self, name: object) -> bool:
        return True
