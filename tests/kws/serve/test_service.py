"""The service and the real client of the protocol: what Home Assistant sends, and what it is answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.info import Describe, Info
from wyoming.ping import Ping
from wyoming.wake import Detect, Detection

from kws.audio import resample
from kws.serve.health import check
from kws.serve.service import ServeRequest, Service
from kws.serve.settings import ServeLimits
from tests.support.onnx_models import silence, tone, write_tone_model
from tests.support.wyoming_clients import Answer, as_pcm, by_detector, in_ms, stream, wake_session

TONES_HZ = {"low": 500.0, "high": 2000.0}
FORM = {"rate": 16_000, "width": 2, "channels": 1}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tone_model(tmp_path / "m.onnx", TONES_HZ)


def recording(rate_hz: int = 16_000) -> np.ndarray:
    parts = [(0, 0.6), (500, 0.4), (0, 1.2), (2000, 0.4), (0, 0.8)]
    return np.concatenate([tone(hz, length_s, 0.4 if hz else 0.0, rate_hz) for hz, length_s in parts])


@contextlib.asynccontextmanager
async def serving(*models: Path, limits: ServeLimits | None = None, **settings) -> AsyncIterator[Service]:
    settings = {"uri": "tcp://127.0.0.1:0", **settings}
    service = Service(ServeRequest(tuple(models), limits=limits or ServeLimits(), **settings))
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


async def wake_provider(uri: str, names: list[str] | None, chunks: list[bytes]) -> Detection | None:
    """Do what the wake provider of Home Assistant's integration does: return at the first detection."""
    async with wake_session(uri) as session:
        await session.send(Detect(names=names), AudioStart(**FORM))
        for index, audio in enumerate(chunks):
            await session.send(AudioChunk(**FORM, audio=audio, timestamp=10 * index))
            for answer in session.answers:
                if answer.kind == "detection" and answer.data["name"] in (names or [answer.data["name"]]):
                    return Detection(**{key: answer.data[key] for key in ("name", "timestamp")})
            await asyncio.sleep(0.0005)
        answer = await session.until("detection")
        return Detection(name=answer.data["name"], timestamp=answer.data["timestamp"])


async def whole(uri: str, waveform: np.ndarray, **form) -> list[tuple[str, int]]:
    """Return what one stream is told, once its end has been answered."""
    async with wake_session(uri) as session:
        await stream(session, waveform, **form)
        await session.send(Ping())
        await session.until("pong")
        return session.detections()


@pytest.mark.parametrize("kind", ["tcp", "unix"])
def test_the_order_of_home_assistants_wake_provider(tmp_path: Path, model: Path, kind: str):
    uri = "tcp://127.0.0.1:0" if kind == "tcp" else f"unix://{tmp_path}/wake.socket"
    pcm = as_pcm(recording())
    chunks = [pcm[start : start + 320] for start in range(0, len(pcm), 320)]  # 10 ms, as it sends them
    expected = dict(in_ms(by_detector(model, recording())[0]))

    async def both() -> None:
        async with serving(model, uri=uri) as service:
            for names, first in ((None, "low"), (["high"], "high")):
                found = await wake_provider(service.address.uri, names, chunks)
                assert (found.name, found.timestamp) == (first, expected[first])

    asyncio.run(both())
    assert not (tmp_path / "wake.socket").exists()


@pytest.mark.parametrize(
    ("rate_hz", "width", "channels"),
    [(16_000, 2, 1), (48_000, 2, 2), (44_100, 4, 2), (16_000, 4, 1), (8_000, 3, 1)],
)
def test_detections_are_those_of_the_detector_at_any_rate_width_and_channels(
    model: Path, rate_hz: int, width: int, channels: int
):
    waveform = recording(rate_hz)
    stored = np.frombuffer(as_pcm(waveform), "<i2").astype(np.float32) / 32_768 if width == 2 else waveform
    expected = in_ms(by_detector(model, np.clip(resample(stored, rate_hz), -1, 1))[0])

    async def heard() -> list[tuple[str, int]]:
        async with serving(model) as service:
            return await whole(service.address.uri, waveform, rate_hz=rate_hz, width=width, channels=channels)

    assert [name for name, _ in expected] == ["low", "high"]
    assert asyncio.run(heard()) == expected


def test_describe_is_answered_with_what_home_assistant_lists(model: Path):
    async def described() -> Info:
        async with serving(model) as service, wake_session(service.address.uri) as session:
            await session.send(Describe())
            answer = await session.until("info")
            return Info.from_event(type("", (), {"data": answer.data}))

    (program,) = asyncio.run(described()).wake
    assert [(found.name, found.phrase, found.installed) for found in program.models] == [
        ("low", "low", True),
        ("high", "high", True),
    ]


def test_the_end_of_audio_without_a_detection_is_said_once_for_each_stream(model: Path):
    async def kinds() -> list[str]:
        async with serving(model) as service, wake_session(service.address.uri) as session:
            await stream(session, silence(1))
            await stream(session, recording())
            await stream(session, silence(0.3), names=["high"])
            await stream(session, recording()[:17_000], names=["high"])
            await session.send(AudioStop(), Ping(text="end"))
            assert (await session.until("pong")).data == {"text": "end"}
            return [answer.kind for answer in session.answers]

    expected = ["not-detected", "detection", "detection", "not-detected", "not-detected", "pong"]
    assert asyncio.run(kinds()) == expected


