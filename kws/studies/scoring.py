"""A detector on the audio of a study: frame scores, then which clips it misses at a rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kws.decisions import DecisionConfig
from kws.evaluation.metrics import pack
from kws.evaluation.misses import Heard, MissCount, count_misses, missed_clips
from kws.evaluation.scoring import clip_scores, open_scorer, stream_scores
from kws.studies.held_out import UnseenAudio


@dataclass(frozen=True)
class TestScores:
    """Scores of one keyword on test audio.

    Attributes:
        positives: (frames,) of each clip, by condition.
        negatives: (frames,) of the stream.
        hop_s: seconds per frame.
    """

    __test__ = False  # pytest collects nothing of this name

    positives: Mapping[str, Sequence[np.ndarray]]
    negatives: np.ndarray
    hop_s: float

    def misses(
        self, test: UnseenAudio, rates: Sequence[float], decision: DecisionConfig
    ) -> dict[str, dict[float, MissCount]]:
        """Return the misses by condition and rate of false accepts per hour.

        Args:
            test: what was scored.
            rates: false accepts per hour.
            decision: of the detector; smoothing and refractory time count, unless the protocol gives others.
        """
        config = test.protocol.decided(decision)
        return count_misses(self._heard(test), self.negatives, test.hours, rates, config, self.hop_s)

    def at(self, test: UnseenAudio, decision: DecisionConfig) -> tuple[dict[str, tuple[int, int]], int]:
        """Return clips missed and clips by condition at one threshold, and the false accepts.

        Args:
            test: what was scored.
            decision: of the detector, with one threshold.
        """
        config, (threshold,) = test.protocol.decided(decision), decision.thresholds
        missed = {}
        for name, heard in self._heard(test).items():
            track = pack(heard.scores, config, self.hop_s, threshold)
            lost = missed_clips(track, heard.first_frames(self.hop_s), threshold)
            missed[name] = (len(lost), len(heard.scores))
        accepts = pack([self.negatives], config, self.hop_s, threshold).fire(threshold)
        return missed, int(accepts.frames.size)

    def _heard(self, test: UnseenAudio) -> dict[str, Heard]:
        return {name: Heard(scores, test.hit_from_s.get(name)) for name, scores in self.positives.items()}


def detector_scores(model: Path, test: UnseenAudio, keyword: str | None = None) -> TestScores:
    """Score all test audio with a detector, for one keyword of it.

    Args:
        model: what :func:`kws.evaluation.scoring.open_scorer` takes.
        test: clips, each from a cold start, and the stream.
        keyword: one of the detector; None is its first.
    """
    scorer = open_scorer(model)
    column = 0 if keyword is None else scorer.keywords.index(keyword)
    positives = {
        name: [clip_scores(scorer, clip)[:, column] for clip in clips]
        for name, clips in test.positives.items()
    }
    scorer.reset()
    negatives = np.concatenate([scores[:, column] for scores in stream_scores(scorer, test.negatives)])
    return TestScores(positives, negatives, scorer.hop_s)
