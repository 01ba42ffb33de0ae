"""What a person may set of the service: limits on clients, and how scores of the models become detections."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from kws.errors import ConfigError

DEFAULT_URI = "tcp://127.0.0.1:10400"
"""Where the service listens: this machine alone, at the usual port of wake-word services."""

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True)
class ServeLimits:
    """What one client may take; who asks for more is slowed down, refused or closed."""

    max_connections: int = 64
    """Clients at once; for one more, the client that has been idle longest and streams nothing is closed."""
    max_header_bytes: int = 16 * 1024
    """Longest line of a message."""
    max_data_bytes: int = 64 * 1024
    """Longest JSON part behind that line."""
    max_payload_bytes: int = 1024 * 1024
    """Longest piece of audio in one message."""
    max_messages_per_s: float = 500.0
    """Messages that are read per second, after a burst of twice as many."""
    max_requests_per_s: float = 20.0
    """Messages other than audio that are read per second, after a burst of five times as many."""
    max_bytes_per_s: float = 4e6
    """Bytes that are read per second, after a burst of four times as many."""
    max_speed: float = 4.0
    """Seconds of audio that are heard per second, after a burst of ``burst_s``."""
    burst_s: float = 10.0
    """Seconds of audio that are heard as fast as they come."""
    first_message_s: float = 10.0
    """Time for the first message of a client, in seconds."""
    message_s: float = 10.0
    """Time from the first byte of a message to its last, and for a client to take an answer, in seconds."""
    idle_s: float = 300.0
    """Time without a message after which a client is closed, in seconds."""
    stop_s: float = 5.0
    """Time for what is being heard when the service is told to stop, in seconds."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ConfigError(f"`{name}`: got {value}, expected a number above 0")


@dataclass(frozen=True, slots=True)
class DecisionChoices:
    """How scores become detections where it shall differ from what the files say.

    Each is one value for every model, or a mapping keyword -> value; the key "" holds that of all others.
    """

    threshold: Mapping[str, float] = field(default_factory=dict)
    """Score within [0, 1] from which a keyword counts."""
    refractory_s: Mapping[str, float] = field(default_factory=dict)
    """Shortest time between two detections of a keyword, in seconds."""
    smoothing_frames: Mapping[str, int] = field(default_factory=dict)
    """Length of the moving average over scores, in frames: the patience of the detector."""

    def __post_init__(self) -> None:
        for value in self.threshold.values():
            if not 0 <= value <= 1:
                raise ConfigError(f"`threshold`: got {value}, expected a number within [0, 1]")
        for value in self.refractory_s.values():
            if not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"`refractory_s`: got {value}, expected 0 or more seconds")
        for value in self.smoothing_frames.values():
            if value < 1:
                raise ConfigError(f"`smoothing_frames`: got {value}, expected 1 (no smoothing) or more")

    def thresholds_of(self, keywords: tuple[str, ...]) -> dict[str, float]:
        """Return the thresholds that replace those in a file with these keywords."""
        found = {keyword: self.threshold.get(keyword, self.threshold.get("")) for keyword in keywords}
        return {keyword: value for keyword, value in found.items() if value is not None}

    def named(self) -> set[str]:
        """Return the keywords that have a value of their own."""
        return {*self.threshold, *self.refractory_s, *self.smoothing_frames} - {""}


def one_of(choices: Mapping[str, Number], keywords: tuple[str, ...], name: str) -> Number | None:
    """Return the value for a file, whose keywords share it; None leaves that of the file.

    Args:
        choices: keyword -> value, "" for all others.
        keywords: those of the file.
        name: of the choice, for the message.
    Raises:
        ConfigError: two keywords of the file have different values.
    """
    own = {choices[keyword] for keyword in keywords if keyword in choices}
    if len(own) > 1:
        raise ConfigError(f"`{name}`: {', '.join(keywords)} are of one file and share one value; give one")
    return own.pop() if own else choices.get("")
