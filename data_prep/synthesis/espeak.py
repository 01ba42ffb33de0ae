"""Speech and pronunciations from eSpeak NG, in process: the built-in voices of quickstart and pretraining.

The library and its data come in the ``espeakng_loader`` wheel and are called through ctypes. eSpeak keeps
global state that survives even its own re-initialisation (pitch flutter), so every call loads the library
anew (0.2 ms). It seeds its noise with the clock, so every call seeds it with text and voice: these alone
decide the samples, in any process and in any order.
Calls are serialised by a lock; use processes, not threads, to go faster.
"""

from __future__ import annotations

import ctypes
import difflib
import functools
import hashlib
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args

import numpy as np

from data_prep.synthesis import rehearsal
from data_prep.synthesis.spoken_form import sayable
from kws import audio
from kws.errors import ConfigError, DependencyError, KwsError

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

ENGLISH_ACCENTS = (
    "en-us", "en-us", "en-us", "en-us-nyc", "en-gb", "en-gb", "en-gb-x-rp", "en-gb-scotland",
    "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029",
)  # fmt: skip
"""eSpeak languages that read English; two accents are listed more than once, to be drawn more often."""

LEFT_OUT_VARIANTS = re.compile(r"robosoft|robot|demonic|whisper|croak|announcer|^fast$", re.IGNORECASE)
"""Voice variants that are jokes, robots, whispers or only a setting of speed."""

SPEED_RANGE_WPM = (110, 240)
"""Speaking rates that :func:`voices` draws from, in words per minute; people speak at 110 to 230."""
PITCH_RANGE = (15, 85)
PITCH_VARIATION_RANGE = (25, 80)

C_LIBRARY = "ucrtbase" if os.name == "nt" else None
"""Whose ``rand`` eSpeak calls; None is what the process has loaded. Python and its packages do not use it."""

# Constants of speak_lib.h.
_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_READ_PHONEMES = 0x100
_RATE, _PITCH, _RANGE = 1, 3, 4
_MNEMONICS, _IPA = 0, 2
_SEPARATED = ord("\t") << 8
"""Flag: a tab after each phone, beside the spaces between words."""
TIE = "^"
_TIED = 0x80 | ord(TIE) << 8
"""Flag: :data:`TIE` between the letters of one phone."""

_TONAL_VOICES = ("sit/", "aav/vi", "tai/")
"""Voice files of languages whose vowels carry a tone; eSpeak writes it as digits after the vowel."""
_LANGUAGE_SWITCH = re.compile(r"\(([a-z0-9-]+)\)")
_STRESS = str.maketrans("", "", "ˈˌ',|")
"""Marks of stress and word ends, in IPA and in eSpeak's phoneme names."""

_lock = threading.Lock()


class SynthesisError(KwsError):
    """A text cannot be turned into speech."""


class Segment(NamedTuple):
    """One phone as eSpeak gives it."""

    ipa: str
    """Its symbol, a diphthong or affricate in one piece, without stress and tone."""
    tone: str = ""
    """Digits of the tone, such as ``51`` for Mandarin's fourth; empty where there is none."""


class Speaker(Protocol):
    """What a corpus needs of a voice; :class:`Voice` and ``piper.PiperVoice`` have it."""

    @property
    def id(self) -> str:
        """Stable name without spaces."""

    @property
    def language(self) -> str:
        """Language code without region."""

    @property
    def pronunciation(self) -> str:
        """ESpeak language whose phones label the speech."""

    @property
    def split(self) -> Split:
        """The only split this voice may appear in."""

    @property
    def source(self) -> str:
        """Name of the synthesiser, for the manifest."""

    def speak(self, text: str) -> np.ndarray:
        """Return (samples,) float32 at ``SAMPLE_RATE``; ``[[...]]`` holds eSpeak phoneme mnemonics."""