def test_a_word_at_the_very_end_is_heard_when_the_audio_stops(model: Path):
    waveform = np.concatenate([silence(1.003), tone(500, 0.036)])  # shorter than a chunk
    expected = in_ms(by_detector(model, waveform)[0])

    async def heard() -> list[tuple[str, int]]:
        async with serving(model) as service:
            return await whole(service.address.uri, waveform)

    assert [name for name, _ in expected] == ["low"] and asyncio.run(heard()) == expected


def test_unknown_names_are_said_and_known_ones_are_heard(model: Path, caplog: pytest.LogCaptureFixture):
    async def answers() -> list[Answer]:
        async with serving(model) as service, wake_session(service.address.uri) as session:
            with caplog.at_level(logging.WARNING, "kws.serve"):
                await stream(session, recording(), names=["nobody", "low"])
                await session.send(Ping())
                await session.until("pong")
            return session.answers

    error, detection, _ = asyncio.run(answers())
    assert error.kind == "error" and error.data["code"] == "unknown-name"
    assert error.data["text"] == "unknown: 'nobody'; known are 'low', 'high'"
    assert detection.data["name"] == "low"
    assert [record.fields["names"] for record in caplog.records if record.msg == "unknown names"] == [
        ["nobody"]
    ]


def test_a_name_that_is_unknown_now_is_heard_once_its_model_is_there(tmp_path: Path, model: Path):
    async def heard() -> list[str]:
        async with serving(tmp_path) as service, wake_session(service.address.uri) as session:
            await session.send(Detect(names=["later"]), AudioStart(**FORM))
            await session.send(AudioChunk(**FORM, audio=as_pcm(silence(1))), Ping())
            await session.until("pong")
            write_tone_model(tmp_path / "later.onnx", {"later": 2000.0})
            assert service.library.refresh() | service.library.refresh()
            await session.send(AudioChunk(**FORM, audio=as_pcm(recording())), AudioStop())
            return (await session.until("detection", "not-detected")).data.get("name")

    assert asyncio.run(heard()) == "later"


def test_the_order_of_messages_is_not_held_against_a_client(model: Path):
    """Audio without a start, a choice in the middle, a start within a stream, unknown messages."""

    async def heard() -> list[tuple[str, int]]:
        from wyoming.event import Event

        async with serving(model) as service, wake_session(service.address.uri) as session:
            pcm = as_pcm(recording())
            await session.client.write_event(Event("run-satellite", {"x": 1}, b"payload"))
            await session.send(AudioChunk(**FORM, audio=pcm[:40_000]), Detect(names=["high"]))
            await session.send(AudioChunk(**FORM, audio=pcm[40_000:]), AudioStart(**FORM))
            await session.send(AudioChunk(**FORM, audio=pcm), Ping())
            await session.until("pong")
            return [name for name, _ in session.detections()]

    assert asyncio.run(heard()) == ["low", "high", "high"]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ('{"type": "audio-start", "data": {"rate": 0, "width": 2, "channels": 1}}', "`rate`: got 0"),
        ('{"type": "audio-chunk", "data": {}}', "`rate`: got NoneType"),
        ('{"type": "detect", "data": {"names": "low"}}', "`names` is no list"),
        ('{"type": "detect", "data": {"names": [1]}}', "`names` is no list"),
        ('{"type": "audio-chunk", "payload_length": 1000000000}', "more than 1048576 bytes"),
        ("no message", "no JSON"),
    ],
)
def test_what_is_malformed_is_answered_with_an_error_and_closed(model: Path, line: str, error: str):
    async def answered() -> dict:
        async with serving(model) as service:
            reader, writer = await asyncio.open_connection("127.0.0.1", service.address.port)
            writer.write(line.encode() + b"\n")
            said = await asyncio.wait_for(reader.read(), 5)  # to the end: it is closed
            writer.close()
            assert (await whole(service.address.uri, recording()))[0][0] == "low", "others go on"
            return json.loads(said.splitlines()[1])

    said = asyncio.run(answered())
    assert error in said["text"] and said["code"] == "refused"


def test_clients_that_are_silent_slow_or_idle_are_closed_and_one_that_streams_is_not(model: Path):
    limits = ServeLimits(first_message_s=0.3, message_s=0.3, idle_s=0.6)

    async def reasons() -> tuple[str, float]:
        async with serving(model, limits=limits) as service:
            silent, _ = await asyncio.open_connection("127.0.0.1", service.address.port)
            slow, writer = await asyncio.open_connection("127.0.0.1", service.address.port)
            writer.write(b'{"type": "descr')
            idle, other = await asyncio.open_connection("127.0.0.1", service.address.port)
            other.write(b'{"type": "describe"}\n')
            async with wake_session(service.address.uri) as session:
                await stream(session, recording(), speed=2.5)  # longer than all limits
                await session.until("detection")
                ends = [await asyncio.wait_for(reader.read(), 5) for reader in (silent, slow, idle)]
                await session.send(Ping())
                await session.until("pong")
            assert ends[0] == ends[1] == b"" and b'"info"' in ends[2]
            return service.metrics.text()

    text = asyncio.run(reasons())
    assert all(f'kws_refused_total{{reason="{reason}"}} 1' in text for reason in ("silent", "slow", "idle"))


