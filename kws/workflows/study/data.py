"""Work that the cells of a study share, done once: test audio, draws of recordings, decoded audio, voices."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from data_prep import manifests
from data_prep.conditions import draw
from data_prep.copies import KnownRecordings
from kws.config import config_hash
from kws.errors import ConfigError, KwsError, ManifestError
from kws.evaluation.evaluate import select_positives
from kws.evaluation.heard import HeardAudio, HeardClip
from kws.evaluation.protocol import CLEAN
from kws.manifest import Recording
from kws.studies import held_out
from kws.studies.grid import Cell
from kws.studies.recipe import KeywordConfig, StudyConfig
from kws.text import is_said
from kws.workflows.evaluate import read_utterances
from kws.workflows.protocol_audio import open_audio
from kws.workflows.recordings import (
    HELD_OUT_FROM,
    Synthesis,
    prepare_training,
    select_keyword,
    select_negatives,
    synthesize,
)
from kws.workflows.trained_on import copies_of


@dataclass(frozen=True)
class StudyData:
    """Where the audio of a study lies.

    Attributes:
        base: what relative paths of the recipe start from.
        recordings: keyword -> recordings to draw from.
        test: folder of the test audio.
        test_hash: of all that determines the test audio.
        units: keyword -> speaker of each test clip, or a name of its own.
        notes: what a reader must know, such as speakers on both sides.
    """

    base: Path
    recordings: Mapping[str, list[Recording]]
    test: Path
    test_hash: str
    units: Mapping[str, list[str]]
    notes: tuple[str, ...]


def clips_name(keyword: str) -> str:
    """Return the name of a keyword's files."""
    slug = re.sub(r"[^\w]+", "_", keyword).strip("_")
    return f"{slug}-{hashlib.sha256(keyword.encode()).hexdigest()[:6]}"


def read_data(config: StudyConfig, base: Path, folder: Path, *, progress: bool = False) -> StudyData:
    """Read what the recipe names and make the test audio, unless it is there.

    Args:
        config: the recipe.
        base: what relative paths start from.
        folder: of the study.
        progress: show bars.
    Raises:
        KwsError: a source cannot be read, or is empty.
    """
    recordings, notes = {}, []
    for entry in config.keywords:
        found = manifests.read_all(base / path for path in entry.train)
        recordings[entry.keyword], said = select_keyword(found, entry.keyword)
        other = manifests.read_all(base / path for path in config.negatives)
        notes += [
            *said,
            *(f"{entry.keyword}: {note}" for note in select_negatives(other, [entry.keyword])[1]),
        ]
        _check_enough(config, entry.keyword, len(recordings[entry.keyword]))
    test_hash = _test_hash(config, base)
    test = folder / "test" / test_hash
    _make_test_audio(config, base, test, progress)
    units = {
        entry.keyword: held_out.load_speakers(test, clips_name(entry.keyword)) for entry in config.keywords
    }
    notes += [note for entry in config.keywords for note in _shared(entry, recordings[entry.keyword], base)]
    notes += _test_negatives(config, base)[1]
    return StudyData(base, recordings, test, test_hash, units, tuple(notes))


def _check_enough(config: StudyConfig, keyword: str, number: int) -> None:
    """Refuse numbers of recordings that a keyword does not have."""
    wished = [choice.recordings or config.recordings for choice in config.all_choices().values()]
    numbers = [value for values in wished for value in values if isinstance(value, int)]
    if numbers and max(numbers) > number:
        raise ConfigError(
            f"recordings: got {max(numbers)}, and there are {number} of {keyword!r} to train on; lower it, "
            "or give `all`"
        )


def _shared(entry: KeywordConfig, train: Sequence[Recording], base: Path) -> list[str]:
    """Say which speakers and files are trained on and tested on."""
    tested = [r for path in _test_sources(entry, base) for r in manifests.read_all(path)]
    speakers = {r.speaker for r in train if r.speaker} & {r.speaker for r in tested if r.split != "train"}
    known = KnownRecordings(train)
    files = sum(r in known for r in tested if r.split in (None, "test"))
    return [
        f"{entry.keyword}: {number} {what} are both trained and tested on: the misses are too few"
        for what, number in (("speakers", len(speakers)), ("files", files))
        if number
    ]


