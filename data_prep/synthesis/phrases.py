"""Texts around a target phrase: what it is easily confused with, and everyday sentences without it.

The texts go to a synthesiser and become the hard and the easy negatives of ``data_prep.synthesis.keyword``.
"""

from __future__ import annotations

import functools
import importlib.resources
import itertools
import re
from collections.abc import Mapping, Sequence

import numpy as np

from data_prep.synthesis import espeak, phonetics, spoken_form
from data_prep.synthesis.arpabet import VOWELS
from data_prep.synthesis.carriers import AFTER, BEFORE, SLOTS, TEMPLATES
from data_prep.synthesis.espeak import stable_hash
from data_prep.synthesis.phones import phones_to_espeak, text_to_phones, texts_to_phones
from data_prep.synthesis.unread import refuse_letters, refuse_silent
from kws.errors import ConfigError
from kws.text import mentions

Phones = list[str]

MIN_DISTANCE_PER_PHONE = 0.06
"""Nearest that a changed phrase may come, in ``phonetics.distance`` per phone of the phrase.

A ten-phone phrase must change by one clear substitution or two slight ones: what many speakers would not tell
apart is no negative example. The value is a judgement, not a measurement.
"""
SIMILARITY_SCALE = 0.25
"""Substitutes are drawn with weight exp(-distance / scale): near ones far more often than remote ones."""
FEWEST_TRIED = 50
"""Sentences that are made before it is said that a language has none."""
NEAR_WORDS = 40
"""Words of the list that count as near to one word of the phrase."""


@functools.cache
def common_words() -> tuple[str, ...]:
    """Return the bundled list of about two thousand common English words, sorted."""
    text = importlib.resources.files("data_prep.synthesis").joinpath("words.txt").read_text(encoding="utf-8")
    return tuple(text.split())


def check_phrase(
    phrase: str, language: str = "en-us", lexicon: Mapping[str, Sequence[str]] | None = None
) -> list[Phones]:
    """Return the phones of each word of a phrase.

    Raises:
        ConfigError: the phrase holds nothing that can be said, or the language is unknown.
        PronunciationError: a word of it makes no sound, or has letters that eSpeak does not read.
    """
    refuse_letters([phrase], language)
    refuse_silent(phrase, language, lexicon or {})
    words = [
        phones
        for phones in texts_to_phones(spoken_form.words(phrase, lower=False), language, lexicon)
        if phones
    ]
    if not words:
        raise ConfigError(
            f"phrase {phrase!r} holds nothing that can be said; "
            "give one to five words, for example 'hey computer'"
        )
    return words


def confusables(
    phrase: str,
    num: int,
    seed: int,
    words: Sequence[str] | None = None,
    *,
    language: str = "en-us",
    lexicon: Mapping[str, Sequence[str]] | None = None,
) -> list[str]:
    """Return texts that sound like the phrase, or like parts of it, and never contain it.

    In turn: its words and syllables alone; those repeated or in another order; words of the list that sound
    near, alone and in place of words of the phrase; the phrase with one or two phones replaced or left out.
    In other languages than English parts and changes are those of letters, and the list must be given.

    Args:
        phrase: the wake phrase.
        num: how many texts; a short phrase in another language than English may have fewer.
        seed: same seed, same texts.
        words: where near words come from; None takes :func:`common_words` (English only).
        language: eSpeak language code.
        lexicon: pronunciations that override eSpeak's.
    Returns:
        Different texts; what has no spelling stands in ``[[...]]`` as eSpeak phonemes.
    Raises:
        ConfigError: as in :func:`check_phrase`.
    """
    target = check_phrase(phrase, language, lexicon)
    english = language.lower().split("-")[0] == "en"
    generator = np.random.default_rng(stable_hash("confusables", phrase, seed))
    spelled = spoken_form.words(phrase)
    if english:
        parts, changed = _sound_parts(target), _changed_sounds(target, 4 * num, generator)
    else:
        parts, changed = _letter_parts(spelled), _changed_letters(spelled, 4 * num, generator)
    vocabulary = common_words() if words is None and english else words or ()
    candidates = [
        [word for word in spelled if len(spelled) > 1] + _shuffled(parts, generator),
        _shuffled(_repeated(spelled, parts), generator),
        _near_texts(spelled, target, vocabulary, language, generator),
        changed,
    ]
    turns = itertools.chain.from_iterable(itertools.zip_longest(*candidates))
    texts = dict.fromkeys(text for text in turns if text is not None)
    return without_phrase(phrase, list(texts), language, lexicon)[:num]


