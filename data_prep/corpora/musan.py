"""MUSAN: music, speech and noise to mix under recordings."""

from __future__ import annotations

from pathlib import Path

from data_prep.corpora.base import PublicCorpus, finish, require, rows, run_recipe, to_recording

PARTS = ("music", "noise", "speech")

LAYOUT = "at least one of music, noise and speech"


def prepare_musan(corpus_dir: str | Path, output: str | Path) -> Path:
    """Write a manifest with ``label`` music, noise or speech; music has ``genres`` and ``vocals``.

    There are no official splits: ``kws prep`` splits by file, music by artist.

    Args:
        corpus_dir: the folder ``musan`` of the archive.
        output: manifest to write (``.jsonl``).
    Raises:
        ManifestError: none of the parts is there, or one is damaged.
        DependencyError: lhotse is not installed.
    """
    folder = require(corpus_dir, PARTS, LAYOUT, any_of=True)
    found = [part for part in PARTS if (folder / part).is_dir()]
    parts = run_recipe("prepare_musan", folder, folder, parts=found)
    recordings = []
    for part in found:
        for audio, supervision in rows(parts[part]):
            artist = supervision.speaker if supervision else None
            recordings.append(
                to_recording(
                    audio,
                    "musan",
                    label=part,
                    speaker=f"musan_{artist}" if artist else None,
                    extra=dict(supervision.custom or {}) if supervision else {},
                )
            )
    return finish(recordings, output, folder)


CORPUS = PublicCorpus(
    name="musan",
    url="https://www.openslr.org/17",
    license="CC BY 4.0 for the collection; LICENSE files in it give the terms of each recording",
    citation="D. Snyder, G. Chen, D. Povey, MUSAN: A Music, Speech, and Noise Corpus, arXiv:1510.08484, 2015",
    layout=LAYOUT,
    prepare=prepare_musan,
)
