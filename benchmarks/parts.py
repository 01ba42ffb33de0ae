"""How often a detector of a phrase fires on a part of it, and how often on the whole.

    python -m benchmarks.parts "hey computer" MODEL [MODEL ...] --data DATA [--voices flite kokoro]

Real clips are those of the corpora whose label is the phrase, a part of it or a phrase with a part in it, of
speakers who were not trained on. Voices say the phrase, its parts and phrases like it; name some that the
detector did not learn from. A clip has a second of silence before and after it, and a whole phrase is also
heard in test noise at 10 dB. Adds a row for each model to ``benchmarks/results/parts.jsonl``, with --names
under those names, and prints a Markdown table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.corpora import rows_of
from benchmarks.short_runs import append_row, percent, table
from data_prep.augmentation.banks import NoiseBank
from data_prep.augmentation.noise import AddNoise
from data_prep.augmentation.seeding import stable_rng
from data_prep.synthesis import phrases
from data_prep.synthesis.engines import choose
from kws import Detector, audio
from kws.audio import SAMPLE_RATE

CORPORA = ("picovoice_keywords", "precise_community")
BESIDE = {"hey computer": ("okay computer", "hey commuter"), "hey jarvis": ("okay jarvis", "hey service")}
"""Phrase -> phrases of which one word is another, for which no number is promised."""
SNR_DB = 10.0

Clip = tuple[str, np.ndarray]


def main() -> None:
    """Count, keep and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("keyword", help="the phrase")
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="exported detectors of it")
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument(
        "--voices", nargs="+", default=["flite"], help="engines that say texts (default: flite)"
    )
    parser.add_argument("--names", nargs="+", help="of the rows (default: the paths of the models)")
    arguments = parser.parse_args()
    keyword, names = arguments.keyword, arguments.names or list(map(str, arguments.models))
    detectors = dict(zip(names, map(Detector, arguments.models), strict=True))
    fired: dict[str, dict[str, tuple[int, int]]] = {name: {} for name in names}
    heard = sets(keyword, arguments.data, arguments.voices, in_noise(arguments.data))
    for what, clips in tqdm(heard, "sets", unit="set", disable=None):
        for name, detector in detectors.items():
            fired[name][what] = count(detector, clips)
    for name, detector in detectors.items():
        threshold = detector.thresholds[keyword]
        row = {"name": name, "keyword": keyword, "threshold": threshold, "voices": arguments.voices}
        append_row(row | {"fired": fired[name]}, "parts")
    rows = [
        (
            what,
            clips,
            *(f"{fired[name][what][0]} ({percent(fired[name][what][0] / clips)} %)" for name in names),
        )
        for what, (_, clips) in fired[names[0]].items()
    ]
    print("\n".join(table(("heard", "clips", *names), rows)))


def sets(
    keyword: str, data: Path, voices: Sequence[str], noisy: Callable[[Clip], Clip]
) -> Iterator[tuple[str, list[Clip]]]:
    """Yield what is heard, and its clips."""
    texts = [*phrases.parts(keyword), *BESIDE.get(keyword, ())]
    rows = [row for corpus in CORPORA for row in rows_of(data, corpus) if row["split"] == "test"]
    labels = sorted({str(row["label"]) for row in rows})
    real = [label for label in labels if label == keyword or label in texts or label in keyword.split()]
    for label in real:
        clips = [
            (str(row["path"]), audio.load(Path(str(row["path"])))) for row in rows if row["label"] == label
        ]
        yield f"people, “{label}”", clips
        if label == keyword:
            yield f"people, “{label}” in noise at {SNR_DB:g} dB", list(map(noisy, clips))
    speakers = choose(voices, "en").speakers
    for text in (keyword, *texts):
        clips = [(f"{speaker.id} {text}", speaker.speak(text)) for speaker in speakers]
        yield f"voices, “{text}”", clips
        if text == keyword:
            yield f"voices, “{text}” in noise at {SNR_DB:g} dB", list(map(noisy, clips))


def in_noise(data: Path) -> Callable[[Clip], Clip]:
    """Return what mixes test noise into a clip, drawn by its name."""
    paths = [Path(str(row["path"])) for row in rows_of(data, "noise") if row["split"] == "test"]
    added = AddNoise((SNR_DB, SNR_DB), probability=1.0, bank=NoiseBank(tuple(paths)), colored_share=0.0)

    def mixed(clip: Clip) -> Clip:
        name, waveform = clip
        return name, added.apply(waveform, added.draw(stable_rng(0, name)))

    return mixed


def count(detector: Detector, clips: Sequence[Clip]) -> tuple[int, int]:
    """Return in how many clips a detector fires, and how many there are."""
    silence = np.zeros(SAMPLE_RATE, np.float32)
    fired = 0
    for _, waveform in clips:
        detector.reset()
        fired += bool(detector.process(np.concatenate([silence, waveform, silence]).clip(-1, 1)))
    return fired, len(clips)


if __name__ == "__main__":
    main()
