"""Misses of a detector made from typed text, beside pocketsphinx's keyphrase search in the same run.

    pip install pocketsphinx
    python benchmarks/typed.py --data DATA --work WORK

Ours is what a person would do: ``kws enroll PHRASE``, with and without three or ten training recordings
(three draws of them: a layer fitted to them, or their phones beside the typed ones), with synthetic voices
alone, or with another ``--method``, then ``kws.Detector``. pocketsphinx (5.1, its own English model and
dictionary) hears the same audio with a ladder of thresholds; each rate is read at the most sensitive one that
keeps to it. Finished cells are kept in ``benchmarks/results/typed.jsonl`` and not run again; writes
``typed.md``, which ``--table`` alone does too.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that the file can be called by its path

import numpy as np  # noqa: E402
from tqdm import tqdm  # noqa: E402

from benchmarks import corpora  # noqa: E402
from benchmarks.keywords import (  # noqa: E402
    RATES,
    RESULTS,
    Cell,
    append_row,
    finished,
    misses_with_interval,
    read_cell,
)
from kws.audio import seconds_to_samples  # noqa: E402
from kws.evaluation.scoring import TAIL_S  # noqa: E402
from kws.studies.held_out import UnseenAudio  # noqa: E402
from kws.studies.scoring import detector_scores  # noqa: E402

BLOCK_S = 30.0
"""Audio given to the search at once."""
LADDER = tuple(range(0, 51, 2))
"""pocketsphinx's thresholds: ten to the minus these."""
FRAMES_PER_S = 100
REFRACTORY_S = 1.0
COUNTS = (3, 10)
"""Recordings beside the typed text."""
SEEDS = (0, 1, 2)
"""Draws of recordings."""
POCKETSPHINX = "pocketsphinx"
TYPED, FITTED, WITHOUT_NOISE = "typed text", ", fitted", ", fitted without noise"
"""Layers are fitted to examples in the training noise; without it, noise is made."""
METHODS = ("attributes", "words")
"""Other methods of ``kws enroll``; their thresholds need speech, which is that of training."""


class KeyphraseSearch:
    """pocketsphinx with one word listed once for each threshold of the ladder.

    Args:
        word: in its dictionary; every pronunciation there is listened for.
    """

    def __init__(self, word: str) -> None:
        from pocketsphinx import Config, Decoder, get_model_path

        dictionary = Path(get_model_path("en-us/cmudict-en-us.dict"))
        self.decoder = Decoder(
            Config(hmm=get_model_path("en-us/en-us"), dict=str(dictionary), loglevel="FATAL")
        )
        lines = (line.partition(" ") for line in dictionary.read_text(encoding="utf-8").splitlines())
        spoken = [phones for name, _, phones in lines if name.split("(")[0] == word]
        self.names = [f"{word}@{exponent}" for exponent in LADDER]
        for name in self.names:
            for number, phones in enumerate(spoken, start=1):
                self.decoder.add_word(name if number == 1 else f"{name}({number})", phones, True)
        with tempfile.TemporaryDirectory() as folder:
            listed = Path(folder) / "keyphrases"
            entries = zip(self.names, LADDER, strict=True)
            listed.write_text("".join(f"{name} /1e-{exponent}/\n" for name, exponent in entries), "utf-8")
            self.decoder.add_kws("ladder", str(listed))
        self.decoder.activate_search("ladder")

    def times(self, samples: np.ndarray) -> dict[str, list[float]]:
        """Return when each rung of the ladder heard the word in int16 audio, in seconds."""
        self.decoder.start_utt()
        self.decoder.process_raw(samples.tobytes(), full_utt=False)
        self.decoder.end_utt()
        found: dict[str, list[float]] = {name: [] for name in self.names}
        for segment in self.decoder.seg() or ():
            found[segment.word.strip().split("(")[0]].append(segment.end_frame / FRAMES_PER_S)
        return found


def events(times: list[float]) -> int:
    """Count detections, of which one silences those of the next second."""
    count, last = 0, -np.inf
    for time in sorted(times):
        if time - last >= REFRACTORY_S:
            count, last = count + 1, time
    return count


