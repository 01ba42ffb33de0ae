"""Write the manifests of the studies in ``benchmarks``: ``keywords``, ``typed`` and ``study``.

    python -m benchmarks.study_data --data DATA --output MANIFESTS
    kws pretrain benchmarks/small_source.yaml --root MANIFESTS --output MANIFESTS/small_source
    kws pretrain benchmarks/self_taught.yaml --root MANIFESTS --output MANIFESTS/self_taught
    kws study benchmarks/keywords.yaml --root MANIFESTS --output STUDY --jobs 2

Recordings of the keywords, English speech and noise, each with its split: the study trains on what is not
``test`` and is read on what is, and on native speech that nothing was trained on. The small source hears a
few sentences of the speech alone; the self-taught one the rest of it as well, without what is said. ``rooms``
is speech of the training in noisy rooms.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from tqdm import tqdm

from benchmarks import corpora
from data_prep.augmentation import NoiseBank, RoomBank, stable_rng
from data_prep.conditions import ConditionConfig, condition_chain
from kws import audio

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
    parser.add_argument("--peers", type=Path, help="folder that holds openwakeword/*.onnx, for the peers")
    arguments = parser.parse_args()
    if arguments.peers is not None:
        shutil.copytree(arguments.peers, arguments.output / "peers", dirs_exist_ok=True)
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
    for name, rows in (
        ("keywords", corpora.rows_of(arguments.data, "picovoice_keywords")),
        ("speech", speech),
        ("native", native(arguments.data)),
        ("noise", noise),
        ("small_source", small),
        ("unlabelled", unlabeled),
        ("rooms", in_rooms(speech, noise, arguments.output / "rooms")),
    ):
        print(f"{corpora.write_rows(arguments.output / f'{name}.jsonl', rows)}: {len(rows)} recordings")


def native(data: Path) -> list[dict[str, object]]:
    """Return native read English that nothing was trained or chosen on; much of it sounds like keywords."""
    return [row for row in corpora.rows_of(data, "mini_librispeech") if row["split"] == "test"]


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
