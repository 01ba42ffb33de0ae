"""Recordings or a public corpus to a checked manifest, or speech from text; what ``kws prep`` does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kws.workflows import folders
from kws.workflows.written_files import CORPUS, PREPARED, SPOKEN

if TYPE_CHECKING:
    from data_prep.prepare import Preparation

MANIFEST = "manifest.jsonl"
"""Name of a corpus's manifest in the output folder."""


@dataclass(frozen=True, slots=True)
class SyntheticSpeech:
    """What synthetic voices said.

    Attributes:
        positives: manifest of recordings of the keyword.
        negatives: manifest of recordings without it.
        note: what the voices say, and where samples lie.
    """

    positives: Path
    negatives: Path
    note: str


@folders.leaves_nothing(PREPARED)
def prepare(
    sources: Sequence[Path],
    output: Path,
    *,
    label: str | None = None,
    speaker: str | None = None,
    split: str | None = None,
    min_s: float = 0.2,
    dev: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
    num_workers: int = 2,
    overwrite: bool = False,
    progress: bool | None = None,
) -> Preparation:
    """Check recordings, share them out over splits, and write a manifest with a report of what was left out.

    Args:
        sources: folders, manifests, Lhotse cuts or single files.
        output: folder for the manifest and the report.
        label: of recordings that have none, such as the keyword.
        speaker: of recordings that name none.
        split: of recordings that have none; None shares them out.
        min_s: shortest recording to keep, in seconds.
        dev: share of speakers for choosing thresholds.
        test: share of speakers for reporting.
        seed: of the splits.
        num_workers: threads that read audio.
        overwrite: replace a manifest made from other settings or recordings.
        progress: show a bar; None shows it on a terminal only.
    Raises:
        ManifestError: a source cannot be read, or too many recordings cannot be used.
        ConfigError: the folder holds something else.
    """
    from data_prep.config import CheckConfig, PrepConfig, SourceConfig, SplitConfig
    from data_prep.prepare import prepare as prepare_sources
    from kws.text import normalize

    folders.keep_apart(output, {"sources": sources})
    folders.claim(output, PREPARED)
    named = label and normalize(label)
    config = PrepConfig(
        sources=tuple(SourceConfig(source, label=named, speaker=speaker, split=split) for source in sources),
        output=output,
        checks=CheckConfig(min_s=min_s),
        split=SplitConfig(dev_fraction=dev, test_fraction=test, seed=seed),
        num_workers=num_workers,
    )
    return prepare_sources(config, overwrite=overwrite, progress=progress)


@folders.leaves_nothing(CORPUS)
def prepare_corpus(name: str, folder: Path, output: Path) -> Path:
    """Write the manifest of an unpacked public corpus and return its path.

    Args:
        name: of a recipe in :mod:`data_prep.corpora`.
        folder: the corpus.
        output: folder for the manifest.
    Raises:
        ManifestError: the folder does not hold the corpus.
        ConfigError: the recipe is unknown, or ``output`` holds something else.
    """
    from data_prep.corpora import prepare_corpus as run_recipe

    # a corpus is read by the names of its parts, so that a folder of ours in it is not taken for recordings
    folders.keep_apart(output, {"folder": (folder,)}, above=False)
    folders.claim(output, CORPUS)
    return run_recipe(name, folder, output / MANIFEST)


@folders.leaves_nothing(SPOKEN)
def synthesize(
    keyword: str,
    output: Path,
    *,
    language: str = "en",
    num_positives: int = 500,
    num_negatives: int = 2000,
    voices: Sequence[str] = ("espeak",),
    seed: int = 0,
    num_workers: int = 2,
) -> SyntheticSpeech:
    """Let synthetic voices say a keyword, and what it may be confused with.

    Args:
        keyword: what is said.
        output: folder for both manifests, the recordings and samples.
        language: eSpeak language code; ``en`` is every accent of English.
        num_positives: recordings of the keyword.
        num_negatives: recordings without it.
        voices: synthesisers that speak, or voices of them as ``ENGINE:VOICE``.
        seed: of words and voices.
        num_workers: processes that speak.
    Raises:
        KwsError: the keyword cannot be said, or the folder holds something else.
    """
    from data_prep.synthesis.engines import choose
    from data_prep.synthesis.keyword import synthesize_keyword
    from data_prep.synthesis.readings import note

    choice = choose(voices, language)
    folders.claim(output, SPOKEN)
    positives, negatives = synthesize_keyword(
        keyword,
        output,
        num_positives,
        num_negatives,
        seed,
        language=language,
        speakers=choice.speakers,
        with_espeak=choice.with_espeak,
        num_workers=num_workers,
    )
    return SyntheticSpeech(positives, negatives, note(keyword, language, None, choice.sources, output))
