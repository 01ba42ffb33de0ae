"""Devices, rates and drop-outs with a stand-in for sounddevice, and the resampler against its definition."""

from __future__ import annotations

import builtins
import logging
import os
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest

import kws.microphone
from kws.errors import AudioError, ConfigError, DependencyError
from kws.microphone import (
    LostMicrophoneError,
    Microphone,
    MicrophoneStream,
    StreamResampler,
    find_device,
    list_devices,
)
from tests.support.onnx_models import tone

DEVICES = [
    Microphone(0, "Built-in Microphone", 2, 48_000, True),
    Microphone(2, "USB Microphone", 1, 44_100, False),
    Microphone(12, "Loopback", 2, 48_000, False),
]


class PortAudioError(Exception):
    """As sounddevice raises it."""


class FakeStream:
    """Delivers a tone in blocks when it is started, at the rates and channels that the device allows."""

    allowed: set[tuple[int, int]] = set()
    opened: dict = {}
    overflow_at = -1
    num_blocks = 5
    active = True

    def __init__(self, **settings):
        if (settings["samplerate"], settings["channels"]) not in self.allowed:
            raise PortAudioError("Invalid sample rate")
        type(self).opened = settings

    def start(self) -> None:
        settings = self.opened
        size = settings["blocksize"]
        waveform = tone(1000, self.num_blocks * size / settings["samplerate"], rate_hz=settings["samplerate"])
        for index in range(self.num_blocks):
            block = np.zeros((size, settings["channels"]), np.float32)
            block[:, 0] = waveform[index * size : (index + 1) * size]
            status = SimpleNamespace(input_overflow=index == self.overflow_at)
            settings["callback"](block, size, None, status)

    def close(self, ignore_errors: bool = True) -> None:
        self.opened["closed"] = True


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> type[FakeStream]:
    entries = [
        {"name": "USB Microphone", "max_input_channels": 2, "default_samplerate": 44_100.0},
        {"name": "Speakers", "max_input_channels": 0, "default_samplerate": 48_000.0},
    ]
    module = SimpleNamespace(
        query_devices=lambda: entries,
        default=SimpleNamespace(device=[0, 1]),
        InputStream=FakeStream,
        PortAudioError=PortAudioError,
    )
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    monkeypatch.setattr(FakeStream, "overflow_at", -1)
    monkeypatch.setattr(FakeStream, "allowed", {(16_000, 1)})
    return FakeStream


def test_a_device_is_chosen_by_number_name_or_default():
    assert find_device(None, DEVICES).index == 0
    assert find_device(None, DEVICES[1:]).index == 2
    assert find_device(2, DEVICES).name == "USB Microphone"
    assert find_device("12", DEVICES).name == "Loopback"
    assert find_device("usb", DEVICES).index == 2
    assert find_device("loopback", DEVICES).index == 12


def test_a_device_that_does_not_fit_lists_the_known_ones():
    with pytest.raises(AudioError, match="matches 'headset'; known ones are 0: Built-in Microphone; 2: USB"):
        find_device("headset", DEVICES)
    with pytest.raises(AudioError, match="no microphone matches 1;"):
        find_device(1, DEVICES)
    with pytest.raises(AudioError, match="'microphone' matches several"):
        find_device("microphone", DEVICES)
    with pytest.raises(AudioError, match="no microphone was found; .* `file`"):
        find_device(None, [])


def test_outputs_are_not_listed(device: type[FakeStream]):
    assert list_devices() == [Microphone(0, "USB Microphone", 2, 44_100, True)]


def test_a_microphone_at_16_khz_is_read_as_it_is(device: type[FakeStream]):
    with MicrophoneStream(None, block_samples=1280) as stream:
        heard = np.concatenate([stream.read() for _ in range(5)])
    np.testing.assert_array_equal(heard, tone(1000, 0.4))
    assert device.opened["closed"]


def test_a_microphone_that_refuses_16_khz_is_resampled_from_the_average_of_its_channels(
    device: type[FakeStream],
):
    device.allowed.clear()
    device.allowed.add((44_100, 2))
    with MicrophoneStream("usb", block_samples=1280) as stream:
        heard = np.concatenate([stream.read() for _ in range(5)])
    assert device.opened["blocksize"] == 3528
    assert len(heard) == 6400
    np.testing.assert_allclose(
        heard[64:], 0.5 * tone(1000, 0.4)[32 : 32 + 6400 - 64], atol=5e-4
    )  # late by 32 samples


def test_the_channel_that_is_wished_is_read(device: type[FakeStream]):
    device.allowed.add((16_000, 2))
    with MicrophoneStream(None, block_samples=1280, channel=1) as stream:
        np.testing.assert_array_equal(stream.read(), tone(1000, 0.08))
    assert device.opened["channels"] == 2
    with MicrophoneStream(None, block_samples=1280, channel=2) as stream:
        assert not stream.read().any()
    with pytest.raises(ConfigError, match="channel 3: microphone USB Microphone has channels 1 to 2"):
        MicrophoneStream(None, block_samples=1280, channel=3)


def test_what_the_sound_library_writes_stays_off_the_terminal(
    device: type[FakeStream], monkeypatch: pytest.MonkeyPatch, capfd
):
    def loud(self) -> None:
        os.write(2, b"ALSA lib pcm.c: Unknown PCM")

    monkeypatch.setattr(FakeStream, "start", loud)
    with MicrophoneStream(None, block_samples=1280):
        pass
    assert capfd.readouterr().err == ""
    logging.getLogger("kws.microphone").setLevel(logging.INFO)
    try:
        with MicrophoneStream(None, block_samples=1280):
            pass
    finally:
        logging.getLogger("kws.microphone").setLevel(logging.NOTSET)
    assert "Unknown PCM" in capfd.readouterr().err


