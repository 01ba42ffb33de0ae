"""What libraries tell programmers, kept off the terminal: of every workflow, and of our own programs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = (
    "lightning.pytorch",
    "lightning.fabric",
    "lightning.pytorch.utilities.rank_zero",
    "torch.onnx",
    "onnxscript",
)
"""Loggers of libraries whose notices say nothing to a person."""


def quieten_libraries() -> None:
    """Keep the notices of training and export libraries off the terminal; only programs of ours do this."""
    for category in (FutureWarning, DeprecationWarning, PendingDeprecationWarning):  # for programmers
        warnings.filterwarnings("ignore", category=category)
    warnings.filterwarnings(
        "ignore", module=r"(lightning|torch|torchaudio|lhotse|onnxscript|pyroomacoustics)(\.|$)"
    )
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Do so for a while, and leave warnings and log levels of the caller's process as they were.

    Nothing is kept back where the caller logs what ``kws`` does.
    """
    if logging.getLogger("kws").isEnabledFor(logging.INFO):
        yield
        return
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    with warnings.catch_warnings():
        quieten_libraries()
        try:
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
