"""What a study's recipe says, read strictly: keywords, audio, choices, numbers of recordings and seeds."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from kws.config import load_config, merge, read_yaml
from kws.enrollment.methods import METHODS, TEXT_ALONE
from kws.errors import ConfigError
from kws.evaluation.protocol import TestProtocol

OF_THE_PROTOCOL = {"conditions": "conditions", "copies": "copies", "test_seed": "seed"}
"""Keys of older recipes -> what they are called in ``protocol``."""

ALL = "all"
"""In place of a number of recordings: as many as there are."""

CONTROL = "scratch"
"""Name of the control: the common settings, trained from random weights."""

TOGETHER, BEFORE = "together", "before"
"""What becomes of the study's other keywords where a choice trains them too."""


@dataclass(frozen=True, slots=True)
class SettingsConfig:
    """Settings of ``kws train``, by the names of its options; what is left out is its default."""

    policy: str | None = None
    """Which layers move."""
    depth: int | None = None
    """Encoder layers to keep."""
    head: str | None = None
    """What is stacked on them."""
    encoder: str | None = None
    """Name of the encoder."""
    weights: Path | None = None
    """Its local weights."""
    false_accepts_per_hour: float | None = None
    """Rate that the stored threshold is chosen for."""
    synthetic: int | None = None
    """Synthetic recordings of the keyword."""
    confusables: int | None = None
    """Synthetic recordings of words that sound like it."""
    language: str | None = None
    """eSpeak language of the keyword."""
    set: dict[str, Any] = field(default_factory=dict)
    """Further keys as ``--set`` takes them, such as ``train.epochs: 12``."""

    def given(self) -> dict[str, Any]:
        """Return the options that are given, but for ``set``."""
        names = [entry.name for entry in fields(SettingsConfig) if entry.name != "set"]
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    def over(self, common: SettingsConfig) -> SettingsConfig:
        """Return these settings laid over common ones."""
        return SettingsConfig(**{**common.given(), **self.given()}, set={**common.set, **self.set})


@dataclass(frozen=True, slots=True)
class ChoiceConfig(SettingsConfig):
    """One choice that is compared, beside the common settings."""

    recordings: tuple[Any, ...] = ()
    """Numbers of recordings of this choice; empty takes the study's."""
    others: str | None = None
    """Also train the study's other keywords, with as many recordings of each: ``together`` in one detector,
    or ``before`` it, and the keyword is added to theirs (``kws train --add-to``). None leaves them out."""
    target_audio: tuple[Path, ...] = ()
    """Recordings without labels of where the detector will be used, for the regularisers dann and mmd."""
    enroll: str | None = None
    """A method of ``kws enroll`` in place of training: one of :data:`kws.enrollment.methods.METHODS`."""
    peer: str | None = None
    """In place of training: a detector of others, ``module:function``; see :mod:`kws.studies.peers`."""
    peer_files: Path | None = None
    """Folder of its own files."""

    def __post_init__(self) -> None:
        check_recordings(self.recordings, "recordings")
        for key, value, allowed in (
            ("others", self.others, (TOGETHER, BEFORE)),
            ("enroll", self.enroll, METHODS),
        ):
            if value is not None and value not in allowed:
                raise ConfigError(f"{key}: got {value!r}, allowed: {', '.join(allowed)}")
        if self.peer_files is not None and self.peer is None:
            raise ConfigError("peer_files: there is no `peer`; give it, or leave the files out")
        if self.enroll is None and self.peer is None:
            return
        kind = "peer" if self.peer else "enroll"
        more = ("set", "others", "target_audio", *(["enroll"] if self.peer else []))
        given = [*self.given(), *(key for key in more if getattr(self, key))]
        surplus = [key for key in given if key != "language" or self.peer]
        if surplus:
            raise ConfigError(f"{surplus[0]}: nothing is trained with `{kind}`; leave it out")
        if self.enroll in TEXT_ALONE and self.recordings != (0,):
            raise ConfigError(f"recordings: enroll {self.enroll} takes none; give `recordings: [0]`")


@dataclass(frozen=True, slots=True)
class KeywordConfig:
    """One keyword with its recordings."""

    keyword: str
    """The phrase."""
    train: tuple[Path, ...]
    """Recordings to draw from: folders or manifests. Those of other words or of split ``test`` stay out."""
    test: tuple[Path, ...] = ()
    """Clips of other speakers, of which the study makes every condition; those of split ``test``, or none."""
    test_conditions: dict[str, Any] = field(default_factory=dict)
    """In place of ``test``: condition -> clips that are already so."""

    def __post_init__(self) -> None:
        if not self.keyword.strip() or not self.train:
            raise ConfigError("keywords: each needs a `keyword` and its `train` recordings")
        if bool(self.test) == bool(self.test_conditions):
            raise ConfigError(
                f"keywords: {self.keyword}: give either `test`, of which conditions are made, or "
                "`test_conditions`, a source for each condition"
            )
        for condition, source in self.test_conditions.items():
            if not isinstance(source, str):
                raise ConfigError(
                    f"keywords: {self.keyword}: test_conditions.{condition}: got {source!r}, expected a path"
                )


