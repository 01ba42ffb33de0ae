"""The manifests that a pretraining recipe names, read into one corpus; texts become phones here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kws.errors import AudioError, ConfigError, KwsError, ManifestError
from kws.manifest import Utterance, read_manifest
from kws.training.pretrain_checks import LeftOut, described, refuse_too_many, warn
from kws.training.pretrain_data import Corpus

ToPhones = Callable[[list[str], str, Path | None], Sequence[str | KwsError]]
"""``to_phones(texts, language, lexicon) -> phones`` of each text, spaces between, or why it has none;
``data_prep`` has one."""

NO_PHONES = "no line has phones; give `phones`, or `text` and a `language` in the recipe"


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """One manifest of transcribed speech."""

    manifest: Path
    """JSON Lines with ``path``, and ``phones`` or ``text``."""
    splits: tuple[str, ...] = ("train",)
    """Splits to take."""
    weight: float = 1.0
    """How often an utterance of it is drawn, relative to the others."""
    versions: int = 0
    """Versions of each utterance kept in memory, the recording itself and augmented ones; 0 augments anew at
    every draw, which costs a small machine half of its time."""
    language: str = ""
    """eSpeak language to read ``text`` in where a line has no ``phones``; empty leaves such lines out."""
    lexicon: Path | None = None
    """Pronunciations that override eSpeak's, a line ``WORD PH PH PH`` for each word."""

    unlabelled: bool = False
    """Take lines without phones too; of those only the teacher's embeddings are learnt."""

    def __post_init__(self) -> None:
        if self.versions < 0:
            raise ConfigError(f"{self.manifest}: versions {self.versions} must be 0 or more")
        if self.weight <= 0:
            raise ConfigError(f"{self.manifest}: weight {self.weight} must be above 0; leave the source out")
        if self.lexicon is not None and not self.language:
            raise ConfigError(f"{self.manifest}: a lexicon needs `language`, for the words that it lacks")


@dataclass
class Lines:
    """What the manifests of a recipe hold, before any audio is read.

    Attributes:
        utterances: the lines that are used.
        weights, versions: of each, from its source.
        left_out: the other lines.
    """

    utterances: list[Utterance] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)

    def corpus(self, what: str = "speech", max_left_out: float = 0.5) -> Corpus:
        """Read the audio; what is left out is logged as of ``what``.

        Raises:
            ManifestError: more than ``max_left_out`` of the lines cannot be used.
        """
        found = Corpus(
            self.utterances, self.weights, self.versions, left_out=self.left_out, max_left_out=max_left_out
        )
        warn(found.left_out, what)
        return found


def load_sources(
    sources: tuple[SourceConfig, ...], root: Path = Path(), to_phones: ToPhones | None = None
) -> Corpus:
    """Read every source below ``root`` into one corpus, as :func:`read_sources` and :class:`Corpus` do."""
    return read_sources(sources, root, to_phones).corpus()


def read_sources(
    sources: tuple[SourceConfig, ...],
    root: Path = Path(),
    to_phones: ToPhones | None = None,
    max_left_out: float = 0.5,
) -> Lines:
    """Read the manifest of every source below ``root``, and the phones of its texts.

    A line without phones is left out, unless its source has a language to read its text in, or is
    ``unlabelled``.

    Raises:
        ManifestError: a manifest cannot be read, no line of one can be used, or more than ``max_left_out``
            of all texts cannot be read.
        ConfigError: a source has a language, and no ``to_phones`` was given.
    """
    lines = Lines()
    for source in sources:
        unreadable: list[tuple[str, Path, AudioError]] = []
        found = read_manifest(root / source.manifest, source.splits, unreadable)
        left_out = [LeftOut(where, str(error)) for where, _, error in unreadable]
        if source.language:
            found, unread = _with_phones(found, source, root, to_phones)
            left_out += unread
        usable = [entry for entry in found if entry.phones or source.unlabelled]
        if not usable:
            why = f"no line can be used; the first: {described(left_out[0])}" if left_out else NO_PHONES
            raise ManifestError(f"{root / source.manifest}: {why}")
        left_out += [_untold(entry, source) for entry in found if not (entry.phones or source.unlabelled)]
        lines.utterances += usable
        lines.weights += [source.weight] * len(usable)
        lines.versions += [source.versions] * len(usable)
        lines.left_out += left_out
    faults = sum(entry.is_fault for entry in lines.left_out)
    refuse_too_many(lines.left_out, len(lines.utterances) + faults, max_left_out)
    return lines


def _untold(entry: Utterance, source: SourceConfig) -> LeftOut:
    """Say what a line without phones lacks."""
    if entry.text and entry.text.strip() and not source.language:
        reason = f"a text, but its source has no `language` to read it in ({entry.path})"
        return LeftOut(entry.where, reason, is_fault=False)
    return LeftOut(entry.where, f"no transcript ({entry.path}); give `phones` or `text`", is_fault=False)


def _with_phones(
    utterances: list[Utterance], source: SourceConfig, root: Path, to_phones: ToPhones | None
) -> tuple[list[Utterance], list[LeftOut]]:
    """Read the texts of lines without phones; return the lines, and those whose text cannot be read."""
    if to_phones is None:
        raise ConfigError(f"{source.manifest}: `language` needs a function that turns texts into phones")
    lexicon = None if source.lexicon is None else root / source.lexicon
    texts = [entry.text for entry in utterances if entry.text and not entry.phones]
    try:
        spoken = iter(to_phones(texts, source.language, lexicon))
    except KwsError as error:
        raise ManifestError(f"{root / source.manifest}: {error}") from error
    found, left_out = [], []
    for entry in utterances:
        if not entry.text or entry.phones:
            found.append(entry)
            continue
        phones = next(spoken)
        if isinstance(phones, KwsError):
            left_out.append(LeftOut(entry.where, str(phones)))
        elif phones or source.unlabelled:
            found.append(dataclasses.replace(entry, phones=phones or None))
        else:
            reason = f"text {entry.text!r} holds nothing to say"
            left_out.append(LeftOut(entry.where, reason, is_fault=False))
    return found, left_out
