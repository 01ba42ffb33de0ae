"""ESC-50: 2000 recordings of everyday sounds from Freesound, five seconds each, with the license of each."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

from data_prep.corpora.base import PublicCorpus, finish, from_header, require
from kws.errors import AudioError, ManifestError

PARTS = ("audio", "meta/esc50.csv", "LICENSE")

LAYOUT = "audio, meta and LICENSE of the repository"

FREE = ("CC0", "CC-BY")
"""Licenses of clips that anybody may use, for business too."""
CLIP = re.compile(r"- \[(?P<clip>[^\]]+)\.ogg\]:\s+(?P<origin>.+\S)\s+\[(?P<license>[^\]]+)\]\s*")
"""A line of LICENSE; the clip is named without its class."""
CITATION = "K. J. Piczak, ESC: Dataset for Environmental Sound Classification, ACM Multimedia 2015"
URL = "https://github.com/karolpiczak/ESC-50"


def prepare_esc50(corpus_dir: str | Path, output: str | Path) -> Path:
    """Write a manifest of the clips whose own license is CC0 or CC BY.

    ``label`` is noise; ``category``, ``license`` and ``attribution`` say more. Clips that were cut from one
    recording share a ``speaker``, so that they stay on one side of a split.

    Args:
        corpus_dir: the unpacked repository.
        output: manifest to write (``.jsonl``).
    Raises:
        ManifestError: a part is missing or damaged.
    """
    return _prepare(corpus_dir, output, FREE)


def prepare_esc50_all(corpus_dir: str | Path, output: str | Path) -> Path:
    """Write a manifest of all clips, as :func:`prepare_esc50` does; not for business."""
    return _prepare(corpus_dir, output, None)


def _prepare(corpus_dir: str | Path, output: str | Path, licenses: tuple[str, ...] | None) -> Path:
    folder = require(corpus_dir, PARTS, LAYOUT)
    terms = {
        found["clip"]: (found["license"], found["origin"])
        for line in (folder / "LICENSE").read_text(encoding="utf-8", errors="replace").splitlines()
        if (found := CLIP.fullmatch(line))
    }
    recordings = []
    try:
        with (folder / "meta/esc50.csv").open(encoding="utf-8", newline="") as file:
            rows = [(row["filename"], row["category"], row["src_file"]) for row in csv.DictReader(file)]
        for name, category, source in sorted(rows):
            license, origin = terms.get(name.rsplit("-", 1)[0], ("", ""))
            if licenses is not None and license not in licenses:
                continue
            path = folder / "audio" / name
            recordings.append(
                from_header(
                    path,
                    "esc50",
                    label="noise",
                    speaker=f"esc_{source}",
                    extra={"category": category, "license": license, "attribution": origin},
                )
            )
    except (KeyError, csv.Error, UnicodeDecodeError, AudioError) as error:
        raise ManifestError(f"{folder}: is damaged ({error}); unpack the corpus again") from error
    return finish(recordings, output, folder)


CORPUS = PublicCorpus(
    name="esc50",
    url=URL,
    license="CC0 or CC BY 3.0, by clip",
    citation=CITATION,
    layout=LAYOUT,
    prepare=prepare_esc50,
    needs_lhotse=False,
)
ALL = replace(CORPUS, name="esc50_all", license="CC BY-NC 3.0", prepare=prepare_esc50_all)