@dataclass(frozen=True, slots=True)
class StudyConfig:
    """A study: every choice, with every number of recordings, for every keyword and seed."""

    keywords: tuple[KeywordConfig, ...]
    """What is trained, each by itself unless a choice says otherwise."""
    negatives: tuple[Path, ...]
    """Speech to train on."""
    test_negatives: tuple[Path, ...]
    """Speech of other people, in which false accepts are counted; what holds a keyword is left out."""
    choices: dict[str, Any]
    """Name -> :class:`ChoiceConfig`."""
    noise: tuple[Path, ...] = ()
    """Noise to train on."""
    test_noise: tuple[Path, ...] = ()
    """Other noise: mixed in for the conditions, and part of the negatives of the test."""
    rooms: tuple[Path, ...] = ()
    """Recorded room impulse responses to train with; none simulates rooms."""
    test_rooms: tuple[Path, ...] = ()
    """Other ones, for the conditions with a room."""
    protocol: TestProtocol = field(default_factory=TestProtocol)
    """How every detector is tested, as `kws eval` does with the same protocol."""
    rates: tuple[float, ...] = (0.5, 1.0, 2.0)
    """False accepts per hour at which misses are counted."""
    compared_at: float = 1.0
    """The one of ``rates`` at which choices are compared."""
    recordings: tuple[Any, ...] = (5, 10, 25, 50, 100, ALL)
    """Numbers of training recordings: whole numbers, 0 for synthetic voices alone, or ``all``."""
    seeds: tuple[int, ...] = (0,)
    """Of the draw of recordings and of training."""
    settings: SettingsConfig = field(default_factory=SettingsConfig)
    """Common to all choices."""
    labels: dict[str, Any] = field(default_factory=dict)
    """What the table calls a choice; without one, its name."""
    control: bool = True
    """Also train from scratch, to see what transfer gains."""
    control_recordings: tuple[Any, ...] = ()
    """Numbers of recordings of the control; empty takes every number that a choice has."""

    def __post_init__(self) -> None:
        for name in ("keywords", "negatives", "test_negatives", "rates", "recordings", "seeds"):
            if not getattr(self, name):
                raise ConfigError(f"{name}: is empty; give one or more")
        for name, values in (
            ("keywords", [entry.keyword for entry in self.keywords]),
            ("seeds", self.seeds),
            ("rates", self.rates),
        ):
            if len(set(values)) != len(values):
                raise ConfigError(f"{name}: got {', '.join(map(str, values))}; give each once")
        if not self.choices and not self.control:
            raise ConfigError("choices: is empty and there is no control; give one or more")
        if self.control and CONTROL in self.choices:
            raise ConfigError(
                f"choices.{CONTROL}: is the name of the control, which is run by itself; leave it out, or "
                "set `control: false`"
            )
        if min(self.rates) <= 0 or self.compared_at not in self.rates:
            raise ConfigError(
                f"compared_at: got {self.compared_at:g}, allowed: one of the rates, all above 0: "
                f"{', '.join(f'{rate:g}' for rate in self.rates)}"
            )
        check_recordings(self.recordings, "recordings")
        check_recordings(self.control_recordings, "control_recordings")
        given = [tuple(entry.test_conditions) for entry in self.keywords if entry.test_conditions]
        if given and (len(given) != len(self.keywords) or len(set(given)) != 1):
            raise ConfigError(
                "keywords: give every keyword the same `test_conditions` in the same order, or none any"
            )

    def condition_names(self) -> tuple[str, ...]:
        """Return the conditions in which misses are counted."""
        return tuple(self.keywords[0].test_conditions or self.protocol.conditions)

    def all_choices(self) -> dict[str, ChoiceConfig]:
        """Return every choice by name, the control last; raises ConfigError naming the key."""
        found = {
            str(name): load_config(ChoiceConfig, values or {}, f"choices.{name}")
            for name, values in self.choices.items()
        }
        for name, choice in found.items():
            if choice.others and len(self.keywords) < 2:
                raise ConfigError(f"choices.{name}.others: the study has one keyword; give it another")
        if self.control:
            everything = [n for choice in found.values() for n in choice.recordings or self.recordings]
            numbers = self.control_recordings or sorted_recordings(everything or self.recordings)
            found[CONTROL] = ChoiceConfig(policy="scratch", recordings=tuple(numbers))
        return found


def check_recordings(values: Sequence[Any], where: str) -> None:
    """Refuse what is neither a number of recordings nor ``all``, and what is given twice.

    Raises:
        ConfigError: naming the value.
    """
    for value in values:
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if not whole and value != ALL:
            hint = f"; did you mean `{ALL}`?" if difflib.get_close_matches(str(value), [ALL]) else ""
            raise ConfigError(f"{where}: got {value!r}, allowed: whole numbers from 0, or {ALL}{hint}")
    if len(set(values)) != len(values):
        raise ConfigError(f"{where}: got {', '.join(map(str, values))}; give each once")


def sorted_recordings(values: Sequence[Any]) -> list[Any]:
    """Return different numbers of recordings, ascending, ``all`` last."""
    return sorted(set(values), key=lambda value: (value == ALL, 0 if value == ALL else value))


def load_study(path: Path, overrides: dict[str, Any] | None = None) -> StudyConfig:
    """Read a recipe.

    Args:
        path: YAML of :class:`StudyConfig`.
        overrides: changes laid over it.
    Raises:
        ConfigError: the file cannot be read, or a key or value is unknown; the message names it.
    """
    config = load_config(StudyConfig, _as_now(merge(read_yaml(path), overrides or {})), str(path))
    config.all_choices()
    return config


def _as_now(values: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of an older recipe as they are called now; silence is heard before every clip."""
    moved = {now: values[key] for key, now in OF_THE_PROTOCOL.items() if key in values}
    kept = {key: value for key, value in values.items() if key not in (*OF_THE_PROTOCOL, "after_silence")}
    return {**kept, "protocol": {**moved, **(kept.get("protocol") or {})}} if moved else kept
