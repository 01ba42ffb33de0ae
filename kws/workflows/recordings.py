"""What a person hands over, made ready for training: read, checked, split and written as manifests."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from data_prep import checks, manifests, report, splits
from data_prep.config import CheckConfig, SplitConfig
from data_prep.copies import without_hash
from kws.decoded_audio import DecodedAudio, decode
from kws.errors import DependencyError, KwsError, ManifestError
from kws.manifest import Recording, read_manifest
from kws.text import is_said, same_words
from kws.workflows.roles import OwnRecordings, noise_by_role

logger = logging.getLogger(__name__)

HELD_OUT_FROM = 60
"""With fewer recordings of a keyword none is held out: each is worth more in training than in choosing."""
KEYWORD_LENGTH_S = (0.15, 30.0)
"""Shortest and longest recording that can be of a keyword alone, in seconds."""
TRANSCRIBED_LENGTH_S = (0.3, 20.0)
"""Shortest and longest recording that phones are learnt from, in seconds."""
DEV_POSITIVES = 0.15
DEV_NEGATIVES = 0.15


@dataclass(frozen=True, slots=True)
class PreparedData:
    """Manifests of one run, and what the person should know about them."""

    positives: Path | None
    """Keyword recordings; ``label`` is the keyword, ``split`` train or dev. None where none were given."""
    negatives: Path
    """Speech and noise without any keyword; ``split`` train or dev."""
    noise: Path | None
    """The noise among the negatives that is mixed in (split train), or None."""
    num_recordings: int
    """Recordings of the keyword that has the fewest, those that are held out too."""
    notes: tuple[str, ...]
    """Sentences for the person: what was left out, how it was split."""
    target: Path | None = None
    """Recordings without labels of where the detector will be used, or None."""
    decoded: DecodedAudio | None = None
    """Their samples, as the check decoded them; None where all is decoded again."""

    def clip(self, recording: Recording) -> np.ndarray:
        """Return (samples,) int16 of a recording, which is read where the check did not read it."""
        return decode(recording) if self.decoded is None else self.decoded.clip(recording)


def select_keyword(recordings: list[Recording], keyword: str) -> tuple[list[Recording], list[str]]:
    """Keep the recordings of a keyword: those that name it as label or text, or all when none names any.

    Recordings of split ``test`` are left out: training never reads them.
    """
    notes = []
    named = [
        entry for entry in recordings if any(same_words(keyword, said) for said in (entry.label, entry.text))
    ]
    if named and len(named) < len(recordings):
        notes.append(f"{keyword}: {len(recordings) - len(named)} recordings of other words were left out")
        recordings = named
    if not named and any(entry.label or entry.text for entry in recordings):
        notes.append(
            f"{keyword}: no label or text names it; all {len(recordings)} recordings are taken for it"
        )
    kept = [entry for entry in recordings if entry.split != "test"]
    if len(kept) < len(recordings):
        notes.append(f"{keyword}: {len(recordings) - len(kept)} recordings of split `test` were left out")
    if not kept:
        raise ManifestError(
            f"{keyword}: every recording has split `test`; give recordings that may be trained on"
        )
    return [replace(entry, label=keyword) for entry in kept], notes


def select_negatives(
    recordings: list[Recording], keywords: Sequence[str]
) -> tuple[list[Recording], list[str]]:
    """Leave out what holds a keyword by its text or label, and split ``test``."""
    notes = []
    kept = [
        entry
        for entry in recordings
        if not any(is_said(keyword, entry.text, entry.label) for keyword in keywords)
    ]
    if len(kept) < len(recordings):
        notes.append(f"negatives: {len(recordings) - len(kept)} recordings hold a keyword and were left out")
    usable = [entry for entry in kept if entry.split != "test"]
    if len(usable) < len(kept):
        notes.append(f"negatives: {len(kept) - len(usable)} recordings of split `test` were left out")
    if not usable:
        raise ManifestError("negatives: nothing is left to train on; give speech without the keyword")
    return usable, notes


def prepare_training(
    keywords: Sequence[str],
    positives: Sequence[Path],
    negatives: Sequence[Path],
    noise: Sequence[Path],
    output: Path,
    *,
    target: Sequence[Path] = (),
    cache: Path,
    num_workers: int = 2,
) -> PreparedData:
    """Read, check and split everything; write manifests and a report into ``output``.

    Args:
        keywords: the phrases.
        positives: recordings of each, in the same order; or none at all.
        negatives: folders, manifests or cuts of speech without any keyword.
        noise: the same of noise.
        output: folder for the manifests and ``report.md``.
        target: the same of where the detector will be used; labels are not read.
        cache: folder that keeps measurements, so that no file is read twice.
        num_workers: threads that read audio.
    Raises:
        ManifestError: a source cannot be read, or too little is left of it.
    """
    if positives and len(positives) != len(keywords):
        raise ManifestError(
            f"got {len(keywords)} keywords and {len(positives)} `positives`; give one for each, or none "
            "at all, which leaves it to synthetic voices"
        )
    notes: list[str] = []
    recordings: list[Recording] = []
    for keyword, source in zip(keywords, positives, strict=bool(positives)):
        found, said = select_keyword(manifests.read(source, notes), keyword)
        recordings += found
        notes += said
    own = OwnRecordings("positives", recordings)
    other, said = select_negatives(own.read_others("negatives", negatives, notes), keywords)
    notes += said
    background = [entry for entry in own.read_others("noise", noise, notes) if entry.split != "test"]
    place = [entry for entry in manifests.read_all(target, notes) if entry.split != "test"]

    checked, decoded = {}, DecodedAudio(cache)
    given = {"positives": recordings, "negatives": other, "noise": background, "target": place}
    for name, entries in given.items():
        if not entries:
            continue
        limits = CheckConfig(*KEYWORD_LENGTH_S) if name == "positives" else CheckConfig()
        result = checks.check_all(entries, limits, num_workers, None, cache / "measurements.jsonl", decoded)
        found = own.kept(name, result)
        if result.left_out:
            notes += [f"{name}: {note}" for note in checks.left_out_notes(result)]
        checked[name] = (result, _split(name, found, keywords, notes))
        _check_enough(name, checked[name][1], keywords, result)

    for name, (result, kept) in checked.items():
        report.write(report.build(result, kept, [], {}), output / name)
    kept = checked["positives"][1] if recordings else []
    if kept:
        manifests.write(kept, output / "positives.jsonl")
    background = checked["noise"][1] if background else []
    further, mixed, said = noise_by_role(background, checked["negatives"][1])
    manifests.write([*checked["negatives"][1], *further], output / "negatives.jsonl")
    labels = [entry.label for entry in kept]
    notes += [*own.notes(), *said]
    if mixed:
        manifests.write(mixed, output / "noise.jsonl")
    if place:
        manifests.write(checked["target"][1], output / "target.jsonl")
    return PreparedData(
        output / "positives.jsonl" if kept else None,
        output / "negatives.jsonl",
        output / "noise.jsonl" if mixed else None,
        min(labels.count(keyword) for keyword in keywords),
        tuple(notes),
        output / "target.jsonl" if place else None,
        decoded,
    )


def _check_enough(
    name: str, kept: list[Recording], keywords: Sequence[str], result: checks.CheckResult
) -> None:
    """Refuse a keyword without recordings to train on, and negatives without any to choose thresholds on."""
    for keyword in keywords if name == "positives" else ():
        if not any(entry.label == keyword and entry.split == "train" for entry in kept):
            bad = [check.rejection.message for check in result.left_out if check.rejection]
            found = f"; left out: {bad[0]}" if bad else "; give some split `train`, or none a split"
            raise ManifestError(f"{keyword}: no recording is left to train on{found}")
    missing = {"train", "dev"} - {entry.split for entry in kept}
    if name == "negatives" and missing:
        raise ManifestError(
            f"negatives: none has split `{min(missing)}`, which training needs (dev: for the thresholds); "
            "give some that split, or leave the splits empty"
        )


def _split(name: str, kept: list[Recording], keywords: Sequence[str], notes: list[str]) -> list[Recording]:
    """Share recordings out between train and dev; those of the target domain are all trained on."""
    if name == "target":
        return [replace(entry, split="train") for entry in kept]
    present: tuple[str, ...] = ()
    if name == "positives":
        counts = {keyword: sum(entry.label == keyword for entry in kept) for keyword in keywords}
        present = tuple(keyword for keyword, count in counts.items() if count)
        if min(counts.values()) < HELD_OUT_FROM and not any(entry.split == "dev" for entry in kept):
            fewest = min(counts.values())
            notes.append(
                f"positives: {fewest} recordings are fewer than {HELD_OUT_FROM}, so none is held out; the "
                "miss rate shown in training is that of augmented training recordings and too low"
            )
            return [replace(entry, split="train") for entry in kept]
    if name == "negatives" and len(kept) == 1 and kept[0].split is None:
        notes.append(f"negatives: a single file; the thresholds are chosen on its last {DEV_NEGATIVES:.0%}")
        return _cut_in_two(kept[0])
    fraction = DEV_POSITIVES if name == "positives" else DEV_NEGATIVES
    ensure = ("train",) if name == "noise" else ("train", "dev")
    config = SplitConfig(dev_fraction=fraction, test_fraction=0.0, ensure=ensure, ensure_labels=present)
    outcome = splits.split(kept, config, voices=name != "noise")
    notes += [f"{name}: {note}" for note in outcome.notes]
    return list(outcome.recordings)


def _cut_in_two(recording: Recording) -> list[Recording]:
    """Share a single recording out: its beginning to train on, its end for the thresholds."""
    length_s = recording.length_s
    first_s = (1 - DEV_NEGATIVES) * length_s
    recording = without_hash(recording)  # which is of both parts together
    first = replace(recording, duration_s=first_s, split="train")
    offset_s = recording.offset_s + first_s
    return [first, replace(recording, offset_s=offset_s, duration_s=length_s - first_s, split="dev")]


def transcribed_speech(negatives: Path, language: str) -> list[Recording]:
    """Return the training recordings of a manifest of which the phones are known, or read from their text.

    Args:
        negatives: the manifest.
        language: eSpeak language code of the texts.
    Raises:
        KwsError: the language is unknown, a text cannot be read in it, or eSpeak NG is not installed.
    """
    from data_prep.synthesis.phones import texts_to_phones

    shortest_s, longest_s = TRANSCRIBED_LENGTH_S
    found = [
        entry
        for entry in read_manifest(negatives)
        if entry.split == "train"
        and (entry.phones or entry.text)
        and shortest_s <= entry.length_s <= longest_s
    ]
    texts = [entry.text or "" for entry in found if not entry.phones]
    spoken = iter(texts_to_phones(texts, "en-us" if language == "en" else language) if texts else ())
    told = [entry if entry.phones else replace(entry, phones=" ".join(next(spoken))) for entry in found]
    return [entry for entry in told if entry.phones]


@dataclass(frozen=True, slots=True)
class Synthesis:
    """How many synthetic recordings of each keyword are made, and of what."""

    keyword: int | None = None
    """Of the keyword itself; three times as many of other speech come with them. None is
    :data:`SYNTHETIC_ALONE` without recordings, else :data:`SYNTHETIC_RECORDINGS`."""
    confusables: int | None = None
    """Of what sounds like it or like a part of it. None is :data:`CONFUSABLES_OF_PHRASE` for several words,
    whose parts people say by chance, and none for one word."""
    language: str = "en"
    """eSpeak language code of the keywords."""
    voices: tuple[str, ...] = ()
    """Synthesisers that speak, or voices of them as ``ENGINE:VOICE``; none is what is installed."""

    def count(self, num_recordings: int) -> int:
        """Return how many of the keyword are made beside so many recordings."""
        if self.keyword is not None:
            return self.keyword
        return SYNTHETIC_RECORDINGS if num_recordings else SYNTHETIC_ALONE

    def num_confusables(self, keyword: str) -> int:
        """Return how many of what sounds like a keyword are made."""
        if self.confusables is not None:
            return self.confusables
        return CONFUSABLES_OF_PHRASE if len(keyword.split()) > 1 else 0


def with_voices(synthesis: Synthesis, names: Sequence[str] | None = None) -> Synthesis:
    """Return what is made with the names of the voices that speak.

    Args:
        synthesis: how many, in which language.
        names: as asked for; None takes the best that are installed.
    Raises:
        KwsError: a name is unknown, or what is named is not installed or does not speak the language.
    """
    from data_prep.synthesis.engines import choose

    return replace(synthesis, voices=choose(names, synthesis.language).names)


SYNTHETIC_RECORDINGS, SYNTHETIC_ALONE = 200, 600
CONFUSABLES_OF_PHRASE = 300
SYNTHETIC_HELD_OUT = 60
"""Without recordings, so many synthetic ones of each keyword by voices that are not trained on choose the
weights."""
SPEECH_PER_KEYWORD = 3
"""Recordings of other speech by synthetic voices for each recording of a keyword."""


@dataclass(frozen=True, slots=True)
class SyntheticRecordings:
    """What was made for a run."""

    keywords: tuple[Recording, ...] = ()
    """Recordings of keywords, ``label`` says which."""
    speech: tuple[Recording, ...] = ()
    """Other speech by such voices."""
    confusables: tuple[Recording, ...] = ()
    """Words that sound like a keyword."""
    held_out: tuple[Recording, ...] = ()
    """Keywords by voices that are not trained on; only where there are no recordings."""
    notes: tuple[str, ...] = ()
    """What was made in place of recordings, and what could not be made."""

    def num_recordings(self, keywords: Sequence[str]) -> int:
        """Return how many there are to train on of the keyword that has the fewest."""
        said = [entry.label for entry in self.keywords]
        return min(said.count(keyword) for keyword in keywords)


def synthesize(
    keywords: Sequence[str],
    synthesis: Synthesis,
    folder: Path,
    *,
    num_recordings: int,
    seed: int,
    num_workers: int,
) -> SyntheticRecordings:
    """Let synthetic voices speak the keywords, other speech, and words that sound like the keywords.

    Engines take turns. Those besides eSpeak NG have voices of recorded speakers: with eSpeak's alone more was
    missed than without any, so they stand alone only in place of recordings.

    Args:
        keywords: the phrases.
        synthesis: how many of each.
        folder: what is made is kept here and not made again.
        num_recordings: of the keyword that has the fewest; 0 is none of any.
        seed: of words and voices.
        num_workers: processes.
    Raises:
        KwsError: there are no recordings, and synthetic ones cannot be made in their place.
    """
    from data_prep.synthesis.engines import choose
    from data_prep.synthesis.espeak import Split, stable_hash
    from data_prep.synthesis.keyword import synthesize_keyword
    from data_prep.synthesis.readings import note

    count, alone = synthesis.count(num_recordings), num_recordings == 0
    voices = choose(synthesis.voices or None, synthesis.language)

    notes: list[str] = []

    def speak(
        keyword: str, kind: str, positives: int, negatives: int, split: Split = "train"
    ) -> tuple[list[Recording], list[Recording]]:
        """Return recordings of the keyword and without it."""
        asked = (keyword, synthesis.language, positives, negatives, seed, *voices.names)
        place = f"{stable_hash(*asked) & 0xFFFFFFFF:08x}"
        said, other = synthesize_keyword(
            keyword,
            folder / kind / place,
            positives,
            negatives,
            seed,
            splits={split: 1.0},
            confusable_share=float(kind == "confusables"),
            language=synthesis.language,
            speakers=voices.speakers,
            with_espeak=voices.with_espeak or not positives,
            num_workers=num_workers,
        )
        if kind == "speech":
            notes.append(note(keyword, synthesis.language, None, voices.sources, said.parent))
        return manifests.read(said) if positives else [], manifests.read(other) if negatives else []

    spoken: list[Recording] = []
    speech: list[Recording] = []
    confusables: list[Recording] = []
    held_out: list[Recording] = []
    for keyword in keywords:
        try:
            if count and not alone and not voices.speakers:
                raise DependencyError(voices.lacking)
            if count:
                said, other = speak(keyword, "speech", count, SPEECH_PER_KEYWORD * count)
                spoken += said
                speech += other
        except KwsError as error:
            if alone:
                raise
            notes.append(f"{keyword}: trained without synthetic voices: {error}")
        if alone:
            held_out += speak(keyword, "held-out", SYNTHETIC_HELD_OUT, 0, "dev")[0]
            better = "" if voices.speakers else f" alone (there are better ones, but {voices.lacking})"
            notes.append(
                f"{keyword}: no recordings, so {count} synthetic ones take their place, by {voices.told()}"
                f"{better}; "
                "the miss rate shown in training is that of held-out synthetic voices and too low: "
                "real people are missed more often"
            )
        try:
            if num_confusables := synthesis.num_confusables(keyword):
                confusables += speak(keyword, "confusables", 0, num_confusables)[1]
        except KwsError as error:
            notes.append(f"{keyword}: trained without words that sound like it: {error}")
    speech, confusables = (
        select_negatives(found, keywords)[0] if found else [] for found in (speech, confusables)
    )
    return SyntheticRecordings(
        tuple(spoken), tuple(speech), tuple(confusables), tuple(held_out), tuple(notes)
    )
