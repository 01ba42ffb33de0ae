"""Many streams in one batch: each gives what a detector of its own gives, whenever it joins and leaves."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path

import numpy as np
import pytest

from export import to_onnx
from export.quantize import to_int8
from kws import Detector, DetectorPool
from kws.errors import AudioError, ConfigError
from kws.graph_stream import GraphStream
from tests.support.onnx_models import tone, write_tone_model
from tests.support.runs import write_run


@pytest.fixture(scope="module")
def run_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return to_onnx.export(write_run(tmp_path_factory.mktemp("pool") / "run"))


LENGTHS = (1280, 700, 3000, 1, 2560)


def noise(seed: int, samples: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def test_streams_score_as_alone_whatever_their_lengths(run_model: Path):
    path = run_model
    pool, alone = DetectorPool(path), {}
    for turn in range(12):
        if turn % 2 == 0:  # joins while others are amid their audio
            alone[pool.add()] = Detector(path)
        if turn == 7:
            leaving = pool.streams[1]
            pool.remove(leaving)
            del alone[leaving]
        audio = {stream: noise(turn * 50 + stream, LENGTHS[(turn + stream) % 5]) for stream in alone}
        found = pool.push(audio)
        for stream, detector in alone.items():
            scores, detections = detector.push(audio[stream])
            np.testing.assert_allclose(found[stream][0], scores, atol=1e-6, rtol=0)
            assert found[stream][1] == detections
    assert len(pool) == 5 and pool.chunk_samples == 1280


@pytest.mark.parametrize("form", ["one stream a run", "int8"])
def test_a_graph_of_one_stream_is_run_stream_by_stream(form: str, run_model: Path, tmp_path: Path):
    path = (
        write_tone_model(tmp_path / "m.onnx")
        if form == "one stream a run"
        else to_int8(run_model, tmp_path / "m.onnx")[0]
    )
    pool = DetectorPool(path)
    streams = [pool.add() for _ in range(3)]
    audio = {stream: noise(stream, 16_000) for stream in streams}
    for stream, (scores, _) in pool.push(audio).items():
        wanted = Detector(path, chunk_ms=80).scores(audio[stream])
        np.testing.assert_allclose(scores, wanted, atol=1e-6, rtol=0)


def test_detections_have_the_times_of_their_own_stream(tmp_path: Path):
    path = write_tone_model(tmp_path / "m.onnx", {"low": 500.0, "high": 1000.0})
    pool = DetectorPool(path)
    first = pool.add()
    pool.process({first: noise(0, 16_000)})
    second = pool.add()
    found = pool.process({first: tone(500, 1.0), second: tone(1000, 1.0)})
    assert [(d.keyword, d.time_s > 1) for d in found[first]] == [("low", True)]
    assert [(d.keyword, d.time_s < 1) for d in found[second]] == [("high", True)]


def test_the_end_of_a_stream_is_heard_as_by_a_detector(tmp_path: Path):
    path = write_tone_model(tmp_path / "m.onnx")
    audio = np.concatenate([noise(0, 8000), tone(1000, 0.05)])  # too short to fill a chunk of its own
    pool, alone = DetectorPool(path), Detector(path)
    stream = pool.add()
    assert pool.process({stream: audio})[stream] == alone.process(audio)
    assert pool.finish(stream) == alone.finish()
    assert len(pool) == 0
    assert pool.finish(pool.add()) == []


def test_bad_audio_of_one_stream_changes_nothing(tmp_path: Path):
    pool = DetectorPool(write_tone_model(tmp_path / "m.onnx"))
    good, bad = pool.add(), pool.add()
    with pytest.raises(AudioError, match="NaN"):
        pool.process({good: tone(1000, 1.0), bad: np.full(1280, np.nan, np.float32)})
    scores = pool.push({good: tone(1000, 1.0)})[good][0]
    np.testing.assert_allclose(scores, Detector(tmp_path / "m.onnx").scores(tone(1000, 1.0)), atol=1e-6)


def test_numbers_and_places_are_bounded_and_named(tmp_path: Path):
    path = write_tone_model(tmp_path / "m.onnx")
    pool = DetectorPool(path, max_streams=2)
    first, _ = pool.add(), pool.add()
    with pytest.raises(ConfigError, match="`max_streams`: 2 streams are there already"):
        pool.add()
    pool.remove(first)
    assert pool.add() != first, "a number is never given twice"
    with pytest.raises(ConfigError, match=f"no stream {first} in this pool"):
        pool.process({first: np.zeros(1280, np.float32)})
    with pytest.raises(ConfigError, match="`max_streams`: got 0"):
        DetectorPool(path, max_streams=0)


def test_a_place_that_was_left_holds_nothing_of_the_stream_before(run_model: Path):
    pool = DetectorPool(run_model)
    first = pool.add()
    pool.process({first: noise(1, 32_000)})
    pool.remove(first)
    again = pool.add()
    audio = noise(2, 16_000)
    np.testing.assert_allclose(
        pool.push({again: audio})[again][0], Detector(run_model).scores(audio), atol=1e-6, rtol=0
    )


def test_a_second_thread_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pool = DetectorPool(write_tone_model(tmp_path / "m.onnx"))
    stream, inside, goes_on = pool.add(), threading.Event(), threading.Event()
    run = GraphStream.run_batch

    def slow(self: GraphStream, *given: np.ndarray) -> object:
        inside.set()
        assert goes_on.wait(20)
        return run(self, *given)

    monkeypatch.setattr(GraphStream, "run_batch", slow)
    first = threading.Thread(target=pool.process, args=({stream: tone(1000, 0.08)},))
    first.start()
    assert inside.wait(20)
    calls = (pool.add, lambda: pool.remove(stream), lambda: pool.finish(stream), lambda: pool.process({}))
    for call in calls:
        with pytest.raises(ConfigError, match="another thread is at this DetectorPool"):
            call()
    goes_on.set()
    first.join()
    assert pool.streams == (stream,)
    with pytest.raises(TypeError, match="a DetectorPool cannot be pickled"):
        pickle.dumps(pool)
