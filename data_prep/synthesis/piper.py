"""Piper voices as an optional plug-in: neural voices from local files, beside or instead of eSpeak's.

A voice is an ``.onnx`` file with its ``.onnx.json``; nothing is downloaded. Speech is drawn with noise inside
the graph, so two calls differ in detail.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.synthesis.espeak import Split, SynthesisError, stable_hash
from data_prep.synthesis.phones import phones_to_ipa, text_to_phones
from kws import audio
from kws.errors import AudioError, ConfigError, DependencyError


@dataclass(frozen=True, slots=True)
class PiperVoice:
    """One speaker of a local Piper voice file; usable wherever an eSpeak ``Voice`` is."""

    model: Path
    """The ``.onnx`` file; its ``.onnx.json`` stands beside it."""
    speaker: int = 0
    """Speaker number, for files of several speakers."""
    length_scale: float = 1.0
    """Duration of the phones relative to the file's own; 1.2 is slower."""

    def __post_init__(self) -> None:
        """Check that both files are there and hold that speaker."""
        if not 0.25 <= self.length_scale <= 4:
            raise ConfigError(
                f"length_scale is {self.length_scale}, allowed are 0.25 to 4; 1 is the voice's own speed"
            )
        num_speakers = int(_config(self.model).get("num_speakers", 1))
        if not 0 <= self.speaker < num_speakers:
            raise ConfigError(
                f"{self.model}: speaker {self.speaker} does not exist, choose one of 0 to {num_speakers - 1}"
            )

    @property
    def id(self) -> str:
        """Stable name without spaces, usable as ``speaker`` in a manifest."""
        return f"piper-{self.model.stem.replace(' ', '_')}-{self.speaker}-l{self.length_scale:g}"

    @property
    def language(self) -> str:
        """Language code without region."""
        return self._espeak_language.split("-")[0]

    @property
    def pronunciation(self) -> str:
        """Language whose phones label this voice: General American for every English accent."""
        return "en-us" if self.language == "en" else self._espeak_language

    @property
    def split(self) -> Split:
        """The split this speaker belongs to, by stable hash; a file of one speaker is for training."""
        if int(_config(self.model).get("num_speakers", 1)) == 1:
            return "train"
        draw = stable_hash("piper split", self.model.stem, self.speaker) % 10
        return "test" if draw == 0 else "dev" if draw == 1 else "train"

    @property
    def source(self) -> str:
        """Name of the synthesiser, for the manifest."""
        return "piper"

    @property
    def _espeak_language(self) -> str:
        return str(_config(self.model).get("espeak", {}).get("voice", "en-us")).lower()

    def speak(self, text: str) -> np.ndarray:
        """Say a text.

        Args:
            text: plain text; parts in ``[[...]]`` are read as eSpeak phonemes.
        Returns:
            (samples,) float32 in [-1, 1] at ``SAMPLE_RATE``.
        Raises:
            DependencyError: piper-tts is not installed.
            SynthesisError: the text makes no sound.
        """
        voice, options = _load(self.model), _options(self)
        # Piper reads IPA where eSpeak reads its own mnemonics.
        text = re.sub(
            r"\[\[.*?\]\]", lambda spelled: f"[[{phones_to_ipa(text_to_phones(spelled[0]))}]]", text
        )
        pieces = [
            audio.resample(np.asarray(chunk.audio_float_array, np.float32), int(chunk.sample_rate))
            for chunk in voice.synthesize(text, options)
        ]
        waveform = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
        if not waveform.any():
            raise SynthesisError(f"text {text!r} makes no sound with {self.id}; give a word that can be said")
        return np.clip(waveform, -1.0, 1.0)


def piper_voices(model: Path) -> list[PiperVoice]:
    """Return every speaker of a local Piper voice file.

    Raises:
        AudioError: the ``.onnx`` or ``.onnx.json`` file is missing or damaged.
    """
    return [PiperVoice(model, speaker) for speaker in range(int(_config(model).get("num_speakers", 1)))]


def _package() -> Any:
    try:
        import piper
    except ImportError as error:
        raise DependencyError("Piper voices need piper-tts: `pip install piper-tts`") from error
    return piper


@functools.cache
def _config(model: Path) -> dict[str, Any]:
    settings = Path(f"{model}.json")
    for path in (model, settings):
        if not path.is_file():
            raise AudioError(
                f"{path}: no such file; a Piper voice is NAME.onnx and NAME.onnx.json side by side, get both"
            )
    try:
        config = json.loads(settings.read_text(encoding="utf-8"))
    except ValueError as error:
        raise AudioError(f"{settings}: is not JSON ({error}); download the voice again") from error
    if not isinstance(config, dict):
        raise AudioError(f"{settings}: holds no JSON object; download the voice again")
    return config


@functools.cache
def _load(model: Path) -> Any:
    return _package().PiperVoice.load(str(model))


def _options(voice: PiperVoice) -> Any:
    several = int(_config(voice.model).get("num_speakers", 1)) > 1
    return _package().SynthesisConfig(
        speaker_id=voice.speaker if several else None, length_scale=voice.length_scale
    )
