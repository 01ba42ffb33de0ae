"""Errors a person can act on; each says what is wrong, what was given, what is allowed and what to do.

Raised everywhere in the project; the command line prints the message without a traceback and exits with 2.
"""

from __future__ import annotations


class KwsError(ValueError):
    """Base of every error that the project raises for input it cannot use."""


class ConfigError(KwsError):
    """A configuration key, value or command-line argument is unknown or out of range."""


class AudioError(KwsError):
    """An audio file or waveform cannot be used.

    Attributes:
        kind: ``missing``, ``empty``, ``corrupt``, ``nonfinite``, ``range`` (floats that are not in [-1, 1]),
            ``offset`` (a stretch behind the end), ``decoder`` (none is installed) or ``form`` (an array that
            is no mono samples of a known type). Findings are counted by it, never by the message.
    """

    def __init__(self, message: str = "", *, kind: str = "corrupt") -> None:
        super().__init__(message)
        self.kind = kind


class ManifestError(KwsError):
    """A manifest or folder of recordings cannot be used."""


class CheckpointError(KwsError):
    """A checkpoint folder, weights file or exported model is missing, damaged or of another shape."""


class ExportMismatch(KwsError):
    """The exported graph does not compute what the checkpoint computes."""


class DependencyError(KwsError):
    """An optional package is not installed; the message holds the install line."""
