"""Listen to a microphone, or to a recording, with an exported model: the road of `kws listen`.

Every source gives blocks to one :class:`kws.detector.Detector`; triggering audio is saved on request.
Nothing is printed here: :func:`listen_events` yields what happens and :func:`listen` hands it to callbacks.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kws import audio
from kws.audio import SAMPLE_RATE
from kws.channels import Channel
from kws.decisions import Detection
from kws.detector import Detector
from kws.errors import AudioError, ConfigError
from kws.live_microphone import RECONNECT_S, LiveMicrophone
from kws.micro_detector import open_detector
from kws.microphone import list_devices
from kws.pipe import PipeFormat, PipeSource, is_pipe, open_pipe

__all__ = ["ListenEvent", "ListenSummary", "list_devices", "listen", "listen_events"]

logger = logging.getLogger(__name__)

SAVED_BEFORE_S = 2.0
"""Audio saved before the frame that fired: longer than most phrases with their first breath."""

SAVED_AFTER_S = 0.5
"""Audio saved after the frame that fired."""

FILE_READ_S = 10.0
"""How much of a recording is read at once; a file at another rate is resampled in such pieces."""


@dataclass(frozen=True, slots=True)
class ListenEvent:
    """What one block of audio brought."""

    time_s: float
    """Audio heard so far, in seconds."""
    level_db: float
    """Level of the block (root mean square) in dB below full scale; -inf for digital silence."""
    scores: dict[str, float]
    """Highest score of each keyword in this block, before smoothing; empty when no frame was complete."""
    detections: tuple[Detection, ...]
    """What was heard, usually nothing."""
    saved: tuple[Path, ...]
    """Recordings that were completed with this block."""
    num_overflows: int
    """How often audio was lost so far."""
    notes: tuple[str, ...] = ()
    """What the person should know of the source, once: of channels, of a microphone that went or is back."""


@dataclass(frozen=True, slots=True)
class ListenSummary:
    """What a whole session brought."""

    duration_s: float
    """Audio heard, in seconds."""
    num_detections: int
    """Detections of all keywords."""
    saved: tuple[Path, ...]
    """Recordings that were written."""
    num_overflows: int
    """How often audio was lost."""


def listen(
    model: str | Path | Detector,
    device: int | str | None = None,
    threshold: float | Mapping[str, float] | None = None,
    refractory_s: float | Mapping[str, float] | None = None,
    save_folder: str | Path | None = None,
    file: str | Path | None = None,
    duration_s: float | None = None,
    channel: Channel = None,
    raw: PipeFormat | None = None,
    on_detection: Callable[[Detection], None] | None = None,
    on_event: Callable[[ListenEvent], None] | None = None,
    reconnect_s: float = RECONNECT_S,
    patience: int | None = None,
) -> ListenSummary:
    """Listen until the recording or the time is over, or the person presses Ctrl-C.

    Args:
        model: an exported ``.onnx`` file, or a detector made from one (it is reset first).
        device: microphone by index or a part of its name; None takes the default one.
        threshold: another threshold for all keywords, or keyword -> threshold; None takes those in the file.
        refractory_s: another shortest time between two detections of one keyword, in seconds, or keyword ->
            seconds.
        save_folder: write the audio around each detection there as WAV; None saves nothing.
        file: a recording to read, as fast as possible, in place of the microphone; ``-`` for what is piped
            in, or the name of a pipe: WAV, also without an end.
        duration_s: stop after so much audio, in seconds.
        channel: of a source of several: its number, from 1, or ``mix`` for the average. None averages, but
            takes the loudest where the channels cancel each other.
        raw: how the samples of a pipe without a header are stored.
        on_detection: called with each detection, at once.
        on_event: called after each block, for a level meter and the like. Without it, what the person should
            know of the source is logged as a warning.
        reconnect_s: how long a microphone that has gone is waited for, in seconds; 0 waits for none. When it
            is back the detector starts afresh, and times go on counting the audio that was heard. Waiting
            starts PortAudio anew, which ends other streams of it in the program.
        patience: frames in a row that must reach the threshold before a keyword counts; None is 1.
    Returns:
        Counts over the session; also after Ctrl-C.
    Raises:
        CheckpointError, ConfigError, AudioError, DependencyError: as :func:`listen_events`.
    """
    summary = ListenSummary(0.0, 0, (), 0)
    events = listen_events(
        model,
        device,
        threshold,
        refractory_s,
        save_folder,
        file,
        duration_s,
        channel,
        raw,
        reconnect_s,
        patience,
    )
    try:
        for event in events:
            if event.num_overflows and not summary.num_overflows and on_event is None:
                logger.warning("audio is lost; is the processor busy?")
            summary = ListenSummary(
                duration_s=event.time_s,
                num_detections=summary.num_detections + len(event.detections),
                saved=summary.saved + event.saved,
                num_overflows=event.num_overflows,
            )
            if on_detection is not None:
                for detection in event.detections:
                    on_detection(detection)
            if on_event is not None:
                on_event(event)
                continue
            for note in event.notes:
                logger.warning("%s", note)
    except KeyboardInterrupt:
        return summary
    finally:
        events.close()
    return summary


def listen_events(
    model: str | Path | Detector,
    device: int | str | None = None,
    threshold: float | Mapping[str, float] | None = None,
    refractory_s: float | Mapping[str, float] | None = None,
    save_folder: str | Path | None = None,
    file: str | Path | None = None,
    duration_s: float | None = None,
    channel: Channel = None,
    raw: PipeFormat | None = None,
    reconnect_s: float = RECONNECT_S,
    patience: int | None = None,
) -> Generator[ListenEvent, None, None]:
    """Yield one event per block of audio; the arguments are those of :func:`listen`.

    Raises:
        CheckpointError: the model cannot be used.
        ConfigError: an argument is out of range.
        AudioError: the microphone or the recording cannot be used.
        DependencyError: a microphone is asked for and sounddevice or PortAudio is not installed.
    """
    detector = _make_detector(model, threshold, refractory_s, patience)
    if duration_s is not None and not (math.isfinite(duration_s) and duration_s > 0):
        raise ConfigError(
            f"`duration_s`: got {duration_s}, expected more than 0 seconds; leave it out to listen on"
        )
    if file is not None and device is not None:
        raise ConfigError("both a file and a microphone are given; choose one")
    if raw is not None and not is_pipe(file):
        raise ConfigError("a raw format is that of a pipe; give `file=-` or the name of a pipe")
    source = _Source(device, file, channel, raw, detector.chunk_samples, reconnect_s)
    return _events(detector, source, None if save_folder is None else Path(save_folder), duration_s)


def _events(
    detector: Detector, source: _Source, save_folder: Path | None, duration_s: float | None
) -> Generator[ListenEvent, None, None]:
    """Walk the blocks of the source through the detector and the saver, then end the stream."""
    limit = math.inf if duration_s is None else audio.seconds_to_samples(duration_s)
    saver = None if save_folder is None else TriggerSaver(save_folder, detector.chunk_samples)
    num_samples = num_overflows = 0
    since_s = 0.0  # when the detector's stream began
    with ExitStack() as stack:
        for block in source.blocks(stack):
            if source.broken():
                detector.reset()
                since_s = audio.samples_to_seconds(num_samples)
            block = block[: int(min(len(block), limit - num_samples))]
            num_samples += len(block)
            scores, detections = detector.push(block)
            detections = _later(detections, since_s)
            saved = () if saver is None else saver.push(block, detections)
            num_overflows = source.num_overflows
            best = (
                dict(zip(detector.keywords, scores.max(axis=0).tolist(), strict=True)) if len(scores) else {}
            )
            time_s = audio.samples_to_seconds(num_samples)
            yield ListenEvent(
                time_s, level_db(block), best, tuple(detections), saved, num_overflows, source.notes()
            )
            if num_samples >= limit:
                break
    last = _later(detector.finish(), since_s)
    saved = () if saver is None else saver.finish(last)
    if last or saved:
        time_s = audio.samples_to_seconds(num_samples)
        yield ListenEvent(time_s, -math.inf, {}, tuple(last), saved, num_overflows)


def _later(detections: list[Detection], since_s: float) -> list[Detection]:
    """Return detections of a stream that began within the session, their times counted from its start."""
    if not since_s:
        return detections
    return [replace(detection, time_s=detection.time_s + since_s) for detection in detections]


class _Source:
    """The microphone, the recording or the pipe that is listened to; for the arguments see :func:`listen`."""

    def __init__(
        self,
        device: int | str | None,
        file: str | Path | None,
        channel: Channel,
        raw: PipeFormat | None,
        chunk_samples: int,
        reconnect_s: float,
    ) -> None:
        self._device, self._file, self._channel, self._raw = device, file, channel, raw
        self._chunk_samples, self._reconnect_s = chunk_samples, reconnect_s
        self._open: LiveMicrophone | PipeSource | None = None

    @property
    def num_overflows(self) -> int:
        """How often a microphone lost audio."""
        return self._open.num_overflows if isinstance(self._open, LiveMicrophone) else 0

    def broken(self) -> bool:
        """Return, once, whether the last block of a microphone does not join the one before it."""
        return isinstance(self._open, LiveMicrophone) and self._open.broken()

    def notes(self) -> tuple[str, ...]:
        """Return what is to be said of the source since the last call."""
        return () if self._open is None else self._open.notes()

    def blocks(self, stack: ExitStack) -> Iterator[np.ndarray]:
        """Open the source within ``stack`` and yield (samples,) float32; a microphone has no end."""
        if self._file is None:
            stream = LiveMicrophone(self._device, self._chunk_samples, self._channel, self._reconnect_s)
            self._open = stack.enter_context(stream)
            while True:
                yield stream.read()
        elif is_pipe(self._file):
            name = "standard input" if str(self._file) == "-" else str(self._file)
            pipe = PipeSource(stack.enter_context(open_pipe(self._file)), name, self._raw, self._channel)
            self._open = pipe
            yield from pipe.blocks()
        else:
            yield from _file_blocks(Path(self._file), self._channel)


def _make_detector(
    model: str | Path | Detector,
    threshold: float | Mapping[str, float] | None,
    refractory_s: float | Mapping[str, float] | None,
    patience: int | None,
) -> Detector:
    """Open a file, or take a detector as it is from its start."""
    if not isinstance(model, Detector):
        return open_detector(model, threshold, refractory_s, 1 if patience is None else patience)
    if (threshold, refractory_s, patience) != (None, None, None):
        raise ConfigError(
            "threshold, refractory_s and patience belong to a file; give them to the Detector that is passed "
            "instead"
        )
    model.reset()
    return model


def _file_blocks(path: Path, channel: Channel) -> Iterator[np.ndarray]:
    """Yield a recording second by second."""
    empty = True
    for piece in audio.blocks(path, block_s=FILE_READ_S, channel=channel):
        for start in range(0, len(piece), SAMPLE_RATE):
            empty = False
            yield piece[start : start + SAMPLE_RATE]
    if empty:
        raise AudioError(f"{path}: holds no samples; record it again", kind="empty")


def level_db(block: np.ndarray) -> float:
    """Return the root-mean-square level of a block in dB below full scale; -inf for digital silence."""
    power = float(np.mean(np.square(block, dtype=np.float64))) if block.size else 0.0
    return 10 * math.log10(power) if power > 0 else -math.inf


class TriggerSaver:
    """Keeps the last seconds of the stream and writes the audio around each detection.

    Args:
        folder: made when the first recording is written. Names hold keyword, time of the start and stream
            time, so that several sessions can share a folder.
        late_samples: how long after the end of a frame its detection may come.
    """

    def __init__(self, folder: Path, late_samples: int) -> None:
        self._folder = folder
        self._late_s = audio.samples_to_seconds(late_samples)
        self._started = time.strftime("%Y%m%d-%H%M%S")
        self._blocks: deque[np.ndarray] = deque()
        self._first = 0  # stream position of the oldest sample kept
        self._end = 0  # stream position after the newest sample
        self._waiting: deque[Detection] = deque()

    def push(self, block: np.ndarray, detections: list[Detection]) -> tuple[Path, ...]:
        """Take the next block and what was heard in it; write what is complete and return its paths."""
        self._blocks.append(block)
        self._end += len(block)
        self._waiting.extend(detections)
        saved = []
        while self._waiting and self._end >= audio.seconds_to_samples(
            self._waiting[0].time_s + SAVED_AFTER_S
        ):
            saved.append(self._write(self._waiting.popleft()))
        oldest_s = audio.samples_to_seconds(self._end) - self._late_s
        oldest_needed = (self._waiting[0].time_s if self._waiting else oldest_s) - SAVED_BEFORE_S
        while self._first + len(self._blocks[0]) <= audio.seconds_to_samples(oldest_needed):
            self._first += len(self._blocks.popleft())
        return tuple(saved)

    def finish(self, detections: list[Detection]) -> tuple[Path, ...]:
        """Write what still waits for audio after it, as far as it goes, and the last detections."""
        self._waiting.extend(detections)
        saved = [self._write(detection) for detection in self._waiting]
        self._waiting.clear()
        return tuple(saved)

    def _write(self, detection: Detection) -> Path:
        """Write one recording under a name that is not taken."""
        kept = np.concatenate(self._blocks)
        start, stop = (
            max(0, audio.seconds_to_samples(detection.time_s + shift) - self._first)
            for shift in (-SAVED_BEFORE_S, SAVED_AFTER_S)
        )
        word = re.sub(r"[^\w-]+", "_", detection.keyword).strip("_") or "keyword"
        stem = f"{word}-{self._started}-{detection.time_s:010.3f}s"
        path, copy = self._folder / f"{stem}.wav", 1
        while path.exists():
            copy += 1
            path = self._folder / f"{stem}-{copy}.wav"
        audio.save(path, kept[start:stop])
        return path
