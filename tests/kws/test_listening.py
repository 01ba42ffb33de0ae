"""Listening to recordings and microphones: detections, saved audio, printed lines, a real sound server."""

from __future__ import annotations

import argparse
import math
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from kws import Detector
from kws.cli import build_parser
from kws.cli import listen as command
from kws.errors import AudioError, CheckpointError, ConfigError
from kws.listening import ListenEvent, level_db, listen, listen_events
from tests.support.onnx_models import silence, tone, write_tone_model
from tests.support.rooms import microphone_is_open, room, wait_for

COMMAND = [
    sys.executable,
    "-c",
    "import sys\nfrom kws.cli import main\nsys.exit(main(['listen', *sys.argv[1:]]))",
]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tone_model(tmp_path / "tone.onnx")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Seven seconds with a tone at 3 s and another that ends with the file."""
    path = tmp_path / "room.wav"
    soundfile.write(path, np.concatenate([silence(3), tone(1000, 0.5), silence(3), tone(1000, 0.5)]), 16_000)
    return path


def parse(*arguments: str) -> argparse.Namespace:
    return build_parser("listen").parse_args(["listen", *arguments])


def test_hears_tones_in_a_recording_and_saves_the_audio_around_them(
    model: Path, recording: Path, tmp_path: Path
):
    heard = []
    summary = listen(model, file=recording, save_folder=tmp_path / "heard", on_detection=heard.append)
    assert [detection.keyword for detection in heard] == ["tone", "tone"]
    assert 3.0 < heard[0].time_s < 3.15 and 6.5 < heard[1].time_s < 6.65
    assert (summary.num_detections, summary.duration_s, summary.num_overflows) == (2, pytest.approx(7.0), 0)
    assert sorted((tmp_path / "heard").iterdir()) == sorted(summary.saved) and len(summary.saved) == 2
    waveform, _ = soundfile.read(recording, dtype="float32")
    for path, detection in zip(summary.saved, heard, strict=True):
        saved, rate = soundfile.read(path, dtype="float32")
        end = min(round((detection.time_s + 0.5) * 16_000), len(waveform))  # 2 s before, 0.5 s after
        start = round((detection.time_s - 2.0) * 16_000)
        expected = waveform[start:end]
        assert rate == 16_000
        np.testing.assert_allclose(saved, expected, atol=1 / 32_768)


def test_saved_audio_stops_at_the_beginning_and_at_the_limit(model: Path, tmp_path: Path):
    path = tmp_path / "early.wav"
    soundfile.write(path, np.concatenate([silence(0.2), tone(1000, 3)]), 16_000)
    summary = listen(model, file=path, save_folder=tmp_path / "heard", duration_s=0.5)
    assert summary.duration_s == 0.5
    (saved,) = summary.saved
    assert soundfile.info(saved).frames == 8000


def test_a_recording_at_another_rate_gives_the_same_detections(model: Path, tmp_path: Path):
    parts = [np.zeros(44_100, np.float32), tone(1000, 0.5, rate_hz=44_100), np.zeros(44_100, np.float32)]
    soundfile.write(tmp_path / "cd.flac", np.repeat(np.concatenate(parts)[:, None], 2, axis=1), 44_100)
    heard = []
    listen(model, file=tmp_path / "cd.flac", on_detection=heard.append)
    assert len(heard) == 1 and 1.0 < heard[0].time_s < 1.15


def test_events_tell_level_and_scores(model: Path, recording: Path):
    events = list(listen_events(model, file=recording))
    assert [event.time_s for event in events] == [1, 2, 3, 4, 5, 6, 7]
    assert events[0].level_db == -math.inf and events[0].scores["tone"] < 0.01
    assert events[3].level_db == pytest.approx(
        20 * math.log10(0.5 / math.sqrt(2)) - 10 * math.log10(2), abs=0.01
    )
    assert events[3].scores["tone"] > 0.99
    assert level_db(np.zeros(0, np.float32)) == -math.inf


def test_ctrl_c_ends_with_what_was_heard_so_far(model: Path, recording: Path):
    def interrupt(event: ListenEvent) -> None:
        if event.time_s >= 5:
            raise KeyboardInterrupt

    summary = listen(model, file=recording, on_event=interrupt)
    assert (summary.num_detections, summary.duration_s) == (1, 5.0)


def test_a_detector_is_taken_from_its_start(model: Path, recording: Path):
    detector = Detector(model)
    detector.process(tone(1000, 1.01))
    assert listen(detector, file=recording).num_detections == 2
    for given in ({"threshold": 0.5}, {"patience": 2}, {"refractory_s": {"tone": 1.0}}):
        with pytest.raises(ConfigError, match="give them to the Detector"):
            listen(detector, file=recording, **given)


def test_what_cannot_be_used_is_refused(model: Path, recording: Path, tmp_path: Path):
    with pytest.raises(AudioError, match="absent.wav: no such file"):
        listen(model, file=tmp_path / "absent.wav")
    with pytest.raises(CheckpointError, match="no such file"):
        listen(tmp_path / "absent.onnx", file=recording)
    with pytest.raises(ConfigError, match="`duration_s`: got 0"):
        listen(model, file=recording, duration_s=0)
    with pytest.raises(ConfigError, match="both a file and a microphone"):
        listen(model, file=recording, device=0)


def test_the_command_prints_a_line_per_detection(model: Path, recording: Path, tmp_path: Path, capsys):
    assert command.run(parse(str(model), "--file", str(recording), "--save", str(tmp_path / "heard"))) == 0
    printed = capsys.readouterr()
    lines = [line.split("  ") for line in printed.out.splitlines()]
    assert [(begin, keyword) for begin, keyword, _ in lines] == [
        ("0:00:03.04", "tone"),
        ("0:00:06.56", "tone"),
    ]
    assert [score for _, _, score in lines] == [
        "0.818",
        "1.000",
    ]  # sigmoid(60 * 0.025): half a tone, averaged
    assert "Listening for tone (from 0.50)" in printed.err
    assert printed.err.count("saved ") == 2
    assert "2 detections in 7.0 s" in printed.err


def test_the_command_draws_a_meter_on_a_terminal_only(model: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    event = ListenEvent(1.0, -30.0, {"tone": 0.25}, (), (), 0)
    command.Printer(Detector(model), live=True).show(event)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    command.Printer(Detector(model), live=True).show(event)
    expected = f"|{'#' * 10}{' ' * 10}|  -30 dB  |{'#' * 5}{' ' * 15}| 0.25 / 0.50 tone"
    assert capsys.readouterr().err == f"\r\033[K{expected}"


def test_the_command_tells_of_a_muted_microphone_and_lost_audio_once(model: Path, capsys):
    printer = command.Printer(Detector(model), live=True)
    for step in range(100):
        printer.show(ListenEvent(step * 0.08, -math.inf, {"tone": 0.0}, (), (), num_overflows=step // 50))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "digital silence: is it muted" in lines[0] and "audio is lost; is the processor busy?" in lines[1]


def test_silence_in_a_pipe_is_not_blamed_on_a_microphone(model: Path, capsys):
    printer = command.Printer(Detector(model), live=True, piped=True)
    for step in range(100):
        printer.show(ListenEvent(step * 0.08, -math.inf, {"tone": 0.0}, (), (), 0))
    (line,) = capsys.readouterr().err.splitlines()
    assert "what is piped in is digital silence" in line


def test_the_end_of_a_recording_is_heard_and_no_time_lies_beyond_it(model: Path, tmp_path: Path):
    heard: list = []
    soundfile.write(tmp_path / "cut.wav", np.concatenate([silence(0.5), tone(1000, 0.045)]), 16_000)
    summary = listen(model, file=tmp_path / "cut.wav", on_detection=heard.append)
    assert [detection.time_s <= 0.545 for detection in heard] == [True]
    assert summary.duration_s == pytest.approx(0.545)


def test_thresholds_on_the_command_line():
    assert command.parse_thresholds(None) is None
    assert command.parse_thresholds(["0.6"]) == 0.6
    assert command.parse_thresholds(["hey computer=0.6", "a=b=0.7"]) == {"hey computer": 0.6, "a=b": 0.7}
    with pytest.raises(ConfigError, match="expected a number"):
        command.parse_thresholds(["high"])
    with pytest.raises(ConfigError, match="not both"):
        command.parse_thresholds(["0.6", "a=0.7"])
    with pytest.raises(ConfigError, match="which model"):
        command.run(parse())


ALSA_PLUGINS = [
    f"{libraries}/alsa-lib/libasound_module_pcm_pulse.so" for libraries in ("lib", "lib64", "lib/*")
]


@pytest.fixture
def sound_server(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A room of sound that PortAudio reaches; yields the environment of its clients."""
    try:
        import sounddevice  # noqa: F401
    except OSError as error:
        pytest.skip(f"PortAudio, a system package, is not installed: {error}")
    if not any(found for place in ALSA_PLUGINS for found in Path("/usr").glob(place)):
        pytest.skip("ALSA's plugin for PulseAudio, a system package, is not installed: libasound2-plugins")
    with room(tmp_path / "pulse") as environment:
        environment["PYTHONPATH"] = str(REPOSITORY)
        probe = [sys.executable, "-c", "import sounddevice; print(sounddevice.query_devices())"]
        seen = subprocess.run(probe, env=environment, capture_output=True, text=True, timeout=30)
        assert seen.returncode == 0, seen.stderr
        assert "default" in seen.stdout, seen.stdout + seen.stderr
        yield environment


