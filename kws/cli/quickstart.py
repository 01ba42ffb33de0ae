"""Make a wake word from nothing but its text: no recordings, no network.

Speaks the phrase and things like it in many synthetic voices, makes a detector from the typed text alone,
trains another, evaluates both on voices that training never heard, exports one ONNX file and finds the phrase
in a stream. The figures are for synthetic voices: real people are harder, so add recordings with `kws train`
and measure with `kws eval` before you rely on it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kws.cli import folders
from kws.cli.own_names import QUICKSTART

if TYPE_CHECKING:
    from kws.decisions import Detection
    from kws.evaluation.result import EvaluationResult

HELP = "a wake word from its text alone, with synthetic voices"
ROUNDS = 8
"""Of training, as RESULTS.md was measured with."""
STREAM_REPEATS = 4
"""Times that the phrase is spoken in the stream that the detector is shown."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws quickstart``."""
    add = parser.add_argument
    add("--phrase", default="hey computer", help="what the device shall wake on, in English")
    add("--output", type=Path, default=Path("runs/quickstart"), help="folder for speech, model and report")
    add("--positives", type=int, default=400, help="synthetic recordings of the phrase")
    add("--negatives", type=int, default=1400, help="synthetic recordings without it")
    add("--seed", type=int, default=0, help="seed of voices and training")
    add("--overwrite", action="store_true", help="start anew in a folder that holds another phrase")


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`quickstart` and print what it found; 1 when the phrase was not heard in the stream."""
    result = quickstart(
        arguments.phrase,
        arguments.output,
        num_positives=arguments.positives,
        num_negatives=arguments.negatives,
        seed=arguments.seed,
        overwrite=arguments.overwrite,
        say=print,
    )
    return 0 if result.detections else 1


@dataclass(frozen=True)
class QuickstartResult:
    """What the quickstart made.

    Attributes:
        model: the exported detector.
        evaluation: misses and false accepts on synthetic voices of split ``test``.
        typed: the same of the detector made from the typed text alone; None where the text cannot be searched
            for.
        spoken_s: when the phrase ended in the stream, in seconds.
        detections: what the detector heard there.
    """

    model: Path
    evaluation: EvaluationResult
    typed: EvaluationResult | None
    spoken_s: tuple[float, ...]
    detections: tuple[Detection, ...]


def quickstart(
    phrase: str,
    output: Path,
    *,
    num_positives: int = 400,
    num_negatives: int = 1400,
    seed: int = 0,
    overwrite: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> QuickstartResult:
    """Go the whole road on synthetic speech: text, training, evaluation, export, detection.

    Args:
        phrase: what the device shall wake on, in English.
        output: folder for ``speech/``, ``typed/`` and ``run/`` (each with ``model.onnx``), and ``report/``.
        num_positives: synthetic recordings of the phrase, over all splits.
        num_negatives: synthetic recordings without it, over all splits.
        seed: of voices and training.
        overwrite: replace what another phrase left in ``output/run``.
        say: called with each line for the person.
    Raises:
        KwsError: the phrase cannot be spoken, or the folder holds something else.
    """
    from data_prep.synthesis.keyword import synthesize_keyword
    from export.to_onnx import export
    from kws.cli.eval import evaluate, table
    from kws.cli.train import train
    from kws.data import FEW_WINDOWS
    from kws.listen import listen

    started = time.monotonic()
    folders.claim(output, QUICKSTART)
    # batches as for voices alone, which learn more by heart from larger ones (RESULTS.md, windows per batch)
    windows = [
        f"train.batch.num_{name}={n}" for name, n in zip(("positives", "negatives"), FEW_WINDOWS, strict=True)
    ]
    say(f"1/6 speaking {phrase!r} and things like it in synthetic voices")
    positives, negatives = synthesize_keyword(
        phrase, output / "speech", num_positives, num_negatives, seed, num_workers=2
    )
    say("    half of the speech without the phrase sounds like it on purpose: expect false accepts there")
    say("2/6 making a detector from the typed text alone, without training")
    typed = evaluate_typed(phrase, output / "typed", positives, negatives, say)
    say("3/6 training on the voices of split `train`")
    summary = train(
        [phrase],
        [positives],
        [negatives],
        output / "run",
        # no copies of dev in noise: all of it sounds like the phrase on purpose, and nothing would fire
        overrides=[f"train.seed={seed}", f"train.epochs={ROUNDS}", "train.dev_copies=0", *windows],
        synthetic=0,  # every voice is synthetic here
        overwrite=overwrite,
    )
    for line in summary.lines()[:-1]:
        say(f"    {line}")
    say("4/6 exporting one ONNX file")
    model = export(output / "run")
    say("5/6 evaluating on voices of split `test`, which training never heard")
    evaluation = evaluate(model, [positives], [negatives], output / "report", overwrite=True)
    for line in table(evaluation):
        say(f"    {line}")
    say("6/6 listening to a stream of test voices")
    stream, spoken_s = write_stream(positives, negatives, output / "stream.wav")
    detections: list[Detection] = []
    listen(model, file=stream, on_detection=detections.append)
    heard = ", ".join(f"{d.time_s:.1f} s (score {d.score:.2f})" for d in detections) or "no time"
    say(f"    {stream}: the phrase ends at {', '.join(f'{t:.1f}' for t in spoken_s)} s")
    say(f"    heard at {heard}")
    say(f"done in {time.monotonic() - started:.0f} s: {model}, report in {output / 'report' / 'report.html'}")
    say(
        "These figures are for SYNTHETIC voices. Real people are harder: record the phrase, "
        "run `kws train`, then `kws eval`."
    )
    say(f"Try it with your microphone: kws listen {model}")
    return QuickstartResult(model, evaluation, typed, spoken_s, tuple(detections))


def evaluate_typed(
    phrase: str, output: Path, positives: Path, negatives: Path, say: Callable[[str], None]
) -> EvaluationResult | None:
    """Enroll the phrase by its text, evaluate that on the test voices; None, saying why, where refused."""
    from kws.cli.enroll import enroll
    from kws.cli.eval import evaluate, table
    from kws.errors import KwsError

    try:
        enrolled = enroll([phrase], output, way="phones", overwrite=True)
    except KwsError as error:
        say(f"    not possible with this phrase: {error}")
        return None
    evaluation = evaluate(enrolled.model, [positives], [negatives])
    for line in [*enrolled.lines()[:-1], *table(evaluation)]:
        say(f"    {line}")
    return evaluation


def write_stream(positives: Path, negatives: Path, path: Path) -> tuple[Path, tuple[float, ...]]:
    """Join test recordings, other speech around the phrase; also return when the phrase ends, in seconds."""
    import numpy as np

    from kws import audio
    from kws.manifest import read_manifest

    phrases = read_manifest(positives, {"test"})[:STREAM_REPEATS]
    others = [entry for entry in read_manifest(negatives, {"test"}) if entry.label == "speech"]
    pause = np.zeros(audio.seconds_to_samples(0.8), np.float32)
    pieces, ends = [pause], []
    for index, phrase in enumerate(phrases):
        pieces += [others[index % len(others)].load(), pause, phrase.load(), pause]
        ends.append(sum(map(len, pieces[:-1])) / audio.SAMPLE_RATE)
    audio.save(path, np.concatenate(pieces))
    return path, tuple(round(end, 2) for end in ends)
