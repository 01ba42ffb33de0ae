"""Kokoro-82M as an engine: natural voices in nine languages, where its two files were fetched."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_prep.synthesis import kokoro
from data_prep.synthesis.engines.base import VoiceInfo, refuse_speed
from data_prep.synthesis.espeak import Speaker

FETCH = "kws voices fetch kokoro"


class KokoroEngine:
    """Kokoro-82M by onnxruntime."""

    name, title, source = "kokoro", "Kokoro", "kokoro"
    license = "Apache-2.0"

    def languages(self) -> tuple[str, ...]:
        """Return the languages of the release."""
        return tuple(sorted(kokoro.LANGUAGES.values()))

    def voices(self) -> list[VoiceInfo]:
        """Return all 54 voices; they come together."""
        found = kokoro.is_installed()
        return [
            VoiceInfo(
                f"{self.name}:{name}", kokoro.LANGUAGES[name[0]], self.license, found, "" if found else FETCH
            )
            for name in kokoro.NAMES
        ]

    def speakers(self, language: str, voices: Sequence[str] = ()) -> list[Speaker]:
        """Return speakers made of the voices of a language."""
        for name in voices:
            kokoro.KokoroVoice(name)  # refuses what is no name
        return list(kokoro.kokoro_voices(language, tuple(voices)))

    def lacking(self, language: str) -> str:
        """Return why no voice speaks a language."""
        if not kokoro.speaks(language):
            return f"they are Kokoro's and speak {', '.join(self.languages())}, not {language!r}"
        return f"they need Kokoro's files: `{FETCH}`"

    def speak(self, text: str, voice: str, speed: float = 1.0) -> np.ndarray:
        """Say a text; see :class:`data_prep.synthesis.engines.base.VoiceEngine`."""
        refuse_speed(speed, 0.5, 2.0)
        return kokoro.KokoroVoice(voice, speed=speed).speak(text)
