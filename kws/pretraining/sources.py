"""The manifests that a pretraining recipe names, read into one corpus; texts become phones here."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from kws.errors import AudioError, ConfigError, KwsError, ManifestError
from kws.manifest import Recording, read_manifest
from kws.pretraining.checks import LeftOut, described, refuse_too_many, warn
from kws.pretraining.corpus import SpeechCorpus

logger = logging.getLogger(__name__)

Outputs = Literal["shared", "per_language", "per_language_with_tones"]
"""One phone inventory, ARPAbet, for all languages; or for each but English one of its own symbols."""

ToPhones = Callable[[list[str], str, Path | None, Outputs], Sequence[str | KwsError]]
"""``to_phones(texts, language, lexicon, outputs) -> phones`` of each text, spaces between, or why it has
none: ARPAbet (shared) or in the symbols of the language; ``data_prep`` has one."""

NO_PHONES = "no line has phones; give `phones`, or `text` and a `language` in the recipe"


@dataclass(frozen=True, slots=True)
class SpeechSourceConfig:
    """One manifest of transcribed speech."""

    RENAMED: ClassVar[Mapping[str, str]] = {"unlabelled": "unlabeled"}

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
    """eSpeak language to read ``text`` in where a line has no ``phones``; empty leaves such lines out. For an
    output of its own every ``text`` is read, since ``phones`` are ARPAbet."""
    lexicon: Path | None = None
    """Pronunciations that override eSpeak's, a line ``WORD PH PH PH`` for each word."""
    sentences: bool = True
    """Whether its texts are what people say: the phone n-grams are counted on these alone. Say no for random
    words that are spoken for their sounds."""
    unlabeled: bool = False
    """Take lines without phones too; of those only the teacher's embeddings are learnt."""

    def __post_init__(self) -> None:
        if self.versions < 0:
            raise ConfigError(f"{self.manifest}: versions {self.versions} must be 0 or more")
        if self.weight <= 0:
            raise ConfigError(f"{self.manifest}: weight {self.weight} must be above 0; leave the source out")
        if self.lexicon is not None and not self.language:
            raise ConfigError(f"{self.manifest}: a lexicon needs `language`, for the words that it lacks")

    def own_output(self, outputs: Outputs) -> str:
        """Return the language of the output that this source teaches; empty for the main one."""
        return "" if outputs == "shared" or not self.language or is_english(self.language) else self.language


def is_english(language: str) -> bool:
    """Return whether an eSpeak language code is that of an accent of English."""
    return language.lower().split("-")[0] == "en"


@dataclass
class Lines:
    """What the manifests of a recipe hold, before any audio is read.

    Attributes:
        utterances: the lines that are used.
        weights, versions: of each, from its source.
        languages: of the output that each teaches; empty for the main one.
        inventories: phone symbols of these outputs.
        left_out: the other lines.
    """

    utterances: list[Recording] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    versions: list[int] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    inventories: dict[str, list[str]] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)

    def corpus(
        self,
        what: str = "speech",
        max_left_out: float = 0.5,
        known_only: bool = False,
        cache: Path | None = None,
        num_workers: int = 1,
    ) -> SpeechCorpus:
        """Read the audio; what is left out is logged as of ``what``.

        Args:
            what: such as ``train``.
            max_left_out: share of the lines that may be left out.
            known_only: as in :class:`SpeechCorpus`; speech to train on needs it.
            cache: as there.
            num_workers: as there.
        Raises:
            ManifestError: more lines cannot be used.
        """
        found = SpeechCorpus(
            self.utterances,
            self.weights,
            self.versions,
            languages=self.languages,
            inventories=self.inventories,
            known_only=known_only,
            left_out=self.left_out,
            max_left_out=max_left_out,
            cache=cache,
            num_workers=num_workers,
        )
        warn(found.left_out, what)
        if found.unknown:
            logger.warning(
                "%s: %d utterances hold phones that no training text holds", what, len(found.unknown)
            )
        return found


def load_sources(
    sources: tuple[SpeechSourceConfig, ...],
    root: Path = Path(),
    to_phones: ToPhones | None = None,
    outputs: Outputs = "shared",
    inventories: dict[str, list[str]] | None = None,
) -> SpeechCorpus:
    """Read every source into one corpus; see :func:`read_sources` and :class:`SpeechCorpus`."""
    return read_sources(sources, root, to_phones, outputs, inventories).corpus()


