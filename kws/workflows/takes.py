"""One take of a keyword, checked as soon as it is recorded: what is wrong with it, and what to do.

Called by :mod:`kws.workflows.record` and the studio. A person can always keep a take: the check advises.
Levels need numpy alone. Whether the keyword was said is heard by the recognizer that ships; where it is not
installed, or does not know how the keyword is said, the check leaves that out and says so in ``notes``.

``python -m benchmarks.takes`` counts how often good takes are refused and how often each fault is found. The
limits are chosen by it. With ``--clips 8``, 107 of 108 good takes by people are taken. Of English ones it
finds 99 % of the clipped, all of the soft, 82 % of those cut in the middle of the word, and 83 % of other
words; elsewhere 53 % of other words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from kws.audio import SAMPLE_RATE, samples_to_seconds, seconds_to_samples, to_float32
from kws.errors import KwsError
from kws.speech_span import EVALUATION, FRAME_SAMPLES, levels_db, speech_span

if TYPE_CHECKING:
    from kws.enrollment.likeness import Likeness

Fault = Literal["", "silent", "soft", "clipped", "cut off", "other words"]

FULL_SCALE = 0.999
"""Magnitude from which a sample counts as clipped; the same as in :mod:`data_prep.measurements`."""
RULE = replace(EVALUATION, lowest_hz=None)
"""Where a keyword begins and ends, on a take without what is lower."""
LOWEST_HZ, ORDER = 150.0, 4
"""Hum and rumble lie below, as in :data:`kws.speech_span.EVALUATION`, and order of the filter."""


@dataclass(frozen=True, slots=True)
class TakeLimits:
    """From where on a take has a fault."""

    silent_peak_db: float = -60.0
    """A take that never exceeds this level is silent, in dB of full scale."""
    above_floor_db: float = 10.0
    """Sound counts as a voice when it is so much louder than the quietest tenth of the take."""
    shortest_s: float = 0.12
    """A take with less sound than this is silent: a click of a key is no voice."""
    clipped_share: float = 0.003
    """Share of the samples of the voice at full scale, from which on a take is clipped. Nineteen of twenty
    recordings of the corpora have none."""
    edge_s: float = 0.04
    """The voice must not be in so much of the beginning and of the end."""
    edge_below_peak_db: float = 20.0
    """It is there when the edge is less than this below the loudest frame, and goes on up to that frame. The
    edges of 99 in 100 whole recordings are 33 dB below."""
    pause_s: float = 0.2
    """Shorter pauses are part of the voice: those before a stop consonant, and between words."""
    soft_db: float = -42.0
    """A voice below this level is soft, in dB of full scale: one in a hundred recordings of the corpus with
    the softest voices, and none of the others."""
    least_ahead: float = 1.0
    """Other words: see :meth:`kws.enrollment.likeness.Likeness.scores`."""
    least_nats: float = -4.0
    """The same. A take of an English keyword that misses one of both is of other words."""
    least_ahead_elsewhere: float = 0.5
    """In other languages, whose phones the recognizer knows less well, both must be missed."""
    least_nats_elsewhere: float = -4.5
    """The same."""
    most_heard: float = 2.5
    """More phones than this share of those of the keyword are other words beside it."""


LIMITS = TakeLimits()


@dataclass(frozen=True, slots=True)
class TakeCheck:
    """What was found in one take."""

    fault: Fault
    """What is wrong; "" where the take is good."""
    note: str
    """What is wrong and what to do, in one sentence; "" where the take is good."""
    level_db: float
    """Level of the voice (root mean square) in dB of full scale; -inf for digital silence."""
    start_s: float
    """Where the voice begins, in seconds."""
    end_s: float
    """Where it ends."""


class TakeChecker:
    """Checks takes of one keyword.

    Making it loads the recognizer, which takes a second or two; a check takes a tenth of a second.

    Args:
        keyword: what is to be said.
        language: eSpeak language code; any code of English stands for every accent of it.
        limits: from where on a take has a fault.
    """

    def __init__(self, keyword: str, language: str = "en-us", limits: TakeLimits = LIMITS) -> None:
        self.keyword, self.limits = keyword, limits
        self.notes: tuple[str, ...] = ()
        """Sentences on what is not checked; empty where everything is."""
        self._likeness: Likeness | None = None
        self._pronunciations: Sequence[str] = ()
        try:
            self._listen_for(language)
        except (KwsError, ImportError, OSError) as error:  # OSError: a library of torch that does not load
            reason = str(error)
            if isinstance(error, ModuleNotFoundError):
                reason = f'{error.name} is not installed: `pip install "kws[train]"`'
            self.notes = (
                f"whether a take says {keyword!r} is not checked, only how loud and whole it is ({reason})",
            )

    def check(self, waveform: np.ndarray) -> TakeCheck:
        """Return what is wrong with a take, the worst first.

        Args:
            waveform: (samples,) float32 at ``SAMPLE_RATE``, from the start of the recording to its end.
        Raises:
            AudioError: it is no mono audio.
        """
        waveform = to_float32(waveform)
        start, stop = speech_span(_without_hum(waveform), RULE)
        voice = waveform[start:stop]
        power = float(np.mean(np.square(voice, dtype=np.float64))) if len(voice) else 0.0
        level = 10 * math.log10(power) if power > 0 else -math.inf
        fault, note = self._fault(waveform, voice, level)
        return TakeCheck(fault, note, level, samples_to_seconds(start), samples_to_seconds(stop))

    def _listen_for(self, language: str) -> None:
        """Get ready to hear whether the keyword is said."""
        from data_prep.synthesis.phones import pronunciations
        from kws.encoders.sources.embedded_weights import load_recognizer
        from kws.enrollment.likeness import Likeness

        english = language.split("-")[0] == "en"
        found = pronunciations(self.keyword, "en" if english else language)
        if not found:
            raise KwsError("nothing of it can be said")
        self._pronunciations = [" ".join(phones) for phones in found]
        self._likeness = Likeness(load_recognizer(None), self._pronunciations, english=english)

    def _fault(self, waveform: np.ndarray, voice: np.ndarray, level: float) -> tuple[Fault, str]:
        """Return the worst fault, and what to do."""
        limits = self.limits
        levels = levels_db(_without_hum(waveform), RULE)
        if not has_voice(waveform, limits):
            return "silent", "Nothing was heard; check the microphone and speak after the signal."
        if np.mean(np.abs(voice) >= FULL_SCALE) >= limits.clipped_share:
            return "clipped", "The sound is distorted; move away from the microphone or turn its level down."
        edge = self._cut_edge(levels)
        if edge:
            return "cut off", edge
        if level < limits.soft_db:
            return "soft", f"The voice is soft ({level:.0f} dB); speak up or come nearer to the microphone."
        return self._other_words(waveform)

    def _cut_edge(self, levels: np.ndarray) -> str:
        """Return what to do where the voice reaches an end of a take; "" where it does not."""
        if self._reaches_start(levels):
            return "The beginning is cut off; wait for the signal before you speak."
        if self._reaches_start(levels[::-1]):
            return "The end is cut off; speak sooner after the signal, or a little faster."
        return ""

    def _reaches_start(self, levels: np.ndarray) -> bool:
        """Return whether the sound goes on without a pause from the first frames to the loudest."""
        edge, pause = (
            max(1, seconds_to_samples(seconds) // FRAME_SAMPLES)
            for seconds in (self.limits.edge_s, self.limits.pause_s)
        )
        quietest = max(
            levels.max() - self.limits.edge_below_peak_db, _floor(levels) + self.limits.above_floor_db
        )
        loud = np.flatnonzero(levels[: int(levels.argmax()) + 1] >= quietest)
        return bool(len(loud) and loud[0] < edge and (np.diff(loud) <= pause).all())

    def _other_words(self, waveform: np.ndarray) -> tuple[Fault, str]:
        """Return whether something else than the keyword was said."""
        if self._likeness is None:
            return "", ""
        from kws.enrollment.typed import reading

        limits, advice = self.limits, f"say {self.keyword!r} alone, or keep the take if it is right."
        longest = max(len(phones.split()) for phones in self._pronunciations)
        if len(reading(self._likeness.recognizer, waveform)) > limits.most_heard * longest:
            return "other words", f"More than {self.keyword!r} was heard; {advice}"
        ahead, nats = self._likeness.scores(waveform)
        if self._likeness.english:
            unlike = ahead < limits.least_ahead or nats < limits.least_nats
        else:
            unlike = ahead < limits.least_ahead_elsewhere and nats < limits.least_nats_elsewhere
        return ("other words", f"This did not sound like {self.keyword!r}; {advice}") if unlike else ("", "")


def has_voice(waveform: np.ndarray, limits: TakeLimits = LIMITS) -> bool:
    """Return whether anything in a recording stands out as a voice does, for long enough.

    Args:
        waveform: (samples,) float32 at ``SAMPLE_RATE``.
        limits: what stands out.
    """
    levels = levels_db(_without_hum(waveform), RULE)
    if not len(levels) or np.abs(waveform).max() < 10 ** (limits.silent_peak_db / 20):
        return False
    loud = np.count_nonzero(levels >= _floor(levels) + limits.above_floor_db)
    return int(loud) * FRAME_SAMPLES >= seconds_to_samples(limits.shortest_s)


def _floor(levels: np.ndarray) -> float:
    """Return the level of the quietest tenth of frames."""
    return float(np.percentile(levels, 10))


def _without_hum(waveform: np.ndarray) -> np.ndarray:
    """Return (samples,) without what is below :data:`LOWEST_HZ`, as a Butterworth filter of order 4 does it.

    It is done to the spectrum of the whole take, without a delay and without scipy.
    """
    if not len(waveform):
        return waveform
    spectrum, hertz = np.fft.rfft(waveform), np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE)
    gains = 1 / np.sqrt(1 + (LOWEST_HZ / np.maximum(hertz, 1e-3)) ** (2 * ORDER))
    filtered: np.ndarray = np.fft.irfft(gains * spectrum, len(waveform)).astype(np.float32)
    return filtered
