"""The detector on a real graph with state: any chunking, both sample types, and broken files."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import kws
from kws import Detector
from kws.errors import AudioError, CheckpointError, ConfigError
from kws.graph_stream import GraphStream
from tests.support.onnx_models import HOP_SAMPLES, silence, tone, write_tone_model

TONES_HZ = {"low": 500.0, "high": 2000.0}


@pytest.fixture
def recording() -> np.ndarray:
    """Nine seconds: low at 1 s, high at 4 s, low at 7 s, in a little noise."""
    parts = [
        silence(1),
        tone(500, 0.5),
        silence(2.5),
        tone(2000, 0.5),
        silence(2.5),
        tone(500, 0.5),
        silence(1.5),
    ]
    waveform = np.concatenate(parts)
    noise = np.random.default_rng(0).normal(0, 0.01, len(waveform)).astype(np.float32)
    return waveform + noise


def test_hears_each_tone_once_at_the_time_it_begins(tmp_path: Path, recording: np.ndarray):
    detector = Detector(write_tone_model(tmp_path / "m.onnx", TONES_HZ))
    detections = detector.process(recording)
    assert [detection.keyword for detection in detections] == ["low", "high", "low"]
    for detection, begin_s in zip(detections, [1.0, 4.0, 7.0], strict=True):
        assert begin_s < detection.time_s <= begin_s + 0.12
        assert detection.time_s == pytest.approx((detection.frame + 1) * HOP_SAMPLES / 16_000)


@pytest.mark.parametrize("chunk_dynamic", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_any_chunking_gives_the_same_scores_and_detections(
    tmp_path: Path, recording: np.ndarray, seed: int, chunk_dynamic: bool
):
    path = write_tone_model(tmp_path / "m.onnx", TONES_HZ, chunk_dynamic=chunk_dynamic, smoothing_frames=3)
    whole_scores, whole = Detector(path).push(recording)
    assert len(whole) == 3
    rng = np.random.default_rng(seed)
    cuts = np.sort(rng.integers(0, len(recording) + 1, 60))
    detector, scores, detections = Detector(path), [], []
    for block in np.split(recording, cuts):
        block_scores, block_detections = detector.push(block)
        scores.append(block_scores)
        detections += block_detections
    np.testing.assert_allclose(np.concatenate(scores), whole_scores, atol=1e-5, rtol=0)
    assert [(d.keyword, d.frame) for d in detections] == [(d.keyword, d.frame) for d in whole]


def test_long_audio_is_run_in_large_pieces_with_the_same_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write_tone_model(tmp_path / "m.onnx")
    waveform = np.random.default_rng(0).normal(0, 0.1, 10 * 16_000).astype(np.float32)
    detector, lengths, run = Detector(path), [], GraphStream.run

    def counted(self: GraphStream, piece: np.ndarray) -> np.ndarray:
        lengths.append(len(piece))
        return run(self, piece)

    monkeypatch.setattr(GraphStream, "run", counted)
    scores = detector.scores(waveform)
    assert lengths == [64_000, 64_000, 32_000]
    in_steps = Detector(path)
    steps = np.concatenate(
        [in_steps.scores(waveform[start : start + 1280]) for start in range(0, len(waveform), 1280)]
    )
    np.testing.assert_allclose(scores, steps, atol=1e-5, rtol=0)


def test_digital_silence_is_not_run_again_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = write_tone_model(tmp_path / "m.onnx")
    noise = np.random.default_rng(0).normal(0, 0.1, 16 * 1280).astype(np.float32)
    sound = np.concatenate([noise, np.zeros(80 * 1280, np.float32), noise])
    runs, run = [], onnxruntime.InferenceSession.run_with_iobinding

    def counted(self: onnxruntime.InferenceSession, binding: onnxruntime.IOBinding) -> None:
        runs.append(binding)
        run(self, binding)

    monkeypatch.setattr(onnxruntime.InferenceSession, "run_with_iobinding", counted)
    detector = Detector(path)
    steps = np.concatenate(
        [detector.scores(sound[start : start + 1280]) for start in range(0, len(sound), 1280)]
    )
    assert (
        2 * 16 < len(runs) < 2 * 16 + 8
    )  # silence is run until the state has forgotten the noise, then no more
    np.testing.assert_allclose(steps, Detector(path).scores(sound), atol=1e-6, rtol=0)


def test_streams_of_one_file_keep_their_own_memory(tmp_path: Path):
    first = Detector(write_tone_model(tmp_path / "m.onnx"))
    second = first.new_stream()
    sounds = np.random.default_rng(0).normal(0, 0.1, (2, 5, 1280)).astype(np.float32)
    mixed = [(first.scores(mine), second.scores(other)) for mine, other in zip(*sounds, strict=True)]
    for number, sound in enumerate(sounds):
        alone = Detector(tmp_path / "m.onnx")
        for got, chunk in zip(mixed, sound, strict=True):
            np.testing.assert_array_equal(got[number], alone.scores(chunk))


def test_a_second_thread_is_told_and_a_stream_of_its_own_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    detector = Detector(write_tone_model(tmp_path / "m.onnx"))
    own, told, inside, goes_on = detector.new_stream(), [], threading.Event(), threading.Event()
    run = GraphStream.run

    def slow(self: GraphStream, waveform: np.ndarray) -> np.ndarray:
        inside.set()
        assert goes_on.wait(20)
        return run(self, waveform)

    monkeypatch.setattr(GraphStream, "run", slow)
    first = threading.Thread(target=lambda: told.append(detector.scores(silence(0.08))))
    first.start()
    assert inside.wait(20)
    with pytest.raises(ConfigError, match="another thread is at this Detector.*give each thread its own"):
        detector.process(silence(0.08))
    for call in (detector.reset, detector.finish):
        with pytest.raises(ConfigError, match="another thread is at this Detector"):
            call()
    goes_on.set()
    first.join()
    assert own.scores(silence(0.08)).shape == told[0].shape == (2, 1)
    assert detector.process(silence(0.08)) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a system without fork")
def test_a_detector_is_not_pickled_and_runs_after_a_fork(tmp_path: Path):
    detector = Detector(write_tone_model(tmp_path / "m.onnx"))
    with pytest.raises(TypeError, match=r"cannot be pickled.*`kws\.Detector\(path\)`"):
        pickle.dumps(detector)
    wanted = detector.new_stream().scores(tone(1000, 0.4))
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, detector.scores(tone(1000, 0.4)).tobytes())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        np.testing.assert_array_equal(np.frombuffer(pipe.read(), np.float32), wanted.ravel())
    os.waitpid(child, 0)


def test_a_push_runs_as_soon_as_a_chunk_is_there(tmp_path: Path):
    detector = Detector(write_tone_model(tmp_path / "m.onnx"))
    assert detector.scores(silence(1279 / 16_000)).shape == (0, 1)
    assert detector.scores(silence(1 / 16_000)).shape == (2, 1)
    assert detector.scores(np.zeros(0, np.int16)).shape == (0, 1)
    assert detector.scores(silence(3 * 1280 / 16_000)).dtype == np.float32


def test_chunk_ms_changes_the_step_and_not_the_scores(tmp_path: Path, recording: np.ndarray):
    path = write_tone_model(tmp_path / "m.onnx", TONES_HZ)
    short = Detector(path, chunk_ms=40)
    assert short.chunk_samples == 640
    assert short.scores(recording[:640]).shape == (1, 2)
    short.reset()
    whole = recording[: 112 * 1280]
    np.testing.assert_allclose(short.scores(whole), Detector(path).scores(whole), atol=1e-5, rtol=0)
    with pytest.raises(ConfigError, match="multiple of 40 ms"):
        Detector(path, chunk_ms=50)
    with pytest.raises(ConfigError, match="exported for 80 ms only"):
        Detector(write_tone_model(tmp_path / "fixed.onnx", chunk_dynamic=False), chunk_ms=40)


def test_int16_and_float32_give_the_same_scores(tmp_path: Path, recording: np.ndarray):
    detector = Detector(write_tone_model(tmp_path / "m.onnx", TONES_HZ))
    pcm = np.rint(recording * 32_768).astype(np.int16)
    from_int16 = detector.scores(pcm)
    detector.reset()
    np.testing.assert_array_equal(from_int16, detector.scores(pcm / np.float32(32_768)))
    assert from_int16.max() > 0.99


def test_reset_equals_a_new_detector(tmp_path: Path, recording: np.ndarray):
    path = write_tone_model(tmp_path / "m.onnx", TONES_HZ, smoothing_frames=2)
    used = Detector(path)
    used.process(recording[16_000:20_001])  # in the middle of a tone, with a remainder held
    used.reset()
    used_scores, used_detections = used.push(recording)
    new_scores, new_detections = Detector(path).push(recording)
    np.testing.assert_array_equal(used_scores, new_scores)
    assert used_detections == new_detections


def test_streams_of_one_detector_share_the_graph_and_hear_apart(tmp_path: Path, recording: np.ndarray):
    path = write_tone_model(tmp_path / "m.onnx", TONES_HZ)
    first = Detector(path, threshold=0.4, refractory_s=0.5)
    expected = Detector(path, threshold=0.4, refractory_s=0.5).process(recording)
    first.process(recording[:20_000])
    second = first.new_stream()
    assert second._session is first._session and second.decision_config == first.decision_config
    assert second.process(recording) == expected
    assert first.process(recording[20_000:]) == expected[1:], "the first goes on where it was"


def test_more_smoothing_asks_for_more_patience(tmp_path: Path):
    path = write_tone_model(tmp_path / "m.onnx")
    short = np.concatenate([silence(1), tone(1000, 0.12), silence(1)])
    assert len(Detector(path).process(short)) == 1
    assert Detector(path, smoothing_frames=12).process(short) == []
    with pytest.raises(ConfigError, match="smoothing_frames: got 0"):
        Detector(path, smoothing_frames=0)


def test_patience_delays_and_asks_for_a_longer_rise(tmp_path: Path):
    path = write_tone_model(tmp_path / "m.onnx")
    sound = np.concatenate([silence(1), tone(1000, 0.3), silence(1)])
    (first,), (third,) = Detector(path).process(sound), Detector(path, patience=3).process(sound)
    assert third.frame == first.frame + 2
    assert Detector(path, patience=1).process(sound) == [first]
    assert Detector(path, patience=20).process(sound) == []
    with pytest.raises(ConfigError, match="patience: got 0"):
        Detector(path, patience=0)


def test_each_keyword_may_wait_for_its_own_time(tmp_path: Path):
    path = write_tone_model(tmp_path / "m.onnx", TONES_HZ)
    sound = np.concatenate([part for hz in TONES_HZ.values() for part in [silence(1), tone(hz, 0.2)] * 2])
    sound = np.concatenate([sound, silence(1)])
    assert [d.keyword for d in Detector(path, refractory_s={"low": 3}).process(sound)] == [
        "low",
        "high",
        "high",
    ]
    assert Detector(path, refractory_s={"low": 3}).decision_config.refractory_by_keyword == (3.0, 1.0)
    with pytest.raises(ConfigError, match="refractory_s: unknown keyword 'mid'; this model knows low, high"):
        Detector(path, refractory_s={"mid": 3})
    with pytest.raises(ConfigError, match="refractory_s: got -1"):
        Detector(path, refractory_s={"low": -1})


def test_scores_and_process_share_one_clock(tmp_path: Path):
    detector = Detector(write_tone_model(tmp_path / "m.onnx"))
    detector.scores(silence(2))
    (detection,) = detector.process(np.concatenate([tone(1000, 0.5), silence(0.5)]))
    assert 2.0 < detection.time_s < 2.2


def test_properties_say_what_the_file_says(tmp_path: Path):
    path = write_tone_model(
        tmp_path / "m.onnx", TONES_HZ, metadata={"lookahead_samples": "320"}, refractory_s=0.7
    )
    detector = Detector(path, threshold={"high": 0.8})
    assert detector.keywords == ("low", "high")
    assert detector.thresholds == {"low": 0.5, "high": 0.8}
    assert (detector.sample_rate, detector.hop_samples, detector.chunk_samples) == (16_000, 640, 1280)
    assert (detector.lookahead_ms, detector.license, detector.hop_s) == (20.0, "CC0-1.0", 0.04)
    assert detector.decision_config.refractory_s == 0.7
    assert detector.metadata["encoder"] == "tones"
    assert Detector(path, threshold=0.9, refractory_s=2).thresholds == {"low": 0.9, "high": 0.9}


def test_a_higher_threshold_fires_less(tmp_path: Path):
    path = write_tone_model(tmp_path / "m.onnx")
    faint = np.concatenate(
        [silence(0.4), tone(1000, 0.4, amplitude=0.11), silence(0.4)]
    )  # sigmoid(60 * 0.01) = 0.65
    assert len(Detector(path).process(faint)) == 1
    assert Detector(path, threshold=0.7).process(faint) == []


def test_arguments_out_of_range_are_refused(tmp_path: Path):
    path = write_tone_model(tmp_path / "m.onnx", TONES_HZ)
    with pytest.raises(ConfigError, match="unknown keyword 'middle'; this model knows low, high"):
        Detector(path, threshold={"middle": 0.5})
    with pytest.raises(ConfigError, match=r"got 1.5, expected a number within \[0, 1\]"):
        Detector(path, threshold=1.5)
    with pytest.raises(ConfigError, match="num_threads: got 0"):
        Detector(path, num_threads=0)


def test_audio_that_cannot_be_used_is_refused_and_the_stream_goes_on(tmp_path: Path, recording: np.ndarray):
    path = write_tone_model(tmp_path / "m.onnx", TONES_HZ)
    detector, undisturbed = Detector(path), Detector(path)
    detector.process(recording[:5000]), undisturbed.process(recording[:5000])
    with pytest.raises(AudioError, match="NaN"):
        detector.process(np.full(2000, np.nan, np.float32))
    with pytest.raises(
        AudioError, match=r"shape \(2, 1280\), expected one dimension \(mono\); average or pick a channel"
    ):
        detector.process(np.zeros((2, 1280), np.float32))
    with pytest.raises(AudioError, match="int64, expected int16 or float32"):
        detector.process(np.zeros(1280, np.int64))
    np.testing.assert_array_equal(detector.scores(recording[5000:]), undisturbed.scores(recording[5000:]))


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"format_version": None}, "no `format_version`"),
        ({"format_version": "3"}, "format_version 3, this kws reads 1 and 2; upgrade"),
        ({"thresholds": None, "hop_samples": None}, "lacks hop_samples, thresholds"),
        ({"keywords": "tone"}, "`keywords` is 'tone'"),
        ({"keywords": '["a", "a"]', "thresholds": '{"a": 0.5}'}, "different names"),
        ({"thresholds": "{}"}, "`thresholds` has none for tone"),
        ({"thresholds": '{"tone": null}'}, "`thresholds` is .*null"),
        ({"sample_rate": "8000"}, "`sample_rate`: got 8000, expected 16000"),
        ({"thresholds": "[0.5]"}, r"`thresholds` is '\[0.5\]'"),
        ({"chunk_dynamic": "yes"}, "`chunk_dynamic` is 'yes'"),
        ({"chunk_samples": "1000"}, "1000 is not a positive multiple of `hop_samples` 640"),
        ({"smoothing_frames": "0"}, "smoothing_frames: got 0"),
        ({"chunk_dynamic": "false", "chunk_samples": "12.5"}, "`chunk_samples` is '12.5'"),
    ],
)
def test_metadata_that_does_not_fit_names_file_and_key(
    tmp_path: Path, metadata: dict[str, str | None], message: str
):
    path = write_tone_model(tmp_path / "broken.onnx", metadata=metadata)
    with pytest.raises(CheckpointError, match=f"broken.onnx.*{message}"):
        Detector(path)


def test_a_graph_of_another_form_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match="inputs are audio, state_0, state_1, expected waveform"):
        Detector(write_tone_model(tmp_path / "a.onnx", rename={"waveform": "audio"}))
    with pytest.raises(
        CheckpointError, match="outputs are scores, next_state_0, memory, expected scores, next_state_0"
    ):
        Detector(write_tone_model(tmp_path / "b.onnx", rename={"next_state_1": "memory"}))
    with pytest.raises(CheckpointError, match="waveform has shape .*chunk_samples 640, chunk_dynamic false"):
        Detector(
            write_tone_model(tmp_path / "c.onnx", chunk_dynamic=False, metadata={"chunk_samples": "640"})
        )
    with pytest.raises(CheckpointError, match="gave scores of shape"):
        path = write_tone_model(tmp_path / "d.onnx", metadata={"hop_samples": "320"})
        Detector(path).process(silence(1))


def test_a_file_that_is_missing_or_no_model_is_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match="absent.onnx: no such file"):
        Detector(tmp_path / "absent.onnx")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(CheckpointError, match="text.onnx: onnxruntime cannot open it"):
        Detector(tmp_path / "text.onnx")


def test_a_device_needs_no_training_packages(tmp_path: Path):
    path = write_tone_model(tmp_path / "m.onnx")
    program = f"""
