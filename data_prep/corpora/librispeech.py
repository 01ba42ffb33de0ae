"""LibriSpeech: a thousand hours of English audiobooks with transcripts; also mini LibriSpeech."""

from __future__ import annotations

from pathlib import Path

from data_prep.corpora.base import PublicCorpus, finish, require, rows, run_recipe, to_recording

PARTS = (
    "train-clean-100",
    "train-clean-360",
    "train-other-500",
    "train-clean-5",
    "dev-clean",
    "dev-other",
    "dev-clean-2",
    "test-clean",
    "test-other",
)
"""Folders of LibriSpeech (openslr.org/12) and mini LibriSpeech (openslr.org/31)."""

LAYOUT = "at least one of " + ", ".join(PARTS)


def prepare_librispeech(corpus_dir: str | Path, output: str | Path) -> Path:
    """Write a manifest with transcripts and the official splits, from the parts that are there.

    Args:
        corpus_dir: the folder ``LibriSpeech`` of the archives.
        output: manifest to write (``.jsonl``).
    Raises:
        ManifestError: none of the parts is there, or one is damaged.
        DependencyError: lhotse is not installed.
    """
    folder = require(corpus_dir, PARTS, LAYOUT, any_of=True)
    found = [part for part in PARTS if (folder / part).is_dir()]
    parts = run_recipe("prepare_librispeech", folder, folder, dataset_parts=found)
    recordings = [
        to_recording(
            audio,
            "librispeech",
            text=supervision.text,
            speaker=f"ls_{supervision.speaker}",
            language="en",
            split=part.split("-")[0],
            extra={"part": part},
        )
        for part in found
        for audio, supervision in rows(parts[part])
    ]
    return finish(recordings, output, folder)


CORPUS = PublicCorpus(
    name="librispeech",
    url="https://www.openslr.org/12",
    license="CC BY 4.0",
    citation=(
        "V. Panayotov, G. Chen, D. Povey, S. Khudanpur, LibriSpeech: an ASR corpus based on public domain "
        "audio books, ICASSP 2015"
    ),
    layout=LAYOUT,
    prepare=prepare_librispeech,
)
