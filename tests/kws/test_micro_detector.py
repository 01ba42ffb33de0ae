"""Models of microWakeWord through their runtime: scores, detections and every damaged file."""

from __future__ import annotations

import json
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from data_prep.synthesis.espeak import speak, voices
from kws import Detector, MicroDetector
from kws.cli import main
from kws.errors import CheckpointError, ConfigError, DependencyError
from kws.evaluation.scoring import open_scorer
from kws.listening import ListenEvent, listen
from kws.micro_detector import open_detector
from tests.support.onnx_models import write_tone_model
from tests.support.recordings import write_audio

pymicro_wakeword = pytest.importorskip("pymicro_wakeword")

READY = Path(pymicro_wakeword.__file__).parent / "models" / "hey_jarvis.json"


@pytest.fixture(scope="module")
def spoken() -> np.ndarray:
    """Two voices that say the wake word, and one that says something else between them."""
    drawn = voices(5)
    first, second, third = drawn[2], drawn[0], drawn[4]
    quiet = np.zeros(24_000, np.float32)
    texts = (("hey jarvis", first), ("good morning everyone", second), ("hey jarvis", third))
    parts = [part for text, voice in texts for part in (quiet, speak(text, voice))]
    waveform = np.concatenate([*parts, quiet]).astype(np.float32)
    return waveform[: len(waveform) // 480 * 480]  # whole runs


def means_of_package(waveform: np.ndarray) -> list[float]:
    """Return what pymicro-wakeword compares with its cutoff, one number for each run of the model."""
    features = pymicro_wakeword.MicroWakeWordFeatures()
    model = pymicro_wakeword.MicroWakeWord.from_config(READY)
    pcm = np.clip(np.round(waveform * 32_768), -32_768, 32_767).astype("<i2").tobytes()
    steps = [model.process_streaming_prob(step) for step in features.process_streaming(pcm)]
    return [mean for count, mean in enumerate(steps, 1) if count % model.stride == 0]


def test_smoothed_scores_are_what_the_package_compares_with_its_cutoff(spoken: np.ndarray):
    detector = MicroDetector(READY)
    scores = detector.scores(spoken)[:, 0]
    wanted = means_of_package(spoken)
    window = detector.decision_config.smoothing_frames
    assert scores.max() > 0.9 and scores[0] == 0 and len(scores) == len(wanted) + 1
    for run in range(window, len(wanted)):
        mean = statistics.mean(scores[run - window + 2 : run + 2].tolist())
        assert mean == pytest.approx(wanted[run], abs=1e-6)
    heard = MicroDetector(READY).process(spoken)
    above = [mean > 0.97 for mean in wanted]
    begun = [run for run in range(1, len(above)) if above[run] and not above[run - 1]]
    assert [found.frame for found in heard] == [run + 1 for run in begun]
    assert len(heard) == 2


@pytest.mark.parametrize("step", [1, 333, 480, 16_001])
def test_any_cutting_of_the_stream_gives_the_same(step: int, spoken: np.ndarray):
    sound = spoken[: 16_000 if step == 1 else None]
    whole, cut = MicroDetector(READY), MicroDetector(READY)
    pieces = [cut.push(sound[start : start + step]) for start in range(0, len(sound), step)]
    scores, detections = whole.push(sound)
    np.testing.assert_array_equal(np.concatenate([piece[0] for piece in pieces]), scores)
    assert [found for piece in pieces for found in piece[1]] == detections


def test_reset_and_another_stream_start_from_nothing(spoken: np.ndarray):
    detector = MicroDetector(READY)
    first = detector.scores(spoken)
    other = detector.new_stream()
    np.testing.assert_array_equal(other.scores(spoken), first)
    detector.reset()
    np.testing.assert_array_equal(detector.scores(spoken), first)


def test_threshold_and_refractory_time_may_be_others(spoken: np.ndarray):
    detector = MicroDetector(READY, {"Hey Jarvis": 0.5}, refractory_s=3)
    assert detector.thresholds == {"Hey Jarvis": 0.5} and detector.decision_config.refractory_s == 3
    with pytest.raises(ConfigError, match="unknown keyword 'alexa'"):
        MicroDetector(READY, {"alexa": 0.5})


def test_listen_and_evaluation_take_the_manifest_and_onnx_as_before(tmp_path: Path, spoken: np.ndarray):
    assert isinstance(open_scorer(READY), MicroDetector)
    assert type(open_detector(write_tone_model(tmp_path / "m.onnx"))) is Detector
    sound = write_audio(tmp_path / "spoken.wav", spoken)
    found: list[ListenEvent] = []
    summary = listen(READY, file=sound, on_event=found.append)
    wanted = MicroDetector(READY)
    heard = wanted.process(soundfile.read(sound, dtype="int16")[0]) + wanted.finish()
    told = [detection for event in found for detection in event.detections]
    assert [(each.keyword, each.frame) for each in told] == [(each.keyword, each.frame) for each in heard]
    assert summary.num_detections == len(heard) == 2


def test_the_command_listens(tmp_path: Path, spoken: np.ndarray, capsys: pytest.CaptureFixture[str]):
    sound = write_audio(tmp_path / "spoken.wav", spoken)
    assert main(["listen", str(READY), "--file", str(sound)]) == 0
    assert "Hey Jarvis" in capsys.readouterr().out


def write_model(folder: Path, *, micro: dict[str, Any] | None = None, **changes: Any) -> Path:
    """Copy the ready model with other entries in its manifest; None takes an entry away."""
    manifest = json.loads(READY.read_text(encoding="utf-8"))
    for entries, new in ((manifest["micro"], micro or {}), (manifest, changes)):
        entries.update(new)
        for key in [key for key, value in entries.items() if value is None]:
            del entries[key]
    shutil.copy(READY.with_suffix(".tflite"), folder)
    path = folder / "word.json"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("micro", "changes", "said"),
    [
        ({}, {"version": 1}, "`version` 2"),
        ({}, {"type": None}, "'type' is lacking"),
        ({}, {"wake_word": " "}, "`wake_word` is empty"),
        ({}, {"model": "../hey_jarvis.tflite"}, "beside the manifest"),
        ({}, {"model": "other.tflite"}, "no such file"),
        ({"probability_cutoff": 2}, {}, "`probability_cutoff` is 2.0"),
        ({"probability_cutoff": float("nan")}, {}, "`probability_cutoff` is nan"),
        ({"sliding_window_size": 0}, {}, "`sliding_window_size` is 0"),
        ({"sliding_window_size": float("inf")}, {}, "infinity"),
        ({"feature_step_size": 20}, {}, "`feature_step_size` is 20"),
        ({"feature_step_size": None}, {}, "'feature_step_size' is lacking"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    micro: dict[str, Any], changes: dict[str, Any], said: str, tmp_path: Path
):
    with pytest.raises(CheckpointError, match=said):
        MicroDetector(write_model(tmp_path, micro=micro, **changes))


@pytest.mark.parametrize("text", ["", "[]", "null", "[" * 100_000])
def test_what_is_no_manifest_is_refused(text: str, tmp_path: Path):
    path = tmp_path / "word.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"no manifest"):
        MicroDetector(path)
    with pytest.raises(CheckpointError, match="no such file"):
        MicroDetector(tmp_path / "none.json")


@pytest.mark.parametrize("length", [0, 4, 20, 1000, 52_000])
def test_a_damaged_model_is_refused_and_the_program_goes_on(length: int, tmp_path: Path):
    path = write_model(tmp_path)
    model = tmp_path / "hey_jarvis.tflite"
    model.write_bytes(model.read_bytes()[:length])
    with pytest.raises(CheckpointError, match="cannot run this model"):
        MicroDetector(path)


def test_without_the_package_one_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pymicro_wakeword", None)
    with pytest.raises(DependencyError, match=r'pip install "kws\[esp\]"'):
        MicroDetector(READY)
