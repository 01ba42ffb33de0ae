"""A microphone that goes and returns, starts with a bang, or sleeps: with a stand-in for PortAudio."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import kws.microphone
from kws import live_microphone
from kws.cli import build_parser
from kws.errors import AudioError, ConfigError
from kws.listening import ListenEvent, listen, listen_events
from kws.live_microphone import GAP_S, RECONNECT_S, LiveMicrophone, Settle
from tests.support.onnx_models import silence, tone, write_tone_model

BLOCK = 1280
USB = {"name": "USB Microphone (hw:1,0)", "max_input_channels": 1, "default_samplerate": 16_000.0}
MOVED = {**USB, "name": "USB Microphone (hw:2,0)"}
OTHER = {**USB, "name": "Webcam"}


class PortAudioError(Exception):
    """As sounddevice raises it."""


class Bench:
    """Devices by the time PortAudio looks for them, and what each opening of one delivers before it ends."""

    def __init__(self) -> None:
        self.looks: list[list[dict]] = [[USB]]
        self.sounds: list[np.ndarray] = []
        self.opened: list[str] = []
        self.closed = 0
        self.gaps: dict[int, float] = {}
        self.now_s = 0.0
        self.num_blocks = 0

    def look(self) -> None:
        if len(self.looks) > 1:
            self.looks.pop(0)

    def stream(self, **settings) -> SimpleNamespace:
        if not self.sounds:
            raise PortAudioError("Device unavailable")
        self.opened.append(self.looks[0][settings["device"]]["name"])
        sound = self.sounds.pop(0)

        def start() -> None:
            for begin in range(0, len(sound), BLOCK):
                block = sound[begin : begin + BLOCK]
                self.now_s += self.gaps.get(self.num_blocks, 0.08)
                self.num_blocks += 1
                settings["callback"](block[:, None], len(block), None, SimpleNamespace(input_overflow=False))

        def close(ignore_errors: bool = True) -> None:
            self.closed += 1

        return SimpleNamespace(start=start, close=close, active=False)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench()
    module = SimpleNamespace(
        query_devices=lambda: made.looks[0],
        default=SimpleNamespace(device=[0, 0]),
        InputStream=made.stream,
        PortAudioError=PortAudioError,
        _terminate=lambda: None,
        _initialize=made.look,
    )
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr(kws.microphone, "LOOK_S", 0.001)
    monkeypatch.setattr(kws.microphone, "clock_s", lambda: made.now_s)
    monkeypatch.setattr(live_microphone, "RETRY_S", 0.001)
    monkeypatch.setattr(live_microphone, "LONGEST_RETRY_S", 0.001)
    return made


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tone_model(tmp_path / "tone.onnx")


def sound(*parts: np.ndarray) -> np.ndarray:
    """Return whole blocks: what a device does not fill it does not deliver."""
    waveform = np.concatenate(parts)
    return np.pad(waveform, (0, -len(waveform) % BLOCK))


def events_until(events: Iterator[ListenEvent], message: str) -> list[ListenEvent]:
    seen = []
    with pytest.raises(AudioError, match=message):
        for event in events:
            seen.append(event)
    return seen


def test_a_microphone_that_returns_is_opened_again_and_hears_the_next_word(bench: Bench, model: Path):
    word = sound(silence(0.4), tone(1000, 0.2), silence(0.4))
    bench.sounds = [word, word]
    bench.looks = [[USB], [], [], [OTHER, MOVED]]
    events = events_until(listen_events(model, device=0, reconnect_s=0.2), "did not return within 0.2 s")
    notes = [note for event in events for note in event.notes]
    assert len(notes) == 3
    assert notes[0] == "microphone 0 (USB Microphone (hw:1,0)) has gone; it is waited for up to 0.2 s"
    assert notes[1].startswith("microphone 1 (USB Microphone (hw:2,0)) is back after ")
    assert notes[1].endswith(" s; the stream starts afresh")
    assert bench.opened == [USB["name"], MOVED["name"]] and bench.closed == 2
    first, second = (detection for event in events for detection in event.detections)
    assert second.time_s - first.time_s == pytest.approx(len(word) / 16_000, abs=1e-9)
    assert first.frame == second.frame  # the stream of the detector began again
    assert events[-1].time_s == pytest.approx(2 * len(word) / 16_000)


def test_the_default_microphone_is_what_the_system_then_takes(bench: Bench):
    bench.sounds = [sound(silence(0.2)), sound(silence(0.2))]
    bench.looks = [[USB], [OTHER]]
    with LiveMicrophone(None, BLOCK, None, 0.2) as stream, pytest.raises(AudioError):
        while True:
            stream.read()
    assert bench.opened == [USB["name"], OTHER["name"]]


def test_patience_is_bounded_and_none_is_the_error_as_before(bench: Bench, model: Path):
    bench.sounds = [sound(silence(0.2))]
    begin = time.monotonic()
    events_until(
        listen_events(model, reconnect_s=0.3),
        r"microphone 0 .* has gone and did not return within 0.3 s; plug",
    )
    assert 0.3 <= time.monotonic() - begin < 3
    bench.sounds = [sound(silence(0.2))]
    assert not any(e.notes for e in events_until(listen_events(model, reconnect_s=0), "or has gone; plug it"))
    for patience in (-1, float("inf"), float("nan")):
        with pytest.raises(ConfigError, match="`reconnect_s`: got .*, allowed: 0 or more seconds"):
            listen(model, reconnect_s=patience)


def test_a_device_that_opens_without_audio_is_not_back(bench: Bench):
    bench.sounds = [sound(silence(0.2)), np.zeros(0, np.float32), np.zeros(0, np.float32)]
    notes = []
    with LiveMicrophone(None, BLOCK, None, 0.1) as stream, pytest.raises(AudioError, match="within 0.1 s"):
        while True:
            stream.read()
            notes += stream.notes()
    assert len(notes) == 1 and "has gone" in notes[0]


def test_after_sleep_the_stream_starts_afresh_with_one_line(bench: Bench, model: Path):
    word = sound(silence(0.4), tone(1000, 0.2))
    bench.sounds, bench.gaps = [np.concatenate([word, word])], {len(word) // BLOCK: 3600.0}
    events = events_until(listen_events(model, reconnect_s=0), "or has gone")
    assert [note for event in events for note in event.notes] == [
        "no audio came for 3600 s, as if the machine slept; the stream starts afresh"
    ]
    first, second = (detection for event in events for detection in event.detections)
    assert first.frame == second.frame and second.time_s > 1.0  # within the refractory time, but a new stream
    bench.sounds, bench.num_blocks = [np.concatenate([word, word])], 0
    bench.gaps = {len(word) // BLOCK: GAP_S - 0.1}  # late, but no more than that
    events = events_until(listen_events(model, reconnect_s=0), "or has gone")
    assert not any(event.notes for event in events)
    assert len([event for event in events if event.detections]) == 1


def test_a_bang_as_the_device_starts_is_not_heard(bench: Bench, model: Path):
    bang, later = tone(1000, 0.2), sound(silence(0.3), tone(1000, 0.2))
    for begin in ("at first", "again"):
        opened = [np.concatenate([bang, np.full(len(later), 0.3, np.float32)]), np.concatenate([bang, later])]
        bench.sounds = [sound(piece) for piece in opened]
        events = events_until(listen_events(model, reconnect_s=0.1), "did not return")
        heard = [detection.time_s for event in events for detection in event.detections]
        assert len(heard) == 1 and heard[0] > len(sound(opened[0])) / 16_000 + 0.5, begin


def test_the_start_is_silence_then_a_rise_whatever_the_blocks():
    ones = np.ones(16_000, np.float32)
    whole = Settle().push(ones)
    assert not whole[:3200].any() and (whole[4800:] == 1).all()
    assert (np.diff(whole[3200:4800]) > 0).all() and whole[4000] == pytest.approx(0.5)
    settle = Settle()
    pieces = [settle.push(piece) for piece in np.split(ones, [0, 1, 3000, 3300, 3300, 9000])]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)
    assert (ones == 1).all()


def test_the_function_logs_what_nobody_takes(bench: Bench, model: Path, caplog: pytest.LogCaptureFixture):
    bench.sounds = [sound(silence(0.2))]
    with caplog.at_level(logging.WARNING, "kws.listening"), pytest.raises(AudioError):
        listen(model, reconnect_s=0.05)
    assert [record.message for record in caplog.records] == [
        "microphone 0 (USB Microphone (hw:1,0)) has gone; it is waited for up to 0.05 s"
    ]
    caplog.clear()
    bench.sounds = [sound(silence(0.2))]
    with pytest.raises(AudioError):
        listen(model, reconnect_s=0.05, on_event=lambda event: None)
    assert not caplog.records


def test_lost_audio_is_logged_once(
    bench: Bench, model: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(kws.microphone, "MAX_QUEUED_BLOCKS", 3)
    bench.sounds = [sound(silence(1.0))]  # all comes at once
    with caplog.at_level(logging.WARNING, "kws.listening"), pytest.raises(AudioError):
        listen(model, reconnect_s=0)
    assert [record.message for record in caplog.records] == ["audio is lost; is the processor busy?"]


def test_the_command_waits_as_long_as_the_function():
    assert build_parser("listen").parse_args(["listen", "m.onnx"]).reconnect_s == RECONNECT_S
