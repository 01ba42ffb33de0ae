"""What the keyword benchmark trains on and is read on, made once and kept in its working folder.

Training: recordings of the keyword by training speakers, other speech by training speakers, training noise.
Test: other speakers, other noise, other rooms.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data_prep.augmentation import Chain, NoiseBank, RoomBank
from data_prep.conditions import ConditionConfig, condition_chain, draw, negative_stream, render
from kws import audio
from kws.audio import atomic_write
from kws.studies.held_out import UnseenAudio
from kws.text import mentions

KEYWORDS = ("computer", "jarvis")
CONDITIONS = ("clean", "noise 10 dB", "room and noise 5 dB")
NEGATIVE_COPIES = ("noise 10 dB", "room and noise 5 dB", "speed")
CHANGES = {
    "clean": ConditionConfig(),
    "noise 10 dB": ConditionConfig(snr_db=10.0),
    "room and noise 5 dB": ConditionConfig(snr_db=5.0, room=True),
    "speed": ConditionConfig(speed=0.15),
}
SEED = 20
KEY = ("benchmark test", SEED)
"""What the draws of noise and room follow from."""


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
    chosen = [rows[index] for index in draw(len(rows), count, keyword, seed)]
    return write_rows(work / "positives" / f"{keyword}-{count or 'all'}-{seed}.jsonl", chosen)


def chains(data: Path) -> dict[str, Chain]:
    """Transforms of the test conditions and copies, with test noise and test rooms."""
    bank = NoiseBank(
        tuple(Path(str(row["path"])) for row in rows_of(data, "noise") if row["split"] == "test")
    )
    rooms = RoomBank(num_rooms=100, split="test", seed=SEED)
    return {name: condition_chain(config, bank, rooms) for name, config in CHANGES.items()}


def test_audio(data: Path, work: Path, keyword: str) -> UnseenAudio:
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
    return UnseenAudio(positives, negatives, len(negatives) / hour, originals / hour)


def _render_all(data: Path, stored: Path, keyword: str) -> None:
    changes = chains(data)
    clips = [r for r in rows_of(data, "picovoice_keywords") if r["label"] == keyword and r["split"] == "test"]
    waveforms = [audio.load(str(row["path"])) for row in tqdm(clips, f"{keyword} test clips", disable=None)]
    arrays: dict[str, np.ndarray] = {"lengths": np.array([len(waveform) for waveform in waveforms])}
    for index, condition in enumerate(CONDITIONS):
        rendered = [
            render(w, changes[condition], *KEY, condition, str(row["path"]))
            for w, row in zip(waveforms, clips, strict=True)
        ]
        arrays[f"positives {index}"] = np.concatenate(rendered)
    speech = [r for r in english_other_speech(data) if r["split"] == "test"]
    # one stream serves all keywords
    speech = [row for row in speech if not any(mentions(word, str(row["text"])) for word in KEYWORDS)]
    noise = [row for row in rows_of(data, "noise") if row["split"] == "test"]
    arrays["negatives"], originals = negative_stream(
        (
            (str(row["path"]), audio.load(str(row["path"])))
            for row in tqdm(speech, f"{keyword} negatives", disable=None)
        ),
        (audio.load(str(row["path"])) for row in noise),
        {name: changes[name] for name in NEGATIVE_COPIES},
        *KEY,
    )
    arrays["original_samples"] = np.array(originals)
    with atomic_write(stored) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
