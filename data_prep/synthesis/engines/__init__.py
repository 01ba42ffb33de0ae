"""The synthesisers that can say a keyword, behind one interface, and the choice between them.

A new one is a file here with a class of the form of :class:`VoiceEngine`, and a line in :data:`ENGINES`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from data_prep.synthesis.engines.base import VoiceEngine, VoiceInfo
from data_prep.synthesis.engines.espeak_engine import EspeakEngine
from data_prep.synthesis.engines.flite_engine import FliteEngine
from data_prep.synthesis.engines.kokoro_engine import KokoroEngine
from data_prep.synthesis.engines.piper_engine import PiperEngine
from data_prep.synthesis.espeak import Speaker
from kws.errors import ConfigError, DependencyError

__all__ = ["BESIDE_ESPEAK", "ENGINES", "VoiceChoice", "VoiceEngine", "VoiceInfo", "choose", "find"]

ENGINES: dict[str, VoiceEngine] = {
    engine.name: engine for engine in (EspeakEngine(), FliteEngine(), KokoroEngine(), PiperEngine())
}
"""Name -> engine."""
ESPEAK = "espeak"
BESIDE_ESPEAK = ("flite", "kokoro", "piper")
"""Where none is named, the first of these that is installed and speaks the language speaks beside eSpeak.

Kokoro beside both missed no less and took five times as long (docs/results/voices.md).
"""


@dataclass(frozen=True, slots=True)
class VoiceChoice:
    """Who says a keyword."""

    language: str
    """eSpeak language code of what they say."""
    names: tuple[str, ...]
    """Engines, or voices of them, that speak; part of what a run is."""
    with_espeak: bool
    """ESpeak NG's voices are among them."""
    speakers: tuple[Speaker, ...]
    """Those of the other engines."""
    lacking: str = ""
    """Why no other engine speaks; empty where one does."""

    @property
    def sources(self) -> list[str]:
        """Return ``Speaker.source`` of each engine besides eSpeak, in order."""
        return list(dict.fromkeys(speaker.source for speaker in self.speakers))

    def told(self) -> str:
        """Return the engines for a person, such as "eSpeak NG's and Flite's voices"."""
        engines = dict.fromkeys(name.partition(":")[0] for name in self.names)
        owners = [f"{ENGINES[name].title}'s" for name in engines]
        joined = " and ".join(filter(None, [", ".join(owners[:-1]), *owners[-1:]]))
        return f"{joined} voices"


def find(voice: str) -> tuple[VoiceEngine, str]:
    """Return the engine of a voice ``ENGINE:VOICE`` or of an engine's name, and the rest of the name.

    Raises:
        ConfigError: there is no such engine.
    """
    name, _, rest = voice.partition(":")
    if name not in ENGINES:
        near = difflib.get_close_matches(name, ENGINES, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(
            f"`voices`: {voice!r}: there is no engine {name!r}, allowed are {', '.join(ENGINES)}, or one of "
            f"their voices as ENGINE:VOICE{meant}"
        )
    return ENGINES[name], rest


def choose(names: Iterable[str] | None, language: str) -> VoiceChoice:
    """Return who says keywords of a language.

    Args:
        names: engines, or voices of them as ``ENGINE:VOICE``; None takes eSpeak and the first of
            :data:`BESIDE_ESPEAK` that is installed and speaks the language.
        language: eSpeak language code; ``en`` is every accent of English.
    Raises:
        ConfigError: a name is unknown, or no voices are named.
        DependencyError: what was named is not installed, or does not speak the language.
    """
    if names is None:
        return _default(language)
    wished: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        engine, voice = find(name)
        if engine.name == ESPEAK and voice:
            raise ConfigError(
                f"`voices`: {name!r}: eSpeak's voices are drawn from all of its variants; give {ESPEAK} alone"
            )
        wished.setdefault(engine.name, []).extend([voice] if voice else [])
    if not wished:
        raise ConfigError(f"`voices`: none were named; give some of {', '.join(ENGINES)}, or leave it out")
    speakers: list[Speaker] = []
    for name, voices in wished.items():
        found = ENGINES[name].speakers(language, voices)
        if not found and name != ESPEAK:
            raise DependencyError(f"`voices`: no {name}: {ENGINES[name].lacking(language)}")
        speakers += found
    return VoiceChoice(
        language,
        _names(wished),
        ESPEAK in wished,
        tuple(speakers),
        _lacking(speakers, list(wished), language),
    )


def _default(language: str) -> VoiceChoice:
    """Return eSpeak and the best engine that speaks a language."""
    for name in BESIDE_ESPEAK:
        if speakers := ENGINES[name].speakers(language):
            return VoiceChoice(language, (ESPEAK, name), True, tuple(speakers))
    return VoiceChoice(language, (ESPEAK,), True, (), _lacking((), BESIDE_ESPEAK, language))


def _names(wished: dict[str, list[str]]) -> tuple[str, ...]:
    """Return engines and voices in one order, whatever the order in which they were given."""
    named = [
        full
        for name in ENGINES
        if name in wished
        for full in ([f"{name}:{voice}" for voice in sorted(wished[name])] or [name])
    ]
    return tuple(named)


def _lacking(speakers: Sequence[Speaker], names: Sequence[str], language: str) -> str:
    """Return why no engine but eSpeak speaks: what those lack that could speak the language."""
    if speakers:
        return ""
    others = [ENGINES[name] for name in names if name != ESPEAK] or [ENGINES["flite"]]
    code = language.lower().split("-")[0]
    able = [engine for engine in others if any(code == own.split("-")[0] for own in engine.languages())]
    told = [engine.lacking(language) for engine in able or others[:1]]
    return ", or ".join(dict.fromkeys(told))
