"""Synthetic speech corpora with transcripts and phones: what `kws pretrain` mixes with real speech.

Each utterance is a function of (seed, split, index) alone, so a corpus can be stopped, continued and split
over processes without changing a sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from data_prep import manifests
from data_prep.synthesis import espeak
from data_prep.synthesis.phones import texts_to_phones
from data_prep.synthesis.spoken_form import sayable
from kws import audio
from kws.errors import ConfigError
from kws.manifest import Recording

SILENCE_DB = -45.0
"""Samples this far below the peak count as silence when the ends are trimmed."""
MARGIN_RANGE_S = (0.02, 0.30)
"""Silence left at each end, drawn evenly."""
ITEMS_PER_JOB = 32


@dataclass(frozen=True, slots=True)
class Utterance:
    """One recording to make."""

    path: Path
    """Audio file to write."""
    text: str
    """What to say."""
    voice: espeak.Speaker
    """Who says it."""
    split: espeak.Split
    """Where it goes."""
    seed: int
    """Seed of the silence at both ends."""
    phones: str | None = None
    """Pronunciation, for the manifest."""
    label: str | None = None
    """Label, for the manifest."""
    spoken: str = ""
    """What the synthesiser reads where it differs from ``text``, such as another punctuation."""


def synthesize_corpus(
    output: Path,
    texts: Sequence[str],
    num_utterances: int,
    voices: Sequence[espeak.Speaker],
    seed: int,
    split: espeak.Split,
    num_workers: int = 1,
    phones: bool = True,
    *,
    suffix: str = ".flac",
    lexicon: Mapping[str, Sequence[str]] | None = None,
) -> Path:
    """Write a corpus of synthetic speech with its manifest.

    Finished files of an earlier run are kept; audio is written under a temporary name and renamed.

    Args:
        output: folder; audio goes to ``<split>/NNN/``, the manifest to ``<split>.jsonl``.
        texts: what is said; each is used ``num_utterances / len(texts)`` times, in another voice.
        num_utterances: how many recordings to make.
        voices: who speaks, drawn evenly.
        seed: seed of voices and trimming.
        split: train, dev or test; written into every row.
        num_workers: processes; 1 stays in this one.
        phones: add ARPAbet phones to the rows. They are those of General American for every English accent,
            as a pronunciation dictionary would give them for real speech.
        suffix: ``.flac``, ``.wav``, ``.ogg`` or ``.opus``.
        lexicon: pronunciations that override eSpeak's in ``phones``.
    Returns:
        Path of the manifest.
    Raises:
        ConfigError: no texts or no voices, or a text without anything to say.
        SynthesisError: a text makes no sound.
        PronunciationError: a text has letters that its voice does not read, or a sound that ARPAbet lacks.
    """
    if not texts or not voices:
        missing = "texts" if not texts else "voices"
        raise ConfigError(
            f"synthesis of {num_utterances} utterances was given no {missing}; pass at least one"
        )
    used = texts[:num_utterances]
    for index, text in enumerate(used):
        if not any(map(str.isalnum, text)):
            raise ConfigError(
                f"texts[{index}] is {text!r}, which holds nothing to say; write words or remove it"
            )
    phones_of: dict[tuple[str, str], str] = {}
    for language in sorted({voice.pronunciation for voice in voices}) if phones else ():
        for text, text_phones in zip(used, texts_to_phones(used, language, lexicon), strict=True):
            phones_of[text, language] = " ".join(text_phones)
    utterances = []
    for index in range(num_utterances):
        generator = np.random.default_rng(espeak.stable_hash("synthesize_corpus", seed, split, index))
        text = texts[index % len(texts)]
        voice = voices[int(generator.integers(len(voices)))]
        # The content is part of the name: a run with other texts or voices takes no stale file for its own.
        content = espeak.stable_hash(seed, text, voice.id) & 0xFFFFFFFF
        path = output / split / f"{index // 1000:03d}" / f"{index:06d}-{content:08x}{suffix}"
        utterances.append(
            Utterance(
                path,
                text,
                voice,
                split,
                int(generator.integers(2**63)),
                phones_of.get((text, voice.pronunciation)),
            )
        )
    recordings = synthesize(utterances, num_workers, description=f"{split} speech")
    return manifests.write(recordings, output / f"{split}.jsonl")


def synthesize(
    utterances: Sequence[Utterance], num_workers: int = 1, description: str = "speech"
) -> list[Recording]:
    """Make the recordings that do not exist yet, with a progress bar.

    Args:
        utterances: what to make.
        num_workers: processes; eSpeak is not thread safe.
        description: label of the progress bar.
    Returns:
        One recording per utterance, in order.
    """
    # A worker that was started for an earlier call has that call's working directory.
    utterances = [replace(utterance, path=utterance.path.absolute()) for utterance in utterances]
    jobs = [utterances[start : start + ITEMS_PER_JOB] for start in range(0, len(utterances), ITEMS_PER_JOB)]
    recordings: list[Recording] = []
    with tqdm(
        total=len(utterances), desc=description, unit="clip", disable=None if utterances else True
    ) as progress:
        for finished in _run(jobs, num_workers):
            recordings += finished
            progress.update(len(finished))
    return recordings


def trim_silence(waveform: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Cut silence off both ends and leave a random small amount of it.

    Args:
        waveform: (samples,) float32, not all zero.
        generator: source of the two lengths.
    Returns:
        (other number of samples,) float32.
    """
    loud = np.flatnonzero(np.abs(waveform) > np.abs(waveform).max() * 10 ** (SILENCE_DB / 20))
    before, after = (
        audio.seconds_to_samples(length_s) for length_s in generator.uniform(*MARGIN_RANGE_S, size=2)
    )
    return np.pad(waveform[loud[0] : loud[-1] + 1], (before, after))


