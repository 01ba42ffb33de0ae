"""eSpeak NG as an engine: formant voices in more than a hundred languages, in every installation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_prep.synthesis import espeak
from data_prep.synthesis.engines.base import VoiceInfo, refuse_speed
from kws.errors import DependencyError

OWN_SPEED_WPM = espeak.Voice().speed_wpm


class EspeakEngine:
    """eSpeak NG; a voice is ``LANGUAGE`` or ``LANGUAGE+VARIANT``."""

    name, title, source = "espeak", "eSpeak NG", "espeak-ng"
    license = "GPL-3.0-or-later"

    def languages(self) -> tuple[str, ...]:
        """Return every language."""
        return tuple(espeak.languages())

    def voices(self) -> list[VoiceInfo]:
        """Return a voice for each language; every variant goes with each."""
        try:
            return [VoiceInfo(f"{self.name}:{code}", code, self.license, True) for code in espeak.languages()]
        except DependencyError:
            return [VoiceInfo(f"{self.name}:en-us", "en-us", self.license, False, 'pip install "kws[tts]"')]

    def speakers(self, language: str, voices: Sequence[str] = ()) -> list[espeak.Speaker]:
        """Return none: eSpeak's voices are drawn anew for each recording, by ``espeak.voices``."""
        return []

    def lacking(self, language: str) -> str:
        """Return what eSpeak lacks: nothing but its package."""
        return 'they need eSpeak NG: `pip install "kws[tts]"`'

    def speak(self, text: str, voice: str, speed: float = 1.0) -> np.ndarray:
        """Say a text; see :class:`data_prep.synthesis.engines.base.VoiceEngine`."""
        refuse_speed(speed, 0.5, 2.5)
        accent, _, variant = voice.partition("+")
        return espeak.Voice(accent, variant, round(OWN_SPEED_WPM * speed)).speak(text)
