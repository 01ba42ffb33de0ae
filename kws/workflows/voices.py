"""The synthetic voices: listed, fetched and heard; what ``kws voices`` does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kws.workflows.notices import quiet_libraries

if TYPE_CHECKING:
    from data_prep.synthesis.engines import VoiceEngine, VoiceInfo

SHOWN_LANGUAGES = 12
"""Languages of an engine that are listed in one line."""


@dataclass(frozen=True, slots=True)
class VoiceList:
    """The engines and their voices.

    Attributes:
        voices: of every engine, those too that can be got.
        folder: where fetched voices lie.
        default: engines that speak English where none is named, or the language that was asked for.
        language: that was asked for; None is all.
    """

    voices: tuple[VoiceInfo, ...]
    folder: Path
    default: tuple[str, ...]
    language: str | None = None

    def lines(self) -> list[str]:
        """Return the list to print: a line for each engine, and its voices by language."""
        from data_prep.synthesis.engines import ENGINES

        found: list[str] = []
        for engine in ENGINES.values():
            found += self._lines_of(engine)
        found.append(f"a command takes: {', '.join(self.default)}")
        return [*found, f"fetched voices lie in {self.folder}"]

    def _lines_of(self, engine: VoiceEngine) -> list[str]:
        """Return the lines of an engine."""
        own = [voice for voice in self.voices if voice.id.startswith(f"{engine.name}:")]
        state = "installed" if any(voice.is_installed for voice in own) else _how(engine, own, self.language)
        head = f"{engine.title} ({engine.license}): {state}"
        by_language: dict[str, list[VoiceInfo]] = {}
        for voice in own:
            by_language.setdefault(voice.language, []).append(voice)
        if len(by_language) > SHOWN_LANGUAGES:
            return [head, f"  {engine.name}: one voice and its variants in {len(by_language)} languages"]
        told = [head]
        for language, voices in by_language.items():
            licenses = sorted({voice.license for voice in voices} - {engine.license})
            names = " ".join(voice.id for voice in voices)
            told.append(f"  {language}: {names}" + (f" ({', '.join(licenses)})" if licenses else ""))
        return told


@dataclass(frozen=True, slots=True)
class FetchedVoices:
    """Voices that lie in the folder of voices.

    Attributes:
        name: what was asked for.
        files: all that belongs to it.
        voices: that can speak now, or what they still need.
    """

    name: str
    files: tuple[Path, ...]
    voices: tuple[VoiceInfo, ...]

    def lines(self) -> list[str]:
        """Return the sentences to print."""
        size_mb = sum(path.stat().st_size for path in self.files) / 1e6
        made = [f"{self.name}: {size_mb:.0f} MB in {self.files[0].parent}, checksums fit"]
        lacking = sorted({voice.how for voice in self.voices if voice.how})
        if lacking:
            return [*made, f"note: to speak they need: {', '.join(lacking)}"]
        return [*made, f"hear {self.voices[0].id} with `kws voices say`"]


@dataclass(frozen=True, slots=True)
class SpokenText:
    """A text said by a voice.

    Attributes:
        path: of the recording.
        voice: that said it.
        length_s: of it, in seconds.
    """

    path: Path
    voice: str
    length_s: float

    def lines(self) -> list[str]:
        """Return the sentence to print."""
        return [f"{self.path}: {self.length_s:.2f} s by {self.voice}"]


def voices(language: str | None = None) -> VoiceList:
    """Return the engines and voices there are, and how to get those that are not installed.

    Args:
        language: eSpeak language code, such as ``es``; ``en`` is every accent of English. None takes all.
    """
    from data_prep.synthesis import voice_files
    from data_prep.synthesis.engines import ENGINES, choose

    every = [voice for engine in ENGINES.values() for voice in engine.voices()]
    wished = None if language is None else language.lower()
    kept = [
        voice
        for voice in every
        if wished is None or voice.language == wished or voice.language.split("-")[0] == wished
    ]
    return VoiceList(tuple(kept), voice_files.folder(), choose(None, language or "en").names, language)


@quiet_libraries()
def fetch_voices(name: str, *, progress: bool | None = None) -> FetchedVoices:
    """Fetch voices into the folder of voices and check them; what is there already is kept.

    Args:
        name: ``kokoro``, or ``piper:NAME`` for a voice of Piper's list.
        progress: show a bar; None shows it on a terminal only.
    Raises:
        ConfigError: there is nothing to fetch under this name.
        FetchError: there is no network, the connection ended, or a checksum does not fit.
    """
    from data_prep.fetching import fetch
    from data_prep.synthesis import kokoro, piper, voice_files
    from data_prep.synthesis.engines import find
    from kws.errors import ConfigError

    engine, voice = find(name)
    if engine.name == "kokoro":
        files = kokoro.files()
    elif engine.name == "piper" and voice:
        files = piper.files(voice)
    else:
        raise ConfigError(
            f"voice {name!r}: nothing to fetch; what can be fetched is kokoro, and piper:NAME with a name of "
            f"{piper.LISTED}"
        )
    paths = fetch(files, voice_files.folder(), progress)
    own = [info for info in engine.voices() if not voice or info.id == f"{engine.name}:{voice}"]
    return FetchedVoices(name, tuple(paths), tuple(own))


@quiet_libraries()
def say(voice: str, text: str, output: Path, *, speed: float = 1.0, overwrite: bool = False) -> SpokenText:
    """Let a voice say a text into a recording.

    Args:
        voice: ``ENGINE:VOICE`` as :func:`voices` lists it, or an engine, whose first voice speaks.
        text: what is said.
        output: recording to write, at 16 kHz.
        speed: relative to the voice's own.
        overwrite: replace a recording that is there.
    Raises:
        ConfigError: there is no such voice, or the recording is there already.
        DependencyError: the voice is not installed; the message says how to get it.
        SynthesisError: the text makes no sound.
    """
    from data_prep.synthesis.engines import find
    from kws import audio
    from kws.errors import ConfigError, DependencyError

    if output.exists() and not overwrite:
        raise ConfigError(f"{output}: is there already; give `overwrite`, or another `output`")
    engine, name = find(voice)
    if not name:
        known = engine.voices()
        if not known:
            raise DependencyError(f"voice {voice!r}: {engine.lacking('en')}")
        name = next((info.id for info in known if info.language.startswith("en")), known[0].id).partition(
            ":"
        )[2]
    waveform = engine.speak(text, name, speed)
    audio.save(output, waveform)
    return SpokenText(output, f"{engine.name}:{name}", audio.samples_to_seconds(len(waveform)))


def _how(engine: VoiceEngine, own: list[VoiceInfo], language: str | None) -> str:
    """Return how to get an engine's voices."""
    how = sorted({voice.how for voice in own})
    return f"not installed: {', '.join(how)}" if how else f"none; {engine.lacking(language or 'en')}"
