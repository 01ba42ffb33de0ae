"""How a detector is tested: one protocol for `kws eval`, `kws study` and every benchmark.

The rules, and why they are these:

- A clip is heard amid its surroundings: ``lead_s`` before it and ``tail_s`` after it, in the noise and the
  room of the condition. A device has listened for long when somebody calls, and its noise does not begin
  with the call.
- A detection hits from ``early_s`` before the first loud frame of the keyword on. What fires before that has
  not heard it, so a detector gains nothing by firing in the noise ahead of a call.
- Negatives are one stream, ``gap_s`` of silence after each recording, then noise by itself, then the
  recordings once more, changed as ``copies`` say. Hours are those of recordings; the silence counts for
  nothing.
- The threshold at a rate is the lowest one, such that it and all higher ones keep to the rate on the
  negatives as they are. Every condition is judged at it, as a device has one threshold. Where none keeps to
  the rate, all clips count as missed.
- Each keyword of a file is judged as if it were alone, so that files of one and of several are compared.
- Smoothing, patience and refractory time are those of the file, unless the protocol gives others.
- Samples are int16, as a microphone gives them, and noise and rooms follow from seed, condition and clip.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from kws.config import config_hash, load_config, merge, read_yaml, to_dict
from kws.decisions import DecisionConfig
from kws.errors import ConfigError

CLEAN = "clean"
"""Name of the condition that leaves clips as they are."""
BABBLE = "babble"
"""Key of a condition whose noise is babble, mixed from the negatives."""
NEEDS_NOISE = "snr_db"
"""Key of a condition that needs recordings of noise."""


@dataclass(frozen=True, slots=True)
class TestProtocol:
    """Everything that decides, beside detector and recordings, what is counted; see the module."""

    __test__: ClassVar[bool] = False  # pytest collects nothing of this name

    lead_s: float = 3.0
    """Heard before each clip, longer than an embedded encoder hears back (seconds)."""
    tail_s: float = 1.0
    """Heard after each clip, so that a detection that comes late is counted (seconds)."""
    early_s: float = 0.2
    """A keyword may begin so much before its first loud frame, as weak consonants do (seconds)."""
    conditions: dict[str, Any] = field(
        default_factory=lambda: {
            CLEAN: {},
            "noise 10 dB": {"snr_db": 10.0},
            "room and noise 5 dB": {"snr_db": 5.0, "room": True},
        }
    )
    """Conditions of the clips: name -> keys of :class:`data_prep.conditions.ConditionConfig`."""
    copies: dict[str, Any] = field(default_factory=dict)
    """The same for the negatives: each is heard once more, changed in one of these ways, in turn."""
    gap_s: float = 0.5
    """Silence after each recording of the negatives, so that no two make a word together (seconds)."""
    num_rooms: int = 100
    """Simulated rooms, of another part of the seed than those of training."""
    smoothing_frames: int | None = None
    """Frames averaged before the threshold; None takes those of the file."""
    refractory_s: float | None = None
    """Shortest time between two detections (seconds); None takes that of the file."""
    seed: int = 20
    """Of noise and rooms."""
    patience: int | None = None
    """Frames in a row that must reach the threshold; None takes what the file says."""

    def __post_init__(self) -> None:
        for name in ("lead_s", "tail_s", "early_s", "gap_s"):
            if not 0 <= getattr(self, name) <= 60:
                raise ConfigError(f"protocol.{name}: got {getattr(self, name):g}, allowed: 0 to 60 seconds")
        if not self.conditions:
            raise ConfigError("protocol.conditions: is empty; give one or more, such as `clean: {}`")
        if self.num_rooms < 1:
            raise ConfigError(f"protocol.num_rooms: got {self.num_rooms}, allowed: 1 or more")
        self.decided(DecisionConfig((1.0,)))  # checks what is given

    @property
    def hash(self) -> str:
        """A hash of all of it: two results with the same one were counted alike."""
        values = to_dict(self)
        if self.patience is None:
            del values["patience"]  # as in protocols that were written before there was any
        return config_hash(values)

    def decided(self, stored: DecisionConfig) -> DecisionConfig:
        """Return how scores become detections in the test.

        Args:
            stored: the decision of the file.
        """
        given = {
            name: value
            for name in ("smoothing_frames", "refractory_s", "patience")
            if (value := getattr(self, name)) is not None
        }
        return replace(stored, **given)

    def without_noise(self) -> TestProtocol:
        """Return the protocol without conditions and copies that need recordings of noise."""

        def kept(conditions: dict[str, Any]) -> dict[str, Any]:
            return {
                n: keys
                for n, keys in conditions.items()
                if (keys or {}).get(NEEDS_NOISE) is None or keys.get(BABBLE)
            }

        return replace(self, conditions=kept(self.conditions) or {CLEAN: {}}, copies=kept(self.copies))

    def needs_babble(self) -> bool:
        """Return whether a condition or a copy mixes babble in."""
        return any((keys or {}).get(BABBLE) for keys in (*self.conditions.values(), *self.copies.values()))

    def told(self) -> str:
        """Return the protocol in a line."""
        copies = f"; negatives once more in {', '.join(self.copies)}" if self.copies else ""
        return (
            f"{self.hash}: {self.lead_s:g} s before and {self.tail_s:g} s after each clip, which may be hit "
            f"from {self.early_s:g} s before its first loud frame; {', '.join(self.conditions)}{copies}; "
            f"seed {self.seed}"
        )


def changed_protocol(protocol: TestProtocol | Path | None, overrides: dict[str, Any]) -> TestProtocol:
    """Return a protocol with changes laid over it.

    Args:
        protocol: or the YAML file that holds one, such as a study writes; None is the defaults.
        overrides: by key.
    Raises:
        ConfigError: the file cannot be read, or a key or value is unknown; the message names it.
    """
    if isinstance(protocol, Path):
        values, where = read_yaml(protocol), str(protocol)
    else:
        values, where = {} if protocol is None else to_dict(protocol), "protocol"
    return load_config(TestProtocol, merge(values, overrides), where)
