"""A synthetic data set for one wake phrase: positives, confusable negatives and everyday speech.

`kws quickstart` and `kws prep` call :func:`synthesize_keyword` when a person has few recordings or none.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_prep import manifests
from data_prep.synthesis import espeak, phrases
from data_prep.synthesis.corpus import Utterance, synthesize
from data_prep.synthesis.espeak import Split, stable_hash
from data_prep.synthesis.phones import text_to_phones, texts_to_phones
from data_prep.synthesis.readings import ESPEAK, SAMPLES, Reading, readings, write_samples
from kws.errors import ConfigError
from kws.text import normalize

CONFUSABLE = "confusable"
SPEECH = "speech"

DEFAULT_SPLITS: tuple[tuple[Split, float], ...] = (("train", 0.8), ("dev", 0.1), ("test", 0.1))

ENDINGS = ("", "", ".", "!", "?", ",")
"""Punctuation after the phrase: each gives another melody."""


def synthesize_keyword(
    phrase: str,
    output: Path,
    num_positives: int = 500,
    num_negatives: int = 2000,
    seed: int = 0,
    *,
    splits: Mapping[Split, float] | None = None,
    confusable_share: float = 0.5,
    language: str = "en",
    speakers: Sequence[espeak.Speaker] = (),
    with_espeak: bool = True,
    words: Sequence[str] | None = None,
    lexicon: Mapping[str, Sequence[str]] | None = None,
    num_workers: int = 1,
    suffix: str = ".flac",
) -> tuple[Path, Path]:
    """Write recordings of a phrase and of what it may be confused with, in many voices, with two manifests.

    Every recording has a voice of its own; no voice variant is in two splits. Finished files of an earlier
    run are kept.

    Args:
        phrase: what the device shall wake on; it is the label of the positives.
        output: folder of ``positives.jsonl``, ``negatives.jsonl`` and the audio; ``samples/`` holds a few of
            each engine to listen to, with what they say in their names.
        num_positives: recordings of the phrase, over all splits.
        num_negatives: recordings without it, over all splits.
        seed: same seed, same data set.
        splits: fraction of each split; None takes 80 % train, 10 % dev, 10 % test.
        confusable_share: part of the negatives that sounds like the phrase (label ``confusable``); the rest
            is everyday sentences (label ``speech``).
        language: eSpeak language code; ``en`` speaks every English accent, ``en-us`` that one alone.
        speakers: further voices, such as ``KokoroVoice``; those of each engine say as many recordings as
            eSpeak's, as far as they have voices of the split.
        with_espeak: let eSpeak's voices speak too; without it they speak only in splits that no other has
            voices of.
        words: vocabulary for near-sounding words; English has one, other languages do without.
        lexicon: pronunciations that override eSpeak's, for the phrase in speech too (English accents).
        num_workers: processes.
        suffix: audio format, ``.flac``, ``.wav``, ``.ogg`` or ``.opus``.
    Returns:
        Paths of the manifests of positives and negatives.
    Raises:
        ConfigError: the phrase cannot be said, or the language, a split or a number is out of range.
        DependencyError: espeakng_loader is not installed.
    """
    phrase = normalize(phrase)
    fractions = dict(DEFAULT_SPLITS if splits is None else splits)
    _check(num_positives, num_negatives, confusable_share, fractions)
    accents = espeak.ENGLISH_ACCENTS if language.lower() == "en" else (language,)
    pronunciation = espeak.Voice(accents[0]).pronunciation
    given = readings(phrase, language, lexicon, {speaker.source for speaker in speakers})

    utterances: dict[bool, list[Utterance]] = {True: [], False: []}
    for split, positives, negatives in zip(
        fractions, _share(num_positives, fractions), _share(num_negatives, fractions), strict=True
    ):
        num_confusables = round(negatives * confusable_share)
        texts = _confusable_texts(
            phrase, num_confusables, stable_hash(seed, split), pronunciation, words, lexicon
        )
        labels = [CONFUSABLE] * len(texts)
        num_sentences = negatives - len(texts)
        texts += phrases.carrier_sentences(phrase, num_sentences, stable_hash(seed, split), pronunciation)
        labels += [SPEECH] * num_sentences
        texts = [phrase] * positives + texts
        labels = [phrase] * positives + labels

        voices = _voices(len(texts), stable_hash(seed, split), accents, split, speakers, with_espeak)
        pronounced = texts_to_phones(texts, pronunciation, lexicon)
        for index, (text, label, voice, phones) in enumerate(
            zip(texts, labels, voices, pronounced, strict=True)
        ):
            generator = np.random.default_rng(stable_hash("synthesize_keyword", seed, split, index))
            positive = index < positives
            ending = ENDINGS[int(generator.integers(len(ENDINGS)))] if positive else ""
            said = given.get(voice.source, given[ESPEAK]).said + ending if positive else text
            # The content is part of the name, so that a changed call takes no stale file for its own.
            content = stable_hash(seed, said, voice.id) & 0xFFFFFFFF
            folder = output / "audio" / split / ("keyword" if positive else label)
            utterances[positive].append(
                Utterance(
                    path=folder / f"{index:06d}-{content:08x}{suffix}",
                    text=text,
                    voice=voice,
                    split=split,
                    seed=int(generator.integers(2**63)),
                    phones=" ".join(phones),
                    label=label,
                    spoken=said,
                )
            )
    made = {
        positive: manifests.write(
            synthesize(utterances[positive], num_workers, "positives" if positive else "negatives"),
            output / ("positives.jsonl" if positive else "negatives.jsonl"),
        )
        for positive in (True, False)
    }
    write_samples([_sample(one, given) for one in utterances[True]], output / SAMPLES)
    return made[True], made[False]


def _sample(utterance: Utterance, given: Mapping[str, Reading]) -> tuple[str, str, str, Path]:
    """Return engine, voice, phones and file of a recording of the phrase."""
    voice = utterance.voice
    reading = given.get(voice.source, given[ESPEAK])
    accent = getattr(voice, "reads", getattr(voice, "accent", ""))
    ways = reading.ways
    if accent and len(ways) > 1:
        ways = (" ".join(text_to_phones(utterance.text, accent)),)
    return voice.source, accent or getattr(voice, "name", voice.source), ways[0], utterance.path


def _check(
    num_positives: int, num_negatives: int, confusable_share: float, fractions: Mapping[Split, float]
) -> None:
    if num_positives < 0 or num_negatives < 0:
        raise ConfigError(
            f"{num_positives} positives and {num_negatives} negatives were asked for; give 0 or more"
        )
    if not 0 <= confusable_share <= 1:
        raise ConfigError(f"confusable_share is {confusable_share}, allowed is 0 to 1; give a fraction")
    unknown = set(fractions) - set(espeak.SPLITS)
    if unknown or not fractions or min(fractions.values()) < 0 or abs(sum(fractions.values()) - 1) > 1e-6:
        raise ConfigError(
            f"splits are {dict(fractions)}, allowed are {', '.join(espeak.SPLITS)}; "
            "give each a fraction, all together 1"
        )


def _share(num: int, fractions: Mapping[Split, float]) -> list[int]:
    """Divide a number by the fractions, so that the parts sum to it exactly."""
    edges = np.round(np.cumsum([0.0, *fractions.values()]) * num).astype(int)
    return [int(stop - start) for start, stop in itertools.pairwise(edges)]


def _confusable_texts(
    phrase: str,
    num: int,
    seed: int,
    pronunciation: str,
    words: Sequence[str] | None,
    lexicon: Mapping[str, Sequence[str]] | None,
) -> list[str]:
    """Return confusable texts, half of them within a sentence; a short list is used again in other voices.

    Of a phrase of several words half are its parts, each said alone.
    """
    parts = phrases.without_phrase(phrase, phrases.parts(phrase), pronunciation, lexicon)
    said_alone = list(itertools.islice(itertools.cycle(parts), num // 2))
    num -= len(said_alone)
    alone = phrases.confusables(phrase, num, seed, words, language=pronunciation, lexicon=lexicon)
    if pronunciation == "en-us":
        half = phrases.in_sentences(alone[1::2], seed)
        alone[1::2] = half
        alone = phrases.without_phrase(phrase, alone, pronunciation, lexicon)
    return said_alone + list(itertools.islice(itertools.cycle(alone), num))


def _voices(
    num: int,
    seed: int,
    accents: Sequence[str],
    split: Split,
    speakers: Sequence[espeak.Speaker],
    with_espeak: bool,
) -> list[espeak.Speaker]:
    """Return a voice for each recording: eSpeak's and those of every further engine in turn."""
    chosen: list[espeak.Speaker] = list(espeak.voices(num, seed, accents=accents, split=split))
    engines: dict[str, list[espeak.Speaker]] = {}
    for speaker in speakers:
        if speaker.split == split:
            engines.setdefault(speaker.source, []).append(speaker)
    generator = np.random.default_rng(stable_hash("further speakers", seed))
    turns = len(engines) + with_espeak
    for place, further in enumerate(engines.values(), start=int(with_espeak)):
        chosen[place::turns] = [further[int(generator.integers(len(further)))] for _ in chosen[place::turns]]
    return chosen
