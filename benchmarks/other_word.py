"""How often recordings of another word are noticed, and how often right ones are told of.

    python -m benchmarks.other_word --data DATA [--clips 16]

Clips of each word are listened to for every word, as recorded and in noise at 5 dB, in folders of six drawn
at random. A word that is part of another (``computer``, ``hey computer``) is no other word. Prints a Markdown
table.
"""

from __future__ import annotations

import argparse
import random
from collections import defaultdict
from pathlib import Path

import numpy as np

from benchmarks.corpora import rows_of
from data_prep.synthesis.phones import pronunciations
from kws import audio
from kws.encoders.sources.embedded_weights import load_recognizer
from kws.enrollment.likeness import Likeness
from kws.speech_span import TRAINING, speech_span

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
    "北京": ("dspspeech", "cmn"),
    "上海": ("dspspeech", "cmn"),
}
"""Word -> corpus and language."""
SNR_DB = 5.0
FOLDERS, FOLDER_SIZE = 20, 6


def noisy(waveform: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Mix noise at ``SNR_DB`` into (samples,), by the power of its loud part."""
    added = np.resize(noise, len(waveform))
    power = np.mean(waveform[slice(*speech_span(waveform, TRAINING))] ** 2)
    gain = np.sqrt(power / (np.mean(added**2) + 1e-12) / 10 ** (SNR_DB / 10))
    return (waveform + gain * added).astype(np.float32)


def main() -> None:
    """Listen, and print shares of clips and folders that are told of."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the speech data")
    parser.add_argument("--clips", type=int, default=16, help="of each word")
    arguments = parser.parse_args()
    draw, recognizer = random.Random(0), load_recognizer(None)
    listeners = {
        word: Likeness(
            recognizer, [" ".join(p) for p in pronunciations(word, language)], english=language == "en"
        )
        for word, (_, language) in WORDS.items()
    }
    noise = [audio.load(str(r["path"])) for r in rows_of(arguments.data, "noise") if r["split"] == "test"]
    counts: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for said, (corpus, _) in WORDS.items():
        rows = [row for row in rows_of(arguments.data, corpus) if row["label"] == said]
        rows = draw.sample(rows, min(arguments.clips, len(rows)))
        clips = [audio.load(str(row["path"])) for row in rows]
        for condition in ("as recorded", f"noise at {SNR_DB:g} dB"):
            heard = clips
            if condition != "as recorded":
                heard = [noisy(clip, noise[i % len(noise)]) for i, clip in enumerate(clips)]
            for word, listener in listeners.items():
                if word != said and (word in said or said in word):
                    continue
                unlike = [not listener.sounds_like(clip) for clip in heard]
                folders = [draw.sample(unlike, min(FOLDER_SIZE, len(unlike))) for _ in range(FOLDERS)]
                told = sum(2 * sum(folder) > len(folder) for folder in folders)
                kind = "right word" if word == said else "another word"
                found = counts[kind, "English" if listener.english else "other language", condition]
                for index, number in enumerate((sum(unlike), len(unlike), told, FOLDERS)):
                    found[index] += number
    print("| recordings | keyword | condition | clips unlike it | folders of six told of |")
    print("|---|---|---|---|---|")
    for names, (unlike_clips, num_clips, told, num_folders) in sorted(counts.items()):
        print(f"| {' | '.join(names)} | {unlike_clips}/{num_clips} | {told}/{num_folders} |")


if __name__ == "__main__":
    main()
