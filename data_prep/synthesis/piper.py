"""Piper's voices: neural speech from local files in some forty languages, through the package ``piper-tts``.

A voice is an ``.onnx`` file with its ``.onnx.json``, of Piper's list (rhasspy/piper-voices on Hugging Face)
or one's own. Speech is drawn with noise inside the graph, so two calls differ in detail.
"""

from __future__ import annotations

import functools
import importlib.util
import itertools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.fetching import FetchError, RemoteFile, hub_entries, hub_file
from data_prep.synthesis import voice_files
from data_prep.synthesis.espeak import Split, SynthesisError, stable_hash
from data_prep.synthesis.phones import phones_to_ipa, text_to_phones
from kws import audio
from kws.errors import AudioError, ConfigError, DependencyError

HUB = "https://huggingface.co"
REPOSITORY = "rhasspy/piper-voices"
"""Piper's voice list on the hub."""
LISTED = f"{HUB}/{REPOSITORY}"
"""Where a person finds and hears the voices of the list."""
FOLDER = "piper"
"""Folder of such voices below the folder of voices."""
CARD = ".MODEL_CARD"
"""Ending of a voice's model card, which says its license."""
_NAME = re.compile(r"(?P<locale>(?P<family>[a-z]{2,3})_[A-Z]{2})-(?P<speaker>[^-/\s]+)-(?P<quality>[a-z_]+)")
LENGTHS = (0.85, 1.0, 1.2)
TRACTS = (0.93, 1.0, 1.08)
"""What is made of each speaker."""


@dataclass(frozen=True, slots=True)
class PiperVoice:
    """One speaker of a local Piper voice file; usable wherever an eSpeak ``Voice`` is."""

    model: Path
    """The ``.onnx`` file; its ``.onnx.json`` stands beside it."""
    speaker: int = 0
    """Speaker number, for files of several speakers."""
    length_scale: float = 1.0
    """Duration of the phones relative to the file's own; 1.2 is slower."""
    tract: float = 1.0
    """Factor on pitch and formants, 0.7 to 1.4."""

    def __post_init__(self) -> None:
        """Check that both files are there and hold that speaker."""
        if not 0.25 <= self.length_scale <= 4:
            raise ConfigError(
                f"length_scale is {self.length_scale}, allowed are 0.25 to 4; 1 is the voice's own speed"
            )
        if not 0.7 <= self.tract <= 1.4:
            raise ConfigError(f"voice tract is {self.tract}, allowed are 0.7 to 1.4")
        num_speakers = int(_config(self.model).get("num_speakers", 1))
        if not 0 <= self.speaker < num_speakers:
            raise ConfigError(
                f"{self.model}: speaker {self.speaker} does not exist, choose one of 0 to {num_speakers - 1}"
            )

    @property
    def id(self) -> str:
        """Stable name without spaces, usable as ``speaker`` in a manifest."""
        tract = "" if self.tract == 1 else f"-t{self.tract:g}"
        return f"piper-{self.model.stem.replace(' ', '_')}-{self.speaker}-l{self.length_scale:g}{tract}"

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
            audio.resample(
                np.asarray(chunk.audio_float_array, np.float32), round(self.tract * int(chunk.sample_rate))
            )
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


def local_voices() -> list[Path]:
    """Return the voice files in the folder of voices that can be used, sorted by name."""
    found = sorted((voice_files.folder() / FOLDER).glob("*.onnx"))
    return [path for path in found if Path(f"{path}.json").is_file()]


def license(model: Path) -> str:
    """Return the license of a voice as its model card says it."""
    card = model.with_name(model.stem + CARD)
    said = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    found = re.search(r"^\W*licen[cs]e:\s*(\S.*)$", said, re.IGNORECASE | re.MULTILINE)
    return found[1].strip() if found else "not known; see where it comes from"


def has_package() -> bool:
    """Return whether ``piper-tts`` is installed."""
    return importlib.util.find_spec("piper") is not None


def speaks(model: Path, language: str) -> bool:
    """Return whether a voice file speaks an eSpeak language; ``en`` is every accent of English."""
    own = str(_config(model).get("espeak", {}).get("voice", "en-us")).lower()
    wished = language.lower()
    return own == wished or own.split("-")[0] == wished or (wished == "en-us" and own == "en")


def speakers_of(model: Path) -> list[PiperVoice]:
    """Return every speaker of a file with several durations and vocal tracts."""
    return [
        PiperVoice(model, voice.speaker, length, tract)
        for voice, length, tract in itertools.product(piper_voices(model), LENGTHS, TRACTS)
    ]


def files(name: str) -> list[RemoteFile]:
    """Return the files of a voice of Piper's list, as the hub has them now.

    The checksums are the hub's own: SHA-256 of the weights, and that of git for the small files.

    Args:
        name: such as ``en_US-joe-medium``.
    Raises:
        ConfigError: it is no name of such a voice.
        FetchError: there is no network, or no such voice.
    """
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise ConfigError(
            f"voice {name!r} is no name of Piper's list, such as en_US-joe-medium; find one at {LISTED}"
        )
    place = "/".join((parts["family"], parts["locale"], parts["speaker"], parts["quality"]))
    address = f"{HUB}/api/models/{REPOSITORY}/tree/main/{place}"
    listed = hub_entries(address)
    wanted = {  # on the hub -> here
        f"{name}.onnx": f"{name}.onnx",
        "MODEL_CARD": name + CARD,
        f"{name}.onnx.json": f"{name}.onnx.json",
    }
    if missing := [remote for remote in wanted if remote not in listed]:
        raise FetchError(
            f"{address}: does not list the files of {name}: {missing[0]} is missing; try again later"
        )
    return [
        hub_file(listed[remote], f"{HUB}/{REPOSITORY}/resolve/main/{place}/{remote}", f"{FOLDER}/{local}")
        for remote, local in wanted.items()
    ]


def _package() -> Any:
    try:
        import piper
    except ImportError as error:
        raise DependencyError('Piper\'s voices need piper-tts: `pip install "kws[piper]"`') from error
    return piper


@functools.cache
def _config(model: Path) -> dict[str, Any]:
    settings = Path(f"{model}.json")
    for path in (model, settings):
        if not path.is_file():
            raise AudioError(
                f"{path}: no such file; a Piper voice is NAME.onnx and NAME.onnx.json side by side, get both",
                kind="missing",
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
    package = _package()
    try:
        return package.PiperVoice.load(str(model))
    except Exception as error:  # onnxruntime has no class of its own for what it cannot read
        raise AudioError(f"{model}: is damaged ({str(error)[:200]}); remove it and get it again") from error


def _options(voice: PiperVoice) -> Any:
    several = int(_config(voice.model).get("num_speakers", 1)) > 1
    return _package().SynthesisConfig(
        speaker_id=voice.speaker if several else None, length_scale=voice.length_scale
    )
