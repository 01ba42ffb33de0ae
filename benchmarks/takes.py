"""How often the check of a take refuses good ones, and how often it finds each fault.

    python -m benchmarks.takes --data DATA [--clips 24]

Good takes are recordings of keywords by people, as they are and with noise at 20 and 10 dB mixed in. Those
that touch an end of the file or reach full scale are left out. Faulty takes are made of them: cut in the
middle of the word, amplified beyond full scale, or attenuated. Silence is noise of rooms and kitchens, and
made noise. Other words are takes of other keywords, and sentences. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.corpora import rows_of
from kws import audio
from kws.audio import SAMPLE_RATE
from kws.speech_span import TRAINING, speech_span
from kws.workflows.takes import FULL_SCALE, TakeChecker

WORDS = {
    "computer": ("picovoice_keywords", "en"),
    "jarvis": ("picovoice_keywords", "en"),
    "hey computer": ("precise_community", "en"),
    "hey chatterbox": ("precise_community", "en"),
    "android": ("precise_community", "en"),
    "ey ordenador": ("precise_community", "es"),
    "speaker": ("dspspeech", "en"),
    "process": ("dspspeech", "en"),
    "project": ("dspspeech", "en"),
    "signal": ("dspspeech", "en"),
    "speech": ("dspspeech", "en"),
    "北京": ("dspspeech", "cmn"),
    "上海": ("dspspeech", "cmn"),
    "数字": ("dspspeech", "cmn"),
}
"""Word -> corpus and language. The English words of `dspspeech` are said with Mandarin accents."""
LONGEST_S = 4.0
EDGE_S = 0.1
"""Files in which the word is so near to an end are not taken for good ones."""
CUT = 0.4
"""Share of the word that is cut off."""


def chosen(data: Path, draw: random.Random, num_clips: int) -> dict[str, list[np.ndarray]]:
    """Return recordings of each word that are whole and not clipped, drawn at random."""
    found = {}
    for word, (corpus, _) in WORDS.items():
        rows = [row for row in rows_of(data, corpus) if row["label"] == word]
        clips = []
        for row in draw.sample(rows, len(rows)):
            clip = audio.load(str(row["path"]))
            start, stop = speech_span(clip, TRAINING)
            whole = start > EDGE_S * SAMPLE_RATE and stop < len(clip) - EDGE_S * SAMPLE_RATE
            if whole and np.abs(clip).max() < FULL_SCALE:
                clips.append(clip)
            if len(clips) == num_clips:
                break
        found[word] = clips
    return found


def word_of(clip: np.ndarray) -> slice:
    """Return where the word of a clip is."""
    start, stop = speech_span(clip, TRAINING)
    margin = audio.seconds_to_samples(TRAINING.margin_s)
    return slice(start + margin, stop - margin)


def mixed(clip: np.ndarray, noise: np.ndarray, snr_db: float) -> np.ndarray:
    """Return (samples,) with noise, by the power of the word."""
    added = np.resize(noise, len(clip))
    gain = np.sqrt(np.mean(clip[word_of(clip)] ** 2) / (np.mean(added**2) + 1e-12) / 10 ** (snr_db / 10))
    return np.clip(clip + gain * added, -1, 1).astype(np.float32)


def at_peak(clip: np.ndarray, peak_db: float) -> np.ndarray:
    """Return (samples,) amplified so that its peak would be at this level, cut at full scale."""
    gain = 10 ** (peak_db / 20) / np.abs(clip).max()
    return np.clip(gain * clip, -1, 1).astype(np.float32)


def steady(seed: int) -> np.ndarray:
    """Return white noise as loud as a quiet room, (samples,)."""
    drawn = np.random.default_rng(seed).standard_normal(round(LONGEST_S * SAMPLE_RATE))
    return (10 ** (-50 / 20) * drawn).astype(np.float32)


def takes_of(clip: np.ndarray, noise: np.ndarray) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield what a take is, which fault it has, and its samples."""
    yield "as recorded", "", clip
    yield "noise at 20 dB", "", mixed(clip, noise, 20)
    yield "noise at 10 dB", "", mixed(clip, noise, 10)
    yield "peak at -40 dB of full scale", "soft", at_peak(clip, -40)
    for over_db in (6, 12):
        yield f"{over_db} dB beyond full scale", "clipped", at_peak(clip, over_db)
    word = word_of(clip)
    cut = int(CUT * (word.stop - word.start))
    yield "beginning of the word missing", "cut off", clip[word.start + cut :]
    yield "end of the word missing", "cut off", clip[: word.stop - cut]


def main() -> None:
    """Check, and print what is found in each kind of take."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the speech data")
    parser.add_argument("--clips", type=int, default=24, help="of each word")
    arguments = parser.parse_args()
    draw = random.Random(0)
    clips = chosen(arguments.data, draw, arguments.clips)
    checkers = {word: TakeChecker(word, language) for word, (_, language) in WORDS.items()}
    rooms = [audio.load(str(row["path"])) for row in rows_of(arguments.data, "noise")]
    rooms = [room[: round(LONGEST_S * SAMPLE_RATE)] for room in draw.sample(rooms, len(rooms))]
    rows = [row for row in rows_of(arguments.data, "speechocean762") if row["split"] == "test"]
    sentences = [audio.load(str(r["path"]), length_s=LONGEST_S) for r in draw.sample(rows, arguments.clips)]
    counts: dict[tuple[str, str, str], Counter[str]] = {}

    def count(kind: str, right: str, checker: TakeChecker, language: str, take: np.ndarray) -> None:
        group = "English" if language == "en" else "other language"
        counts.setdefault((kind, right, group), Counter())[checker.check(take).fault] += 1

    for word, own in clips.items():
        checker, (_, language) = checkers[word], WORDS[word]
        for number, clip in enumerate(own):
            for kind, right, take in takes_of(clip, rooms[number % len(rooms)]):
                count(kind, right, checker, language, take)
        for other, theirs in clips.items():
            if word not in other and other not in word:
                for clip in theirs[: arguments.clips // 4]:
                    count("another word", "other words", checker, language, clip)
        for sentence in sentences:
            count("a sentence", "other words", checker, language, sentence)
        for number, room in enumerate(rooms[: arguments.clips]):
            count("a room or kitchen without a voice", "silent", checker, language, room)
            count("steady noise at -50 dB", "silent", checker, language, steady(number))
    faults = ("", "silent", "soft", "clipped", "cut off", "other words")
    print("| take | keyword | has | number |", " | ".join(fault or "taken" for fault in faults), "|")
    print("|---|---|---|---|", "---|" * len(faults), sep="")
    for (kind, right, group), found in counts.items():
        cells = " | ".join(f"{100 * found[fault] / found.total():.1f} %" for fault in faults)
        print(f"| {kind} | {group} | {right or 'no fault'} | {found.total()} | {cells} |")


if __name__ == "__main__":
    main()
