"""Recipes for public corpora: an unpacked folder becomes a manifest. One file per corpus, one line here."""

from __future__ import annotations

from pathlib import Path

from data_prep.corpora import (
    but_reverb_db,
    esc50,
    fleurs,
    librispeech,
    musan,
    rirs_noises,
    speech_commands,
)
from data_prep.corpora.base import PublicCorpus
from kws.errors import ConfigError

__all__ = ["PublicCorpus", "available_corpora", "load_corpus", "prepare_corpus"]

_CORPORA: dict[str, PublicCorpus] = {
    corpus.name: corpus
    for corpus in (
        but_reverb_db.CORPUS,
        esc50.CORPUS,
        esc50.ALL,
        fleurs.CORPUS,
        librispeech.CORPUS,
        musan.CORPUS,
        rirs_noises.CORPUS,
        speech_commands.CORPUS,
    )
}


def available_corpora() -> tuple[str, ...]:
    """Return the names of the corpora that have a recipe, sorted."""
    return tuple(sorted(_CORPORA))


def load_corpus(name: str) -> PublicCorpus:
    """Return licence, citation and recipe of a corpus.

    Raises:
        ConfigError: no recipe of that name.
    """
    if name not in _CORPORA:
        raise ConfigError(f"corpus `{name}` is not known; known corpora: {', '.join(available_corpora())}")
    return _CORPORA[name]


def prepare_corpus(name: str, corpus_dir: str | Path, output: str | Path) -> Path:
    """Write the manifest of an unpacked corpus and return its path.

    Raises:
        ConfigError: no recipe of that name.
        ManifestError: the folder is not the corpus.
    """
    return load_corpus(name).prepare(corpus_dir, output)
