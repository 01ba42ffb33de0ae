"""Write the manifests of the study in ``benchmarks/study.yaml``.

    python benchmarks/study_data.py --data DATA --output MANIFESTS
    kws pretrain benchmarks/small_source.yaml --root MANIFESTS --output MANIFESTS/small_source
    kws pretrain benchmarks/self_taught.yaml --root MANIFESTS --output MANIFESTS/self_taught
    kws study benchmarks/study.yaml --root MANIFESTS --output STUDY --jobs 2

Recordings of the keywords, English speech and noise, each with its split: the study trains on what is not
``test`` and is read on what is. The small source hears a few sentences of the speech alone; the self-taught
one the rest of it as well, without what is said.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that the file can be called by its path

from benchmarks import corpora  # noqa: E402

SMALL_SOURCE = {"train": 40, "dev": 20}
"""Sentences of each split for the small source; speechocean762 has 20 by each speaker."""
UNLABELLED = ("path", "duration_s", "speaker", "split")
"""Keys of a row that do not say what is said."""


def main() -> None:
    """Write the manifests and print their paths."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--output", type=Path, required=True, help="folder for the manifests")
    arguments = parser.parse_args()
    sentences = corpora.rows_of(arguments.data, "speechocean762")
    small = [
        row
        for split, number in SMALL_SOURCE.items()
        for row in [row for row in sentences if row["split"] == split][:number]
    ]
    heard = {row["path"] for row in small}
    unlabelled = [
        {key: row[key] for key in UNLABELLED}
        for row in sentences
        if row["split"] == "train" and row["path"] not in heard
    ]
    for name, rows in (
        ("keywords", corpora.rows_of(arguments.data, "picovoice_keywords")),
        ("speech", corpora.english_other_speech(arguments.data)),
        ("noise", corpora.rows_of(arguments.data, "noise")),
        ("small_source", small),
        ("unlabelled", unlabelled),
    ):
        print(corpora.write_rows(arguments.output / f"{name}.jsonl", rows))


if __name__ == "__main__":
    main()