def parts(phrase: str) -> list[str]:
    """Return the texts of a phrase that lack a word of it, say one twice, or turn it round.

    What people say by chance is a part of a phrase far more often than what sounds like it.

    Returns:
        Different texts, single words first; none for a phrase of one word.
    """
    spelled = spoken_form.words(phrase)
    if len(spelled) < 2:
        return []
    runs = [
        spelled[start : start + length]
        for length in range(1, len(spelled))
        for start in range(len(spelled) - length + 1)
    ]
    shorter = [[*spelled[:index], *spelled[index + 1 :]] for index in range(len(spelled))]
    repeated = [[word] * 2 for word in spelled]
    texts = [" ".join(words) for words in (*runs, *shorter, *repeated, spelled[::-1])]
    return [text for text in dict.fromkeys(texts) if not mentions(phrase, text)]


def carrier_sentences(phrase: str | None, num: int, seed: int, language: str = "en-us") -> list[str]:
    """Return everyday sentences, commands and numbers in which the phrase does not occur.

    Args:
        phrase: wake phrase to keep out; None keeps out nothing.
        num: how many; sentences may come again when ``num`` is in the tens of thousands.
        seed: same seed, same sentences.
        language: eSpeak language code; in other languages than English the sentences are spoken numbers.
    Raises:
        ConfigError: as in :func:`check_phrase`, or the language has no numbers.
    """
    if phrase is not None:
        check_phrase(phrase, language)
    generator = np.random.default_rng(stable_hash("carrier_sentences", seed))
    make = _sentence if language.lower().split("-")[0] == "en" else _numbers
    sentences: list[str] = []
    while len(sentences) < num:
        batch = [make(generator) for _ in range(max(num, FEWEST_TRIED))]
        kept = batch if phrase is None else without_phrase(phrase, batch, language)
        if batch and not kept:
            raise ConfigError(
                f"language {language!r}: eSpeak reads no numbers in it, which other speech is made of; "
                "ask for no negatives, and record some"
            )
        sentences += kept
    return sentences[:num]


def in_sentences(texts: Sequence[str], seed: int) -> list[str]:
    """Put each text between a few English words, often none: ``please [[k@m]] now``."""
    generator = np.random.default_rng(stable_hash("in_sentences", seed))
    sentences = []
    for text in texts:
        before, after = (words[int(generator.integers(len(words)))] for words in (BEFORE, AFTER))
        sentences.append(f"{before} {text} {after}".strip())
    return sentences


def without_phrase(
    phrase: str,
    texts: Sequence[str],
    language: str = "en-us",
    lexicon: Mapping[str, Sequence[str]] | None = None,
) -> list[str]:
    """Return the texts that can be said, do not mention the phrase and whose phones do not contain its own.

    Args:
        phrase: wake phrase; its phones count both as said in one breath and word by word.
        texts: candidates.
        language: eSpeak language code.
        lexicon: pronunciations that override eSpeak's.
    """
    crashing = espeak.crashing(texts, language)
    texts = [text for text in texts if text not in crashing]
    together = text_to_phones(phrase, language, lexicon)
    apart = list(itertools.chain.from_iterable(check_phrase(phrase, language, lexicon)))
    return [
        text
        for text, phones in zip(texts, texts_to_phones(texts, language, lexicon), strict=True)
        if phones
        and not mentions(phrase, text)
        and not phonetics.contains(phones, together)
        and not phonetics.contains(phones, apart)
    ]


def _shuffled(texts: Sequence[str], generator: np.random.Generator) -> list[str]:
    return [texts[int(index)] for index in generator.permutation(len(texts))]


def _sound_parts(target: Sequence[Phones]) -> list[str]:
    """Spell runs of syllables, and words cut before their last vowel, that are less than the phrase."""
    parts: list[Phones] = []
    for word in target:
        cut = phonetics.syllables(word)
        for start, stop in itertools.combinations(range(len(cut) + 1), 2):
            if stop - start < len(cut):
                parts.append(list(itertools.chain.from_iterable(cut[start:stop])))
        last_vowel = len(word) - len(cut[-1])
        onset = next((i for i, phone in enumerate(cut[-1]) if phone in VOWELS), 0)
        parts.append(list(word[: last_vowel + onset]))
    for left, right in itertools.pairwise(target):
        parts.append([*left, *phonetics.syllables(right)[0]])
        parts.append([*phonetics.syllables(left)[-1], *right])
    long_enough = [part for part in parts if len(part) >= 2 and any(phone in VOWELS for phone in part)]
    return list(dict.fromkeys(phones_to_espeak([part]) for part in long_enough))


def _letter_parts(spelled: Sequence[str]) -> list[str]:
    """Return beginnings and endings of the words, of two letters and more."""
    return list(
        dict.fromkeys(
            part for word in spelled for cut in range(2, len(word) - 1) for part in (word[:cut], word[cut:])
        )
    )


