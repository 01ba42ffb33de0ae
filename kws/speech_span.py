"""Where the speech of a clip is, by the energy of frames of 20 ms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kws.audio import SAMPLE_RATE, seconds_to_samples

FRAME_SAMPLES = SAMPLE_RATE // 50
"""20 ms, about one or two pitch periods of a low voice."""


@dataclass(frozen=True, slots=True)
class SpanRule:
    """Which frames are speech, and what of a clip is returned.

    Attributes:
        above_floor_db: speech is this much louder than the noise floor, the quietest tenth of the frames.
        below_peak_db: and at most this much quieter than the loudest frame.
        lowest_hz: what is lower is filtered out first; None filters nothing.
        least_below_peak_db: the floor never shuts out what is within this of the loudest frame; None lets it.
        shortest_s: between the first and last frame; of less, and of fewer than three frames, the whole clip
            is returned.
        margin_s: kept on both sides.
        power_floor: added to the power of a frame, so that silence has a level.
    """

    above_floor_db: float
    below_peak_db: float
    lowest_hz: float | None = None
    least_below_peak_db: float | None = None
    shortest_s: float = 0.0
    margin_s: float = 0.0
    power_floor: float = 1e-12


TRAINING = SpanRule(above_floor_db=9.0, below_peak_db=32.0, shortest_s=0.2, margin_s=0.12, power_floor=1e-10)
"""What a training window holds: rather too much than too little, as weak consonants lie below the threshold.

Where nothing stands out, the whole clip is the word. Frozen: another value draws other training windows.
"""

EVALUATION = SpanRule(above_floor_db=10.0, below_peak_db=30.0, lowest_hz=150.0, least_below_peak_db=10.0)
"""When a keyword begins and ends, for the time in which a detection counts: as near as can be, no margin.

Hum and rumble below 150 Hz would pass for speech; the overtones of a low voice lie above it. Frozen: another
value counts other detections as hits.
"""


def speech_span(waveform: np.ndarray, rule: SpanRule) -> tuple[int, int]:
    """Return the first sample of the speech in a clip, and the first one after it.

    The whole clip is returned where no frame stands out.

    Args:
        waveform: (samples,) float32 at ``SAMPLE_RATE``.
        rule: :data:`TRAINING` or :data:`EVALUATION`.
    """
    num_frames = len(waveform) // FRAME_SAMPLES
    if num_frames < (3 if rule.shortest_s else 1):
        return 0, len(waveform)
    levels = levels_db(waveform, rule)
    peak_db, threshold_db = levels.max(), np.percentile(levels, 10) + rule.above_floor_db
    if rule.least_below_peak_db is not None:
        threshold_db = min(threshold_db, peak_db - rule.least_below_peak_db)
    active = np.flatnonzero(levels >= max(threshold_db, peak_db - rule.below_peak_db))
    if not len(active) or (active[-1] - active[0]) * FRAME_SAMPLES < seconds_to_samples(rule.shortest_s):
        return 0, len(waveform)
    margin = seconds_to_samples(rule.margin_s)
    start, stop = int(active[0]) * FRAME_SAMPLES, (int(active[-1]) + 1) * FRAME_SAMPLES
    return max(0, start - margin), min(len(waveform), stop + margin)


def levels_db(waveform: np.ndarray, rule: SpanRule) -> np.ndarray:
    """Return the (frames,) levels of the whole frames of a clip, relative to full scale.

    Args:
        waveform: (samples,) float32 at ``SAMPLE_RATE``.
        rule: what is filtered out, and the level of silence.
    """
    num_frames = len(waveform) // FRAME_SAMPLES
    if rule.lowest_hz is not None:
        from scipy import signal

        steep = signal.butter(4, rule.lowest_hz, "highpass", fs=SAMPLE_RATE, output="sos")
        waveform = signal.sosfilt(steep, waveform)
    frames = waveform[: num_frames * FRAME_SAMPLES].reshape(num_frames, FRAME_SAMPLES)
    levels: np.ndarray = 10 * np.log10(np.square(frames).mean(axis=1) + rule.power_floor)
    return levels
