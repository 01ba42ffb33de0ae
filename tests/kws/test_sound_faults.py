"""Faults of a sound device, made by a real sound server: detections as from the same audio in a file.

A typed phrase is listened for through the shipped recogniser, a synthetic voice says it in a virtual room.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from data_prep.synthesis.espeak import speak, voices
from kws import Detector, audio
from kws.live_microphone import GAP_S, Settle
from kws.workflows.enroll import enroll
from tests.support.rooms import microphone_is_open, plug, room, sound_server, unplug, wait_for
from tests.support.training import noise

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
PHRASE, OTHER = "hey computer", "what is the weather like today"
THRESHOLD = 0.9
"""Well above what the other words of the synthetic voice score."""

APART_S = 0.12
"""What the times between two detections may differ by: chunks of 80 ms begin where the device does."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("typed") / "run"
    enroll([PHRASE], folder, method="phones")
    return folder / "model.onnx"


@pytest.fixture(scope="module")
def stream(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine seconds in which the phrase is said three times, and something else between."""
    waveform = noise(9.0, level=0.0005)
    for text, seed, begin_s in ((PHRASE, 1, 0.8), (PHRASE, 5, 3.0), (OTHER, 3, 4.6), (PHRASE, 6, 7.0)):
        (voice,) = voices(1, seed, accents=("en-us",))
        said = speak(text, voice) * np.float32(0.5)
        begin = audio.seconds_to_samples(begin_s)
        waveform[begin : begin + len(said)] += said
    path = tmp_path_factory.mktemp("played") / "stream.wav"
    audio.save(path, waveform)
    return path


@pytest.fixture(scope="module")
def expected(model: Path, stream: Path) -> list[float]:
    """Times at which the phrase is heard in the file."""
    detector = Detector(model, THRESHOLD)
    heard = [*detector.process(audio.load(stream)), *detector.finish()]
    assert [detection.keyword for detection in heard] == [PHRASE] * 3
    return [detection.time_s for detection in heard]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A room of sound that PortAudio reaches."""
    try:
        import sounddevice  # noqa: F401
    except OSError as error:
        pytest.skip(f"PortAudio, a system package, is not installed: {error}")
    if not any(Path("/usr").glob(f"{at}/alsa-lib/libasound_module_pcm_pulse.so") for at in ("lib", "lib/*")):
        pytest.skip("ALSA's plugin for PulseAudio, a system package, is not installed: libasound2-plugins")
    with room(tmp_path / "pulse") as environment:
        yield {**environment, "PYTHONPATH": str(REPOSITORY)}


class Listener:
    """A program that listens in a room; what it prints lies in two files."""

    def __init__(self, words: list[str], place: dict[str, str], folder: Path) -> None:
        self._place = place
        self._files = folder / "out.txt", folder / "err.txt"
        with self._files[0].open("w") as out, self._files[1].open("w") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *words],
                env=place,
                stdout=out,
                stderr=err,
                # a job that a shell runs in the background ignores Ctrl-C, and so would its children
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            )

    @property
    def out(self) -> list[str]:
        return self._files[0].read_text().splitlines()

    @property
    def err(self) -> list[str]:
        return self._files[1].read_text().splitlines()

    def says(self, part: str, limit_s: float = 30.0) -> None:
        """Wait until it has said something."""
        assert wait_for(lambda: any(part in line for line in (*self.out, *self.err)), limit_s), self.err

    def is_heard(self) -> None:
        """Wait until it listens."""
        assert wait_for(lambda: microphone_is_open(self._place), 30), self.err

    def play(self, path: Path) -> None:
        """Play a file in the room to its end."""
        subprocess.run(["paplay", str(path)], env=self._place, check=True, timeout=60)
        time.sleep(1.5)  # the room hands on what it hears a little later

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(30) == 0, self.err


@contextmanager
def listening(words: list[str], place: dict[str, str], folder: Path) -> Iterator[Listener]:
    listener = Listener(words, place, folder)
    try:
        listener.is_heard()
        yield listener
    finally:
        listener.process.kill()
        listener.process.wait()


def command(model: Path, *more: str) -> list[str]:
    return ["kws", "listen", str(model), "--device", "default", "--threshold", str(THRESHOLD), *more]


def clock_times(lines: list[str]) -> list[float]:
    """Return the times of the lines that `kws listen` prints, and check the phrase in each."""
    times = []
    for line in lines:
        at, keyword, _ = line.split("  ")
        assert keyword == PHRASE
        hours, minutes, seconds = at.split(":")
        times.append(3600 * int(hours) + 60 * int(minutes) + float(seconds))
    return times


def assert_heard(times: list[float], expected: list[float]) -> None:
    """Compare detections, whenever the listener began."""
    assert len(times) == len(expected), (times, expected)
    np.testing.assert_allclose(np.diff(times), np.diff(expected), atol=APART_S)


