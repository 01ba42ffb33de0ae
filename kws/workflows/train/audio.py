"""The audio of a run: recordings and synthetic voices, checked, split, decoded and ready for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from data_prep.augmentation.room import RoomBank
    from kws.data import Augment
    from kws.manifest import Recording
    from kws.training.config import TrainConfig
    from kws.training.data import TrainingData
    from kws.workflows.recordings import PreparedData, SyntheticRecordings
    from kws.workflows.train.request import TrainRequest

DEV_SEED = 7_001
"""Added to the seed where training recordings are augmented to stand in for held-out ones."""
DEV_COPIES, DEV_COPIED = 2, 25
"""So many augmented copies of so many recordings stand in for each keyword that has none held out."""


@dataclass(frozen=True)
class RunAudio:
    """What a run hears."""

    prepared: PreparedData
    spoken: SyntheticRecordings
    augment: Augment
    data: TrainingData
    manifests: tuple[Path, ...]
    """Of all recordings, for the origin of the model."""


def gather(request: TrainRequest, settings: TrainConfig) -> RunAudio:
    """Read, check, split, say and decode what a run trains on; manifests and a report lie in its folder.

    Raises:
        KwsError: a source cannot be read, or too little is left of it.
    """
    from data_prep.rooms import read_rooms
    from kws.audio_store import AudioStore
    from kws.regularizers import need_transcripts
    from kws.workflows.other_word import other_words
    from kws.workflows.recordings import prepare_training, synthesize, transcribed_speech

    folder, num_workers = request.output / "data", request.num_workers
    cache = request.cache or request.output / "cache"
    prepared = prepare_training(
        request.keywords, request.positives, request.negatives, request.noise, folder,
        target=request.target_audio, cache=cache, num_workers=num_workers,
    )  # fmt: skip
    if prepared.positives is not None:
        told = other_words(
            request.keywords, prepared.positives, request.synthesis.language, clip=prepared.clip
        )
        prepared = replace(prepared, notes=(*prepared.notes, *told))
    transcribed = []
    if need_transcripts(settings.regularizers):
        transcribed = transcribed_speech(prepared.negatives, request.synthesis.language)
        need_transcripts(settings.regularizers, len(transcribed))
    spoken = synthesize(
        request.keywords, request.synthesis, cache / "synthetic",
        num_recordings=prepared.num_recordings, seed=settings.seed, num_workers=num_workers,
    )  # fmt: skip
    manifests = [prepared.positives, prepared.negatives, write_synthetic(spoken, folder)]
    room_notes: list[str] = []
    rooms = read_rooms(request.rooms, ("dev", "test"), room_notes)
    prepared = replace(prepared, notes=(*prepared.notes, *room_notes))
    augment = augmentation(prepared, settings.seed, settings.augmentation, rooms, settings.babble)
    data = load_audio(prepared, request.keywords, cache, num_workers, settings.seed, augment, spoken)
    if transcribed:
        store = AudioStore(transcribed, cache, num_workers, "transcribed speech", decoded=prepared.decoded)
        data = replace(data, transcribed=store)
    listed = tuple(path for path in manifests if path is not None)
    return RunAudio(replace(prepared, decoded=None), spoken, augment, data, listed)


def write_synthetic(spoken: SyntheticRecordings, folder: Path) -> Path | None:
    """Write the manifest ``synthetic.jsonl`` of what synthetic voices say; None where they say nothing."""
    from data_prep import manifests

    entries = [*spoken.keywords, *spoken.held_out, *spoken.speech, *spoken.confusables]
    return manifests.write(entries, folder / "synthetic.jsonl") if entries else None


def augmentation(
    prepared: PreparedData,
    seed: int,
    strength: float = 1.0,
    rooms: RoomBank | None = None,
    babble: float = 0.0,
) -> Augment:
    """Return the default augmentation with the run's own noise.

    Args:
        prepared: its audio.
        seed: of made noise.
        strength: 0 (none) to 1.4.
        rooms: recorded responses; None simulates rooms.
        babble: share of the noises that is mixed from voices of the negatives.
    """
    from data_prep.augmentation.babble import voices_of
    from data_prep.augmentation.banks import NoiseBank
    from data_prep.augmentation.chain import default_chain
    from data_prep.augmentation.made_noise import made_noises
    from kws.manifest import read_manifest

    noise = None
    # read or made once, before worker processes share it
    if prepared.noise is None:
        made_noises(seed)
    else:
        noise = NoiseBank.of_clips(
            (entry.path, prepared.clip(entry)) for entry in read_manifest(prepared.noise)
        )
    voices = None
    if babble:
        mixed = [] if prepared.noise is None else read_manifest(prepared.noise)
        paths = {entry.path for entry in mixed}
        speech = [entry for entry in read_manifest(prepared.negatives, ("train",)) if entry.path not in paths]
        voices = voices_of(speech, prepared.clip)
    chain = default_chain(noise, rooms, speech=voices, babble=babble, strength=strength, seed=seed)
    return chain.augment


def load_audio(
    prepared: PreparedData,
    keywords: Sequence[str],
    cache: Path,
    num_workers: int,
    seed: int,
    augment: Augment,
    spoken: SyntheticRecordings,
) -> TrainingData:
    """Read the audio of a run; without recordings, synthetic voices take their place."""
    from kws.audio import to_float32
    from kws.audio_store import AudioStore
    from kws.data import Synthetic
    from kws.manifest import read_manifest
    from kws.training.data import TrainingData

    def read(entries: Sequence[Recording], description: str) -> AudioStore:
        return AudioStore(entries, cache, num_workers, description, decoded=prepared.decoded)

    def labels_of(entries: Sequence[Recording]) -> list[int]:
        return [keywords.index(entry.label or "") for entry in entries]

    other = read_manifest(prepared.negatives)
    recordings = [] if prepared.positives is None else read_manifest(prepared.positives)
    train = [entry for entry in recordings if entry.split == "train"]
    held = [entry for entry in recordings if entry.split == "dev"]
    voices: Sequence[Recording] = spoken.keywords
    if not recordings:
        train, held, voices = list(voices), list(spoken.held_out), ()
    positives, labels = AudioStore(train, None, 1, "positives", decoded=prepared.decoded), labels_of(train)
    clips, dev_labels = [to_float32(prepared.clip(entry)) for entry in held], labels_of(held)
    lacking = set(labels) - set(dev_labels)
    for label in sorted(lacking):
        own = [index for index, other in enumerate(labels) if other == label][:DEV_COPIED]
        for number, index in enumerate(index for index in own for _ in range(DEV_COPIES)):
            clips.append(augment(positives.waveform(index), train[index].item_id, seed + DEV_SEED, number))
            dev_labels.append(label)
    return TrainingData(
        positives=positives,
        labels=labels,
        negatives=read([entry for entry in other if entry.split == "train"], "negatives"),
        dev_positives=clips,
        dev_labels=dev_labels,
        held_out=not lacking,
        target=None if prepared.target is None else read(read_manifest(prepared.target), "target audio"),
        dev_negatives=read([entry for entry in other if entry.split == "dev"], "dev negatives"),
        confusables=read(spoken.confusables, "words alike"),
        synthetic=Synthetic(
            read(voices, "synthetic keywords"),
            labels_of(voices),
            read(spoken.speech, "synthetic speech"),
        ),
    )
