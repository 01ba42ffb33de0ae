"""Clips that are judged together: all of them, those of a group such as an age, those in a condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kws.decisions import DecisionConfig
from kws.evaluation.intervals import proportion
from kws.evaluation.metrics import DetPoint, Events, Sweep, Track, hits, latency, pack
from kws.evaluation.misses import Heard
from kws.evaluation.protocol import TestProtocol
from kws.evaluation.result import GroupResult, SpeakerResult
from kws.evaluation.scoring import ScoredClip
from kws.manifest import Recording

CONDITION = "condition"
GROUP_FIELDS = (CONDITION, "gender", "age")
"""Manifest fields that divide the clips."""

ADULT_AGE = 13
"""Years from which a speaker counts as adult, where a manifest holds numbers."""

MOST_MISSED = 0.1
"""Share of the speakers whose clips are missed most."""
FEWEST_SPEAKERS = 10
"""Of fewer, a tenth is nobody."""


@dataclass(frozen=True, slots=True)
class Part:
    """Clips to be judged together."""

    field: str
    value: str
    track: Track
    members: np.ndarray
    """(clips,) their indices in the track."""
    first: np.ndarray
    """(all clips of the track,) frame before which a detection is no hit."""
    ends_s: np.ndarray
    """(all clips of the track,) ends of the keyword."""

    def judge(self, threshold: float | None) -> GroupResult:
        """Count misses at a threshold; None misses all."""
        hit = Events(*(np.zeros(0, np.int64),) * 3)
        if threshold is not None:
            hit = hits(self.track.fire(threshold), self.first)
        mine = np.isin(hit.owners, self.members)
        events = Events(hit.owners[mine], hit.frames[mine], hit.scores[mine])
        missed = len(self.members) - np.unique(events.owners).size
        return GroupResult(
            self.field,
            self.value,
            proportion(missed, len(self.members)),
            latency(events, self.ends_s, self.track.hop_s),
        )

    def curve(self, everyone: Sweep) -> tuple[DetPoint, ...]:
        """Return the DET curve of these clips, at the thresholds and false accepts of another sweep."""
        missed = np.array([self.judge(float(threshold)).misses.events for threshold in everyone.thresholds])
        return tuple(replace(everyone, num_missed=missed, num_positives=len(self.members)).points())


def divide(
    versions: Sequence[tuple[str, Sequence[ScoredClip]]],
    column: int,
    config: DecisionConfig,
    hop_s: float,
    protocol: TestProtocol,
) -> list[Part]:
    """Divide the clips: all in the first condition, its groups by manifest fields, all in each further one.

    Args:
        versions: name and clips of each condition, the same clips in the same order.
        column: of the keyword.
        config: smoothing and refractory time.
        hop_s: time between two frames, in seconds.
        protocol: by which the clips were heard.
    """
    parts: list[Part] = []
    for condition, clips in versions:
        heard, everyone = heard_clips(clips, column, protocol), np.arange(len(clips))
        ends_s = np.array([clip.lead_s + clip.speech_end_s for clip in clips])
        whole = Part(
            CONDITION if parts else "all",
            condition,
            pack(heard.scores, config, hop_s),
            everyone,
            heard.first_frames(hop_s),
            ends_s,
        )
        if parts:
            parts.append(whole)
            continue
        parts = [whole]
        for name in GROUP_FIELDS:
            values = [group_value(clip.utterance, name) for clip in clips]
            for value in sorted({value for value in values if value is not None}):
                members = np.array([index for index, each in enumerate(values) if each == value])
                parts.append(replace(whole, field=name, value=value, members=members))
    return parts


def heard_clips(clips: Sequence[ScoredClip], column: int, protocol: TestProtocol) -> Heard:
    """Return the scores of a keyword in clips, and where a detection may first hit in each."""
    return Heard(
        [clip.scores[:, column] for clip in clips],
        [clip.lead_s + clip.speech_start_s - protocol.early_s for clip in clips],
    )


def group_value(utterance: Recording, name: str) -> str | None:
    """Return which part of a division a clip belongs to, None where its manifest does not say."""
    value = utterance.column(name)
    if value is None or value == "":
        return None
    if name == "age" and isinstance(value, (int, float)):
        return f"under {ADULT_AGE}" if value < ADULT_AGE else f"{ADULT_AGE} or older"
    return str(value)


def by_speaker(part: Part, clips: Sequence[ScoredClip], threshold: float | None) -> SpeakerResult | None:
    """Return the misses of the mean speaker and of those who are missed most.

    Args:
        part: all clips.
        clips: the same, with their speakers.
        threshold: None misses all.
    Returns:
        None where fewer than ten speakers are known.
    """
    names = sorted({clip.utterance.speaker for clip in clips if clip.utterance.speaker})
    if len(names) < FEWEST_SPEAKERS:
        return None
    speakers = np.array([clip.utterance.speaker or "" for clip in clips])
    spoken = [replace(part, members=np.flatnonzero(speakers == name)) for name in names]
    rates = sorted(each.judge(threshold).misses.rate for each in spoken)
    worst = rates[-round(MOST_MISSED * len(rates)) :]
    return SpeakerResult(len(names), float(np.mean(rates)), float(np.mean(worst)))
