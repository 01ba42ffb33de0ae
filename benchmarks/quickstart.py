"""What the detector of ``kws quickstart`` does on speech that it never heard, with Flite and without.

    python -m benchmarks.quickstart --data DATA --work WORK

``kws quickstart`` makes the detector of ``kws enroll PHRASE``: by examples where Flite is installed, else by
phones alone. Each is read at the threshold that it stored, on speech of which neither the recogniser nor what
ships has heard anything, and on test clips of the phrase where there are any, each after silence. Examples
are read with other values of ``shipped_speech.margin`` too, which moves the threshold alone. Rows lie in
``benchmarks/results/quickstart.jsonl``; finished ones are not run again. Prints a Markdown table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, logit
from tqdm import tqdm

from benchmarks import corpora
from benchmarks.short_runs import RESULTS, append_row, percent, table
from kws import Detector, audio
from kws.decisions import DecisionConfig
from kws.enrollment.examples import SHIPPED_SPEECH
from kws.enrollment.methods import EXAMPLES, PHONES
from kws.evaluation.heard import HeardAudio
from kws.evaluation.intervals import hourly_rate
from kws.evaluation.protocol import TestProtocol
from kws.evaluation.scoring import stream_scores
from kws.studies import held_out
from kws.studies.held_out import UnseenAudio
from kws.studies.scoring import TestScores, detector_scores
from kws.text import mentions
from kws.workflows.enroll import enroll

KIND = "quickstart"
PHRASES = ("hey computer", "computer", "jarvis", "hey robot", "alexa")
MARGINS = (1, 2, 3, 4, 8)
"""Values of ``shipped_speech.margin`` that examples are read with."""
WAKE_WORDS = "precise_community"
"""Other wake words, some of them much like these, in minutes: counted apart, as no hour of speech is so."""
SPEECH = {
    "mini_librispeech": ("train", "dev", "test"),
    "speechocean762": ("test",),
    "speech_to_intent": ("test",),
    "dspspeech": ("test",),
    WAKE_WORDS: ("train", "test"),
}
"""Splits of each corpus in which nobody was heard in any training of the recogniser or of what ships."""
CLIPS = ("picovoice_keywords", WAKE_WORDS)
"""Corpora with clips of phrases; the test split of the first that has any is heard."""
PLAIN = TestProtocol(conditions={"clean": {}})
NOT_SPEECH = "noise"
"""Label of recordings that count as no hours of speech."""


def speech(data: Path, work: Path, corpus: str) -> tuple[np.ndarray, float]:
    """Return (samples,) int16 of a corpus without what says a phrase, and hours of its recordings; kept."""
    folder = work / KIND / corpus
    if not held_out.is_saved(folder, held_out.NEGATIVES):
        rows = [row for row in corpora.rows_of(data, corpus) if row["split"] in SPEECH[corpus]]
        own = [row for row in rows if not _says_any(row) and row["label"] != NOT_SPEECH]
        stream = HeardAudio(PLAIN).stream(corpora.utterances(own))
        held_out.save_negatives(folder, tqdm(stream, corpus, len(own), disable=None))
    return held_out.load_negatives(folder)


def _says_any(row: dict[str, Any]) -> bool:
    return any(mentions(phrase, str(row[name] or "")) for phrase in PHRASES for name in ("text", "label"))


def clips(data: Path, phrase: str) -> UnseenAudio:
    """Return test clips of a phrase in each condition, and no negatives; no conditions without clips."""
    for corpus in CLIPS:
        rows = [r for r in corpora.rows_of(data, corpus) if (r["label"], r["split"]) == (phrase, "test")]
        if rows:
            heard = corpora.heard_clips(data, rows, phrase)
            return UnseenAudio(
                {name: [clip.samples for clip in group] for name, group in heard.items()},
                np.zeros(audio.SAMPLE_RATE, np.int16),
                0,
                0,
                {n: [held_out.hit_from_s(c, corpora.PROTOCOL) for c in group] for n, group in heard.items()},
                corpora.PROTOCOL,
            )
    return UnseenAudio({}, np.zeros(audio.SAMPLE_RATE, np.int16), 0, 0, protocol=corpora.PROTOCOL)


def rows(method: str, data: Path, work: Path) -> Iterator[dict[str, Any]]:
    """Enroll the phrases, and count at the threshold of each and at those of other margins.

    They share a model, which spares hearing the hours again for each; what is fitted to a phrase and its
    threshold are the same in a model of its own, and each is judged as if it were alone.
    """
    stored = SHIPPED_SPEECH.margin if method == EXAMPLES else 1
    model = work / KIND / f"{method}-{stored:g}" / "model.onnx"  # in it are the thresholds of this margin
    if not model.exists():
        enroll(PHRASES, model.parent, method=method)
    detector = Detector(model)
    decision = detector.decision_config
    streams, hours = {}, {}
    for corpus in SPEECH:
        samples, recorded = speech(data, work, corpus)
        hours[corpus] = round(recorded, 3)
        detector.reset()
        streams[corpus] = np.concatenate(stream_scores(detector, samples))
    for column, phrase in enumerate(PHRASES):
        test = clips(data, phrase)
        heard = detector_scores(model, test, phrase)
        margins = {}
        for margin in MARGINS if method == EXAMPLES else (1,):
            threshold = float(expit(logit(decision.thresholds[column]) + math.log(margin / stored)))
            at = DecisionConfig((threshold,), decision.smoothing_frames, decision.refractory_s)
            margins[str(margin)] = {
                "threshold": threshold,
                "false_accepts": {
                    corpus: TestScores({}, scores[:, column], heard.hop_s).at(test, at)[1]
                    for corpus, scores in streams.items()
                },
                "missed": heard.at(test, at)[0],
            }
        yield {
            "phrase": phrase,
            "method": method,
            "margin": stored,
            "hours": hours,
            "margins": margins,
        }


def lines(found: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    """Yield a row of the table for each method, margin and phrase, and one for all phrases together."""
    for method, margin in [(EXAMPLES, str(margin)) for margin in MARGINS] + [(PHONES, "1")]:
        own = [entry for entry in found if entry["method"] == method]
        total = np.zeros(len(SPEECH), int), 0.0
        for entry in own:
            counts = entry["margins"][margin]
            accepts = np.array([counts["false_accepts"][corpus] for corpus in SPEECH])
            heard = sum(hours for corpus, hours in entry["hours"].items() if corpus != WAKE_WORDS)
            total = total[0] + accepts, total[1] + heard
            missed = [percent(np.divide(*pair)) for pair in counts["missed"].values()]
            shown = (entry["phrase"], f"{counts['threshold']:.3f}")
            yield [method, margin, *shown, *_counted(accepts, heard), " / ".join(missed) or "–"]
        if own:
            yield [method, margin, "all", "", *_counted(*total), ""]


def _counted(accepts: np.ndarray, hours: float) -> list[str]:
    """Return false accepts by corpus, hours and rate of speech, and false accepts among wake words."""
    events = int(accepts[:-1].sum())
    by_corpus = f"{events} ({' + '.join(map(str, accepts[:-1]))})"
    return [by_corpus, f"{hours:.1f}", str(hourly_rate(events, hours)), str(accepts[-1])]


def main() -> None:
    """Run what is missing and print the table."""
    parser = corpora.argument_parser(__doc__)
    parser.add_argument("--table", action="store_true", help="run nothing; print what is there")
    arguments = parser.parse_args()
    path = RESULTS / f"{KIND}.jsonl"
    stored = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = [json.loads(line) for line in stored]
    for method in () if arguments.table else (EXAMPLES, PHONES):
        if method not in {entry["method"] for entry in found}:
            made = list(rows(method, arguments.data, arguments.work))
            found += made
            for entry in made:
                append_row(entry, KIND)
    heads = ["method", "margin", "phrase", "threshold", "false accepts", "hours", "per hour, exact interval"]
    print("\n".join(table([*heads, "among wake words", "missed (%)"], lines(found))))


if __name__ == "__main__":
    main()
