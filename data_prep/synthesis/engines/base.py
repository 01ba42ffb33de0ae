"""What every synthesiser offers: its name and license, its voices, and speech by one of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from data_prep.synthesis.espeak import Speaker
from kws.errors import ConfigError


@dataclass(frozen=True, slots=True)
class VoiceInfo:
    """One voice of an engine, or one that can be got."""

    id: str
    """Stable name, ``ENGINE:VOICE``."""
    language: str
    """eSpeak language code that it speaks."""
    license: str
    """Of the voice."""
    is_installed: bool
    """It can speak now."""
    how: str = ""
    """How to get it; empty where it is installed."""


class VoiceEngine(Protocol):
    """A synthesiser; :data:`data_prep.synthesis.engines.ENGINES` lists those that there are."""

    @property
    def name(self) -> str:
        """Name on the command line and in front of the names of its voices."""

    @property
    def title(self) -> str:
        """Name for a person."""

    @property
    def source(self) -> str:
        """``Speaker.source`` of its speakers."""

    @property
    def license(self) -> str:
        """Of program and voices, in a few words."""

    def languages(self) -> tuple[str, ...]:
        """Return the eSpeak language codes that its voices speak, sorted; of those installed or known."""

    def voices(self) -> list[VoiceInfo]:
        """Return its voices, those too that are not installed where they are known."""

    def speakers(self, language: str, voices: Sequence[str] = ()) -> list[Speaker]:
        """Return who can say a keyword, each for one split; none where nothing is installed.

        Args:
            language: eSpeak language code; ``en`` is every accent of English.
            voices: names without the engine's; none takes all.
        Raises:
            ConfigError: a name is none of its voices.
        """

    def lacking(self, language: str) -> str:
        """Return why :meth:`speakers` is empty, with the remedy; the words fit after "no voices:"."""

    def speak(self, text: str, voice: str, speed: float = 1.0) -> np.ndarray:
        """Say a text.

        Args:
            text: what is said.
            voice: name of a voice, without the engine's.
            speed: relative to the voice's own.
        Returns:
            (samples,) float32 in [-1, 1] at ``SAMPLE_RATE``.
        Raises:
            ConfigError: there is no such voice, or it does not speak so fast.
            DependencyError: it is not installed.
            SynthesisError: the text makes no sound.
        """


def refuse_speed(speed: float, low: float, high: float) -> None:
    """Refuse a speed that an engine does not speak with.

    Raises:
        ConfigError: the speed is out of range.
    """
    if not low <= speed <= high:
        raise ConfigError(f"`speed` is {speed:g}, this voice speaks at {low:g} to {high:g} times its own")
