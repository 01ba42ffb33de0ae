"""The live test: audio of the page's microphone in by a websocket, scores and detections out."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from kws.errors import ConfigError, KwsError
from kws.studio.api import StudioState
from kws.workflows.project.folder import open_project
from kws.workflows.project.listening import LiveTest

LARGEST_PIECE = 64 * 2**10
"""Bytes of one message."""
IDLE_S = 20.0
"""A page that sends nothing for so long is gone."""
LONGEST_S = 3600.0
"""A test ends after so long."""
AHEAD_S = 10.0
"""A page may be so much ahead of the clock, in seconds of audio; more is a flood."""
MOST = 2
"""Tests at once."""
REFUSED, TOO_MANY, IDLE = 1008, 1013, 4408
"""Codes of a closed websocket."""

_running = 0


async def live(websocket: WebSocket) -> None:
    """Run one live test until the page ends it."""
    global _running
    studio: StudioState = websocket.app.state.studio
    try:
        project = open_project(studio.parent, websocket.path_params["project"])
        model = project.model
    except ConfigError:
        model = None
    if model is None or _running >= MOST:
        await websocket.close(REFUSED if model is None else TOO_MANY)
        return
    _running += 1
    try:
        await websocket.accept()
        begin = _values(await asyncio.wait_for(websocket.receive_text(), IDLE_S))
        test = await run_in_threadpool(LiveTest, model, int(begin["rate"]), begin.get("threshold"))
        await websocket.send_json({"hop_s": test.hop_s, "threshold": test.threshold})
        await _listen(websocket, test, int(begin["rate"]))
        await websocket.close()
    except WebSocketDisconnect:
        pass
    except asyncio.TimeoutError:
        await websocket.close(IDLE)
    except (KwsError, KeyError, TypeError, ValueError) as error:
        await websocket.close(REFUSED, str(error)[:100])
    finally:
        _running -= 1


async def _listen(websocket: WebSocket, test: LiveTest, rate_hz: int) -> None:
    """Answer each piece of audio with its scores; end a page that floods."""
    began_s, num_samples = time.monotonic(), 0
    while time.monotonic() - began_s < LONGEST_S:
        message = await asyncio.wait_for(websocket.receive(), IDLE_S)
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect
        if (text := message.get("text")) is not None:
            test.set_threshold(float(_values(text)["threshold"]))
            continue
        piece = message.get("bytes") or b""
        num_samples += len(piece) // 2
        if len(piece) > LARGEST_PIECE or num_samples > (time.monotonic() - began_s + AHEAD_S) * rate_hz:
            raise ConfigError("more audio than time has passed")
        pcm = np.frombuffer(piece[: len(piece) // 2 * 2], "<i2")
        heard = await run_in_threadpool(test.push, pcm)
        await websocket.send_json(
            {
                "scores": [round(float(score), 4) for score in heard.scores],
                "detections": [
                    {"time_s": round(found.time_s, 2), "score": round(found.score, 3)}
                    for found in heard.detections
                ],
            }
        )


def _values(text: str) -> dict[str, Any]:
    """Return the JSON object of a message.

    Raises:
        ValueError: it is none, or too long.
    """
    values = json.loads(text) if len(text) < 1000 else None
    if not isinstance(values, dict):
        raise ValueError("expected a JSON object")
    return values


def routes() -> list[WebSocketRoute]:
    """Return the address of the live test."""
    return [WebSocketRoute("/api/projects/{project}/live", live)]