def _test_sources(entry: KeywordConfig, base: Path) -> list[list[Path]]:
    """Return the sources of the clips: one list, or one of each condition."""
    if entry.test:
        return [[base / path for path in entry.test]]
    return [[base / path] for path in entry.test_conditions.values()]


def _test_hash(config: StudyConfig, base: Path) -> str:
    """Return a hash of all that determines the test audio."""
    sources = [path for entry in config.keywords for group in _test_sources(entry, base) for path in group]
    sources += [base / path for path in (*config.test_negatives, *config.test_noise)]
    facts = {
        "keywords": [entry.keyword for entry in config.keywords],
        "test": [[str(path) for path in entry.test] or entry.test_conditions for entry in config.keywords],
        "recordings": sources_fingerprint(sources),
        "protocol": config.protocol.hash,
    }
    if config.test_rooms:
        facts["rooms"] = sources_fingerprint(base / path for path in config.test_rooms)
    return config_hash(facts)


def _make_test_audio(config: StudyConfig, base: Path, test: Path, progress: bool) -> None:
    """Make what is not there of clips and negatives."""
    lacking = [entry for entry in config.keywords if not held_out.is_saved(test, clips_name(entry.keyword))]
    if not lacking and held_out.is_saved(test, held_out.NEGATIVES):
        return
    speech = _test_negatives(config, base)[0] if config.protocol.needs_babble() else ()
    rooms = [base / path for path in config.test_rooms]
    made = open_audio(config.protocol, _read(config.test_noise, base), rooms, speech)
    for entry in lacking:
        clips = _heard_clips(entry, base, made, progress)
        held_out.save_clips(test, clips_name(entry.keyword), clips, config.protocol)
    if not held_out.is_saved(test, held_out.NEGATIVES):
        speech, _ = _test_negatives(config, base)
        stream = made.stream(speech)
        bar = tqdm(stream, "test negatives", unit="file", disable=None if progress else True)
        held_out.save_negatives(test, bar)


def _heard_clips(
    entry: KeywordConfig, base: Path, made: HeardAudio, progress: bool
) -> dict[str, list[HeardClip]]:
    """Return the clips of a keyword in each condition; those that are already in one stay as they are."""
    groups = _test_clips(entry, base)
    if entry.test_conditions:
        plain = HeardAudio(replace(made.protocol, conditions={CLEAN: {}}, copies={}))
        versions = [
            (name, plain, CLEAN, group) for name, group in zip(entry.test_conditions, groups, strict=True)
        ]
    else:
        versions = [(name, made, name, groups[0]) for name in made.protocol.conditions]

    def heard(source: HeardAudio, name: str, condition: str, group: list[Recording]) -> list[HeardClip]:
        what = f"{entry.keyword}, {name}"
        bar = tqdm(group, what, unit="file", disable=None if progress else True)
        return [source.clip(utterance, condition) for utterance in bar]

    return {name: heard(source, name, condition, group) for name, source, condition, group in versions}


def _test_clips(entry: KeywordConfig, base: Path) -> list[list[Recording]]:
    """Return the clips of a keyword: one list, or one of each condition.

    Raises:
        ManifestError: the conditions hold different numbers of clips.
    """
    groups = [
        select_positives(read_utterances(paths, "test"), entry.keyword, alone=True)
        for paths in _test_sources(entry, base)
    ]
    if len({len(group) for group in groups}) > 1:
        sizes = ", ".join(f"{c} {len(g)}" for c, g in zip(entry.test_conditions, groups, strict=True))
        raise ManifestError(
            f"{entry.keyword}: the conditions hold different numbers of clips ({sizes}); give the same "
            "clips in each, in the same order"
        )
    return groups