def test_one_client_too_many_takes_the_place_of_an_idle_one_but_of_none_that_streams(
    model: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("kws.serve.server.NEWCOMER_S", 0.05)

    async def counts() -> None:
        async with serving(model, limits=ServeLimits(max_connections=2)) as service:
            idle, _ = await asyncio.open_connection("127.0.0.1", service.address.port)
            await asyncio.sleep(0.1)
            async with wake_session(service.address.uri) as one, wake_session(service.address.uri) as two:
                assert await asyncio.wait_for(idle.read(), 5) == b""
                for session in (one, two):
                    await session.send(AudioStart(**FORM), Ping())
                    await session.until("pong")
                await asyncio.sleep(0.1)
                late, _ = await asyncio.open_connection("127.0.0.1", service.address.port)
                with contextlib.suppress(ConnectionResetError):
                    assert await asyncio.wait_for(late.read(), 5) == b""
                await one.send(AudioChunk(**FORM, audio=as_pcm(recording())))
                await one.until("detection")

    asyncio.run(counts())


def test_a_client_that_sends_faster_than_it_may_is_slowed_and_hears_everything(model: Path):
    limits = ServeLimits(burst_s=1.0, max_speed=4.0)

    async def timed() -> tuple[float, list[tuple[str, int]]]:
        async with serving(model, limits=limits) as service:
            begun = asyncio.get_running_loop().time()
            found = await whole(service.address.uri, recording())
            return asyncio.get_running_loop().time() - begun, found

    took_s, found = asyncio.run(timed())
    assert took_s >= 0.9 * (len(recording()) / 16_000 - 1.0) / 4.0
    assert found == in_ms(by_detector(model, recording())[0])


def test_stopping_answers_what_was_heard_and_ends_all_connections(model: Path):
    async def stopped() -> list[tuple[str, int]]:
        async with serving(model) as service, wake_session(service.address.uri) as session:
            _, idle = await asyncio.open_connection("127.0.0.1", service.address.port)
            await session.send(AudioStart(**FORM), AudioChunk(**FORM, audio=as_pcm(recording())))
            while "kws_messages_total 2" not in service.metrics.text():
                await asyncio.sleep(0.001)
            begun = asyncio.get_running_loop().time()
            await service.stop()
            assert asyncio.get_running_loop().time() - begun < 2
            await asyncio.sleep(0.05)
            with pytest.raises(OSError):
                await asyncio.open_connection("127.0.0.1", service.address.port)
            idle.close()
            return session.detections()

    assert asyncio.run(stopped()) == in_ms(by_detector(model, recording())[0])


def test_numbers_and_health_are_told_by_http_on_loopback_alone(tmp_path: Path, model: Path):
    def get(port: int, path: str, method: str = "GET") -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, ""

    async def asked() -> None:
        async with serving(tmp_path, metrics_port=0) as service:
            port = service.endpoint.port
            await whole(service.address.uri, recording())
            await whole(service.address.uri, silence(0.2))
            status, text = await asyncio.to_thread(get, port, "/metrics")
            assert status == 200 and 'kws_detections_total{name="low"} 1' in text
            assert "kws_not_detected_total 1" in text and "kws_models 2" in text
            assert "kws_audio_seconds_total 3.6" in text and "kws_hearing_seconds_count" in text
            assert await asyncio.to_thread(get, port, "/health") == (200, "ok\n")
            assert (await asyncio.to_thread(get, port, "/other"))[0] == 404
            assert (await asyncio.to_thread(get, port, "/metrics", "POST"))[0] == 405
            model.unlink()
            service.library.refresh()
            assert (await asyncio.to_thread(get, port, "/health"))[0] == 503
            assert service.endpoint._server.sockets[0].getsockname()[0] == "127.0.0.1"

    asyncio.run(asked())


def test_the_health_check_asks_as_a_client(tmp_path: Path, model: Path):
    async def asked() -> None:
        async with serving(model) as service:
            found = await asyncio.to_thread(check, service.address.uri)
            assert found.ok and found.names == ("low", "high") and found.error == ""
            uri = service.address.uri
        gone = await asyncio.to_thread(check, uri)
        assert not gone.ok and gone.error
        (tmp_path / "none").mkdir()
        async with serving(tmp_path / "none") as service:
            empty = await asyncio.to_thread(check, service.address.uri)
            assert not empty.ok and empty.error == "it knows no model"
        mute = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = mute.sockets[0].getsockname()[1]
        late = await asyncio.to_thread(check, f"tcp://127.0.0.1:{port}", 0.2)
        assert late.error == "no answer within 0.2 s"
        mute.close()

    asyncio.run(asked())
