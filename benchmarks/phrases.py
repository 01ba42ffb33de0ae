"""Typed phrases within sentences, and what each part of a detector makes of them.

    python -m benchmarks.phrases --data DATA --work WORK

The drink orders of 50 speakers hold phrases such as "dark roast". ``kws enroll`` makes a detector from the
texts alone; its score is read as it is, and from its parts: the layer, the sum of layer and phones, the
phones. An order is missed when nothing fires in it. False accepts are counted in the orders that share no
word with the phrase and in sentences by other speakers. The background that ships holds some of the orders,
so the shipped recogniser is given as own weights, whose background is only what ``--negatives`` names: here
four hours of other corpora. Writes ``benchmarks/results/phrases.jsonl`` and prints a Markdown table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.special import expit
from torch import Tensor
from tqdm import tqdm

from benchmarks import corpora
from benchmarks.short_runs import RESULTS, percent, table
from kws import audio
from kws.audio import SAMPLE_RATE, atomic_write
from kws.checkpoint import load_model
from kws.decisions import DecisionConfig
from kws.encoders.sources.embedded_weights import ASSETS
from kws.evaluation.heard import HeardClip
from kws.evaluation.misses import Heard, count_misses
from kws.evaluation.protocol import CLEAN
from kws.heads.phrase_window import PhraseWindowHead, ways
from kws.model import WakeWordModel
from kws.studies.held_out import hit_from_s
from kws.text import mentions
from kws.workflows.enroll import enroll

PHRASES = (
    "dark roast",
    "light roast",
    "medium roast",
    "single shot",
    "double shot",
    "triple shot",
    "iced mocha",
    "cappuccino",
    "americano",
    "espresso",
    "brown sugar",
    "twelve ounce",
)
RATES = (0.5, 1.0, 2.0)
DECISION = DecisionConfig((1.0,), 1, 1.0)

Row = dict[str, Any]


class Logits(NamedTuple):
    """Of the two parts of an enrolled detector, (frames, phrase) each."""

    seen: Tensor
    phones: Tensor


WAYS: dict[str, Callable[[PhraseWindowHead, Logits], Tensor]] = {
    "the layer alone": lambda head, found: found.seen,
    "the sum of layer and phones": lambda head, found: ways(*found)[0],
    "the phones alone": lambda head, found: found.phones,
    "`kws enroll`: the surer of sum and phones": lambda head, found: head.fuse(*found),
}


@torch.no_grad()
def logits_of(model: WakeWordModel, clip: HeardClip) -> Logits:
    """Return the logits of a clip and of all that is heard around it.

    Args:
        model: as ``kws enroll`` saves it.
        clip: what it hears.
    """
    head, encoder = model.head, model.encoder
    assert isinstance(head, PhraseWindowHead)
    waveform = audio.to_float32(clip.samples)
    whole = torch.from_numpy(waveform[None, : len(waveform) // model.hop_samples * model.hop_samples])
    features, _ = encoder.run(whole, encoder.initial_state(1))
    seen, phones, _ = head.hear(features, head.initial_state(1))
    return Logits(seen[0], phones[0])


def scores(way: str, head: PhraseWindowHead, found: Logits, phrase: int) -> np.ndarray:
    """Return (frames,) scores of a phrase; doubles, which tell logits apart that are all but certain."""
    return expit(WAYS[way](head, found)[:, phrase].double().numpy())


def spoken_in(recording: Row, phrase: str) -> bool | None:
    """Tell whether a phrase is spoken in a recording; None where an order shares only a word with it."""
    said = recording.get("slots", {"text": recording["text"]}).values()
    if any(mentions(phrase, text) for text in said):
        return True
    shared = "slots" in recording and any(mentions(word, text) for text in said for word in phrase.split())
    return None if shared else False


def make(data: Path, work: Path) -> WakeWordModel:
    """Enroll the phrases against sentences without them."""
    sentences = [*corpora.rows_of(data, "speechocean762"), *corpora.rows_of(data, "ljspeech")]
    kept = [
        row
        for row in sentences
        if row["split"] == "train" and not any(spoken_in(row, phrase) for phrase in PHRASES)
    ]
    negatives = corpora.write_rows(work / "negatives.jsonl", kept)
    noise = corpora.write_rows(work / "noise.jsonl", corpora.rows_of(data, "noise"))
    given: dict[str, Any] = {"negatives": [negatives], "noise": [noise], "weights": ASSETS}
    enroll(PHRASES, work / "run", method="examples", overwrite=True, **given)
    return load_model(work / "run").eval()


def measure(data: Path, work: Path) -> Iterator[Row]:
    """Enroll the phrases and yield a row for each phrase and way to score."""
    model, made = make(data, work), corpora.heard_audio(data)
    head = model.head
    assert isinstance(head, PhraseWindowHead)
    orders = corpora.rows_of(data, "speech_to_intent")
    sentences = [row for row in corpora.rows_of(data, "speechocean762") if row["split"] != "train"]

    def heard_in(condition: str, rows: list[Row]) -> list[tuple[HeardClip, Logits]]:
        bar = tqdm(corpora.utterances(rows), condition, unit="file", disable=None)
        clips = (made.clip(utterance, condition) for utterance in bar)
        return [(clip, logits_of(model, clip)) for clip in clips]

    heard = {condition: heard_in(condition, orders) for condition in corpora.PROTOCOL.conditions}
    quiet = heard_in(CLEAN, sentences)
    recordings = [*zip(orders, heard[CLEAN], strict=True), *zip(sentences, quiet, strict=True)]
    hop_s = model.hop_samples / SAMPLE_RATE
    lead = math.ceil(corpora.PROTOCOL.lead_s / hop_s)
    for number, phrase in enumerate(PHRASES):
        silent = [(row, found) for row, (_, found) in recordings if spoken_in(row, phrase) is False]
        hours = sum(float(str(row["duration_s"])) for row, _ in silent) / 3600
        for way in WAYS:
            positives = {}
            for name, found in heard.items():
                said = [each for row, each in zip(orders, found, strict=True) if spoken_in(row, phrase)]
                positives[name] = Heard(
                    [scores(way, head, logits, number) for _, logits in said],
                    [hit_from_s(clip, corpora.PROTOCOL) for clip, _ in said],
                )
            negatives = np.concatenate([scores(way, head, found, number)[lead:] for _, found in silent])
            counted = count_misses(positives, negatives, hours, RATES, DECISION, hop_s)
            missed = {
                name: {f"{rate:g}": [len(each.missed), each.clips] for rate, each in rates.items()}
                for name, rates in counted.items()
            }
            yield {"phrase": phrase, "way": way, "hours": round(hours, 3), "missed": missed}


def summary(rows: Sequence[Row]) -> Iterator[list[str]]:
    """Yield a row of the table for each way, over all phrases, and one for each phrase, of the last way."""
    chosen = {way: [row for row in rows if row["way"] == way] for way in WAYS}
    chosen |= {row["phrase"]: [row] for row in chosen[list(WAYS)[-1]]}
    for name, members in chosen.items():
        yield [name, *(" / ".join(mean_misses(members, f"{rate:g}")) for rate in RATES)]


def mean_misses(rows: Sequence[Row], rate: str) -> Iterator[str]:
    """Yield the mean miss rate of some rows in each condition, in percent."""
    for condition in rows[0]["missed"]:
        yield percent(float(np.mean([np.divide(*row["missed"][condition][rate]) for row in rows])))


def main() -> None:
    """Measure, write the rows and print the table; with ``--table``, of the rows that are there."""
    parser = corpora.argument_parser(__doc__)
    parser.add_argument("--table", action="store_true", help="run nothing; print what is there")
    arguments = parser.parse_args()
    path = RESULTS / "phrases.jsonl"
    if not arguments.table:
        found = list(measure(arguments.data, arguments.work / "phrases"))
        with atomic_write(path) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    print("\n".join(table(["", *(f"{rate:g} FA/h" for rate in RATES)], summary(rows))))


if __name__ == "__main__":
    main()
