"""What ``kws enroll`` tells a person about a phrase and what was made of it: data in, sentences out."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kws.config import at_least
from kws.errors import ConfigError


@dataclass(frozen=True, slots=True)
class DoubtsConfig:
    """From where on it is said that a phrase makes a poor wake word."""

    few_phones: int = 6
    """A phrase with fewer phones is part of many other words."""
    high_threshold: float = 0.9
    """Above this score other speech comes so near to a phrase that only a nearly perfect reading fires."""
    confused_share: float = 0.1
    """Share of another phrase's examples, from which on it is said that a phrase fires on them."""

    def __post_init__(self) -> None:
        at_least(0, "doubts", self, "few_phones", "high_threshold", "confused_share")


DOUBTS = DoubtsConfig()


def in_quotes(phrases: Sequence[str]) -> str:
    """Return the advice for single words that may be meant as one phrase; empty for any other phrases."""
    if len(phrases) == 1 or any(" " in phrase for phrase in phrases):
        return ""
    return f'. If you mean one phrase, put the phrase in quotes: kws enroll "{" ".join(phrases)}"'


def said_alike(phrases: Sequence[str], pronunciations: Sequence[Sequence[str]]) -> list[str]:
    """Say which phrases are easily taken for each other.

    Args:
        phrases: what is listened for.
        pronunciations: of each phrase, the usual one first.
    Raises:
        ConfigError: two phrases are said in the same way, so that nothing tells them apart.
    """
    notes = []
    for (one, said_one), (other, said_other) in itertools.permutations(
        zip(phrases, pronunciations, strict=True), 2
    ):
        if said_one[0] == said_other[0]:
            raise ConfigError(
                f"{one!r} and {other!r} are both said {said_one[0]}; give one of them, as nothing tells which"
            )
        shared = [phones for phones in said_one if phones in said_other]
        if shared and phrases.index(one) < phrases.index(other):
            notes.append(
                f"{one} and {other}: are said alike in some accents ({shared[0]}); one of them fires then"
            )
        elif not shared and f" {said_one[0]} " in f" {said_other[0]} ":
            notes.append(f"{one}: is a part of {other!r} and may fire in its place")
    return notes


def doubts(
    phrase: str,
    pronunciations: Sequence[str],
    threshold: float | None = None,
    phrases: Sequence[str] = ("",),
    config: DoubtsConfig = DOUBTS,
) -> list[str]:
    """Say why a phrase makes a poor wake word, if it does.

    Args:
        phrase: what is listened for.
        pronunciations: of it.
        threshold: score at which its phones fire; None where it is not its phones that are searched for.
        phrases: all that the model listens for.
        config: from where on something is said.
    """
    found = []
    num_phones = min(len(phones.split()) for phones in pronunciations)
    if num_phones < config.few_phones:
        found.append(
            f"{phrase}: {num_phones} phones are few and part of many other words; with {config.few_phones} "
            f"or more it misses less at the same false accepts{in_quotes(phrases) if num_phones < 4 else ''}"
        )
    if threshold is not None and threshold > config.high_threshold:
        found.append(
            f"{phrase}: its phones are common: other speech comes so near to it that only a nearly perfect "
            f"reading fires (threshold {threshold:.3f}); rarer sounds, a longer phrase or `recordings` help"
        )
    return found


def background_language(language: str, own_speech: bool) -> list[str]:
    """Say that the background speech of the package is of another language than the phrase.

    Args:
        language: eSpeak language code of the phrase.
        own_speech: the threshold is chosen on a person's own speech.
    """
    if own_speech or language.split("-")[0] == "en":
        return []
    return [
        f"`language` {language}: the background speech that ships is English, and the threshold with it; "
        "give `negatives` in your language"
    ]


def unlike_the_phrase(phrase: str, path: object, num_heard: int, num_phones: int) -> str:
    """Say why a recording is not used: far more or fewer phones are heard in it than the phrase has."""
    return (
        f"{phrase}: not used: {path}: {num_heard} phones are heard in it, the phrase has {num_phones}; "
        "record the phrase alone"
    )


def learned_from(phrase: str, num_recordings: int, num_voices: int) -> str:
    """Say how many examples of which origin a layer was fitted to."""
    counts = {"recordings": num_recordings, "synthetic voices": num_voices}
    return f"{phrase}: learnt from {' and '.join(f'{n} {origin}' for origin, n in counts.items() if n)}"


def versions_heard(phrase: str, num_versions: int, num_recordings: int) -> str:
    """Say how many versions of recordings are listened for beside the typed phones."""
    return f"{phrase}: listens for {num_versions} versions of {num_recordings} recordings as well"


def without_voices(phrase: str, reason: object) -> str:
    """Say that synthetic voices are missing, and why."""
    return f"{phrase}: fitted without synthetic voices: {reason}"


def in_ensemble(run: object, num_recordings: int) -> str:
    """Say with which run the typed phrases make an ensemble."""
    return f"ensemble with {run}, which learnt from {num_recordings} recordings of each phrase"


def confused(
    keywords: Sequence[str], shares: Mapping[tuple[int, int], float], config: DoubtsConfig = DOUBTS
) -> list[str]:
    """Say which phrases fire on the examples of others.

    Args:
        keywords: the phrases.
        shares: (number of a phrase, number of another one) -> share of the other's examples that it fires on.
        config: from where on it is said.
    """
    return [
        f"{keywords[one]}: fires on {100 * share:.0f} % of the examples of {keywords[other]!r}, too; "
        "choose phrases less alike, or train on recordings of both with `kws train`"
        for (one, other), share in shares.items()
        if share >= config.confused_share
    ]