import sys
import kws
assert "onnxruntime" not in sys.modules and "numpy" not in sys.modules, "import kws must be light"
from kws import Detection, Detector
import numpy
import kws.listening
found = Detector({str(path)!r}).process(numpy.sin(numpy.arange(16000) * 2 * numpy.pi / 16).astype("float32"))
assert [detection.keyword for detection in found] == ["tone"], found
heavy = {{"torch", "torchaudio", "librosa", "lhotse", "lightning", "scipy", "sounddevice", "onnx", "yaml"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_public_names_are_loaded_on_first_use_and_unknown_ones_refused():
    assert set(kws.__all__) == set(kws._LAZY)
    assert kws.Detector is Detector
    assert "Detector" in dir(kws)
    with pytest.raises(AttributeError, match="no attribute 'Detecter'"):
        kws.Detecter  # noqa: B018


def test_the_end_of_a_stream_is_scored_when_it_is_finished(tmp_path: Path):
    path = write_tone_model(tmp_path / "m.onnx", TONES_HZ, metadata={"lookahead_samples": "640"})
    word = np.concatenate([silence(1.003), tone(500, 0.036)])  # shorter than its chunk
    detector = Detector(path)
    assert detector.process(word) == []
    (detection,) = detector.finish()
    assert detection.keyword == "low" and len(word) / 16_000 - 0.05 < detection.time_s
    assert detection.time_s <= (len(word) + 640) / 16_000
    assert detector.finish() == []  # it is a new stream
    (again,) = detector.process(np.concatenate([tone(500, 0.5), silence(0.5)]))
    assert again.time_s <= 0.12


def test_finishing_adds_nothing_to_what_was_scored(tmp_path: Path, recording: np.ndarray):
    path = write_tone_model(tmp_path / "m.onnx", TONES_HZ)
    whole = Detector(path).process(np.concatenate([recording, silence(1)]))
    for length in (len(recording), 17_000, 20_011):
        detector = Detector(path)
        found = detector.process(recording[:length]) + detector.finish()
        wanted = [detection.frame for detection in whole if detection.time_s <= length / 16_000 + 0.04]
        assert [detection.frame for detection in found] == wanted and wanted


def test_a_run_folder_stands_for_the_model_in_it(tmp_path: Path):
    write_tone_model(tmp_path / "model.onnx", TONES_HZ)
    assert Detector(tmp_path).keywords == ("low", "high")
    (tmp_path / "model.onnx").rename(tmp_path / "other.onnx")
    with pytest.raises(CheckpointError, match=r"a folder without model.onnx; choose one of other.onnx"):
        Detector(tmp_path)
    (tmp_path / "other.onnx").unlink()
    with pytest.raises(CheckpointError, match=f"make it: `kws export {tmp_path}`"):
        Detector(tmp_path)


@pytest.mark.parametrize(
    ("pcm", "message"),
    [
        (np.full(1280, 3000.0, np.float32), r"np.frombuffer\(data, np.int16\).*divide them by 32768"),
        (b"\0" * 2560, r"audio is bytes.*np.frombuffer\(data, np.int16\)"),
        (bytearray(2560), r"audio is bytearray.*np.frombuffer"),
        (memoryview(b"\0" * 2560), r"audio is memoryview.*np.frombuffer"),
        ([0] * 1280, "audio has type int64, expected int16 or float32"),
        (np.zeros(1280, np.int32), "audio has type int32"),
        (np.zeros(1280, np.uint8), "audio has type uint8"),
        (np.zeros((1280, 2), np.int16), r"shape \(1280, 2\), expected one dimension"),
    ],
)
def test_what_is_no_audio_is_refused_with_the_cure(tmp_path: Path, pcm, message: str):
    detector = Detector(write_tone_model(tmp_path / "m.onnx"))
    with pytest.raises(AudioError, match=message):
        detector.process(pcm)
    assert detector.process(tone(1000, 0.5))  # the stream goes on


def test_look_alikes_compete_unless_the_file_or_the_caller_says_otherwise(tmp_path: Path):
    both = np.concatenate([silence(1), tone(500, 0.5) + tone(2000, 0.5, amplitude=0.3), silence(1)])
    path = write_tone_model(tmp_path / "m.onnx", TONES_HZ)
    assert Detector(path).decision_config.compete_s == 0.5
    assert [detection.keyword for detection in Detector(path).process(both)] == ["low"]
    assert len(Detector(path, compete_s=0).process(both)) == 2
    path = write_tone_model(tmp_path / "apart.onnx", TONES_HZ, metadata={"compete_s": "0"})
    assert len(Detector(path).process(both)) == 2
