"""Piper as an engine: neural voices of local files, through the package ``piper-tts``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep.synthesis import piper
from data_prep.synthesis.engines.base import VoiceInfo, refuse_speed
from data_prep.synthesis.espeak import Speaker
from kws.errors import ConfigError

PACKAGE = 'pip install "kws[piper]"'
FETCH = "kws voices fetch piper:NAME"


class PiperEngine:
    """Piper; a voice is a name of the folder of voices or the path of an ``.onnx`` file."""

    name, title, source = "piper", "Piper", "piper"
    license = "GPL-3.0-or-later, each voice its own"

    def languages(self) -> tuple[str, ...]:
        """Return the languages of the voices that are there."""
        return tuple(sorted({piper.PiperVoice(path).pronunciation for path in piper.local_voices()}))

    def voices(self) -> list[VoiceInfo]:
        """Return the voices that are there; Piper's list has many more."""
        how = "" if piper.has_package() else PACKAGE
        return [
            VoiceInfo(
                f"{self.name}:{path.stem}",
                piper.PiperVoice(path).pronunciation,
                piper.license(path),
                not how,
                how,
            )
            for path in piper.local_voices()
        ]

    def speakers(self, language: str, voices: Sequence[str] = ()) -> list[Speaker]:
        """Return every speaker of the files that speak a language, with several durations and tracts."""
        if not piper.has_package():
            return []
        paths = [self._path(voice) for voice in voices] if voices else piper.local_voices()
        return [one for path in paths if piper.speaks(path, language) for one in piper.speakers_of(path)]

    def lacking(self, language: str) -> str:
        """Return why no voice speaks a language."""
        if not piper.has_package():
            return f"they need piper-tts: `{PACKAGE}`"
        return f"no voice of Piper's that speaks {language!r} is there: `{FETCH}`, names at {piper.LISTED}"

    def speak(self, text: str, voice: str, speed: float = 1.0) -> np.ndarray:
        """Say a text; see :class:`data_prep.synthesis.engines.base.VoiceEngine`."""
        refuse_speed(speed, 0.5, 2.0)
        return piper.PiperVoice(self._path(voice), length_scale=1 / speed).speak(text)

    def _path(self, voice: str) -> Path:
        """Return the file of a voice.

        Raises:
            ConfigError: there is none.
        """
        found = {path.stem: path for path in piper.local_voices()}
        if voice in found:
            return found[voice]
        path = Path(voice)
        if path.suffix == ".onnx" and path.is_file():
            return path
        there = ", ".join(found) or "none"
        raise ConfigError(
            f"voice {voice!r} of Piper is not there, there are: {there}; `{FETCH.replace('NAME', voice)}`, "
            "or give the path of an .onnx file"
        )