def read_sources(
    sources: tuple[SpeechSourceConfig, ...],
    root: Path = Path(),
    to_phones: ToPhones | None = None,
    outputs: Outputs = "shared",
    inventories: dict[str, list[str]] | None = None,
    max_left_out: float = 0.5,
) -> Lines:
    """Read the manifest of every source below ``root``, and the phones of its texts.

    A line without phones is left out, unless its source has a language to read its text in, or is
    ``unlabeled``. Each utterance gets the column ``corpus``, the manifest as the source names it, and a
    ``language``: of the source, else of the line, else ``en``, which stands for every accent of English.

    Args:
        sources: what to read.
        root: what relative manifest paths start from.
        to_phones: reads the texts of sources with a ``language``.
        outputs: which languages have outputs of their own.
        inventories: phone symbols of these outputs; those of a language that is missing here are collected
            from the texts.
        max_left_out: share of the lines that may be left out.
    Raises:
        ManifestError: a manifest cannot be read, no line of one can be used, or more lines cannot be used.
        ConfigError: a source has a language, and no ``to_phones`` was given.
    """
    lines = Lines(inventories=dict(inventories or {}))
    for source in sources:
        unreadable: list[tuple[str, AudioError]] = []
        found = read_manifest(root / source.manifest, source.splits, unreadable)
        left_out = [LeftOut(where, str(error)) for where, error in unreadable]
        own = source.own_output(outputs)
        if source.language:
            found, unread = _with_phones(found, source, root, to_phones, outputs if own else "shared")
            left_out += unread
        usable = [_labeled(entry, source) for entry in found if entry.phones or source.unlabeled]
        if not usable:
            why = f"no line can be used; the first: {described(left_out[0])}" if left_out else NO_PHONES
            raise ManifestError(f"{root / source.manifest}: {why}")
        if not source.unlabeled:
            left_out += [_untold(entry, source, own) for entry in found if not entry.phones]
        lines.utterances += usable
        lines.weights += [source.weight] * len(usable)
        lines.versions += [source.versions] * len(usable)
        lines.languages += [own] * len(usable)
        lines.left_out += left_out
    faults = sum(entry.is_fault for entry in lines.left_out)
    refuse_too_many(lines.left_out, len(lines.utterances) + faults, max_left_out)
    for language in sorted(set(lines.languages) - {""} - lines.inventories.keys()):
        said = (u.phones for u, own in zip(lines.utterances, lines.languages, strict=True) if own == language)
        lines.inventories[language] = sorted({symbol for text in said if text for symbol in text.split()})
    return lines


def _labeled(entry: Recording, source: SpeechSourceConfig) -> Recording:
    language = source.language or entry.language or "en"
    return dataclasses.replace(
        entry,
        language="en" if is_english(language) else language,
        extra={**entry.extra, "corpus": source.manifest.as_posix()},
    )


def _untold(entry: Recording, source: SpeechSourceConfig, own: str) -> LeftOut:
    """Say what a line without phones lacks."""
    if entry.text and entry.text.strip() and not source.language:
        reason = f"a text, but its source has no `language` to read it in ({entry.path})"
    else:
        needed = "`text`" if own else "`phones` or `text`"
        reason = f"no transcript ({entry.path}); give {needed}"
    return LeftOut(entry.where, reason, is_fault=False)


def _with_phones(
    utterances: list[Recording],
    source: SpeechSourceConfig,
    root: Path,
    to_phones: ToPhones | None,
    outputs: Outputs,
) -> tuple[list[Recording], list[LeftOut]]:
    """Read the texts of lines without phones; for an output of its own, ``phones`` of a line do not count.

    Returns:
        The lines, and those whose text cannot be read.
    """
    if to_phones is None:
        raise ConfigError(f"{source.manifest}: `language` needs a function that turns texts into phones")
    if outputs != "shared":
        utterances = [dataclasses.replace(entry, phones=None) for entry in utterances]
    lexicon = None if source.lexicon is None else root / source.lexicon
    texts = [entry.text for entry in utterances if entry.text is not None and not entry.phones]
    try:
        spoken = iter(to_phones(texts, source.language, lexicon, outputs))
    except KwsError as error:
        raise ManifestError(f"{root / source.manifest}: {error}") from error
    found, left_out = [], []
    for entry in utterances:
        if entry.text is None or entry.phones:
            found.append(entry)
            continue
        phones = next(spoken)
        if isinstance(phones, KwsError):
            left_out.append(LeftOut(entry.where, str(phones)))
        elif phones or source.unlabeled:
            found.append(dataclasses.replace(entry, phones=phones or None))
        else:
            reason = (
                f"{entry.path}: text {entry.text!r} holds nothing to say; write what is said there, or "
                "remove the line"
            )
            left_out.append(LeftOut(entry.where, reason, is_fault=False))
    return found, left_out
