"""One client's audio: what the detector hears, also when models come and go in the middle of a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kws.serve.library import ModelStore
from kws.serve.pcm import PcmFormat
from kws.serve.settings import DecisionChoices
from kws.serve.streams import AudioStream
from tests.support.onnx_models import silence, tone, write_tone_model
from tests.support.wyoming_clients import as_pcm, by_detector, in_ms

TONES_HZ = {"low": 500.0, "high": 2000.0}
FORM = PcmFormat(16_000, 2, 1)
STEP = 1280 * 2
"""Bytes of 80 ms."""


@pytest.fixture
def recording() -> np.ndarray:
    parts = [
        silence(1),
        tone(500, 0.5),
        silence(1.5),
        tone(2000, 0.5),
        silence(1.5),
        tone(500, 0.5),
        silence(0.5),
    ]
    return np.concatenate(parts)


def library(*sources: Path) -> ModelStore:
    return ModelStore(list(sources), DecisionChoices())


def told(found: list) -> list[tuple[str, int]]:
    return [(item.name, item.time_ms) for item in found]


def whole(stream: AudioStream, data: bytes, models: ModelStore) -> list[tuple[str, int]]:
    found = []
    for start in range(0, len(data), STEP):
        found += stream.push(data[start : start + STEP], models.catalog)
    return told(found + stream.finish(models.catalog))


def test_a_stream_hears_what_the_detector_hears(tmp_path: Path, recording: np.ndarray):
    path = write_tone_model(tmp_path / "m.onnx", TONES_HZ)
    expected = in_ms(by_detector(path, recording)[0])
    assert [name for name, _ in expected] == ["low", "high", "low"]
    assert whole(AudioStream(FORM, None), as_pcm(recording), library(path)) == expected
    chosen = whole(AudioStream(FORM, ["high"]), as_pcm(recording), library(path))
    assert chosen == [item for item in expected if item[0] == "high"]
    assert whole(AudioStream(FORM, ["other"]), as_pcm(recording), library(path)) == []


def test_two_streams_of_one_model_share_its_graph_and_nothing_else(tmp_path: Path, recording: np.ndarray):
    models = library(write_tone_model(tmp_path / "m.onnx", TONES_HZ))
    data, streams = as_pcm(recording), [AudioStream(FORM, None), AudioStream(FORM, None)]
    found: list[list] = [[], []]
    for start in range(0, len(data), STEP):  # the second is a second late
        found[0] += streams[0].push(data[start : start + STEP], models.catalog)
        late = start - 13 * STEP
        if late >= 0:
            found[1] += streams[1].push(data[late : late + STEP], models.catalog)
    first, second = (list(stream._voices.values())[0].detector for stream in streams)
    assert first._session is second._session and first.graph is not second.graph
    assert told(found[1]) == [item for item in told(found[0]) if item[1] < 4900]


@pytest.mark.parametrize("at_s", [0.3, 0.96, 1.04, 1.12, 1.2, 1.4, 3.04])
def test_a_replaced_model_takes_over_without_losing_or_repeating_a_word(
    tmp_path: Path, recording: np.ndarray, at_s: float
):
    path = write_tone_model(tmp_path / "m.onnx", TONES_HZ)
    models, stream, data, found = library(tmp_path), AudioStream(FORM, None), as_pcm(recording), []
    before = models.catalog.models["low"].file
    for start in range(0, len(data), STEP):
        if start == round(at_s / 0.08) * STEP:
            write_tone_model(path, TONES_HZ, metadata={"config_hash": "1"})
            assert models.refresh() | models.refresh()
        found += stream.push(data[start : start + STEP], models.catalog)
    assert models.catalog.models["low"].file is not before
    assert told(found + stream.finish(models.catalog)) == in_ms(by_detector(path, recording)[0])


def test_a_model_that_is_added_or_removed_joins_and_leaves_running_streams(
    tmp_path: Path, recording: np.ndarray
):
    low = write_tone_model(tmp_path / "low.onnx", {"low": 500.0})
    models, stream, data, found = library(tmp_path), AudioStream(FORM, None), as_pcm(recording), []
    for index, start in enumerate(range(0, len(data), STEP)):
        if index == 25:
            write_tone_model(tmp_path / "high.onnx", {"high": 2000.0})
            assert models.refresh() | models.refresh()
        if index == 50:
            low.unlink()
            assert models.refresh()
        found += stream.push(data[start : start + STEP], models.catalog)
    assert [name for name, _ in told(found)] == ["low", "high"]


def test_times_are_those_of_the_clients_clock(tmp_path: Path, recording: np.ndarray):
    models = library(write_tone_model(tmp_path / "m.onnx", TONES_HZ))
    data, stream, found = as_pcm(recording), AudioStream(FORM, None), []
    stream.start_at(5_000)
    found += stream.push(data[: 20 * STEP], models.catalog)
    for index in range(20, len(data) // STEP):  # a pause of two seconds
        piece = data[index * STEP : (index + 1) * STEP]
        found += stream.push(piece, models.catalog, timestamp_ms=7_000 + 80 * index)
    plain = in_ms(by_detector(tmp_path / "m.onnx", recording)[0])
    assert told(found) == [("low", plain[0][1] + 5_000), *((name, ms + 7_000) for name, ms in plain[1:])]


@pytest.mark.parametrize("step", [160, 320, 1000, 1280, 2000])
def test_small_pieces_are_kept_until_a_model_can_run_and_change_nothing(
    tmp_path: Path, recording: np.ndarray, step: int
):
    models = library(write_tone_model(tmp_path / "m.onnx", TONES_HZ))
    data, stream, found, num_pushed = as_pcm(recording), AudioStream(FORM, None), [], 0
    for start in range(0, len(data), 2 * step):
        piece, stamp = data[start : start + 2 * step], 500 + round(start / 32)
        if not stream.holds(piece, models.catalog, stamp):
            found += stream.push(piece, models.catalog, stamp)
            num_pushed += 1
    expected = [(name, ms + 500) for name, ms in in_ms(by_detector(tmp_path / "m.onnx", recording)[0])]
    assert told(found + stream.finish(models.catalog)) == expected
    assert num_pushed <= len(recording) // 1280 + 2


def test_a_stream_without_a_model_keeps_nothing(tmp_path: Path):
    models, stream = library(write_tone_model(tmp_path / "m.onnx")), AudioStream(FORM, ["other"])
    stream.push(bytes(320), models.catalog)
    assert not stream.holds(bytes(320), models.catalog)


def test_a_change_of_form_in_the_middle_goes_on(tmp_path: Path):
    models = library(write_tone_model(tmp_path / "m.onnx", TONES_HZ))
    stream, wide = AudioStream(FORM, None), PcmFormat(48_000, 4, 2)
    found = stream.push(as_pcm(np.concatenate([silence(1), tone(500, 0.5), silence(1)])), models.catalog)
    found += stream.change_form(wide, models.catalog)
    second = np.concatenate([np.zeros(24_000, np.float32), tone(2000, 0.5, rate_hz=48_000)])
    found += stream.push(as_pcm(second, 4, 2), models.catalog)
    found += stream.finish(models.catalog)
    assert [name for name, _ in told(found)] == ["low", "high"]
    assert 3000 < told(found)[1][1] <= 3120


def test_a_stream_keeps_two_seconds_however_long_it_lasts(tmp_path: Path):
    models = library(write_tone_model(tmp_path / "m.onnx"))
    stream = AudioStream(FORM, None)
    for _ in range(6):
        stream.push(bytes(32_000), models.catalog)
    assert len(stream._kept) == 32_000