@dataclass(frozen=True, slots=True)
class Voice:
    """One eSpeak voice: who speaks, how fast and how high."""

    accent: str = "en-us"
    """eSpeak language that reads the text, for example ``en-us``, ``en-gb-scotland`` or ``de``."""
    variant: str = ""
    """Voice variant (a file of ``voices/!v``); empty for the language's own voice."""
    speed_wpm: int = 165
    """Speaking rate in words per minute, 80 to 450."""
    pitch: int = 50
    """Base pitch, 0 to 99."""
    pitch_range: int = 50
    """Liveliness of the pitch, 0 (monotone) to 99."""

    def __post_init__(self) -> None:
        """Check the ranges that eSpeak accepts."""
        for name, value, low, high in (
            ("speed_wpm", self.speed_wpm, 80, 450),
            ("pitch", self.pitch, 0, 99),
            ("pitch_range", self.pitch_range, 0, 99),
        ):
            if not low <= value <= high:
                raise ConfigError(
                    f"voice {name} is {value}, allowed are {low} to {high}; choose a value in that range"
                )

    @property
    def id(self) -> str:
        """Stable name without spaces, usable as ``speaker`` in a manifest."""
        variant = f"+{self.variant.replace(' ', '_')}" if self.variant else ""
        return f"{self.accent}{variant}-s{self.speed_wpm}-p{self.pitch}-r{self.pitch_range}"

    @property
    def language(self) -> str:
        """Language code without region, for example ``en``."""
        return self.accent.split("-")[0]

    @property
    def pronunciation(self) -> str:
        """Language whose phones label this voice: General American for every English accent."""
        return "en-us" if self.language == "en" else self.accent

    @property
    def split(self) -> Split:
        """The split this voice belongs to; see :func:`variant_split`."""
        return variant_split(self.variant)

    @property
    def source(self) -> str:
        """Name of the synthesiser, for the manifest."""
        return "espeak-ng"

    def speak(self, text: str) -> np.ndarray:
        """Say ``text``; see :func:`speak`."""
        return speak(text, self)


