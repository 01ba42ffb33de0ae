"""Write the manifests of the study in ``benchmarks/study.yaml``.

    python benchmarks/study_data.py --data DATA --output MANIFESTS
    kws pretrain benchmarks/small_source.yaml --root MANIFESTS --output MANIFESTS/small_source
    kws pretrain benchmarks/self_taught.yaml --root MANIFESTS --output MANIFESTS/self_taught
    kws study benchmarks/study.yaml --root MANIFESTS --output STUDY --jobs 2

Recordings of the keywords, English speech and noise, each with its split: the study trains on what is not
``test`` and is read on what is. The small source hears a few sentences of the speech alone; the self-taught
one the rest of it as well, without what is said. ``rooms`` is speech of the training in noisy rooms. Beside
them lie copies of the encoder that the study is measured on, ``second``, and of the one that ships.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that the file can be called by its path

from tqdm import tqdm  # noqa: E402

from benchmarks import corpora  # noqa: E402
from data_prep.augmentation import NoiseBank, RoomBank, stable_rng  # noqa: E402
from data_prep.conditions import ConditionConfig, condition_chain  # noqa: E402
from kws import audio  # noqa: E402
from kws.encoders.sources.embedded_weights import ASSETS  # noqa: E402

SECOND = ROOT / "benchmarks" / "encoders" / "second"
"""The encoder that shipped before; the study was measured on it."""

SMALL_SOURCE = {"train": 40, "dev": 20}
"""Sentences of each split for the small source; speechocean762 has 20 by each speaker."""
IN_ROOMS = 600
"""So many recordings of speech at least are heard in noisy rooms, where there are as many."""
ROOM_SNR_DB = 5.0
"""Of the noise there."""
NUM_ROOMS = 100
SEED = 20
UNLABELED = ("path", "duration_s", "speaker", "split")
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
    unlabeled = [
        {key: row[key] for key in UNLABELED}
        for row in sentences
        if row["split"] == "train" and row["path"] not in heard
    ]
    speech = corpora.english_other_speech(arguments.data)
    noise = corpora.rows_of(arguments.data, "noise")
    for name, encoder in (("second", SECOND), ("ships", ASSETS)):
        shutil.copytree(encoder, arguments.output / name, dirs_exist_ok=True)
    for name, rows in (
        ("keywords", corpora.rows_of(arguments.data, "picovoice_keywords")),
        ("speech", speech),
        ("noise", noise),
        ("small_source", small),
        ("unlabelled", unlabeled),
        ("rooms", in_rooms(speech, noise, arguments.output / "rooms")),
    ):
        print(f"{corpora.write_rows(arguments.output / f'{name}.jsonl', rows)}: {len(rows)} recordings")


def in_rooms(
    speech: list[dict[str, object]], noise: list[dict[str, object]], folder: Path
) -> list[dict[str, object]]:
    """Write evenly spaced training recordings of speech as heard in noisy rooms, and return their rows."""
    train = [row for row in speech if row["split"] == "train"]
    bank = NoiseBank(tuple(Path(str(row["path"])) for row in noise if row["split"] == "train"))
    rooms = RoomBank(num_rooms=NUM_ROOMS, split="train", seed=SEED)
    chain = condition_chain(ConditionConfig(snr_db=ROOM_SNR_DB, room=True), bank, rooms)
    rows = []
    for number, row in enumerate(
        tqdm(train[:: max(len(train) // IN_ROOMS, 1)], "rooms", unit="file", disable=None)
    ):
        waveform = audio.load(str(row["path"]))
        path = folder / f"{number:04d}.flac"
        audio.save(path, chain(waveform, stable_rng("rooms", SEED, number)))
        rows.append({"path": str(path.resolve()), "duration_s": row["duration_s"], "split": "train"})
    return rows


if __name__ == "__main__":
    main()
