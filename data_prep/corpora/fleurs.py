"""FLEURS: sentences of Wikipedia, read by people in 102 languages, as its authors keep them on the hub.

Lhotse's recipe reads another layout, which its own download makes with a package that is not needed here.
"""

from __future__ import annotations

import csv
from pathlib import Path

from data_prep.corpora.base import PublicCorpus, finish, from_header, require
from kws.errors import AudioError, ManifestError
from kws.manifest import Recording

SPLITS = ("train", "dev", "test")

LAYOUT = (
    "for at least one of train, dev and test, the table train.tsv and the unpacked archive train.tar.gz "
    "beside it, in a folder with the name of the language, such as es_419"
)
NAME, TEXT = 1, 3
"""Columns of a table, which has no header: file, and transcript without capitals and punctuation."""


def prepare_fleurs(corpus_dir: str | Path, output: str | Path) -> Path:
    """Write a manifest with transcripts and the official splits, from the parts that are there.

    Readers are not named. The same sentence is read by several of them, and in all languages.

    Args:
        corpus_dir: the folder of a language.
        output: manifest to write (``.jsonl``).
    Raises:
        ManifestError: no part is there, or one is damaged.
    """
    folder = require(corpus_dir, [f"{split}.tsv" for split in SPLITS], LAYOUT, any_of=True)
    recordings = []
    for split in SPLITS:
        if (folder / f"{split}.tsv").exists():
            recordings += _read(folder, split)
    return finish(recordings, output, folder)


def _read(folder: Path, split: str) -> list[Recording]:
    """Return the recordings of one part; a file that a table names twice counts once."""
    texts: dict[str, str] = {}
    try:
        with (folder / f"{split}.tsv").open(encoding="utf-8", newline="") as file:
            for row in csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                texts[Path(row[NAME]).name] = row[TEXT]
        return [
            from_header(
                folder / split / name,
                "fleurs",
                text=texts[name],
                split=split,
                language=folder.name.split("_")[0],
            )
            for name in sorted(texts)
            if (folder / split / name).exists()
        ]
    except (IndexError, csv.Error, UnicodeDecodeError, AudioError) as error:
        raise ManifestError(
            f"{folder}: the part {split} is damaged ({error}); unpack the corpus again"
        ) from error


CORPUS = PublicCorpus(
    name="fleurs",
    url="https://huggingface.co/datasets/google/fleurs",
    license="CC BY 4.0",
    citation=(
        "A. Conneau et al., FLEURS: Few-shot Learning Evaluation of Universal Representations of Speech, "
        "IEEE SLT 2022"
    ),
    layout=LAYOUT,
    prepare=prepare_fleurs,
    needs_lhotse=False,
)
