"""Clips that are judged together: by speaker, and where none is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kws.decisions import DecisionConfig
from kws.evaluation.parts import by_speaker, divide
from kws.evaluation.protocol import TestProtocol
from kws.evaluation.result import SpeakerResult
from kws.evaluation.scoring import ScoredClip
from kws.manifest import Recording

HOP_S = 0.04
PROTOCOL = TestProtocol(lead_s=0.0, conditions={"clean": {}})


def clip(index: int, peak: float, speaker: str | None) -> ScoredClip:
    scores = np.zeros((50, 1), np.float32)
    scores[30] = peak
    return ScoredClip(Recording(Path(f"{index}.wav"), speaker=speaker), scores, 32_000)


def judged(clips: list[ScoredClip], threshold: float | None) -> SpeakerResult | None:
    (whole,) = divide([("clean", clips)], 0, DecisionConfig((1.0,)), HOP_S, PROTOCOL)
    return by_speaker(whole, clips, threshold)


def test_each_speaker_counts_as_much_and_the_worst_tenth_is_told():
    # of 20 speakers the first is missed in 3 of 4 clips, the second in 1 of 2, the others in none of one
    peaks = [("s00", p) for p in (0.9, 0.1, 0.1, 0.1)] + [("s01", 0.9), ("s01", 0.1)]
    peaks += [(f"s{number:02d}", 0.9) for number in range(2, 20)]
    clips = [clip(index, peak, speaker) for index, (speaker, peak) in enumerate(peaks)]
    found = judged(clips, 0.5)
    assert found == SpeakerResult(20, pytest.approx((0.75 + 0.5) / 20), pytest.approx((0.75 + 0.5) / 2))
    assert judged(clips, None) == SpeakerResult(20, 1.0, 1.0)  # no threshold: all are missed


def test_few_or_unknown_speakers_tell_nothing():
    assert judged([clip(n, 0.9, f"s{n}") for n in range(9)], 0.5) is None
    assert judged([clip(n, 0.9, None) for n in range(30)], 0.5) is None
