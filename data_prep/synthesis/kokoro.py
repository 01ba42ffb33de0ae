"""Kokoro-82M's voices: neural speech of 54 speakers in nine languages, run by onnxruntime from two files.

A voice is a table of style vectors. Two of them are mixed into a speaker between them, so that dozens of
voices give hundreds; a change of tempo and of the vocal tract gives more. Weights and voices are under
Apache-2.0 (hexgrad/Kokoro-82M); the files are those of the releases of kokoro-onnx.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep.fetching import RemoteFile
from data_prep.synthesis import voice_files
from data_prep.synthesis.espeak import ENGLISH_ACCENTS, Split, SynthesisError, stable_hash
from data_prep.synthesis.kokoro_symbols import UnreadError, numbers_of, symbols_of
from kws import audio
from kws.errors import ConfigError, DependencyError

RELEASE = "https://github.com/thewh1teagle/kokoro-onnx/releases/download/model-files-v1.0/"
MODEL, STYLES = "kokoro/kokoro-v1.0.int8.onnx", "kokoro/voices-v1.0.bin"
"""Files below the folder of voices."""
FILES = (
    (MODEL, 92_361_271, "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"),
    (STYLES, 28_214_398, "bca610b8308e8d99f32e6fe4197e7ec01679264efed0cac9140fe9c29f1fbf7d"),
)
"""Name, size in bytes and SHA-256 of each file of the release."""
RATE_HZ = 24_000
STYLE = 256
"""Numbers in a style vector; a voice has one for each number of symbols."""

NAMES = (
    "af_alloy", "af_aoede", "af_bella", "af_heart", "af_jessica", "af_kore", "af_nicole", "af_nova",
    "af_river", "af_sarah", "af_sky", "am_adam", "am_echo", "am_eric", "am_fenrir", "am_liam",
    "am_michael", "am_onyx", "am_puck", "am_santa", "bf_alice", "bf_emma", "bf_isabella", "bf_lily",
    "bm_daniel", "bm_fable", "bm_george", "bm_lewis", "ef_dora", "em_alex", "em_santa", "ff_siwis",
    "hf_alpha", "hf_beta", "hm_omega", "hm_psi", "if_sara", "im_nicola", "jf_alpha", "jf_gongitsune",
    "jf_nezumi", "jf_tebukuro", "jm_kumo", "pf_dora", "pm_alex", "pm_santa", "zf_xiaobei", "zf_xiaoni",
    "zf_xiaoxiao", "zf_xiaoyi", "zm_yunjian", "zm_yunxi", "zm_yunxia", "zm_yunyang",
)  # fmt: skip
"""Voices of release 1.0: language, sex and name."""
LANGUAGES = {
    "a": "en-us", "b": "en-gb", "e": "es", "f": "fr-fr", "h": "hi", "i": "it", "j": "ja", "p": "pt-br",
    "z": "cmn",
}  # fmt: skip
"""First letter of a voice -> the eSpeak language that it speaks."""
LEFT_OUT = ("af_nicole", "am_santa", "em_santa", "pm_santa")
"""Voices that whisper or play a part: they can be heard, and nothing learns from them."""
HELD_OUT: dict[str, Split] = {
    **dict.fromkeys(
        ("af_jessica", "am_eric", "bf_alice", "bm_lewis", "zf_xiaoni", "jf_nezumi", "hf_beta"), "dev"
    ),
    **dict.fromkeys(
        ("af_nova", "am_liam", "bf_lily", "bm_daniel", "zf_xiaoyi", "zm_yunxia", "jm_kumo", "hm_psi"), "test"
    ),
}
"""Voices that are never learnt from, where a language has more than three; the others are for training."""

NUM_SPEAKERS: dict[Split, int] = {"train": 240, "dev": 40, "test": 40}
"""Speakers that are made of the voices of a language."""
MIXED = 0.7
"""Part of the speakers that lie between two voices."""
SHARE_RANGE = (0.2, 0.5)
"""Part of the second voice in such a speaker."""
SPEED_RANGE = (0.8, 1.25)
TRACT_RANGE = (0.92, 1.1)
"""Factor on pitch and formants: small, as two voices give more."""


@dataclass(frozen=True, slots=True)
class KokoroVoice:
    """A speaker made of one or two of Kokoro's voices; usable wherever an eSpeak ``Voice`` is."""

    name: str = "af_heart"
    """One of :data:`NAMES`."""
    other: str = ""
    """A second voice to mix in; empty for none."""
    share: float = 0.0
    """Part of the second voice, 0 to 1."""
    speed: float = 1.0
    """Speaking rate relative to the voice's own, 0.5 to 2."""
    tract: float = 1.0
    """Factor on pitch and formants, 0.7 to 1.4."""
    accent: str = ""
    """eSpeak language that reads the text; empty for the voice's own."""

    def __post_init__(self) -> None:
        """Check the names, the ranges, and that no voice for training is mixed with one that is held out."""
        for name in filter(None, (self.name, self.other)):
            if name not in NAMES:
                raise ConfigError(f"voice {name!r} is not one of Kokoro's: {', '.join(NAMES)}")
        for field, low, high in (("share", 0.0, 1.0), ("speed", 0.5, 2.0), ("tract", 0.7, 1.4)):
            if not low <= getattr(self, field) <= high:
                raise ConfigError(f"voice {field} is {getattr(self, field)}, allowed are {low:g} to {high:g}")
        if self.other and split_of(self.other) != split_of(self.name):
            raise ConfigError(
                f"voices {self.name} ({split_of(self.name)}) and {self.other} ({split_of(self.other)}) are "
                "of two splits; mix voices of one"
            )

    @property
    def id(self) -> str:
        """Stable name without spaces, usable as ``speaker`` in a manifest."""
        mixed = f"+{self.other}-m{self.share:g}" if self.other else ""
        accent = f"-{self.accent}" if self.accent else ""
        return f"kokoro-{self.name}{mixed}-s{self.speed:g}-t{self.tract:g}{accent}"

    @property
    def language(self) -> str:
        """Language code without region."""
        return self.reads.split("-")[0]

    @property
    def reads(self) -> str:
        """Return the eSpeak language that reads the text."""
        return self.accent or LANGUAGES[self.name[0]]

    @property
    def pronunciation(self) -> str:
        """Language whose phones label the speech: General American for every English accent."""
        return "en-us" if self.language == "en" else self.reads

    @property
    def split(self) -> Split:
        """The only split that the speaker may appear in."""
        return split_of(self.name)

    @property
    def source(self) -> str:
        """Name of the synthesiser, for the manifest."""
        return "kokoro"

    def speak(self, text: str) -> np.ndarray:
        """Say a text.

        Args:
            text: plain text; parts in ``[[...]]`` are read as eSpeak phonemes.
        Returns:
            (samples,) float32 in [-1, 1] at ``SAMPLE_RATE``; bit-identical for the same arguments.
        Raises:
            DependencyError: the files are not there; the message says how to get them.
            SynthesisError: the text makes no sound, or is too long.
        """
        try:
            numbers = numbers_of(symbols_of(text, self.reads))
        except UnreadError as error:
            raise SynthesisError(str(error)) from error
        session, styles = _load(voice_files.folder())
        row = min(len(numbers), len(styles[self.name])) - 1
        style = styles[self.name][row]
        if self.other:
            style = (1 - self.share) * style + self.share * styles[self.other][row]
        (waveform,) = session.run(
            ["audio"],
            {
                "tokens": np.array([[0, *numbers, 0]], np.int64),
                "style": style.astype(np.float32).reshape(1, STYLE),
                "speed": np.array([self.speed / self.tract], np.float32),
            },
        )
        waveform = np.asarray(waveform, np.float32).ravel()
        if not waveform.any() or not np.isfinite(waveform).all():
            raise SynthesisError(f"text {text!r} makes no sound with {self.id}; give a word that can be said")
        clipped: np.ndarray = np.clip(audio.resample(waveform, round(self.tract * RATE_HZ)), -1.0, 1.0)
        return clipped


