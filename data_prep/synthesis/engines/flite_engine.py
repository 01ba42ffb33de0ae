"""Flite as an engine: four English voices cut from recorded speech, where the program is installed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import numpy as np

from data_prep.synthesis import flite
from data_prep.synthesis.engines.base import VoiceInfo, refuse_speed
from data_prep.synthesis.espeak import Speaker
from kws.errors import ConfigError


class FliteEngine:
    """Flite, a program of the system."""

    name, title, source = "flite", "Flite", "flite"
    license = "BSD-style (Carnegie Mellon University)"

    def languages(self) -> tuple[str, ...]:
        """Return English alone."""
        return ("en-us",)

    def voices(self) -> list[VoiceInfo]:
        """Return the four voices that are built into the program."""
        found = shutil.which("flite") is not None
        how = "" if found else "apt install flite"
        return [VoiceInfo(f"{self.name}:{name}", "en-us", self.license, found, how) for name in flite.NAMES]

    def speakers(self, language: str, voices: Sequence[str] = ()) -> list[Speaker]:
        """Return the voices with several vocal tracts and durations."""
        found = flite.voices_for(language)
        unknown = sorted(set(voices) - set(flite.NAMES))
        if unknown:
            raise ConfigError(f"voice {unknown[0]!r} is not one of Flite's: {', '.join(flite.NAMES)}")
        return [one for one in found if not voices or one.name in voices]

    def lacking(self, language: str) -> str:
        """Return why no voice speaks a language."""
        return flite.lacking(language)

    def speak(self, text: str, voice: str, speed: float = 1.0) -> np.ndarray:
        """Say a text; see :class:`data_prep.synthesis.engines.base.VoiceEngine`."""
        refuse_speed(speed, 0.5, 2.0)
        return flite.FliteVoice(voice, stretch=1 / speed).speak(text)
