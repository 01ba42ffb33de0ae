"""What each engine says for a phrase: phones take the place of a text that an engine would misread.

Pronunciations come from eSpeak NG and a lexicon. Flite reads English by a lexicon of its own, which knows no
accented letters, no underscores and few abbreviations: where its reading is another word than eSpeak's in all
accents, its voices get the phones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.synthesis import flite, phonetics
from data_prep.synthesis.espeak import stable_hash
from data_prep.synthesis.phones import phones_to_espeak, pronunciations
from data_prep.synthesis.phrases import check_phrase
from kws import audio
from kws.errors import ConfigError

ESPEAK, FLITE = "espeak-ng", "flite"
NAMES = {ESPEAK: "eSpeak NG", FLITE: "Flite", "kokoro": "Kokoro", "piper": "Piper"}
"""``Speaker.source`` of an engine -> its name for a person."""
SAMPLES = "samples"
"""Folder beside synthetic speech that holds a few recordings to listen to."""
SAMPLES_PER_ENGINE = 4
ANOTHER_WORD = 0.55
"""``phonetics.distance`` from which on two readings of a word are two words: about one phone too many.

Of each tenth word of the bundled list 2 of 209 are as far from every accent of eSpeak: casual and tulip.
"""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the voices of an engine say for a phrase."""

    engine: str
    """``Speaker.source`` of the voices."""
    said: str
    """What they are given: the text, or phones in ``[[...]]``."""
    ways: tuple[str, ...]
    """How it sounds, as ARPAbet phones between spaces, one for each accent that differs."""
    reason: str = ""
    """Why it is not the engine's own reading, or not the lexicon's."""

    def told(self, alike: Sequence[str] = ()) -> str:
        """Return it for a person.

        Args:
            alike: further engines that say the same.
        """
        num_others = len(self.ways) - 1
        others = f" and {num_others} other {'accents' if num_others > 1 else 'accent'}" if num_others else ""
        reason = f" ({self.reason})" if self.reason else ""
        names = [NAMES[engine] for engine in (self.engine, *alike)]
        said_by = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
        return f"{self.ways[0]}{others} by {said_by}{reason}"


def readings(
    phrase: str,
    language: str = "en",
    lexicon: Mapping[str, Sequence[str]] | None = None,
    engines: Iterable[str] = (),
) -> dict[str, Reading]:
    """Return what eSpeak NG and further engines say for a phrase.

    Args:
        phrase: what is said.
        language: eSpeak language code; ``en`` is every accent of English.
        lexicon: upper-case word to phones; overrides eSpeak.
        engines: ``Speaker.source`` of further voices; others than Flite read as eSpeak does and are left out.
    Returns:
        ``Speaker.source`` -> reading.
    Raises:
        ConfigError: the phrase holds nothing that can be said.
        KwsError: a part of it cannot be said.
    """
    check_phrase(phrase, language, lexicon)
    own = [tuple(way) for way in pronunciations(phrase, language)]
    wished = [tuple(way) for way in pronunciations(phrase, language, lexicon)]
    plain = phrase.strip().rstrip(".,!?;:")
    english = language.lower().split("-")[0] == "en"
    if wished != own and english:
        said, heard, reason = phones_to_espeak([wished[0]]), wished[:1], "by the lexicon"
    else:
        reason = "" if wished == own else "not by the lexicon: only English voices can be given its phones"
        said, heard = plain, own
    found = {ESPEAK: Reading(ESPEAK, said, tuple(map(" ".join, heard)), reason)}
    if FLITE in engines:
        found[FLITE] = _flite_reading(plain, found[ESPEAK], language)
    return found


def note(
    phrase: str,
    language: str,
    lexicon: Mapping[str, Sequence[str]] | None,
    engines: Collection[str],
    folder: Path,
) -> str:
    """Return a sentence with what voices say for a phrase, and where it can be heard.

    Args:
        phrase: what is said.
        language: eSpeak language code.
        lexicon: as in :func:`readings`.
        engines: ``Speaker.source`` of the voices besides eSpeak's.
        folder: of the synthetic speech.
    """
    found = readings(phrase, language, lexicon, engines)
    alike = [engine for engine in NAMES if engine in engines and engine not in found]
    told = [one.told(alike if one.engine == ESPEAK else ()) for one in found.values()]
    where = f"; hear it in {folder / SAMPLES}" if (folder / SAMPLES).is_dir() else ""
    return f"{phrase}: voices say {', '.join(told)}{where}"


def write_samples(recordings: Sequence[tuple[str, str, str, Path]], folder: Path) -> None:
    """Copy a few recordings of each engine to where a person can hear them, the reading in the name.

    Args:
        recordings: engine, voice, phones and file of each; of equal ones the first is taken.
        folder: gets WAV files.
    """
    chosen: dict[tuple[str, str, str], Path] = {}
    for engine, voice, phones, path in recordings:
        if sum(key[0] == engine for key in chosen) < SAMPLES_PER_ENGINE:
            chosen.setdefault((engine, voice, phones), path)
    for (engine, voice, phones), path in chosen.items():
        number = stable_hash(engine, voice, phones, path.name) & 0xFFFFFFFF
        target = folder / f"{engine}-{voice}-{phones.replace(' ', '_')[:80]}-{number:08x}.wav"
        if not target.is_file():
            audio.save(target, audio.load(path))


def _flite_reading(plain: str, espeak_reading: Reading, language: str) -> Reading:
    """Return what Flite's voices say: their own reading, or phones where that is another word.

    Raises:
        ConfigError: the language is not English.
    """
    if not flite.speaks(language):
        raise ConfigError(f"language {language!r}: {flite.lacking(language)}")
    usual = espeak_reading.ways[:1]
    if espeak_reading.said.startswith("[["):
        return Reading(FLITE, espeak_reading.said, usual, espeak_reading.reason)
    own = flite.reading(plain)
    if not _misread(plain, language):
        return Reading(FLITE, plain, (" ".join(own),))
    reason = f"given these phones: its own reading is {' '.join(own) or 'silence'}"
    return Reading(FLITE, phones_to_espeak([usual[0].split()]), usual, reason)


def _misread(plain: str, language: str) -> bool:
    """Return whether Flite reads a word of a text as another word than eSpeak, in all its accents."""

    def is_another(text: str) -> bool:
        ways = pronunciations(text, language) if any(map(str.isalnum, text)) else []
        own = _unreduced(flite.reading(text)) if ways else []
        return bool(ways) and min(phonetics.distance(own, _unreduced(way)) for way in ways) >= ANOTHER_WORD

    # Small differences add up in a long phrase, and an abbreviation is read by what stands beside it.
    return is_another(plain) and any(map(is_another, plain.split()))


def _unreduced(phones: Sequence[str]) -> list[str]:
    """Return phones in which a syllable that is swallowed more or less is written in one way."""
    return " ".join(phones).replace("ER", "AH R").replace("R R", "R").replace("IY AH R", "IH R").split()
