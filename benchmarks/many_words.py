"""What ten words in one file cost beside one: ``python -m benchmarks.many_words --head window``.

The words share the encoder that ships and have untrained heads, which cost what trained ones cost.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from export.benchmark import cpu_ms_per_push
from export.contenders import Contender
from export.joined_heads import Word
from export.quantize import to_int8
from export.shared import join_models
from export.to_onnx import export_model
from kws.checkpoint import OperatingPoint
from kws.decisions import DecisionSettings
from kws.heads import PHRASE_WINDOW, PhraseWindowHead
from kws.model import ModelConfig, WakeWordModel, build_model

PHONES = ("M EY L", "S EH V AH N", "JH AA R V IH S", "K AH M P Y UW T ER", "L AY T S")
"""Ways to say of typed phrases, taken in turn."""
SURE = 0.9
"""A threshold that speech seldom reaches."""


def make_word(head: str, number: int) -> Word:
    """Return an untrained word on the encoder that ships."""
    if head != PHRASE_WINDOW:
        config = ModelConfig((f"word {number}",), head=head)
    else:
        options = {"pronunciations": ((PHONES[number % len(PHONES)],),), "layers": 1}
        config = ModelConfig((f"word {number}",), depth=5, head=head, head_options=options)
    return Word(build_model(config).eval(), config)


def make_file(model: WakeWordModel, path: Path, *, int8: bool) -> Path:
    """Export a model."""
    point = OperatingPoint(dict.fromkeys(model.keywords, SURE), DecisionSettings(), dev_hours=0.0)
    export_model(model, point, path)
    return to_int8(path)[0] if int8 else path


def main() -> None:
    """Print the processor time of a push of 80 ms for one word and for several, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--head", default="window", help="window, conv or phrase_window (typed phrases)")
    parser.add_argument("--words", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--int8", action="store_true", help="the int8 form of both files")
    given = parser.parse_args()
    words = [make_word(given.head, number) for number in range(given.words)]
    for word in words[1:]:  # all read phones as one recogniser taught them
        if isinstance(word.model.head, PhraseWindowHead):
            word.model.head.phrase.output = words[0].model.head.phrase.output
    with tempfile.TemporaryDirectory() as folder:
        models = {"one": words[0].model, "joined": join_models(words)}
        files = [
            make_file(model, Path(folder) / f"{name}.onnx", int8=given.int8) for name, model in models.items()
        ]
        one, joined = np.array(cpu_ms_per_push([Contender("kws", path) for path in files], 4.0, given.rounds))
        sizes = [path.stat().st_size / 1e6 for path in files]
    low, middle, high = np.percentile(joined / one, [10, 50, 90])
    print(
        f"head {given.head}{', int8' if given.int8 else ''}: "
        f"one word {np.median(one):.3f} ms and {sizes[0]:.2f} MB, "
        f"{given.words} words {np.median(joined):.3f} ms and {sizes[1]:.2f} MB; "
        f"ratio {middle:.2f} ({low:.2f} to {high:.2f})"
    )


if __name__ == "__main__":
    main()
