"""Flite's voices, where the program is installed (``apt install flite``): real speakers, unlike eSpeak's.

Four voices are built in. Other vocal tracts are made of them by resampling, which moves pitch and formants
together, with the duration set back.
"""

from __future__ import annotations

import functools
import itertools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep.synthesis.arpabet import PHONES
from data_prep.synthesis.espeak import Split, SynthesisError
from data_prep.synthesis.phones import text_to_phones
from data_prep.synthesis.spoken_form import sayable
from kws import audio
from kws.errors import ConfigError, DependencyError

NAMES = ("awb", "kal16", "rms", "slt")
"""Voices of the Festvox project, from recordings of Carnegie Mellon University that are free to use."""
TRACTS = (0.86, 0.93, 1.0, 1.08, 1.16, 1.25)
STRETCHES = (0.85, 1.0, 1.2)
LANGUAGES = ("en", "en-us")
"""ESpeak languages that the voices speak."""
_OWN_PHONES = {"ax": "AH", "axr": "ER", "dx": "T"}
"""Phones of Flite that ARPAbet without stress writes otherwise; ``pau`` is silence."""


@dataclass(frozen=True, slots=True)
class FliteVoice:
    """One voice of Flite; usable wherever an eSpeak ``Voice`` is."""

    name: str = "slt"
    """One of :data:`NAMES`."""
    tract: float = 1.0
    """Factor on pitch and formants, 0.7 to 1.4; a child's is above 1."""
    stretch: float = 1.0
    """Duration relative to the voice's own, 0.5 to 2."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.name not in NAMES:
            raise ConfigError(f"voice {self.name!r} is not one of Flite's: {', '.join(NAMES)}")
        for name, low, high in (("tract", 0.7, 1.4), ("stretch", 0.5, 2.0)):
            if not low <= getattr(self, name) <= high:
                raise ConfigError(f"voice {name} is {getattr(self, name)}, allowed are {low:g} to {high:g}")

    @property
    def id(self) -> str:
        """Stable name without spaces, usable as ``speaker`` in a manifest."""
        return f"flite-{self.name}-t{self.tract:g}-l{self.stretch:g}"

    @property
    def language(self) -> str:
        """English."""
        return "en"

    @property
    def pronunciation(self) -> str:
        """Language whose phones label the speech."""
        return "en-us"

    @property
    def split(self) -> Split:
        """Training: a few speakers are not for measuring."""
        return "train"

    @property
    def source(self) -> str:
        """Name of the synthesiser, for the manifest."""
        return "flite"

    def speak(self, text: str) -> np.ndarray:
        """Say a text.

        Args:
            text: plain text; with ``[[...]]`` of eSpeak phonemes in it, all of it is said by its phones.
        Returns:
            (samples,) float32 in [-1, 1] at ``SAMPLE_RATE``.
        Raises:
            DependencyError: the program is not installed.
            SynthesisError: the text makes no sound.
        """
        if not re.search(r"\w", text):
            raise SynthesisError(f"text {text!r} makes no sound with {self.id}; give a word that can be said")
        said = ["-t", sayable(text)]
        if "[[" in text:
            said = ["-p", f"pau {' '.join(text_to_phones(text)).lower().replace('ah', 'ax')} pau"]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "said.wav"
            stretch = f"duration_stretch={self.stretch * self.tract:.4f}"
            command = [program(), "-voice", self.name, "--setf", stretch, *said, "-o", str(path)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode or not path.exists():
                raise SynthesisError(f"text {text!r} cannot be said by flite: {done.stderr.strip()[-200:]}")
            waveform = audio.load(path)
        return audio.resample(waveform, round(self.tract * audio.SAMPLE_RATE))


def program() -> str:
    """Return the path of Flite's program.

    Raises:
        DependencyError: it is not installed.
    """
    found = shutil.which("flite")
    if found is None:
        raise DependencyError("Flite's voices need the program: `apt install flite`, or use other voices")
    return found


def speaks(language: str) -> bool:
    """Return whether Flite's voices speak a language: English, as in the United States."""
    return language.lower() in LANGUAGES


def lacking(language: str) -> str:
    """Return why no voice of Flite speaks a language, with the remedy where there is one.

    The words fit after "no voices:".
    """
    if not speaks(language):
        return f"they are Flite's and speak English only, not {language!r}"
    return "they need Flite: `apt install flite`"


@functools.cache
def reading(text: str) -> tuple[str, ...]:
    """Return the ARPAbet phones in which Flite reads a text, without stress.

    Raises:
        DependencyError: the program is not installed.
        SynthesisError: it reads nothing.
    """
    command = [program(), "-voice", "slt", "-ps", "-t", sayable(text), "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SynthesisError(f"text {text!r} cannot be read by flite: {done.stderr.strip()[-200:]}")
    phones = [_OWN_PHONES.get(phone, phone.upper()) for phone in done.stdout.split()]
    return tuple(phone for phone in phones if phone in PHONES)


def voices_for(language: str) -> list[FliteVoice]:
    """Return Flite's voices where they speak a language and the program is installed; else none."""
    return flite_voices() if speaks(language) else []


def flite_voices(names: Sequence[str] = NAMES) -> list[FliteVoice]:
    """Return every combination of voice, vocal tract and duration; none where Flite is not installed."""
    if shutil.which("flite") is None:
        return []
    return [
        FliteVoice(name, tract, stretch)
        for name, tract, stretch in itertools.product(names, TRACTS, STRETCHES)
    ]