def test_hears_a_phrase_played_in_a_room_through_a_real_microphone(
    model: Path, tmp_path: Path, sound_server: dict[str, str]
):
    listed = subprocess.run(
        [*COMMAND, "--list-devices"], env=sound_server, capture_output=True, text=True, timeout=30
    )
    assert listed.returncode == 0 and "default" in listed.stdout, listed.stderr
    played = tmp_path / "played.wav"
    soundfile.write(played, np.concatenate([silence(0.2), tone(1000, 0.5), silence(0.1)]), 16_000)
    saved = tmp_path / "heard"
    listener = subprocess.Popen(
        [*COMMAND, str(model), "--device", "default", "--save", str(saved)],
        env=sound_server,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a job that a shell runs in the background ignores Ctrl-C, and so would its children
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        recording = wait_for(lambda: microphone_is_open(sound_server), 20)
        assert recording, "the listener did not open the microphone"
        subprocess.run(["paplay", str(played)], env=sound_server, check=True, timeout=20)
        assert wait_for(lambda: saved.is_dir() and any(saved.glob("*.wav")), 10), "nothing was heard"
        listener.send_signal(signal.SIGINT)
        out, err = listener.communicate(timeout=20)
    finally:
        listener.kill()
        listener.wait()
    assert listener.returncode == 0, err
    assert [line.split("  ")[1] for line in out.splitlines()] == ["tone"]
    assert "1 detection in" in err and "Traceback" not in err
    (path,) = saved.glob("*.wav")
    heard, rate = soundfile.read(path, dtype="float32")
    assert rate == 16_000
    spectrum = np.abs(np.fft.rfft(heard[-8000:]))
    assert np.argmax(spectrum) * 16_000 / 8000 == pytest.approx(1000, abs=4)
