"""Record a person who says a keyword, other speech and the noise of the room: the road of `kws record`.

Each take is checked as soon as it is over. A :class:`Guide` shows what happens and decides; nothing is
printed here. A session can be gone on with later, and nothing that was kept is lost: each file is complete
before the next sound is recorded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from kws import audio
from kws.audio import SAMPLE_RATE, seconds_to_samples
from kws.channels import Channel
from kws.counts import counted
from kws.errors import AudioError, ConfigError
from kws.listening import level_db
from kws.microphone import MicrophoneStream
from kws.pipe import PipeSource, is_pipe, open_pipe
from kws.workflows.reading import FREE, reading_s, sentences
from kws.workflows.recording_folder import RecordingFolder, speaker_name
from kws.workflows.takes import TakeCheck, TakeChecker, has_voice

Decision = Literal["keep", "redo", "delete", "stop"]
Part = Literal["take", "negatives", "noise"]

BLOCK_SAMPLES = SAMPLE_RATE // 10
"""The level is shown ten times a second."""
COUNTDOWN_S = 3
SHORTEST_TAKE_S, LONGEST_TAKE_S = 2.5, 8.0
SECONDS_PER_LETTER, SECONDS_PER_WIDE = 0.09, 0.35
"""Time for a letter of the keyword, and for a character of Chinese; a slow voice needs half of it."""
BEFORE_AND_AFTER_S = 1.5
"""Time of a take before and after the keyword."""
MINUTE_S = 60.0
"""Of other speech by each speaker, and of noise."""
NOISE_PIECE_S = 10.0
"""Noise is written in pieces of this length, so that little is lost when it is stopped."""
MOST_FAULTY = 5
"""So many faulty takes one after the other end a session that no person decides in."""


@dataclass(frozen=True, slots=True)
class Take:
    """One take that was just recorded."""

    number: int
    """Of the takes that are wanted, from 1."""
    waveform: np.ndarray
    """(samples,) float32 at ``SAMPLE_RATE``."""
    check: TakeCheck
    """What is wrong with it, if anything."""
    path: Path | None
    """Where it lies; a faulty take is written only when it is kept."""


class Guide:
    """Shows what happens in a session and decides on takes; this one is silent and decides by the check.

    A good take is kept, a faulty one is recorded again, and after :data:`MOST_FAULTY` of them it stops.
    """

    def __init__(self) -> None:
        self._num_faulty = 0

    def begins(self, part: Part, text: str, number: int, wanted: int) -> None:
        """Something is about to be recorded.

        Args:
            part: what it is.
            text: the keyword, or what to read; "" for noise.
            number: of the take or the piece, from 1.
            wanted: how many there are to be.
        """

    def counts_down(self, left_s: int) -> None:
        """So many seconds are left before the recording begins; 0 is now."""

    def hears(self, level: float, share: float) -> None:
        """A tenth of a second was recorded.

        Args:
            level: of it, in dB of full scale.
            share: of what is to be recorded, in [0, 1].
        """

    def decides(self, take: Take) -> Decision:
        """Return what becomes of a take. ``delete`` removes the last one that is kept."""
        self._num_faulty = self._num_faulty + 1 if take.check.fault else 0
        if self._num_faulty >= MOST_FAULTY:
            raise AudioError(
                f"{counted(self._num_faulty, 'take')} in a row cannot be used, the last: {take.check.note}"
            )
        return "redo" if take.check.fault else "keep"

    def says(self, note: str) -> None:
        """Take a sentence that the person should know."""


@dataclass(frozen=True, slots=True)
class RecordSummary:
    """What lies in a folder after a session."""

    keyword: str
    """What was recorded."""
    output: Path
    """The folder."""
    takes: dict[str, int]
    """Speaker -> number of takes, of earlier sessions too."""
    num_new: int
    """Takes that this session added."""
    negatives_s: float
    """Other speech, in seconds."""
    noise_s: float
    """Noise of the room, in seconds."""
    speaker: str = "me"
    """Who spoke in this session."""
    language: str = "en"
    """eSpeak language code of the keyword."""
    notes: tuple[str, ...] = ()
    """What the person should know."""

    def lines(self) -> list[str]:
        """Return sentences for the person."""
        people = ", ".join(f"{name} {number}" for name, number in self.takes.items())
        return [
            f"{self.output}: {counted(sum(self.takes.values()), 'take')} of {self.keyword!r}"
            f"{f' ({people})' if people else ''}, {self.negatives_s:.0f} s of other speech, "
            f"{self.noise_s:.0f} s of noise",
            *(f"note: {note}" for note in self.notes),
        ]


def record(
    keyword: str,
    output: Path,
    *,
    speaker: str = "me",
    num_takes: int = 10,
    negatives: bool = False,
    noise: bool = False,
    language: str = "en",
    device: int | str | None = None,
    file: str | Path | None = None,
    channel: Channel = None,
    countdown_s: int = COUNTDOWN_S,
    length_s: float | None = None,
    guide: Guide | None = None,
) -> RecordSummary:
    """Record takes of a keyword, and on request a minute of other speech and one of noise.

    What lies in the folder counts: a session that was stopped goes on when the same call is made again.

    Args:
        keyword: what the device shall wake on.
        output: folder; see :mod:`kws.workflows.recording_folder`.
        speaker: who speaks; a folder holds any number of people.
        num_takes: takes of this speaker that are wanted in all.
        negatives: also record other speech of this speaker, up to a minute.
        noise: also record the noise of the room, up to a minute.
        language: eSpeak language code of the keyword and of the sentences to read.
        device: microphone by index or a part of its name; None takes the default one.
        file: a recording, or ``-`` for what is piped in, in place of the microphone. It holds everything one
            after the other, also what is heard in countdowns.
        channel: of a source of several; see :data:`kws.channels.Channel`.
        countdown_s: seconds before each take, and before other speech and noise.
        length_s: of a take, in seconds; None goes by the length of the keyword.
        guide: shows what happens and decides; None keeps good takes and repeats the others.
    Returns:
        What lies in the folder now; also where the recording or the pipe is over.
    Raises:
        ConfigError: an argument is out of range, or the folder holds another keyword.
        AudioError: the microphone or the recording cannot be used, or no take is good.
        DependencyError: a microphone is asked for and sounddevice or PortAudio is not installed.
        KeyboardInterrupt: Ctrl+C; what was kept lies in the folder.
    """
    _check(num_takes, countdown_s, length_s, device, file)
    name = speaker_name(speaker)
    folder = RecordingFolder(Path(output), keyword)
    guide = guide or Guide()
    num_before = len(folder.takes(name))
    source = _SoundSource(device, file, channel)
    session = _Session(folder, name, source, guide, countdown_s, length_s or take_s(folder.keyword))
    try:
        with source:
            session.record_takes(num_takes, language)
            if negatives and not session.stopped:
                session.record_negatives(sentences(folder.keyword, language))
            if noise and not session.stopped:
                session.record_noise()
    except _SourceEnded:
        session.notes.append("the recording is over")
    finally:
        folder.refresh()
    num_new = max(0, len(folder.takes(name)) - num_before)
    return summary_of(folder, name, language, num_new=num_new, notes=tuple(session.notes))


def summary_of(
    folder: RecordingFolder,
    speaker: str,
    language: str = "en",
    *,
    num_new: int = 0,
    notes: tuple[str, ...] = (),
) -> RecordSummary:
    """Return what lies in a folder; for the arguments see :class:`RecordSummary`."""
    return RecordSummary(
        keyword=folder.keyword,
        output=folder.folder,
        takes=folder.takes_by_speaker(),
        num_new=num_new,
        negatives_s=folder.negatives_s(),
        noise_s=folder.noise_s(),
        speaker=speaker_name(speaker),
        language=language,
        notes=notes,
    )


def take_s(keyword: str) -> float:
    """Return how long a take of a keyword is, in seconds."""
    wide = sum(letter >= "\u2e80" for letter in keyword)
    spoken_s = SECONDS_PER_WIDE * wide + SECONDS_PER_LETTER * (len(keyword) - wide)
    return min(max(BEFORE_AND_AFTER_S + spoken_s, SHORTEST_TAKE_S), LONGEST_TAKE_S)


def _check(
    num_takes: int,
    countdown_s: int,
    length_s: float | None,
    device: int | str | None,
    file: str | Path | None,
) -> None:
    """Refuse arguments that are out of range.

    Raises:
        ConfigError: one is.
    """
    if not 0 <= num_takes <= 1000:
        raise ConfigError(f"`num_takes`: got {num_takes}, allowed: 0 to 1000")
    if not 0 <= countdown_s <= 60:
        raise ConfigError(f"`countdown_s`: got {countdown_s}, allowed: 0 to 60 seconds")
    if length_s is not None and not 1 <= length_s <= 30:
        raise ConfigError(f"`length_s`: got {length_s}, allowed: 1 to 30 seconds")
    if file is not None and device is not None:
        raise ConfigError("both a file and a microphone are given; choose one")


class _SourceEnded(Exception):
    """The recording or the pipe holds no more."""


class _SoundSource:
    """A microphone, opened for each recording so that nothing old is heard; or a file or pipe, read on."""

    def __init__(self, device: int | str | None, file: str | Path | None, channel: Channel) -> None:
        self._device, self._file, self._channel = device, file, channel
        self._blocks: Iterator[np.ndarray] = iter(())
        self._rest = np.zeros(0, np.float32)
        self.num_overflows = 0

    def __enter__(self) -> _SoundSource:
        """Begin to read a file or a pipe."""
        if self._file is not None:
            self._blocks = _file_blocks(self._file, self._channel)
        return self

    def __exit__(self, *error: object) -> None:
        """Close what was read."""
        close = getattr(self._blocks, "close", None)
        if close is not None:
            close()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Open a microphone anew."""
        if self._file is not None:
            yield
            return
        with MicrophoneStream(self._device, BLOCK_SAMPLES, self._channel) as stream:
            self._blocks, self._rest = _microphone_blocks(stream), np.zeros(0, np.float32)
            before = self.num_overflows
            try:
                yield
            finally:
                self.num_overflows = before + stream.num_overflows

    def read(self, num_samples: int) -> np.ndarray:
        """Return so many samples, (samples,) float32.

        Raises:
            _SourceEnded: there are fewer.
        """
        pieces, missing = [self._rest], num_samples - len(self._rest)
        while missing > 0:
            try:
                pieces.append(next(self._blocks))
            except StopIteration:
                raise _SourceEnded from None
            missing -= len(pieces[-1])
        joined = np.concatenate(pieces)
        self._rest = joined[num_samples:]
        return joined[:num_samples]