def split_of(name: str) -> Split:
    """Return the split that a voice belongs to."""
    return HELD_OUT.get(name, "train")


def is_installed() -> bool:
    """Return whether both files lie in the folder of voices."""
    return all((voice_files.folder() / name).is_file() for name in (MODEL, STYLES))


def files() -> list[RemoteFile]:
    """Return the files to fetch."""
    return [RemoteFile(RELEASE + Path(name).name, name, size, sha256) for name, size, sha256 in FILES]


def speaks(language: str) -> bool:
    """Return whether some of the voices speak a language."""
    return bool(names_for(language))


def names_for(language: str) -> list[str]:
    """Return the voices of an eSpeak language; ``en`` is every accent of English."""
    code = language.lower()
    own = [letter for letter, spoken in LANGUAGES.items() if spoken == code or spoken.split("-")[0] == code]
    if not own and code.startswith("en-"):
        own = ["b" if code.startswith("en-gb") else "a"]
    return [name for name in NAMES if name[0] in own]


def kokoro_voices(language: str, names: tuple[str, ...] = ()) -> list[KokoroVoice]:
    """Return speakers of a language, of every split that it has voices for; none where files are missing.

    Args:
        language: eSpeak language code; ``en`` is read in all accents of English.
        names: of the voices to take; none takes all but :data:`LEFT_OUT`.
    """
    if not is_installed():
        return []
    taken = [name for name in names_for(language) if (name in names if names else name not in LEFT_OUT)]
    made: list[KokoroVoice] = []
    for split, number in NUM_SPEAKERS.items():
        own = [name for name in taken if split_of(name) == split]
        made += _speakers(own, language, split, number) if own else []
    return made


