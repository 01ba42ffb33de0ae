"""Measure a model on recordings: misses, false accepts per hour and latency, with a report.

MODEL is an exported .onnx or the folder of `kws train`. Positives and negatives are folders, manifests or
audio files. Of recordings with a split, those of --split count. False accepts need hours: 30 h of negatives
show 0.1 per hour.
"""

from __future__ import annotations

import argparse
import functools
import logging
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from kws.cli import folders
from kws.cli.own_names import REPORT
from kws.cli.parser import MODEL, RECORDINGS
from kws.counts import counted

if TYPE_CHECKING:
    from data_prep.recording import Recording
    from kws.evaluation.evaluate import Condition
    from kws.evaluation.result import EvaluationResult, OperatingResult
    from kws.manifest import Utterance

logger = logging.getLogger(__name__)

HELP = "misses, false accepts per hour and latency of a model, with a report"

Split = Literal["train", "dev", "test", "all"]

NOISE_SECONDS = 120.0
"""Kept of each noise recording, in seconds: bounds memory."""

NUM_ROOMS = 20
"""Simulated rooms; another part of the seed than in training, so other rooms."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws eval``."""
    parser.add_argument(
        "model", type=MODEL, metavar="MODEL", help="exported .onnx, or the folder of `kws train`"
    )
    parser.add_argument(
        "--positives",
        type=RECORDINGS,
        action="append",
        required=True,
        help="clips of the keyword; may be repeated",
    )
    parser.add_argument(
        "--negatives",
        type=RECORDINGS,
        action="append",
        required=True,
        help="audio without the keyword; may be repeated",
    )
    parser.add_argument(
        "--noise",
        type=RECORDINGS,
        action="append",
        default=[],
        help="noise: adds the conditions noise at 10 dB, room and noise at 5 dB; may be repeated",
    )
    parser.add_argument("--keyword", help="judge this one only; without it, all of the model")
    parser.add_argument(
        "--split", choices=("train", "dev", "test", "all"), default="test", help="which recordings count"
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="folder of report.html and evaluation.json; without it, beside the model",
    )
    parser.add_argument(
        "--fa-per-hour",
        type=float,
        nargs="+",
        default=[0.1, 0.5, 1.0],
        metavar="RATE",
        help="false accepts per hour at which misses are reported",
    )
    parser.add_argument("--seed", type=int, default=0, help="of noise and rooms")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier report")


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`evaluate` and print the result as a table."""
    output = arguments.output or default_output(arguments.model)
    result = evaluate(
        arguments.model,
        arguments.positives,
        arguments.negatives,
        output,
        noise=arguments.noise,
        keyword=arguments.keyword,
        split=arguments.split,
        fa_per_hour=arguments.fa_per_hour,
        seed=arguments.seed,
        overwrite=arguments.overwrite,
        progress=sys.stderr.isatty(),
    )
    print("\n".join(table(result)))
    print(f"\nreport: {output / 'report.html'}")
    return 0


def default_output(model: Path) -> Path:
    """Return the folder of the report of a model: inside its folder, or beside its file."""
    return model / "evaluation" if model.is_dir() else model.with_name(f"{model.stem}-evaluation")


@folders.leaves_nothing(REPORT)
def evaluate(
    model: Path,
    positives: Sequence[Path],
    negatives: Sequence[Path],
    output: Path | None = None,
    *,
    noise: Sequence[Path] = (),
    keyword: str | None = None,
    split: Split = "test",
    fa_per_hour: Sequence[float] = (0.1, 0.5, 1.0),
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = False,
) -> EvaluationResult:
    """Evaluate a model on anything that ``kws prep`` reads.

    Args:
        model: an exported ``.onnx`` or a folder of ``kws train``.
        positives: sources of clips of the keyword.
        negatives: sources of audio without it.
        output: folder of the report; None writes none.
        noise: sources of noise, for two further conditions.
        keyword: judge this one only.
        split: of recordings that have a split, those of this one count.
        fa_per_hour: rates of false accepts to report misses at.
        seed: of noise and rooms.
        overwrite: replace an earlier report.
        progress: show bars.
    Raises:
        KwsError: as :func:`kws.evaluation.evaluate.evaluate` and :func:`data_prep.manifests.read`.
    """
    from kws.cli.trained_on import copies_of, trained_on
    from kws.evaluation import evaluate as evaluation

    if output is not None:
        read = {"MODEL": (model,), "--positives": positives, "--negatives": negatives, "--noise": noise}
        folders.keep_apart(output, read, above=False)  # a report beside a model or recordings harms neither
        folders.claim(output, REPORT)
    provenance = {
        "command": shlex.join(["kws", *sys.argv[1:]]),
        "seed": seed,
        "split": split,
        "positives": ", ".join(map(str, positives)),
        "negatives": ", ".join(map(str, negatives)),
    }
    if noise:
        provenance["noise"] = ", ".join(map(str, noise))
    return evaluation.evaluate(
        model,
        read_utterances(positives, split),
        read_utterances(negatives, split),
        output,
        copies_of=copies_of,
        trained_on=trained_on(model),
        conditions=make_conditions(read_utterances(noise, split), seed) if noise else (),
        keyword=keyword,
        fa_per_hour=fa_per_hour,
        provenance=provenance,
        overwrite=overwrite,
        progress=progress,
    )


def read_utterances(sources: Sequence[Path], split: Split) -> list[Utterance]:
    """Read recordings of a split, and those without one.

    Raises:
        ManifestError: a source cannot be read, or nothing of the split is there.
    """
    from data_prep import manifests
    from kws.errors import ManifestError

    notes: list[str] = []
    recordings = manifests.read_all(sources, notes)
    for note in notes:
        logger.warning("%s", note)
    chosen = [entry for entry in recordings if split == "all" or entry.split in (None, split)]
    if not chosen:
        found = ", ".join(sorted({entry.split for entry in recordings if entry.split}))
        raise ManifestError(
            f"{', '.join(map(str, sources))}: no recordings of split {split}; there are {found}; give --split"
        )
    return [to_utterance(entry) for entry in chosen]


def to_utterance(recording: Recording) -> Utterance:
    """Turn a recording of ``data_prep`` into what ``kws`` works with."""
    from kws import audio
    from kws.manifest import Utterance

    extra = {"language": recording.language, "source": recording.source, **recording.extra}
    return Utterance(
        path=recording.path,
        duration_s=recording.duration_s or audio.duration_s(recording.path) - recording.offset_s,
        text=recording.text,
        label=recording.label,
        speaker=recording.speaker,
        split=recording.split,
        phones=recording.phones,
        offset_s=recording.offset_s,
        extra={key: value for key, value in extra.items() if value is not None},
    )


def make_conditions(noise: Sequence[Utterance], seed: int) -> list[Condition]:
    """Return noise at 10 dB, and a room with noise at 5 dB; drawn from the seed and the clip alone."""
    from data_prep.augmentation import NoiseBank, RoomBank
    from data_prep.conditions import ConditionConfig, condition_chain
    from kws.evaluation.evaluate import Condition

    bank = NoiseBank(tuple(recording.path for recording in noise), NOISE_SECONDS)
    rooms = RoomBank(num_rooms=NUM_ROOMS, seed=seed, split="test")
    wanted = {
        "noise at 10 dB": ConditionConfig(snr_db=10.0),
        "room and noise at 5 dB": ConditionConfig(snr_db=5.0, room=True),
    }
    chains = {name: condition_chain(config, bank, rooms) for name, config in wanted.items()}
    return [
        Condition(name, functools.partial(chain.augment, seed=seed, epoch=0))
        for name, chain in chains.items()
    ]


def table(result: EvaluationResult) -> list[str]:
    """Return the result as lines of text."""
    lines = [
        f"{result.model}: {result.negative_hours:.3g} h of negatives "
        f"({counted(result.num_negatives, 'recording')}, "
        f"{counted(result.num_negative_originals, 'original')})"
    ]
    if result.num_left_out:
        lines.append(f"{counted(result.num_left_out, 'recording')} left out: label or text holds the keyword")
    lines += [f"note: {note}" for note in result.notes()]
    for keyword in result.keywords:
        lines += [
            "",
            f"{keyword.keyword}: {counted(keyword.num_positives, 'clip')}, "
            f"{counted(keyword.num_speakers, 'known speaker')}",
        ]
        lines += [f"note: {note}" for note in keyword.notes()]
        rows = [
            [
                "operating point",
                "threshold",
                "missed",
                "miss rate [95 %]",
                "false accepts",
                "latency p50 / p95",
            ]
        ]
        rows += [_row(entry) for entry in keyword.operating]
        lines += _columns(rows)
        if keyword.operating[0].groups:
            rows = [["misses at", *(entry.name for entry in keyword.operating)]]
            for index, group in enumerate(keyword.operating[0].groups):
                name = group.value if group.field == "condition" else f"{group.field} {group.value}"
                rates = [str(entry.groups[index].misses) for entry in keyword.operating]
                rows.append([f"{name} ({group.misses.trials})", *rates])
            lines += ["", *_columns(rows)]
        lines += [f"note, {entry.name}: {entry.note}" for entry in keyword.operating if entry.note]
    return lines


def _row(entry: OperatingResult) -> list[str]:
    accepts = entry.false_accepts
    delay = entry.latency
    return [
        entry.name,
        f"{entry.threshold:.4f}",
        f"{entry.misses.events}/{entry.misses.trials}",
        str(entry.misses),
        f"{accepts.events} in {accepts.hours:.3g} h: {accepts}",
        "-" if delay is None else f"{1000 * delay.p50_s:.0f} / {1000 * delay.p95_s:.0f} ms",
    ]


def _columns(rows: list[list[str]]) -> list[str]:
    """Align cells."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
