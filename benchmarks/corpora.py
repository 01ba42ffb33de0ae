"""What the benchmarks train on and are tested on, made once and kept in their working folder.

Training: recordings of the keyword by training speakers, other speech by training speakers, training noise.
Test: other speakers, other noise, other rooms.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from tqdm import tqdm

from data_prep.conditions import draw
from kws.audio import atomic_write
from kws.evaluation.heard import HeardAudio, HeardClip
from kws.manifest import Recording
from kws.studies import held_out
from kws.studies.held_out import UnseenAudio
from kws.studies.recipe import load_study
from kws.text import mentions
from kws.workflows.protocol_audio import open_audio

KEYWORDS = ("computer", "jarvis")
PROTOCOL = load_study(Path(__file__).with_name("keywords.yaml")).protocol
"""How every benchmark tests a detector."""


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


def utterances(rows: list[dict[str, object]]) -> list[Recording]:
    """Return rows of a manifest as recordings."""
    keys = ("text", "label", "speaker", "split")
    return [
        Recording(
            Path(str(row["path"])),
            duration_s=float(str(row["duration_s"])),
            **{key: None if row.get(key) is None else str(row[key]) for key in keys},
        )
        for row in rows
    ]


def heard_audio(data: Path) -> HeardAudio:
    """Return what makes test audio: by the protocol of the benchmarks, with test noise."""
    noise = [row for row in rows_of(data, "noise") if row["split"] == "test"]
    return open_audio(PROTOCOL, utterances(noise))


def heard_clips(data: Path, clips: list[dict[str, object]], name: str) -> dict[str, list[HeardClip]]:
    """Return clips in each condition of the protocol."""
    made = heard_audio(data)
    return {
        condition: [made.clip(clip, condition) for clip in tqdm(utterances(clips), name, disable=None)]
        for condition in PROTOCOL.conditions
    }


def test_audio(data: Path, work: Path, keyword: str) -> UnseenAudio:
    """Return the test audio of a keyword, rendered once."""
    folder = work / "test" / PROTOCOL.hash
    if not held_out.is_saved(folder, keyword):
        rows = rows_of(data, "picovoice_keywords")
        clips = [r for r in rows if r["label"] == keyword and r["split"] == "test"]
        held_out.save_clips(folder, keyword, heard_clips(data, clips, f"{keyword} test clips"), PROTOCOL)
    if not held_out.is_saved(folder, held_out.NEGATIVES):
        speech = [r for r in english_other_speech(data) if r["split"] == "test"]
        # one stream serves all keywords
        speech = [r for r in speech if not any(mentions(word, str(r["text"])) for word in KEYWORDS)]
        stream = heard_audio(data).stream(utterances(speech))
        held_out.save_negatives(folder, tqdm(stream, "test negatives", disable=None))
    return held_out.load_test_audio(folder, keyword)
