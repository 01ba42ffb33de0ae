"""Configuration of data preparation: what to read, refuse and split. Made by the command from its options."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kws.errors import ConfigError
from kws.manifest import SPLITS


@dataclass(frozen=True, slots=True)
class CheckConfig:
    """When a recording is left out. Kinds of problem are listed in ``data_prep.checks``."""

    min_s: float = 0.2
    """Shortest recording in seconds."""
    max_s: float = 360_000.0
    """Longest recording in seconds; 100 hours by default, since long files are read block by block."""
    silence_peak_db: float = -60.0
    """Below this peak, in dB of full scale, a recording is silent (quietest of 1,100 real ones: -38)."""
    silence_rms_db: float = -75.0
    """Below this mean power, in dB of full scale, a recording is silent (quietest real one: -53)."""
    clip_warn_share: float = 0.001
    """Share of samples at full scale from which a warning is given, in (0, 1]."""
    clip_reject_share: float = 0.1
    """Share of samples at full scale from which the recording is left out, in (0, 1]."""
    max_left_out: float = 0.5
    """Share of recordings that may be left out before the stage fails, in [0, 1]."""

    def __post_init__(self) -> None:
        """Refuse ranges that no recording can meet."""
        if not 0 <= self.min_s < self.max_s:
            raise ConfigError(
                f"shortest length {self.min_s} s (`min_s`) must not be negative nor reach the longest, "
                f"{self.max_s} s; change it"
            )
        if not 0 < self.clip_warn_share <= self.clip_reject_share <= 1:
            raise ConfigError(
                f"checks: clip_warn_share {self.clip_warn_share} must be above 0 and not above "
                f"clip_reject_share {self.clip_reject_share}, which must not be above 1; change one"
            )
        if not 0 <= self.max_left_out <= 1:
            raise ConfigError(f"checks.max_left_out: got {self.max_left_out}, allowed: 0 to 1")


@dataclass(frozen=True, slots=True)
class SplitConfig:
    """How recordings without a split are shared out."""

    dev_fraction: float = 0.1
    """Share of speakers for choosing thresholds and stopping, in [0, 1)."""
    test_fraction: float = 0.1
    """Share of speakers for reporting, in [0, 1)."""
    seed: int = 0
    """Another seed gives another split."""
    ensure: tuple[str, ...] = ("train", "dev")
    """Splits that get at least one item, if need be a speaker moved there, or files of the only speaker."""
    ensure_labels: tuple[str, ...] = ()
    """Labels, such as the keywords, of which each split in ``ensure`` gets at least one recording."""

    def __post_init__(self) -> None:
        """Refuse fractions that leave nothing to train on."""
        if min(self.dev_fraction, self.test_fraction) < 0 or self.dev_fraction + self.test_fraction >= 1:
            raise ConfigError(
                f"shares for dev {self.dev_fraction} (`dev`) and test {self.test_fraction} (`test`) must not "
                "be negative and together be below 1; lower them"
            )
        if unknown := set(self.ensure) - set(SPLITS):
            raise ConfigError(f"split.ensure: got {', '.join(sorted(unknown))}, allowed: {', '.join(SPLITS)}")


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One place to read recordings from, and what holds for all of it."""

    path: Path
    """Folder, manifest (JSONL, CSV, Lhotse) or audio file."""
    label: str | None = None
    """Label of recordings that have none, such as the keyword."""
    speaker: str | None = None
    """Speaker of recordings that name none."""
    split: str | None = None
    """Split of recordings that have none: train, dev or test."""
    language: str | None = None
    """Language code of recordings that name none."""
    name: str | None = None
    """Value of the ``source`` column where it is empty."""

    def __post_init__(self) -> None:
        """Refuse an unknown split."""
        if self.split not in (None, *SPLITS):
            raise ConfigError(f"sources.split: got {self.split!r}, allowed: {', '.join(SPLITS)} or nothing")


@dataclass(frozen=True, slots=True)
class PrepConfig:
    """Everything that ``kws prep`` needs."""

    sources: tuple[SourceConfig, ...] = ()
    """Where recordings come from; at least one."""
    output: Path = Path("data")
    """Folder for ``manifest.jsonl``, ``report.md`` and ``report.json``."""
    checks: CheckConfig = field(default_factory=CheckConfig)
    """What is left out."""
    split: SplitConfig = field(default_factory=SplitConfig)
    """How train, dev and test are chosen."""
    num_workers: int = 0
    """Files read at the same time; 0 takes every core. Does not change the result."""

    def __post_init__(self) -> None:
        """Refuse an empty list of sources."""
        if not self.sources:
            raise ConfigError("no recordings were named; give at least one folder, manifest or file")
        if self.num_workers < 0:
            raise ConfigError(f"workers: got {self.num_workers}, allowed: 0 (every core) or more")