def _test_negatives(config: StudyConfig, base: Path) -> tuple[list[Recording], list[str]]:
    """Return the test speech in which no keyword is said, one stream for all keywords, and what is left out.

    Raises:
        ManifestError: nothing is left.
    """
    given = _read(config.test_negatives, base)
    words = [entry.keyword for entry in config.keywords]
    other = [each for each in given if not any(is_said(word, each.text, each.label) for word in words)]
    clips = [clip for entry in config.keywords for group in _test_clips(entry, base) for clip in group]
    is_copy = copies_of(clips)
    kept = [each for each in other if not is_copy(each)]
    if not kept:
        raise ManifestError("test_negatives: every recording holds a keyword; give other speech")
    left = {"hold a keyword": len(given) - len(other), "are clips of a keyword": len(other) - len(kept)}
    return kept, [
        f"test negatives: {number} recordings {what} and were left out"
        for what, number in left.items()
        if number
    ]


def _read(sources: Iterable[Path], base: Path) -> list[Recording]:
    """Read the recordings of split ``test``, or without one."""
    paths = [base / path for path in sources]
    return read_utterances(paths, "test") if paths else []


@dataclass(frozen=True)
class Drawn:
    """Training recordings of a cell.

    Attributes:
        manifest: the drawn recordings; None is none.
        num_recordings: how many.
        fingerprint: hash of them and their files.
        held_out: `kws train` may choose by what it does not train on: by some of them, or where there are
            none by synthetic voices.
    """

    manifest: Path | None
    num_recordings: int
    fingerprint: str
    held_out: bool


def draw_recordings(data: StudyData, cell: Cell, folder: Path) -> Drawn:
    """Draw the training recordings of a cell and write their manifest."""
    pool = data.recordings[cell.keyword]
    chosen = [pool[index] for index in draw(len(pool), cell.count, cell.keyword, cell.seed)]
    path = folder / "positives" / f"{clips_name(cell.keyword)}-{cell.recordings}-{cell.seed}.jsonl"
    return Drawn(
        manifests.write(chosen, path) if chosen else None,
        len(chosen),
        manifests.content_fingerprint(chosen),
        not chosen or len(chosen) >= HELD_OUT_FROM or any(entry.split == "dev" for entry in chosen),
    )


def sources_fingerprint(sources: Iterable[Path]) -> str:
    """Return a hash of the recordings of several sources and of what their files hold."""
    return manifests.content_fingerprint(manifests.read_all(sources))


def decode(
    keywords: Sequence[str],
    positives: Sequence[Path],
    negatives: Sequence[Path],
    noise: Sequence[Path],
    cache: Path,
    num_workers: int,
) -> None:
    """Measure and decode the training audio of keywords into the cache, as `kws train` will look for it."""
    from kws.workflows.recordings import SyntheticRecordings
    from kws.workflows.train.audio import load_audio

    prepared = prepare_training(
        keywords,
        positives,
        negatives,
        noise,
        cache / clips_name(" ".join(keywords)),
        cache=cache,
        num_workers=num_workers,
    )
    load_audio(
        prepared, keywords, cache, num_workers, 0, lambda waveform, *_: waveform, SyntheticRecordings()
    )


def speak(
    keyword: str, synthesis: Synthesis, cache: Path, *, num_recordings: int, seed: int, num_workers: int
) -> None:
    """Let synthetic voices speak what `kws train` will look for; a cell that cannot have them says so."""
    try:
        synthesize(
            [keyword],
            synthesis,
            cache / "synthetic",
            num_recordings=num_recordings,
            seed=seed,
            num_workers=num_workers,
        )
    except KwsError:
        return


def weights_fingerprint(encoder: str, weights: Path | None) -> str:
    """Return a hash of an encoder's weights, given or shipped; the name alone of any other encoder."""
    from kws.encoders.sources.embedded_weights import ASSETS
    from kws.weights import WEIGHTS

    if weights is None and encoder != "embedded":
        return encoder
    path = ASSETS if weights is None else weights
    path = path / WEIGHTS if path.is_dir() else path
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else str(path)