def test_a_microphone_is_unplugged_and_plugged_in_again(
    model: Path, stream: Path, expected: list[float], place: dict[str, str], tmp_path: Path
):
    with listening(command(model), place, tmp_path) as listener:
        playing = subprocess.Popen(["paplay", str(stream)], env=place, stderr=subprocess.DEVNULL)
        assert wait_for(lambda: len(listener.out) == 2, 30), listener.err
        unplug(place)
        listener.says("has gone")
        playing.wait(30)
        time.sleep(1.0)
        plug(place)
        listener.says("is back")
        listener.play(stream)
        listener.end()
    times = clock_times(listener.out)
    assert_heard(times[:2], expected[:2])
    assert_heard(times[2:], expected)
    said = [line for line in listener.err if line.startswith("microphone ")]
    assert len(said) == 2, listener.err
    assert said[0].endswith("(default) has gone; it is waited for up to 300 s")
    assert said[1].endswith("s; the stream starts afresh")
    assert not [line for line in listener.err if "Traceback" in line or "audio lost" in line], listener.err


def test_a_microphone_that_does_not_return_is_an_error_in_the_end(
    model: Path, place: dict[str, str], tmp_path: Path
):
    with listening(command(model, "--reconnect", "2"), place, tmp_path) as listener:
        unplug(place)
        assert listener.process.wait(30) == 2
    assert "did not return within 2 s" in listener.err[-1] and "another --device" in listener.err[-1]


def test_a_sound_server_that_ends_and_starts_again(
    model: Path, stream: Path, expected: list[float], place: dict[str, str], tmp_path: Path
):
    with listening(command(model), place, tmp_path) as listener:
        subprocess.run(["pactl", "exit"], env=place, check=True, timeout=30)
        listener.says("has gone")
        with sound_server(tmp_path / "pulse", place):
            plug(place)
            listener.says("is back")
            listener.play(stream)
            listener.end()
    assert_heard(clock_times(listener.out), expected)


@pytest.mark.parametrize(
    "faults",
    [
        {"late": 0.2},
        {"slow": 0.2},
        {"rate_hz": 44_100, "num_channels": 1},
        {"rate_hz": 48_000, "num_channels": 2, "late": 0.2, "form": "s24le"},
        {"rate_hz": 96_000, "num_channels": 4, "channel": "mix", "form": "float32le"},
    ],
    ids=lambda faults: "-".join(f"{name}={value}" for name, value in faults.items()),
)
def test_late_blocks_and_devices_of_other_forms(
    faults: dict, model: Path, stream: Path, expected: list[float], place: dict[str, str], tmp_path: Path
):
    unplug(place)
    plug(place, faults.get("rate_hz", 48_000), faults.get("num_channels", 2), faults.get("form", "s16le"))
    words = ["tests.support.listener", str(model), json.dumps({**faults, "threshold": THRESHOLD})]
    with listening(words, place, tmp_path) as listener:
        listener.play(stream)
        time.sleep(1.5)  # a slow program comes after
        listener.end()
    *told, counts = map(json.loads, listener.out)
    assert_heard([line["time_s"] for line in told], expected)
    assert counts["lost"] == 0 and not listener.err, listener.err
    for fault in ("late", "slow"):
        assert (counts[fault] >= 10) == (fault in faults), counts


def test_a_program_that_was_stopped_starts_afresh(
    model: Path, stream: Path, expected: list[float], place: dict[str, str], tmp_path: Path
):
    with listening(command(model), place, tmp_path) as listener:
        listener.play(stream)
        listener.process.send_signal(signal.SIGSTOP)
        time.sleep(GAP_S + 2)
        listener.process.send_signal(signal.SIGCONT)
        listener.says("afresh")
        listener.play(stream)
        listener.end()
    assert_heard(clock_times(listener.out)[:3], expected)
    assert_heard(clock_times(listener.out)[3:], expected)
    assert len([line for line in listener.err if "afresh" in line]) == 1, listener.err


def test_no_start_of_a_device_is_a_word(model: Path):
    rng = np.random.default_rng(0)
    silent = np.zeros(32_000, np.float32)
    click, step, burst, pop = (silent.copy() for _ in range(4))
    click[:400] = np.sign(rng.normal(size=400))
    step[:] = 0.5 * np.exp(-np.arange(32_000) / 1600)
    burst[:4000] = rng.uniform(-1, 1, 4000)
    pop[:1600] = np.sign(np.sin(np.arange(1600) / 20))
    for sound in (click, step, burst, pop):
        scores, detections = Detector(model).push(Settle().push(sound + noise(2.0, level=0.0005)))
        assert detections == [] and scores.max() < 0.1