def test_a_microphone_that_opens_in_no_way_is_named(device: type[FakeStream]):
    device.allowed.clear()
    with pytest.raises(
        AudioError, match=r"microphone 0 \(USB Microphone\) cannot be opened at 16000 or 44100 Hz"
    ):
        MicrophoneStream(None, block_samples=1280)


def test_lost_audio_is_counted(device: type[FakeStream], monkeypatch: pytest.MonkeyPatch):
    device.overflow_at = 2
    monkeypatch.setattr(kws.microphone, "MAX_QUEUED_BLOCKS", 3)  # five blocks come before the first is read
    with MicrophoneStream(None, block_samples=1280) as stream:
        assert stream.num_overflows == 1 + 2
        np.testing.assert_array_equal(stream.read(), tone(1000, 0.08))


def test_an_unplugged_microphone_raises_instead_of_waiting(
    device: type[FakeStream], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(kws.microphone, "SILENT_DEVICE_S", 0.05)
    with MicrophoneStream(None, block_samples=1280) as stream:
        for _ in range(5):
            stream.read()
        with pytest.raises(
            LostMicrophoneError, match="has delivered no audio for 0.05 s, or has gone; plug it"
        ):
            stream.read()


def test_a_stream_that_portaudio_ends_is_lost_at_once(
    device: type[FakeStream], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(kws.microphone, "LOOK_S", 0.01)
    with MicrophoneStream(None, block_samples=1280) as stream:
        monkeypatch.setattr(FakeStream, "active", False)
        for _ in range(5):
            stream.read()  # what came before is heard
        begin = time.monotonic()
        with pytest.raises(LostMicrophoneError):
            stream.read()
    assert time.monotonic() - begin < 2


def test_a_device_that_does_not_start_is_named_and_closed(
    device: type[FakeStream], monkeypatch: pytest.MonkeyPatch
):
    def fail(self) -> None:
        raise PortAudioError("No such entity")

    monkeypatch.setattr(FakeStream, "start", fail)
    with (
        pytest.raises(
            AudioError, match=r"microphone 0 \(USB Microphone\) cannot be started \(No such entity\)"
        ),
        MicrophoneStream(None, block_samples=1280),
    ):
        pass
    assert device.opened["closed"]


def test_the_time_between_blocks_is_told(device: type[FakeStream], monkeypatch: pytest.MonkeyPatch):
    times = iter([10.0, 10.08, 3610.1, 3610.2, 3610.3])
    monkeypatch.setattr(kws.microphone, "clock_s", lambda: next(times))
    gaps = []
    with MicrophoneStream(None, block_samples=1280) as stream:
        for _ in range(5):
            stream.read()
            gaps.append(round(stream.gap_s, 2))
    assert gaps == [0.0, 0.08, 3600.02, 0.1, 0.1]


def test_devices_that_cannot_be_listed_are_no_crash(
    device: type[FakeStream], monkeypatch: pytest.MonkeyPatch
):
    def fail() -> None:
        raise PortAudioError("PortAudio not initialized")

    monkeypatch.setattr(sys.modules["sounddevice"], "query_devices", fail)
    with pytest.raises(AudioError, match="cannot be listed .PortAudio not initialized."):
        list_devices()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ImportError("No module named 'sounddevice'"), r'pip install "kws\[mic\]"'),
        (OSError("PortAudio library not found"), "apt-get install libportaudio2"),
    ],
)
def test_what_is_missing_is_named_with_its_install_line(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
):
    original = builtins.__import__

    def refuse(name, *arguments):
        if name == "sounddevice":
            raise error
        return original(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DependencyError, match=message):
        list_devices()


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_a_tone_is_resampled_exactly(rate_hz: int):
    resampler = StreamResampler(rate_hz, 16_000)
    output = resampler.push(tone(1000, 1.0, rate_hz=rate_hz))
    assert len(output) == 16_000
    delay = 32 * 16_000 // min(rate_hz, 16_000)
    expected = tone(1000, 1.0)
    np.testing.assert_allclose(output[2 * delay :], expected[delay:-delay], atol=5e-4)


def test_what_lies_above_8_khz_is_removed():
    for frequency_hz in (8_100, 10_000, 15_000):
        output = StreamResampler(48_000, 16_000).push(tone(frequency_hz, 0.5, rate_hz=48_000))
        assert np.abs(output[200:]).max() < 0.5 * 10 ** (-75 / 20), f"{frequency_hz} Hz folds back"


def test_what_lies_below_6_5_khz_is_kept():
    output = StreamResampler(44_100, 16_000).push(tone(6_500, 0.5, rate_hz=44_100))
    assert np.sqrt(2) * output[200:-200].std() == pytest.approx(0.5, rel=0.005)


def test_blocks_of_any_length_give_the_whole():
    rng = np.random.default_rng(0)
    waveform = rng.normal(0, 0.3, 30_000).astype(np.float32)
    whole = StreamResampler(44_100, 16_000).push(waveform)
    resampler = StreamResampler(44_100, 16_000)
    cuts = np.sort(rng.integers(0, len(waveform) + 1, 50))
    pieces = [resampler.push(block) for block in np.split(waveform, cuts)]
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-6, rtol=0)
