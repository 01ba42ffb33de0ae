"""Typed phrases within sentences, and what each part of a detector makes of them.

    python benchmarks/phrases.py --data DATA --work WORK

The drink orders of 50 speakers hold phrases such as "dark roast". ``kws enroll`` makes a detector from the
texts alone; its score is read as it is, and from its parts: the layer, the sum of layer and phones, the
phones. An order is missed when nothing fires in it. False accepts are counted in the orders that share no
word with the phrase and in sentences by other speakers. The background that ships holds some of the orders,
so the shipped recogniser is given as own weights, whose background is only what ``--negatives`` names: here
four hours of other corpora. Writes ``benchmarks/results/phrases.jsonl`` and prints a Markdown table.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that the file can be called by its path

import numpy as np  # noqa: E402
import torch  # noqa: E402
from scipy.special import expit  # noqa: E402
from torch import Tensor  # noqa: E402
from tqdm import tqdm  # noqa: E402

from benchmarks import corpora  # noqa: E402
from benchmarks.short_runs import RESULTS, percent, table  # noqa: E402
from kws import audio  # noqa: E402
from kws.audio import SAMPLE_RATE, atomic_write, seconds_to_samples  # noqa: E402
from kws.checkpoint import load_model  # noqa: E402
from kws.decisions import DecisionConfig  # noqa: E402
from kws.encoders.sources.embedded_weights import ASSETS  # noqa: E402
from kws.evaluation.scoring import LEAD_S, TAIL_S  # noqa: E402
from kws.heads.phrase_window import PhraseWindowHead, ways  # noqa: E402
from kws.model import WakeWordModel  # noqa: E402
from kws.studies.scoring import count_misses  # noqa: E402
from kws.text import mentions  # noqa: E402
from kws.workflows.enroll import enroll  # noqa: E402
from kws.workflows.evaluate import make_conditions, read_utterances  # noqa: E402

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
SEED = 20

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
def logits_of(model: WakeWordModel, waveform: np.ndarray) -> Logits:
    """Return the logits of a recording, heard after silence, and of the silence after it.

    Args:
        model: as ``kws enroll`` saves it.
        waveform: (samples,) float32.
    """
    head, encoder = model.head, model.encoder
    assert isinstance(head, PhraseWindowHead)
    lead = seconds_to_samples(LEAD_S) // model.hop_samples
    waveform = np.pad(waveform, (lead * model.hop_samples, seconds_to_samples(TAIL_S)))
    whole = torch.from_numpy(waveform[None, : len(waveform) // model.hop_samples * model.hop_samples])
    features, _ = encoder.run(whole, encoder.initial_state(1))
    seen, phones, _ = head.hear(features, head.initial_state(1))
    return Logits(seen[0, lead:], phones[0, lead:])


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


def make(data: Path, work: Path) -> tuple[WakeWordModel, Path]:
    """Enroll the phrases against sentences without them; return the detector and the noise recordings."""
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
    return load_model(work / "run").eval(), noise


def measure(data: Path, work: Path) -> Iterator[Row]:
    """Enroll the phrases and yield a row for each phrase and way to score."""
    model, noise = make(data, work)
    head = model.head
    assert isinstance(head, PhraseWindowHead)
    orders = corpora.rows_of(data, "speech_to_intent")
    sentences = [row for row in corpora.rows_of(data, "speechocean762") if row["split"] != "train"]

    def paths(rows: Sequence[Row], name: str) -> Iterable[Path]:
        return tqdm([Path(str(row["path"])) for row in rows], name, unit="file", disable=None)

    heard = {"clean": [logits_of(model, audio.load(path)) for path in paths(orders, "clean")]}
    for condition in make_conditions(read_utterances([noise], "test"), SEED):
        heard[condition.name] = [
            logits_of(model, condition.change(audio.load(path), path.stem))
            for path in paths(orders, condition.name)
        ]
    quiet = [logits_of(model, audio.load(path)) for path in paths(sentences, "sentences")]
    recordings = [*zip(orders, heard["clean"], strict=True), *zip(sentences, quiet, strict=True)]
    for number, phrase in enumerate(PHRASES):
        silent = [(row, found) for row, found in recordings if spoken_in(row, phrase) is False]
        hours = sum(float(str(row["duration_s"])) for row, _ in silent) / 3600
        for way in WAYS:
            positives = {
                name: [
                    scores(way, head, each, number)
                    for row, each in zip(orders, found, strict=True)
                    if spoken_in(row, phrase)
                ]
                for name, found in heard.items()
            }
            negatives = np.concatenate([scores(way, head, found, number) for _, found in silent])
            counted = count_misses(
                positives, negatives, hours, RATES, DECISION, model.hop_samples / SAMPLE_RATE
            )
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
