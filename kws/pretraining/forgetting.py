"""What a recogniser forgets when its first layers learn a keyword: the phone error rate before and after.

Called by ``benchmarks/forgetting.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kws.checkpoint import load_model, load_model_config
from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.registry import load_recognizer
from kws.errors import ConfigError
from kws.pretraining.corpus import SpeechCorpus
from kws.pretraining.task import phone_error_rate


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What one run forgot."""

    run: Path
    """Its folder."""
    depth: int
    """Layers that it kept, and that may have moved."""
    before: float
    """Phone error rate of its source, edits per phone."""
    after: float
    """The same with the run's layers put back under the source's upper layers and phone output."""


def measure_forgetting(
    runs: Sequence[Path], corpus: SpeechCorpus, weights: Path | None = None
) -> Iterator[Forgetting]:
    """Read transcribed speech with the source of each run, and with the run's layers put back into it.

    Args:
        runs: folders that ``kws train`` wrote.
        corpus: transcribed speech that nothing was trained on.
        weights: of the source; None takes what each run's configuration names.
    Yields:
        What each run forgot, in their order; 0 exactly where no borrowed layer moved.
    Raises:
        CheckpointError: a run or its source cannot be read.
        ConfigError: a run's encoder has no phone outputs, or is not of the source's shape.
    """
    sources: dict[tuple[str, Path | None], tuple[PhoneRecognizer, float]] = {}
    for run in runs:
        config, model = load_model_config(run), load_model(run)
        key = config.encoder, weights or config.weights
        try:
            if key not in sources:
                recognizer = load_recognizer(*key)
                sources[key] = recognizer, phone_error_rate(recognizer, corpus)["all"]
            recognizer, before = sources[key]
            after = phone_error_rate(recognizer.with_first_layers(model.encoder), corpus)["all"]
        except ConfigError as error:
            raise ConfigError(f"{run}: {error}") from error
        yield Forgetting(run, len(model.encoder.layers), before, after)