def stable_hash(*parts: object) -> int:
    """Return a 64-bit hash of the parts that is the same in every process and on every machine."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def speak(text: str, voice: Voice) -> np.ndarray:
    """Say a text.

    Args:
        text: plain text; parts in ``[[...]]`` are read as eSpeak phoneme mnemonics (``[[k@mpj'u:]]``).
        voice: who says it.
    Returns:
        (samples,) float32 in [-1, 1] at ``SAMPLE_RATE``; bit-identical for the same arguments.
    Raises:
        DependencyError: espeakng_loader is not installed.
        ConfigError: the language or the variant is unknown.
        SynthesisError: the text makes no sound (empty, only punctuation), or eSpeak crashes on it.
    """
    voice_name = _voice_name(voice.accent, voice.variant)
    _refuse_crashing([text], voice.accent)
    encoded = sayable(text).encode() + b"\0"
    with _loaded(voice_name) as library:
        for parameter, value in (
            (_RATE, voice.speed_wpm),
            (_PITCH, voice.pitch),
            (_RANGE, voice.pitch_range),
        ):
            library.handle.espeak_SetParameter(parameter, value, 0)
        library.seed(stable_hash("speak", encoded.decode(), voice.id))
        pcm = library.synthesize(encoded)
        rate_hz = library.rate_hz
    if pcm.size == 0 or not pcm.any():
        raise SynthesisError(
            f"text {text!r} makes no sound with voice {voice.id}; give at least one word that can be said"
        )
    waveform: np.ndarray = np.clip(audio.resample(audio.to_float32(pcm), rate_hz), -1.0, 1.0)
    return waveform


def phonemes(text: str, language: str = "en-us") -> str:
    """Return the pronunciation of a text in IPA, words separated by spaces, with stress marks.

    Args:
        text: plain text; ``[[...]]`` is not understood here.
        language: eSpeak language code.
    Raises:
        DependencyError, ConfigError: as in :func:`speak`.
        SynthesisError: eSpeak crashes on the text.
    """
    return phonemes_of_all([text], language)[0]


def phonemes_of_all(texts: Sequence[str], language: str = "en-us", *, tied: bool = False) -> list[str]:
    """Return the pronunciation of each text, as :func:`phonemes` does, a hundred times faster.

    Args:
        texts: plain texts.
        language: eSpeak language code.
        tied: put :data:`TIE` between the letters of a phone that has several, such as a diphthong.
    """
    _refuse_crashing(texts, language)
    with _loaded(_voice_name(language, "")) as library:
        return [library.phonemes(text, _IPA | _TIED if tied else _IPA) for text in texts]


def segments_of_all(texts: Sequence[str], language: str) -> list[list[Segment]]:
    """Return the phones of each text one by one, without stress; words of a foreign voice included.

    In a tonal language the tone comes from eSpeak's own phoneme names: its IPA shows only the first digit,
    one for two tones of Mandarin.

    Raises:
        DependencyError, ConfigError, SynthesisError: as in :func:`phonemes`.
    """
    _refuse_crashing(texts, language)
    with _loaded(_voice_name(language, "")) as library:
        written = [library.phonemes(text, _IPA | _SEPARATED) for text in texts]
        tonal = is_tonal(language)
        named = [library.phonemes(text, _MNEMONICS | _SEPARATED) for text in texts] if tonal else []
    if not tonal:
        return [[Segment(symbol) for symbol in _symbols(_LANGUAGE_SWITCH.sub("", ipa))] for ipa in written]
    own = Path(languages()[language.lower()]).name.split("-")[0].lower()
    return [_with_tones(ipa, names, own) for ipa, names in zip(written, named, strict=True)]


def is_tonal(language: str) -> bool:
    """Return whether eSpeak marks the tones of a language."""
    return languages().get(language.lower(), "").startswith(_TONAL_VOICES)


def crashing(texts: Sequence[str], language: str) -> set[str]:
    """Return the texts that make eSpeak crash in a language; they are tried in a process of their own.

    English read from ASCII is not tried: it never crashed, in any accent.

    Raises:
        DependencyError, ConfigError: as in :func:`speak`.
    """
    english = language.lower().split("-")[0] == "en"
    doubtful = {text: sayable(text) for text in texts if not (english and text.isascii())}
    if not doubtful:
        return set()
    library, data = _paths()
    found = rehearsal.crashing(list(doubtful.values()), _voice_name(language, ""), library, str(data))
    return {text for text, said in doubtful.items() if said in found}


@functools.cache
def variants() -> tuple[str, ...]:
    """Return the usable voice variants, sorted, without those of ``LEFT_OUT_VARIANTS``."""
    names = sorted(path.name for path in (_data_path() / "voices" / "!v").iterdir() if path.is_file())
    return tuple(name for name in names if not LEFT_OUT_VARIANTS.search(name))


@functools.cache
def languages() -> dict[str, str]:
    """Return every eSpeak language code with the voice file that speaks it, in sorted order.

    A voice whose dictionary is not installed says nothing and is left out.
    """
    found: dict[str, tuple[int, str]] = {}
    root = _data_path() / "lang"
    for path in sorted(root.rglob("*")):
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        dictionary = re.search(r"^dictionary\s+(\S+)", text, re.MULTILINE)
        matches = list(re.finditer(r"^language\s+(\S+)(?:\s+(\d+))?", text, re.MULTILINE))
        stem = dictionary[1] if dictionary else matches[0][1].split("-")[0]
        if not (_data_path() / f"{stem}_dict").is_file():
            continue
        for match in matches:
            # A lower number is a higher priority; eSpeak's default is 5.
            candidate = (int(match[2] or 5), path.relative_to(root).as_posix())
            found[match[1].lower()] = min(candidate, found.get(match[1].lower(), candidate))
    return {code: name for code, (_, name) in sorted(found.items())}


def variant_split(variant: str) -> Split:
    """Return the split a voice variant belongs to: about 80 % train, 10 % dev, 10 % test, by stable hash.

    Numbered versions of one voice (``klatt``, ``klatt2``) stay together; ``f1`` to ``m8`` are different.
    """
    family = variant if re.fullmatch(r"[fm]\d", variant) else variant.lower().rstrip("0123456789")
    # 440 is the first salt that puts eight to eleven voices, three or four of women, into dev and into test.
    draw = stable_hash("variant_split 440", family) % 10
    return "test" if draw == 0 else "dev" if draw == 1 else "train"


def voices(
    num: int,
    seed: int = 0,
    *,
    accents: Sequence[str] = ENGLISH_ACCENTS,
    split: Split | None = None,
) -> list[Voice]:
    """Draw a diverse list of distinct voices.

    Args:
        num: how many.
        seed: same seed, same list; a longer list begins with the shorter one.
        accents: eSpeak languages to draw from, with repetition as weight.
        split: only variants of this split, so that the lists of two splits share no variant; None takes all.
    Returns:
        ``num`` voices; variants are used up in turn before one comes again.
    Raises:
        ConfigError: an accent or split is unknown.
    """
    if split is not None and split not in SPLITS:
        raise ConfigError(f"split {split!r} is unknown, allowed are {', '.join(SPLITS)}; choose one of them")
    for accent in accents:
        _voice_name(accent, "")
    pool = [name for name in ("", *variants()) if split is None or variant_split(name) == split]
    generator = np.random.default_rng(stable_hash("voices", seed, split))
    chosen: dict[str, Voice] = {}
    while len(chosen) < num:
        for variant in generator.permutation(np.array(pool, dtype=object)):
            voice = Voice(
                accent=accents[int(generator.integers(len(accents)))],
                variant=variant,
                speed_wpm=int(generator.integers(SPEED_RANGE_WPM[0], SPEED_RANGE_WPM[1] + 1)),
                pitch=int(generator.integers(PITCH_RANGE[0], PITCH_RANGE[1] + 1)),
                pitch_range=int(generator.integers(PITCH_VARIATION_RANGE[0], PITCH_VARIATION_RANGE[1] + 1)),
            )
            chosen.setdefault(voice.id, voice)
    return list(chosen.values())[:num]


def _refuse_crashing(texts: Sequence[str], language: str) -> None:
    if bad := crashing(texts, language):
        first = next(text for text in texts if text in bad)
        raise SynthesisError(
            f"text {first!r}: eSpeak NG crashes on it in language {language!r}; write numbers and symbols in "
            "words, or use other words"
        )


def _symbols(separated: str) -> list[str]:
    """Cut what eSpeak wrote into phones, without stress marks and pauses."""
    symbols = (symbol.translate(_STRESS) for symbol in separated.split())
    return [symbol for symbol in symbols if symbol and not symbol.startswith("_")]


def _with_tones(ipa: str, names: str, own: str) -> list[Segment]:
    """Join IPA and eSpeak's phoneme names of a text; parts of voices other than ``own`` have no tones."""
    segments, is_own = [], True
    symbols, named = (_symbols(_LANGUAGE_SWITCH.sub(r"\t(\1)\t", text)) for text in (ipa, names))
    if len(symbols) != len(named):  # some foreign sounds are written in one form only
        return [Segment(symbol.rstrip("0123456789")) for symbol in _symbols(_LANGUAGE_SWITCH.sub("", ipa))]
    for symbol, name in zip(symbols, named, strict=True):
        if mark := _LANGUAGE_SWITCH.fullmatch(symbol):
            is_own = mark[1] == own
            continue
        tone = re.search(r"(?<=\D)\d+$", name) if is_own else None
        segments.append(Segment(symbol[:-1], tone[0]) if tone else Segment(symbol))
    return segments


@functools.cache
def _paths() -> tuple[str, Path]:
    """Return the library file and the data folder of the installed wheel."""
    try:
        import espeakng_loader
    except ImportError as error:
        raise DependencyError('speech synthesis needs espeakng_loader: `pip install "kws[tts]"`') from error
    return espeakng_loader.get_library_path(), Path(espeakng_loader.get_data_path())


def _data_path() -> Path:
    return _paths()[1]


def _voice_name(accent: str, variant: str) -> str:
    """Return eSpeak's name of a voice: its file below ``lang/``, plus the variant."""
    if accent.lower() not in languages():
        near = difflib.get_close_matches(accent.lower(), languages(), n=5, cutoff=0.3)
        near = near or [code for code in languages() if code[:1] == accent[:1].lower()] or ["en-us"]
        raise ConfigError(
            f"language {accent!r} is unknown to eSpeak NG; near ones are {', '.join(near)}; use one of those"
        )
    if variant and not (_data_path() / "voices" / "!v" / variant).is_file():
        near = difflib.get_close_matches(variant, variants(), n=5, cutoff=0.3) or list(variants()[:5])
        raise ConfigError(
            f"voice variant {variant!r} is unknown to eSpeak NG; near ones are {', '.join(near)}; "
            "use one of those"
        )
    return languages()[accent.lower()] + (f"+{variant}" if variant else "")


@contextmanager
def _loaded(voice_name: str) -> Iterator[_Library]:
    """Give the library in its initial state with a voice selected; one caller at a time."""
    with _lock:
        library = _Library()
        try:
            library.start()
            library.select(voice_name)
            yield library
        finally:
            library.unload()


class _Library:
    """The eSpeak shared library, loaded; callers hold the lock."""

    def __init__(self) -> None:
        self.handle: Any = ctypes.CDLL(_paths()[0])
        self.handle.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self.handle.espeak_TextToPhonemes.argtypes = [
            ctypes.POINTER(ctypes.c_char_p),
            ctypes.c_int,
            ctypes.c_int,
        ]
        self.handle.espeak_Synth.argtypes = [
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int,
            ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p,
        ]  # fmt: skip
        self.rate_hz = 0
        self._blocks: list[np.ndarray] = []
        callback_type = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
        )
        self._callback = callback_type(self._receive)

    def _receive(self, samples: Any, num_samples: int, _events: Any) -> int:
        if samples and num_samples > 0:
            self._blocks.append(np.ctypeslib.as_array(samples, (num_samples,)).astype(np.int16))
        return 0

    def start(self) -> None:
        """Initialise the library."""
        data_path = str(_data_path()).encode()
        self.rate_hz = self.handle.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, data_path, _INITIALIZE_DONT_EXIT)
        if self.rate_hz <= 0:
            raise DependencyError(
                f"eSpeak NG does not start with its data in {_data_path()}; "
                "install it again: `pip install --force-reinstall espeakng-loader`"
            )
        self.handle.espeak_SetSynthCallback(self._callback)

    def select(self, voice_name: str) -> None:
        """Set the language and the variant."""
        status = self.handle.espeak_SetVoiceByName(voice_name.encode())
        if status != 0:
            raise ConfigError(
                f"eSpeak NG refuses voice {voice_name!r} (status {status}); use another language or variant"
            )

    def seed(self, seed: int) -> None:
        """Seed both sources of noise: the library's own, and the C library's, of some variants (``Reed``)."""
        self.handle.espeak_ng_SetRandSeed(ctypes.c_long(seed % 2**31))
        ctypes.CDLL(C_LIBRARY).srand(ctypes.c_uint(seed % 2**32))

    def synthesize(self, encoded: bytes) -> np.ndarray:
        """Return (samples,) int16 of zero-terminated UTF-8 text."""
        self._blocks.clear()
        status = self.handle.espeak_Synth(
            encoded, len(encoded), 0, 1, 0, _CHARS_UTF8 | _READ_PHONEMES, None, None
        )
        if status != 0:
            raise SynthesisError(
                f"eSpeak NG cannot say {encoded[:-1].decode()!r} (status {status}); change the text"
            )
        self.handle.espeak_Synchronize()
        return np.concatenate(self._blocks) if self._blocks else np.zeros(0, np.int16)

    def phonemes(self, text: str, mode: int = _IPA) -> str:
        """Return IPA, or another form, clause after clause."""
        pointer = ctypes.c_char_p(sayable(text).encode())
        clauses = []
        while pointer.value is not None:
            clauses.append(
                self.handle.espeak_TextToPhonemes(ctypes.byref(pointer), _CHARS_UTF8, mode).decode().strip()
            )
        return " ".join(filter(None, clauses))

    def unload(self) -> None:
        """Free the library, so that the next one starts from the same state."""
        import _ctypes

        self.handle.espeak_Terminate()
        if hasattr(_ctypes, "dlclose"):
            _ctypes.dlclose(self.handle._handle)
        else:
            _ctypes.FreeLibrary(self.handle._handle)  # type: ignore[attr-defined]