def keyphrase_row(cell: Cell, test: UnseenAudio) -> dict:
    """Return the row of pocketsphinx."""
    search = KeyphraseSearch(cell.keyword)
    block, tail = seconds_to_samples(BLOCK_S), np.zeros(seconds_to_samples(TAIL_S), np.int16)
    accepts = dict.fromkeys(search.names, 0)
    for start in tqdm(range(0, len(test.negatives), block), cell.name, disable=None):
        for name, times in search.times(test.negatives[start : start + block]).items():
            accepts[name] += events(times)
    hits = {
        condition: [search.times(np.concatenate([clip, tail])) for clip in clips]
        for condition, clips in test.positives.items()
    }
    misses: dict[str, dict[str, list[int]]] = {condition: {} for condition in hits}
    for rate in RATES:
        kept = [name for name in search.names if accepts[name] <= rate * test.hours]
        for condition, clips in hits.items():
            fewest = min((sum(not times[name] for times in clips) for name in kept), default=len(clips))
            misses[condition][str(rate)] = [fewest, len(clips)]
    return {"cell": cell.name, **cell._asdict(), "misses": misses, "false_accepts": accepts}


def typed_row(cell: Cell, data: Path, work: Path, test: UnseenAudio) -> dict:
    """Return the row of ``kws enroll`` with so many recordings."""
    from kws.workflows.enroll import enroll

    given: dict[str, Any] = {"method": "examples" if FITTED in cell.policy else "phones"}
    if cell.count:
        given["recordings"] = [corpora.positives_manifest(data, work, cell.keyword, cell.count, cell.seed)]
    if cell.policy.endswith(FITTED):
        given["noise"] = [corpora.training_manifests(data, work)[1]]
    if cell.change:
        given |= {"method": cell.change, "negatives": [corpora.training_manifests(data, work)[0]]}
    made = enroll([cell.keyword], work / "typed" / cell.name, **given, overwrite=True)
    scores, negatives, hop_s = detector_scores(made.model, test.after_silence())
    row = read_cell(cell, scores, negatives, hop_s, test, smoothing=1)
    return {**row, "threshold": made.metrics["thresholds"][cell.keyword]}


def table(rows: list[dict]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield (
        "| detector | keyword | "
        + " | ".join(f"{c}, {r:g} FA/h" for c in corpora.CONDITIONS for r in RATES)
        + " |"
    )
    yield "|---|---|" + "---|" * (len(corpora.CONDITIONS) * len(RATES))
    for policy in dict.fromkeys(row["policy"] for row in rows):
        for keyword in (*corpora.KEYWORDS, "both"):
            members = [r for r in rows if r["policy"] == policy and keyword in (r["keyword"], "both")]
            if not members:
                continue
            values = [misses_with_interval(members, c, rate) for c in corpora.CONDITIONS for rate in RATES]
            yield f"| {policy} | {keyword} | " + " | ".join(values) + " |"


def cells(keyword: str) -> list[Cell]:
    """Return what is measured for a keyword."""
    drawn = [
        Cell(keyword, count, detector, seed)
        for count in COUNTS
        for detector in (f"{TYPED} and {count} recordings", f"{count} recordings{FITTED}")
        for seed in SEEDS
    ]
    drawn += [Cell(keyword, COUNTS[0], f"{COUNTS[0]} recordings{WITHOUT_NOISE}", seed) for seed in SEEDS]
    methods = [Cell(keyword, 0, f"synthetic voices{noise}", 0) for noise in (FITTED, WITHOUT_NOISE)]
    methods += [Cell(keyword, 0, f"{TYPED} by {method}", 0, method) for method in METHODS]
    return [Cell(keyword, 0, POCKETSPHINX, 0), Cell(keyword, 0, TYPED, 0), *drawn, *methods]


def main() -> None:
    """Measure what is not in the results yet, and write the table."""
    parser = corpora.argument_parser(__doc__)
    parser.add_argument("--table", action="store_true", help="run nothing; print what is there")
    parser.add_argument("--only", nargs="*", help="run cells whose name holds one of these")
    arguments = parser.parse_args()
    for keyword in () if arguments.table else corpora.KEYWORDS:
        test = corpora.test_audio(arguments.data, arguments.work, keyword)
        for cell in cells(keyword):
            left = arguments.only and not any(part in cell.name for part in arguments.only)
            if left or cell.name in finished("typed"):
                continue
            if cell.policy == POCKETSPHINX:
                row = keyphrase_row(cell, test)
            else:
                row = typed_row(cell, arguments.data, arguments.work, test)
            append_row(row, "typed")
    text = "\n".join(table(list(finished("typed").values())))
    (RESULTS / "typed.md").write_text(text + "\n", "utf-8")
    print(text)


if __name__ == "__main__":
    main()