def _microphone_blocks(stream: MicrophoneStream) -> Iterator[np.ndarray]:
    """Yield what a microphone hears; it has no end."""
    while True:
        yield stream.read()


def _file_blocks(file: str | Path, channel: Channel) -> Iterator[np.ndarray]:
    """Yield what a recording or a pipe holds."""
    if is_pipe(file):
        with open_pipe(file) as stream:
            name = "standard input" if str(file) == "-" else str(file)
            yield from PipeSource(stream, name, None, channel).blocks()
    else:
        yield from audio.blocks(file, block_s=10.0, channel=channel)


@dataclass
class _Session:
    """One call of :func:`record`."""

    folder: RecordingFolder
    speaker: str
    source: _SoundSource
    guide: Guide
    countdown_s: int
    length_s: float
    notes: list[str] = field(default_factory=list)
    stopped: bool = False

    def record_takes(self, wanted: int, language: str) -> None:
        """Record takes until there are as many as are wanted."""
        if len(self.folder.takes(self.speaker)) >= wanted:
            return
        checker = TakeChecker(self.folder.keyword, language)
        for note in checker.notes:
            self._say(note)
        while (number := len(self.folder.takes(self.speaker)) + 1) <= wanted and not self.stopped:
            self.guide.begins("take", self.folder.keyword, number, wanted)
            waveform = self._heard(self.length_s)
            check = checker.check(waveform)
            path = None if check.fault else self.folder.save_take(waveform, self.speaker)
            take = Take(number, waveform, check, path)
            self._carry_out(self.guide.decides(take), take)

    def record_negatives(self, texts: list[str]) -> None:
        """Record other speech, a sentence a file, until there is a minute of it."""
        done = self.folder.negatives_s(self.speaker)
        read = set(self.folder.negative_texts(self.speaker))
        texts = [text for text in texts if text not in read] or texts
        number = num_silent = 0
        while done < MINUTE_S:
            text = texts[number % len(texts)]
            number += 1
            lasts_s = reading_s(text)
            self.guide.begins("negatives", text, number, number + int((MINUTE_S - done - 0.1) // lasts_s))
            waveform = self._heard(lasts_s, countdown=number == 1)
            if has_voice(waveform):
                num_silent = 0
                self.folder.save_negative(waveform, self.speaker, "" if text == FREE else text)
                done += lasts_s
                continue
            num_silent += 1
            self.guide.says("no voice was heard, so it is not kept; check the microphone and read aloud")
            if num_silent >= MOST_FAULTY:
                raise AudioError("other speech: no voice was heard; check the microphone")

    def record_noise(self) -> None:
        """Record the room, a piece a file, until there is a minute of it."""
        pieces = round(MINUTE_S / NOISE_PIECE_S)
        first = int(self.folder.noise_s() / NOISE_PIECE_S)
        for number in range(first, pieces):
            self.guide.begins("noise", "", number + 1, pieces)
            waveform = self._heard(NOISE_PIECE_S, countdown=number == first)
            if not np.any(waveform):
                self._say(
                    "the microphone gives digital silence; is it muted, or not permitted to this program?"
                )
            self.folder.save_noise(waveform)

    def _heard(self, lasts_s: float, *, countdown: bool = True) -> np.ndarray:
        """Count down and return so many seconds of sound."""
        before = self.source.num_overflows
        with self.source.opened():
            if countdown:
                for left in range(self.countdown_s, 0, -1):
                    self.guide.counts_down(left)
                    self.source.read(SAMPLE_RATE)
            self.guide.counts_down(0)
            pieces, total = [], seconds_to_samples(lasts_s)
            for start in range(0, total, BLOCK_SAMPLES):
                pieces.append(self.source.read(min(BLOCK_SAMPLES, total - start)))
                share = min(1.0, (start + BLOCK_SAMPLES) / total)
                self.guide.hears(level_db(pieces[-1]), share)
        if self.source.num_overflows > before:
            self._say("audio was lost while recording; close other programs, as the processor is busy")
        return np.concatenate(pieces)

    def _carry_out(self, decision: Decision, take: Take) -> None:
        """Do with a take what was decided."""
        if decision == "stop":
            self.stopped = True
        elif decision == "keep" and take.path is None:
            self.folder.save_take(take.waveform, self.speaker)
        elif decision == "redo" and take.path is not None:
            self.folder.remove(take.path)
        elif decision == "delete":
            kept = self.folder.takes(self.speaker)
            if kept:
                self.folder.remove(kept[-1])

    def _say(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)
            self.guide.says(note)