def _speakers(names: list[str], language: str, split: Split, number: int) -> list[KokoroVoice]:
    """Return speakers made of voices of one split; each voice leads equally often."""
    generator = np.random.default_rng(stable_hash("kokoro speakers", language.lower(), split, *names))
    accents = ENGLISH_ACCENTS if language.lower() == "en" else (language.lower(),)
    speakers = []
    for place in range(number):
        name = names[place % len(names)]
        others = [other for other in names if other != name]
        mixed = bool(others) and generator.random() < MIXED
        share, speed, tract = (
            round(float(generator.uniform(*span)), 2) for span in (SHARE_RANGE, SPEED_RANGE, TRACT_RANGE)
        )
        other = others[int(generator.integers(len(others)))] if mixed else ""
        accent = accents[int(generator.integers(len(accents)))]
        accent = "" if accent == LANGUAGES[name[0]] or len(accents) == 1 else accent
        speakers.append(KokoroVoice(name, other, share if mixed else 0.0, speed, tract, accent))
    return speakers


@functools.cache
def _load(place: Path) -> tuple[Any, dict[str, np.ndarray]]:
    """Return the model and the style vectors of every voice.

    Raises:
        DependencyError: a file is missing, damaged or another one.
    """
    model, styles = place / MODEL, place / STYLES
    for path in (model, styles):
        if not path.is_file():
            raise DependencyError(f"{path}: no such file; Kokoro's voices need it: `kws voices fetch kokoro`")
    return _session(model), _styles(styles)


def _session(path: Path) -> Any:
    """Return the model, to be run on one core: voices speak in several processes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no class of its own for what it cannot read
        raise _damaged(path, str(error)) from error
    inputs, outputs = (
        {entry.name for entry in found} for found in (session.get_inputs(), session.get_outputs())
    )
    if not {"tokens", "style", "speed"} <= inputs or "audio" not in outputs:
        raise _damaged(path, f"its inputs are {', '.join(sorted(inputs))}, expected tokens, style and speed")
    return session


def _styles(path: Path) -> dict[str, np.ndarray]:
    """Return (symbols, STYLE) float32 of every voice."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {name: archive[name] for name in NAMES}
    except KeyError as error:
        raise _damaged(path, f"it lacks voice {error}") from error
    except Exception as error:  # zipfile, zlib and numpy each raise their own
        raise _damaged(path, str(error)) from error
    for name, table in found.items():
        if table.ndim != 3 or table.shape[1:] != (1, STYLE) or not len(table):
            raise _damaged(path, f"voice {name} has shape {table.shape}, expected (symbols, 1, {STYLE})")
    return {name: np.asarray(table[:, 0], np.float32) for name, table in found.items()}


def _damaged(path: Path, why: str) -> DependencyError:
    """Return the error of a file that is there and cannot be used."""
    return DependencyError(
        f"{path}: is damaged or another file ({why[:200]}); get it anew: `kws voices fetch kokoro`"
    )
