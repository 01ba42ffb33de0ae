"""The live test: scores as the detector gives them, and an end for what floods or says nonsense."""

from __future__ import annotations

import json

import numpy as np
import pytest
from starlette.websockets import WebSocketDisconnect

from kws.audio import to_int16
from kws.detector import Detector
from kws.studio import live
from tests.support.onnx_models import silence, tone, write_tone_model
from tests.support.studio import Studio

LIVE = "ws://127.0.0.1:8000/api/projects/tone/live"


@pytest.fixture
def trained(studio: Studio) -> Studio:
    studio.project.run.mkdir()
    write_tone_model(studio.project.run / "model.onnx")
    return studio


def test_scores_are_those_of_the_detector_and_the_threshold_moves(trained: Studio):
    waveform = np.concatenate([silence(0.5), tone(1000, 0.5, 0.2), silence(1.5)])
    pcm = to_int16(waveform)
    expected = Detector(trained.project.run).scores(pcm)[:, 0]
    with trained.client.websocket_connect(LIVE) as socket:
        socket.send_text(json.dumps({"rate": 16_000, "threshold": 0.5}))
        assert socket.receive_json() == {"hop_s": 0.04, "threshold": 0.5}
        answers = []
        for piece in np.array_split(pcm, 20):
            socket.send_bytes(piece.astype("<i2").tobytes())
            answers.append(socket.receive_json())
        found = [score for answer in answers for score in answer["scores"]]
        assert found == pytest.approx(expected[: len(found)], abs=1e-3) and len(found) >= len(expected) - 2
        assert sum(len(answer["detections"]) for answer in answers) == 1
        socket.send_text(json.dumps({"threshold": 1.0}))
        socket.send_bytes(pcm.astype("<i2").tobytes()[:60_000])
        assert socket.receive_json()["detections"] == []


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"rate": 5}', '{"rate": "x"}', '{"rate": 16000, "threshold": 7}']
)
def test_nonsense_ends_the_test(text: str, trained: Studio):
    with pytest.raises(WebSocketDisconnect), trained.client.websocket_connect(LIVE) as socket:
        socket.send_text(text)
        socket.receive_json()
    assert live._running == 0


@pytest.mark.parametrize("seconds", [3.0, 0.5])
def test_a_flood_ends_the_test(seconds: float, trained: Studio):
    """One message that is too large, and more audio than time has passed."""
    with pytest.raises(WebSocketDisconnect), trained.client.websocket_connect(LIVE) as socket:
        socket.send_text(json.dumps({"rate": 16_000}))
        socket.receive_json()
        for _ in range(60):
            socket.send_bytes(bytes(round(32_000 * seconds)))
            socket.receive_json()
    assert live._running == 0


def test_a_silent_page_ends_and_only_so_many_run_at_once(trained: Studio, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(live, "IDLE_S", 0.2)
    with trained.client.websocket_connect(LIVE) as one, trained.client.websocket_connect(LIVE):
        with pytest.raises(WebSocketDisconnect) as refused, trained.client.websocket_connect(LIVE):
            pass
        assert refused.value.code == live.TOO_MANY
        with pytest.raises(WebSocketDisconnect):
            one.receive_json()


def test_without_a_model_or_a_project_nothing_is_opened(studio: Studio):
    for path in (LIVE, LIVE.replace("tone", "gone")):
        with pytest.raises(WebSocketDisconnect), studio.client.websocket_connect(path):
            pass
