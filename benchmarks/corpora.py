"""What the keyword benchmark trains on and is read on, made once and kept in its working folder.

Training: recordings of the keyword by training speakers, other speech by training speakers, training noise.
Test: other speakers, other noise, other rooms.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data_prep.augmentation.banks import NoiseBank
from data_prep.augmentation.noise import AddNoise
from data_prep.augmentation.room import RoomBank, SimulatedRoom
from data_prep.augmentation.seeding import stable_rng
from data_prep.augmentation.speed import ChangeSpeed
from kws import audio
from kws.audio import atomic_write
from kws.cli.recordings import words_of

KEYWORDS = ("computer", "jarvis")
CONDITIONS = ("clean", "noise 10 dB", "room and noise 5 dB")
NEGATIVE_COPIES = ("noise 10 dB", "room and noise 5 dB", "speed")
SEED = 20
GAP_S = 0.5
"""Silence between two recordings of the negative stream."""


def argument_parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the arguments of every benchmark on these corpora: ``--data`` and ``--work``."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path("work/keywords"),
        help="folder for audio and runs, shared by the benchmarks (default: %(default)s)",
    )
    return parser


@dataclass(frozen=True)
class TestAudio:
    """Audio that no model has seen.

    Attributes:
        positives: per condition, int16 clips of the keyword.
        negatives: int16 stream of speech without the keyword and of noise.
        hours: of the negatives.
        original_hours: of them, distinct original recordings.
    """

    positives: dict[str, list[np.ndarray]]
    negatives: np.ndarray
    hours: float
    original_hours: float


def rows_of(data: Path, corpus: str) -> list[dict[str, object]]:
    """Return the manifest rows of a corpus, with absolute paths."""
    lines = (data / corpus / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    return [{**row, "path": str((data / row["path"]).resolve())} for row in map(json.loads, lines)]


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    """Write a manifest and return its path."""
    with atomic_write(path) as temporary:
        temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def english_other_speech(data: Path) -> list[dict[str, object]]:
    """Return every English recording that is no keyword recording, of all splits."""
    rows = [
        row for corpus in ("speechocean762", "speech_to_intent", "ljspeech") for row in rows_of(data, corpus)
    ]
    precise = [row for row in rows_of(data, "precise_community") if row.get("language") == "en"]
    return [
        *rows,
        *(row for row in precise if row["label"] in ("not-wake-word", "hey chatterbox", "android")),
    ]


def training_manifests(data: Path, work: Path) -> tuple[Path, Path]:
    """Write and return the manifests of training negatives and training noise."""
    speech = [row for row in english_other_speech(data) if row["split"] != "test"]
    noise = [row for row in rows_of(data, "noise") if row["split"] != "test"]
    return write_rows(work / "negatives.jsonl", speech), write_rows(work / "noise.jsonl", noise)


def positives_manifest(data: Path, work: Path, keyword: str, count: int | None, seed: int) -> Path:
    """Write and return the manifest of ``count`` training recordings (1 or more; None: all), nested."""
    rows = [r for r in rows_of(data, "picovoice_keywords") if r["label"] == keyword and r["split"] == "train"]
    order = stable_rng("benchmark positives", keyword, seed).permutation(len(rows))
    chosen = sorted(order[: count or len(rows)])
    return write_rows(
        work / "positives" / f"{keyword}-{count or 'all'}-{seed}.jsonl", [rows[index] for index in chosen]
    )


def _changes(data: Path) -> tuple[AddNoise, SimulatedRoom, AddNoise, ChangeSpeed]:
    """Transforms of the test conditions, with test noise and test rooms."""
    bank = NoiseBank(
        tuple(Path(str(row["path"])) for row in rows_of(data, "noise") if row["split"] == "test")
    )
    noise_10, noise_5 = (
        AddNoise(snr_db=(snr, snr), probability=1.0, bank=bank, coloured_share=0.0) for snr in (10.0, 5.0)
    )
    room = SimulatedRoom(rooms=RoomBank(num_rooms=100, split="test", seed=SEED), probability=1.0)
    return noise_10, room, noise_5, ChangeSpeed(factor=(0.85, 1.15), probability=1.0)


def render(waveform: np.ndarray, condition: str, item: str, changes: tuple) -> np.ndarray:
    """Return a recording in a condition; the same item always gets the same noise and room."""
    noise_10, room, noise_5, speed = changes
    rng = stable_rng("benchmark test", SEED, condition, item)
    if condition == "noise 10 dB":
        waveform = noise_10(waveform, rng)
    elif condition == "room and noise 5 dB":
        waveform = noise_5(room(waveform, rng), rng)
    elif condition == "speed":
        waveform = speed(waveform, rng)
    return audio.to_int16(np.clip(waveform, -1, 1))


def test_audio(data: Path, work: Path, keyword: str) -> TestAudio:
    """Return the test audio of a keyword, rendered once."""
    stored = work / "test" / f"{keyword}.npz"
    if not stored.exists():
        _render_all(data, stored, keyword)
    with np.load(stored) as arrays:
        lengths = arrays["lengths"]
        positives = {
            condition: np.split(arrays[f"positives {index}"], np.cumsum(lengths)[:-1])
            for index, condition in enumerate(CONDITIONS)
        }
        negatives, originals = arrays["negatives"], int(arrays["original_samples"])
    hour = 3600 * audio.SAMPLE_RATE
    return TestAudio(positives, negatives, len(negatives) / hour, originals / hour)


def _render_all(data: Path, stored: Path, keyword: str) -> None:
    changes = _changes(data)
    clips = [r for r in rows_of(data, "picovoice_keywords") if r["label"] == keyword and r["split"] == "test"]
    waveforms = [audio.load(str(row["path"])) for row in tqdm(clips, f"{keyword} test clips")]
    arrays: dict[str, np.ndarray] = {"lengths": np.array([len(waveform) for waveform in waveforms])}
    for index, condition in enumerate(CONDITIONS):
        rendered = [
            render(w, condition, str(row["path"]), changes) for w, row in zip(waveforms, clips, strict=True)
        ]
        arrays[f"positives {index}"] = np.concatenate(rendered)
    spoken = [words_of(word) for word in KEYWORDS]  # one stream serves all keywords
    speech = [r for r in english_other_speech(data) if r["split"] == "test"]
    speech = [row for row in speech if not any(word in words_of(str(row["text"])) for word in spoken)]
    gap = np.zeros(audio.seconds_to_samples(GAP_S), np.int16)
    originals, copies = [], []
    for number, row in enumerate(tqdm(speech, f"{keyword} test negatives")):
        waveform = audio.load(str(row["path"]))
        originals += [audio.to_int16(waveform), gap]
        copies += [render(waveform, NEGATIVE_COPIES[number % 3], str(row["path"]), changes), gap]
    noise = [
        audio.to_int16(audio.load(str(row["path"])))
        for row in rows_of(data, "noise")
        if row["split"] == "test"
    ]
    arrays["original_samples"] = np.array(sum(len(piece) for piece in (*originals, *noise)))
    arrays["negatives"] = np.concatenate([*originals, *noise, *copies])
    with atomic_write(stored) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