def _repeated(spelled: Sequence[str], parts: Sequence[str]) -> list[str]:
    """Return words and parts said two or three times, and the words of the phrase in another order."""
    units = [*(spelled if len(spelled) > 1 else ()), *parts]
    texts = [" ".join([unit] * times) for unit in units for times in (2, 3)]
    texts += [" ".join(order) for order in itertools.islice(itertools.permutations(spelled), 1, 24)]
    return texts


def _near_texts(
    spelled: Sequence[str],
    target: Sequence[Phones],
    words: Sequence[str],
    language: str,
    generator: np.random.Generator,
) -> list[str]:
    """Return near words, alone and in place of words of the phrase; near ones tend to come first."""
    if not words or len(spelled) != len(target):
        return []
    pronounced = dict(zip(words, texts_to_phones(words, language), strict=True))
    near_of = [_near_words(phones, pronounced) for phones in target]
    ranks: dict[str, int] = {}
    for index, near in enumerate(near_of):
        for rank, word in enumerate(near):
            ranks.setdefault(word, rank)
            ranks.setdefault(" ".join([*spelled[:index], word, *spelled[index + 1 :]]), rank)
    for rank, choice in enumerate(zip(*near_of, strict=False)):
        ranks.setdefault(" ".join(choice), rank)
    # Noise on the rank: near ones tend to come first, remote ones have a chance.
    order = {text: (rank + 1) * generator.exponential() for text, rank in ranks.items()}
    return sorted(order, key=lambda text: order[text])


def _near_words(phones: Phones, pronounced: Mapping[str, Phones]) -> list[str]:
    """Return the words that sound nearest, but not the same, nearest first."""
    least = MIN_DISTANCE_PER_PHONE * len(phones)
    ranked = sorted((phonetics.distance(phones, other), word) for word, other in pronounced.items())
    return [word for weight, word in ranked if weight >= least][:NEAR_WORDS]


def _changed_sounds(target: Sequence[Phones], num: int, generator: np.random.Generator) -> list[str]:
    """Return up to ``num`` spellings of the phrase with one or two phones replaced or left out."""
    flat = list(itertools.chain.from_iterable(target))
    least = MIN_DISTANCE_PER_PHONE * len(flat)
    found: dict[str, None] = {}
    for _ in range(4 * num):
        changed = [list(word) for word in target]
        for _ in range(int(generator.integers(1, 3))):
            _change_one(changed, generator)
        changed = [word for word in changed if word]
        phones = list(itertools.chain.from_iterable(changed))
        if len(phones) >= 2 and phonetics.distance(flat, phones) >= least:
            found[phones_to_espeak(changed)] = None
        if len(found) == num:
            break
    return list(found)


def _change_one(words: list[Phones], generator: np.random.Generator) -> None:
    """Replace (three times in four) or drop one phone, in place."""
    places = [(word, index) for word in words for index in range(len(word))]
    if not places:
        return
    word, index = places[int(generator.integers(len(places)))]
    if generator.random() < 0.25:
        del word[index]
        return
    options = phonetics.neighbors(word[index])
    weights = np.exp([-weight / SIMILARITY_SCALE for _, weight in options])
    word[index] = options[int(generator.choice(len(options), p=weights / weights.sum()))][0]


def _changed_letters(spelled: Sequence[str], num: int, generator: np.random.Generator) -> list[str]:
    """Return up to ``num`` spellings with one or two letters dropped or replaced by others of the phrase."""
    phrase = " ".join(spelled)
    letters = sorted(set(phrase) - {" "})
    found: dict[str, None] = {}
    for _ in range(4 * num):
        changed = list(phrase)
        for _ in range(int(generator.integers(1, 3))):
            index = int(generator.integers(len(changed)))
            drop = generator.random() < 0.25
            changed[index : index + 1] = [] if drop else [letters[int(generator.integers(len(letters)))]]
            if not changed:
                break
        found[" ".join("".join(changed).split())] = None
        if len(found) == num:
            break
    return [text for text in found if text and text != phrase]


def _sentence(generator: np.random.Generator) -> str:
    template = TEMPLATES[int(generator.integers(len(TEMPLATES)))]

    def fill(match: re.Match[str]) -> str:
        options = SLOTS[match[1]]
        return options[int(generator.integers(len(options)))]

    return re.sub(r"\{(\w+)\}", fill, template)


def _numbers(generator: np.random.Generator) -> str:
    """Return two to six numbers, which eSpeak reads out in any language."""
    limits = 10.0 ** generator.integers(1, 5, size=int(generator.integers(2, 7)))
    return ", ".join(str(int(generator.integers(1, limit))) for limit in limits)
