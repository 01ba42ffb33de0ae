"""What a student hears, and what its teacher hears in it: recordings, voices, other speech and noise.

The recordings are those of the run; voices say its keyword and words like it. Each kind of rows is a file in
the working folder, so that a stopped export goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from scipy.special import logit
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from data_prep import manifests
from data_prep.augmentation.banks import NoiseBank
from data_prep.augmentation.chain import Chain, default_chain
from data_prep.augmentation.made_noise import made_noises
from data_prep.augmentation.seeding import stable_rng
from data_prep.augmentation.speed import ChangeSpeed
from data_prep.synthesis.engines import choose
from data_prep.synthesis.keyword import CONFUSABLE, synthesize_keyword
from kws.audio import atomic_write
from kws.audio_store import AudioStore
from kws.detector import Detector
from kws.manifest import Recording, read_manifest
from kws.speech_span import TRAINING, speech_span
from kws.student.rows import BEFORE_SAMPLES, COLD, ROW_SAMPLES, STRIDE_SAMPLES, Rows, make_row, place

NUM_REAL, NUM_SAID, NUM_ALIKE = 2000, 3000, 1500
"""Rows with recordings of the phrase, with voices that say it, and with words like it."""

NUM_VOICES, NUM_OTHER_VOICES, ALIKE_SHARE = 600, 900, 2 / 3
"""Recordings by voices: of the phrase, and without it; part of the latter that sounds like it."""

COPIES, MAX_OTHER = 2, 12_000
"""Versions of the other speech, each in other noise and rooms, and rows of it from which on there is one."""

UNCHANGED = 0.12
"""Share of rows that are heard as they are."""

AMID_SPEECH = 0.4
"""Share of phrases with other speech before them, after them, or both."""

CUT = 0.12, (0.35, 0.75)
"""Share of phrases of which only a part is said, and the least and greatest part."""

SPEED = ChangeSpeed(factor=(0.85, 1.18), probability=0.8)
"""Speeds of a recording that comes again: with the pitch, other people."""

LENGTH = BEFORE_SAMPLES + ROW_SAMPLES
SURE = 16.0
"""What the teacher says is within this of zero: float32 scores hold no more."""


class TeacherScores:
    """A detector that tells what it hears at the end of each step of a student.

    Args:
        model: exported file, or the folder that holds it.
        keyword: one of it.
    """

    def __init__(self, model: Path, keyword: str) -> None:
        self._detector = Detector(model)
        self._column = self._detector.keywords.index(keyword)
        self._fires = float(logit(self._detector.thresholds[keyword]))

    def __call__(self, waveform: np.ndarray) -> np.ndarray:
        """Return what was known at the end of each 30 ms of (samples,) float32: above zero, it fires.

        Returns:
            (steps,) float32, the logit of the score less that of the threshold.
        """
        self._detector.reset()
        hop = self._detector.hop_samples
        padded = np.pad(waveform, (0, -len(waveform) % self._detector.chunk_samples))
        scores = self._detector.scores(padded.astype(np.float32))[:, self._column].astype(np.float64)
        ends = STRIDE_SAMPLES * np.arange(1, len(waveform) // STRIDE_SAMPLES + 1)
        frames = ends // hop - 1  # the last one that was complete
        known = np.where(frames >= 0, scores[np.maximum(frames, 0)], 0.0)
        clipped: np.ndarray = np.clip(logit(known) - self._fires, -SURE, SURE).astype(np.float32)
        return clipped


@dataclass(frozen=True)
class StudentAudio:
    """All recordings that rows are made of.

    Attributes:
        real: of the phrase, by people.
        said: of the phrase, by voices.
        alike: words like it.
        sentences: other speech by voices.
        speech: without the phrase, given by the person.
        dev: the part of it that is kept for the threshold.
        chain: noise and rooms; it leaves the length as it is.
        seed: of all draws.
    """

    real: AudioStore
    said: AudioStore
    alike: AudioStore
    sentences: AudioStore
    speech: AudioStore
    dev: AudioStore
    chain: Chain
    seed: int

    def counts(self) -> dict[str, int]:
        """Return how many rows of each kind are made."""
        other = len(self.speech.samples) // ROW_SAMPLES
        return {
            "real": NUM_REAL if len(self.real) else 0,
            "said": NUM_SAID,
            "alike": NUM_ALIKE if len(self.alike) else 0,
            "sentences": COPIES * len(self.sentences),
            "other": max(other, min(COPIES * other, MAX_OTHER)),
        }


class RowJobs(Dataset[Rows]):
    """Makes rows of one kind; worker processes share the recordings.

    Args:
        audio: what they are made of.
        kind: a key of :meth:`StudentAudio.counts`.
        model: of the teacher.
        keyword: that it listens for.
    """

    def __init__(self, audio: StudentAudio, kind: str, model: Path, keyword: str) -> None:
        self._audio, self._kind, self._model, self._keyword = audio, kind, model, keyword

    def __len__(self) -> int:
        return self._audio.counts()[self._kind]

    @cached_property
    def _teacher(self) -> TeacherScores:
        """The detector of this process."""
        return TeacherScores(self._model, self._keyword)

    def __getitem__(self, index: int) -> Rows:
        rng = stable_rng(self._audio.seed, "student", f"{self._kind}-{index}", 0)
        clean = self._clean(index, rng)
        changed = rng.random() >= UNCHANGED
        cold = rng.random() < COLD

        def change(waveform: np.ndarray) -> np.ndarray:
            return self._audio.chain(waveform, rng)[:LENGTH] if changed else waveform

        return make_row(clean, self._teacher, change, cold)

    def _clean(self, index: int, rng: np.random.Generator) -> np.ndarray:
        """Return (``LENGTH``,) float32, as the teacher hears it."""
        if self._kind == "other":
            number = index % (len(self._audio.speech.samples) // ROW_SAMPLES)
            return self._audio.speech.window(number * ROW_SAMPLES - BEFORE_SAMPLES, LENGTH)
        store: AudioStore = getattr(self._audio, self._kind)
        clip = store.waveform(index % len(store))
        if self._kind == "sentences":
            return np.pad(clip[:LENGTH], (max(0, LENGTH - len(clip)), 0))
        clip = clip[slice(*speech_span(clip, TRAINING))]
        if index >= len(store):
            clip = SPEED.apply(clip, SPEED.draw(rng))
        share, parts = CUT
        if rng.random() < share:
            clip = clip[: int(len(clip) * rng.uniform(*parts))]
        return place(clip, self._around(rng), rng)

    def _around(self, rng: np.random.Generator) -> np.ndarray:
        """Return (``LENGTH``,) float32 of silence, or of other speech before, after or around a phrase."""
        if rng.random() >= AMID_SPEECH:
            return np.zeros(LENGTH, np.float32)
        samples = self._audio.speech
        around = samples.window(int(rng.integers(0, len(samples.samples))), LENGTH)
        around = np.pad(around, (0, LENGTH - len(around)))
        middle = LENGTH - ROW_SAMPLES // 3
        side = int(rng.integers(3))
        if side == 0:
            around[middle:] = 0
        elif side == 1:
            around[:middle] = 0
        return around


def gather_student_audio(
    run: Path,
    keyword: str,
    language: str,
    negatives: Path,
    noise: Path | None,
    voices: Sequence[str] | None,
    work: Path,
    num_workers: int,
    seed: int = 0,
) -> tuple[StudentAudio, list[str]]:
    """Read and say what a student learns from.

    Args:
        run: finished run of ``kws train`` or ``kws enroll``.
        keyword: one of it.
        language: eSpeak language code of the keyword.
        negatives: manifest of speech without it, with splits train and dev.
        noise: manifest of noise; None makes noise.
        voices: synthesizers that speak; None takes eSpeak and the best that is installed.
        work: folder for voices and decoded audio.
        num_workers: processes.
        seed: of all draws.
    Returns:
        The recordings, and who speaks.
    Raises:
        KwsError: a file cannot be read, or no voice speaks the language.
    """
    speakers = choose(voices, language)
    said, other = synthesize_keyword(
        keyword,
        work / "voices",
        NUM_VOICES,
        NUM_OTHER_VOICES,
        seed,
        splits={"train": 1.0},
        confusable_share=ALIKE_SHARE,
        language=language,
        speakers=speakers.speakers,
        with_espeak=True,
        num_workers=num_workers,
    )
    others = manifests.read(other)

    def read(recordings: Sequence[Recording], description: str) -> AudioStore:
        return AudioStore(recordings, work / "cache", num_workers, description)

    speech = read_manifest(negatives)
    bank = None
    if noise is None:
        made_noises(seed)  # once, before worker processes share it
    else:
        bank, _ = NoiseBank.of_readable([entry.path for entry in read_manifest(noise)])
    chain = default_chain(bank, babble=0.0, seed=seed)
    audio = StudentAudio(
        real=read(recordings_of(run, keyword), "recordings of the keyword"),
        said=read(manifests.read(said), "voices"),
        alike=read([entry for entry in others if entry.label == CONFUSABLE], "words alike"),
        sentences=read([entry for entry in others if entry.label != CONFUSABLE], "voices"),
        speech=read([entry for entry in speech if entry.split != "dev"], "other speech"),
        dev=read([entry for entry in speech if entry.split == "dev"], "speech for the cutoff"),
        chain=Chain(chain.transforms[1:]),  # without a change of speed, which would move what is said
        seed=seed,
    )
    return audio, [f"{keyword}: voices that say it are {speakers.told()}"]


def recordings_of(run: Path, keyword: str) -> list[Recording]:
    """Return the recordings of a keyword that a run has learnt from; none where it had none."""
    listed = [run / "data" / "positives.jsonl", *sorted((run / "data").glob("recordings-*.jsonl"))]
    found = [entry for path in listed if path.is_file() for entry in read_manifest(path)]
    return [entry for entry in found if entry.label == keyword]


def make_rows(
    audio: StudentAudio, model: Path, keyword: str, folder: Path, num_workers: int
) -> dict[str, Rows]:
    """Make the rows of each kind, or read those that are there.

    Args:
        audio: what they are made of.
        model: of the teacher, an exported file or the folder that holds it.
        keyword: that it listens for.
        folder: gets a file of each kind.
        num_workers: processes.
    Returns:
        Rows by kind: ``real`` and ``said`` hold the phrase, ``alike`` and ``other`` do not.
    """
    made = {}
    for kind, count in audio.counts().items():
        path = folder / f"{kind}.npz"
        if count and not path.is_file():
            jobs = RowJobs(audio, kind, model, keyword)
            loader: DataLoader[Rows] = DataLoader(jobs, batch_size=None, num_workers=num_workers)
            rows = list(tqdm(loader, f"{kind}: teacher and features", unit="row", disable=None))
            with atomic_write(path) as temporary, temporary.open("wb") as file:
                np.savez(
                    file,
                    features=np.concatenate([each.features for each in rows]),
                    targets=np.concatenate([each.targets for each in rows]),
                )
        if count:
            with np.load(path) as held:
                made[kind] = Rows(held["features"], held["targets"])
    sentences = made.pop("sentences", None)
    if sentences is not None:
        made["other"] = made["other"].with_more(sentences) if "other" in made else sentences
    return made
