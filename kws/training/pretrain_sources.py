"""The manifests that a pretraining recipe names, read into one corpus; texts become phones here."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kws.errors import ConfigError, KwsError, ManifestError
from kws.manifest import Utterance, read_manifest
from kws.training.pretrain_data import Corpus

logger = logging.getLogger(__name__)

ToPhones = Callable[[list[str], str, Path | None], list[str]]
"""``to_phones(texts, language, lexicon) -> phones`` of each text, spaces between; ``data_prep`` has one."""


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


def load_sources(
    sources: tuple[SourceConfig, ...], root: Path = Path(), to_phones: ToPhones | None = None
) -> Corpus:
    """Read every source below ``root`` into one corpus.

    A line without phones is left out, unless its source has a language to read its text in, or is
    ``unlabelled``.

    Raises:
        ManifestError: a manifest or a text cannot be read, or no line of a manifest can be used.
        ConfigError: a source has a language, and no ``to_phones`` was given.
    """
    utterances, weights, versions = [], [], []
    for source in sources:
        found = read_manifest(root / source.manifest, source.splits)
        if source.language:
            found = _with_phones(found, source, root, to_phones)
        usable = [entry for entry in found if entry.phones or source.unlabelled]
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
    return Corpus(utterances, weights, versions)


def _with_phones(
    utterances: list[Utterance], source: SourceConfig, root: Path, to_phones: ToPhones | None
) -> list[Utterance]:
    if to_phones is None:
        raise ConfigError(f"{source.manifest}: `language` needs a function that turns texts into phones")
    lexicon = None if source.lexicon is None else root / source.lexicon
    texts = [entry.text for entry in utterances if entry.text and not entry.phones]
    try:
        spoken = iter(to_phones(texts, source.language, lexicon))
    except KwsError as error:
        raise ManifestError(f"{root / source.manifest}: {error}") from error
    return [
        dataclasses.replace(entry, phones=next(spoken)) if entry.text and not entry.phones else entry
        for entry in utterances
    ]