def random_texts(
    words: Sequence[str], num: int, seed: int, min_words: int = 3, max_words: int = 10
) -> list[str]:
    """Return word-salad sentences in which every word comes equally often.

    Args:
        words: vocabulary; each pass through it is shuffled anew, so phone coverage is that of the list.
        num: how many sentences.
        seed: same seed, same sentences.
        min_words: fewest words in a sentence.
        max_words: most words in a sentence.
    Raises:
        ConfigError: no words, or an empty range of lengths.
    """
    if not words or not 1 <= min_words <= max_words:
        raise ConfigError(
            f"random texts from {len(words)} words, {min_words} to {max_words} a sentence, are impossible; "
            "give a non-empty word list and 1 <= min_words <= max_words"
        )
    generator = np.random.default_rng(espeak.stable_hash("random_texts", seed))
    stream = _endless(words, generator)
    return [
        " ".join(next(stream) for _ in range(int(generator.integers(min_words, max_words + 1))))
        for _ in range(num)
    ]


def _endless(words: Sequence[str], generator: np.random.Generator) -> Iterator[str]:
    while True:
        for index in generator.permutation(len(words)):
            yield words[int(index)]


def _run(jobs: Sequence[Sequence[Utterance]], num_workers: int) -> Iterator[list[Recording]]:
    if num_workers <= 1:  # 0 is no process beside this one
        yield from map(_make_all, jobs)
        return
    import joblib

    yield from joblib.Parallel(n_jobs=num_workers, return_as="generator")(
        joblib.delayed(_make_all)(job) for job in jobs
    )


def _make_all(utterances: Sequence[Utterance]) -> list[Recording]:
    missing = [utterance for utterance in utterances if not utterance.path.is_file()]
    for language in {utterance.voice.pronunciation for utterance in missing}:
        # tried together, which starts one process and not one for each
        espeak.crashing([_said(one) for one in missing if one.voice.pronunciation == language], language)
    return [_make(utterance) for utterance in utterances]


def _said(utterance: Utterance) -> str:
    """Return what the voice is given."""
    return sayable(utterance.spoken or utterance.text)


def _make(utterance: Utterance) -> Recording:
    """Write one recording unless it exists."""
    if utterance.path.is_file():
        duration_s = audio.duration_s(utterance.path)
    else:
        waveform = utterance.voice.speak(_said(utterance))
        waveform = trim_silence(waveform, np.random.default_rng(utterance.seed))
        audio.save(utterance.path, waveform)
        duration_s = audio.samples_to_seconds(len(waveform))
    return Recording(
        path=utterance.path.absolute(),
        text=utterance.text,
        label=utterance.label,
        speaker=utterance.voice.id,
        split=utterance.split,
        phones=utterance.phones,
        duration_s=round(duration_s, 4),
        sample_rate=audio.SAMPLE_RATE,
        language=utterance.voice.language,
        source=utterance.voice.source,
    )
