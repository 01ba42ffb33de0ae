"""The manifests that a pretraining recipe names, read into one corpus; texts become phones here."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kws.errors import ConfigError, KwsError, ManifestError
from kws.manifest import Utterance, read_manifest
from kws.training.pretrain_data import Corpus

logger = logging.getLogger(__name__)

Outputs = Literal["shared", "per_language", "per_language_with_tones"]
"""One phone inventory, ARPAbet, for all languages; or for each but English one of its own symbols."""

ToPhones = Callable[[list[str], str, Path | None, Outputs], list[str]]
"""``to_phones(texts, language, lexicon, outputs) -> phones`` of each text, spaces between: ARPAbet (shared)
or in the symbols of the language; ``data_prep`` has one."""


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
    """eSpeak language to read ``text`` in where a line has no ``phones``; empty leaves such lines out. For an
    output of its own every ``text`` is read, since ``phones`` are ARPAbet."""
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

    def own_output(self, outputs: Outputs) -> str:
        """Return the language of the output that this source teaches; empty for the main one."""
        return "" if outputs == "shared" or not self.language or is_english(self.language) else self.language


def is_english(language: str) -> bool:
    """Return whether an eSpeak language code is that of an accent of English."""
    return language.lower().split("-")[0] == "en"


def load_sources(
    sources: tuple[SourceConfig, ...],
    root: Path = Path(),
    to_phones: ToPhones | None = None,
    outputs: Outputs = "shared",
    inventories: dict[str, list[str]] | None = None,
) -> Corpus:
    """Read every source below ``root`` into one corpus.

    A line without phones is left out, unless its source has a language to read its text in, or is
    ``unlabelled``. Each utterance gets the extra fields ``corpus``, the manifest as the source names it, and
    ``language``: of the source, else of the line, else ``en``, which stands for every accent of English.

    Args:
        sources: what to read.
        root: what relative manifest paths start from.
        to_phones: reads the texts of sources with a ``language``.
        outputs: which languages have outputs of their own.
        inventories: phone symbols of these outputs; those of a language that is missing here are collected
            from the texts.
    Raises:
        ManifestError: a manifest or a text cannot be read, or no line of a manifest can be used.
        ConfigError: a source has a language, and no ``to_phones`` was given.
    """
    utterances, weights, versions, languages = [], [], [], []
    for source in sources:
        found = read_manifest(root / source.manifest, source.splits)
        if source.language:
            found = _with_phones(found, source, root, to_phones, outputs)
        usable = [_labelled(entry, source) for entry in found if entry.phones or source.unlabelled]
        if not usable:
            raise ManifestError(
                f"{root / source.manifest}: no line has phones; give `phones`, or `text` and a `language` "
                "in the recipe"
            )
        told = sum(entry.phones is not None for entry in usable)
        logger.info("%s: %d of %d utterances have phones", source.manifest, told, len(found))
        utterances += usable
        weights += [source.weight] * len(usable)
        versions += [source.versions] * len(usable)
        languages += [source.own_output(outputs)] * len(usable)
    known = dict(inventories or {})
    for language in sorted(set(languages) - {""} - known.keys()):
        said = (u.phones for u, own in zip(utterances, languages, strict=True) if own == language)
        known[language] = sorted({symbol for phones in said if phones for symbol in phones.split()})
    corpus = Corpus(utterances, weights, versions, languages=languages, inventories=known)
    if corpus.unknown:
        logger.warning("%d utterances hold phones that no training text holds", len(corpus.unknown))
    return corpus


def _labelled(entry: Utterance, source: SourceConfig) -> Utterance:
    language = source.language or entry.extra.get("language") or "en"
    labels = {
        "corpus": source.manifest.as_posix(),
        "language": "en" if is_english(language) else language,
    }
    return dataclasses.replace(entry, extra=entry.extra | labels)


def _with_phones(
    utterances: list[Utterance],
    source: SourceConfig,
    root: Path,
    to_phones: ToPhones | None,
    outputs: Outputs,
) -> list[Utterance]:
    """Read the texts of a source; for an output of its own, ``phones`` of the manifest do not count."""
    if to_phones is None:
        raise ConfigError(f"{source.manifest}: `language` needs a function that turns texts into phones")
    own = bool(source.own_output(outputs))
    if own:
        utterances = [dataclasses.replace(entry, phones=None) for entry in utterances]
    lexicon = None if source.lexicon is None else root / source.lexicon
    texts = [entry.text for entry in utterances if entry.text is not None and not entry.phones]
    try:
        spoken = iter(to_phones(texts, source.language, lexicon, outputs if own else "shared"))
    except KwsError as error:
        raise ManifestError(f"{root / source.manifest}: {error}") from error
    read = []
    for entry in utterances:
        if entry.text is not None and not entry.phones:
            phones = next(spoken)
            if not phones and not source.unlabelled:
                raise ManifestError(
                    f"{root / source.manifest}: {entry.path}: text {entry.text!r} holds nothing to say; "
                    "write what is said there, or remove the line"
                )
            entry = dataclasses.replace(entry, phones=phones or None)
        read.append(entry)
    return read
