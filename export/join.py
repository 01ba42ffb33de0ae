"""Words trained apart as one ``.onnx`` file, without training: ``kws export RUN RUN --output FILE``.

Where their encoders are bit-identical, as policy ``head`` and ``kws enroll`` leave them, the encoder runs
once for all words. What has moved runs beside it, and :class:`JoinedWords` says what that costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from export.joined_heads import Word
from export.shared import SharedEncoder, join_models
from export.to_onnx import OPSET, export_model, languages_of, training_hash
from export.verify import SCORE_TOLERANCE, make_signals
from kws.audio import SAMPLE_RATE
from kws.checkpoint import OperatingPoint, load_model, load_model_config, load_operating_point
from kws.config import config_hash
from kws.errors import ConfigError, ExportMismatch
from kws.model import WakeWordModel

ONE_A_FILE = ("false_accepts_per_hour", "smoothing_frames", "refractory_s", "compete_s")
"""What a file says once for all of its keywords."""


@dataclass(frozen=True, slots=True)
class JoinedWords:
    """What the words of one file share. Each chunk reads every weight once, so weights are the cost."""

    runs: int
    """How many were joined."""
    encoders: int
    """Encoders that differ, of which one more runs for each; 1 where all words share one."""
    weights: int
    """Of the file, numbers."""
    largest_alone: int
    """Weights of the largest of the words in a file of its own."""
    sum_alone: int
    """Weights of all words in files of their own."""


def export_joined(
    runs: Sequence[str | Path],
    output: str | Path,
    chunk_ms: float | None = None,
    opset: int = OPSET,
) -> JoinedWords:
    """Export several trained models as one file; it is kept only when each word scores as in its own.

    Args:
        runs: output folders of ``kws train`` or ``kws enroll``; their keywords keep this order.
        output: the file to write.
        chunk_ms: see :func:`export.to_onnx.export`.
        opset: see :func:`export.to_onnx.export`.
    Raises:
        CheckpointError: a folder is damaged.
        ConfigError: two runs have a keyword in common, or say other things that a file says once.
        ExportMismatch: a word scores something else beside the others; nothing is written.
    """
    folders = [Path(run) for run in runs]
    words = [Word(load_model(folder), load_model_config(folder)) for folder in folders]
    _check_keywords(folders, words)
    _check_frames(folders, words)
    point = join_points(folders, [load_operating_point(folder) for folder in folders])
    joined = join_models(words)
    _check_scores(folders, words, joined)
    languages = [language for folder in folders for language in languages_of(folder)]
    export_model(
        joined,
        point,
        Path(output),
        chunk_ms=chunk_ms,
        opset=opset,
        trained_from=config_hash({"joined": [training_hash(folder) for folder in folders]}),
        languages=list(dict.fromkeys(languages)),
    )
    assert isinstance(joined.encoder, SharedEncoder)
    alone = [num_weights(word.model) for word in words]
    return JoinedWords(len(words), len(joined.encoder.leaves), num_weights(joined), max(alone), sum(alone))


def join_points(folders: Sequence[Path], points: Sequence[OperatingPoint]) -> OperatingPoint:
    """Return the thresholds of all runs, and what they say alike.

    Raises:
        ConfigError: two differ in what a file says once for all keywords.
    """
    first = points[0]
    for folder, point in zip(folders, points, strict=True):
        for name in ONE_A_FILE:
            mine, other = getattr(first.decision, name), getattr(point.decision, name)
            if mine != other:
                raise ConfigError(
                    f"`run` {folder}: has {name} {other:g}, {folders[0]} has {mine:g}; a file holds one "
                    f"for all of its keywords, so train both with the same `train.decision.{name}`"
                )
    return replace(
        first,
        thresholds={keyword: value for point in points for keyword, value in point.thresholds.items()},
        dev_hours=min(point.dev_hours for point in points),
        floored=tuple(keyword for point in points for keyword in point.floored),
    )


def num_weights(model: torch.nn.Module) -> int:
    """Return how many numbers a model was taught, each once."""
    return sum(parameter.numel() for parameter in model.parameters())


def _check_keywords(folders: Sequence[Path], words: Sequence[Word]) -> None:
    owners: dict[str, Path] = {}
    for folder, word in zip(folders, words, strict=True):
        for keyword in word.model.keywords:
            if keyword in owners:
                raise ConfigError(
                    f"`run` {folder}: has the keyword {keyword!r}, as {owners[keyword]} has; give runs of "
                    "different keywords"
                )
            owners[keyword] = folder


def _check_frames(folders: Sequence[Path], words: Sequence[Word]) -> None:
    first = words[0].model.encoder.info
    for folder, word in zip(folders, words, strict=True):
        info = word.model.encoder.info
        if (info.hop_samples, info.chunk_samples) != (first.hop_samples, first.chunk_samples):
            raise ConfigError(
                f"`run` {folder}: encoder {info.name!r} gives a frame each "
                f"{1000 * info.hop_samples / SAMPLE_RATE:g} ms of another chunk than {first.name!r} of "
                f"{folders[0]}; join runs of one kind of encoder"
            )


@torch.no_grad()
def _check_scores(folders: Sequence[Path], words: Sequence[Word], joined: WakeWordModel) -> None:
    """Compare each word beside the others with itself alone."""
    info = joined.encoder.info
    unit = info.chunk_samples or info.hop_samples
    for name, wave in make_signals(unit, few=True).items():
        waveform = torch.from_numpy(wave)[None]
        together, first = joined.scores(waveform), 0
        for folder, word in zip(folders, words, strict=True):
            last = first + len(word.model.keywords)
            away = float((together[..., first:last] - word.model.scores(waveform)).abs().max())
            if not away <= SCORE_TOLERANCE:
                raise ExportMismatch(
                    f"{folder}: beside the other words its scores of {name!r} differ by {away:.2g} (allowed "
                    f"{SCORE_TOLERANCE:g}); export it alone, and report it"
                )
            first = last
