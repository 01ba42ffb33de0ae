"""Addresses, allowances, log lines, numbers and announcements, each alone."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sys
from pathlib import Path

import pytest

from kws.cli import main
from kws.errors import ConfigError
from kws.serve.addresses import ServeAddress, listening_socket, parse_uri, remove_socket_file
from kws.serve.allowance import Allowance
from kws.serve.announcement import SERVICE_TYPE, Announcement
from kws.serve.logs import MOST_OF_A_KIND, FewOfAKind, JsonFormatter, TextFormatter
from kws.serve.metrics import Metrics
from kws.serve.settings import ServeLimits


@pytest.mark.parametrize(
    ("uri", "address", "is_local"),
    [
        ("tcp://127.0.0.1:10400", ServeAddress("127.0.0.1", 10400), True),
        ("tcp://[::1]:0", ServeAddress("::1", 0), True),
        ("tcp://localhost:1", ServeAddress("localhost", 1), True),
        ("tcp://0.0.0.0:10400", ServeAddress("0.0.0.0", 10400), False),
        ("tcp://192.168.1.2:10400", ServeAddress("192.168.1.2", 10400), False),
        ("tcp://wake.local:10400", ServeAddress("wake.local", 10400), False),
        ("unix:///run/kws.socket", ServeAddress(path=Path("/run/kws.socket")), True),
    ],
)
def test_an_address_is_read_and_written_as_it_was(uri: str, address: ServeAddress, is_local: bool):
    assert parse_uri(uri) == address and address.uri == uri and address.is_local is is_local


@pytest.mark.parametrize(
    "uri",
    [
        "tcp://127.0.0.1",
        "tcp://:10400",
        "127.0.0.1:10400",
        "unix://run/kws",
        "tcp://a:99999",
        "tcp://a:b",
        "udp://a:1",
        "",
    ],
)
def test_an_address_of_another_form_is_refused(uri: str):
    with pytest.raises(ConfigError, match="`uri`: got .*expected tcp://HOST:PORT or unix:///PATH"):
        parse_uri(uri)


def test_a_taken_port_and_a_foreign_address_are_refused():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(ConfigError, match=r"`uri`: cannot listen at tcp://127.0.0.1:\d+ .*in use"):
            listening_socket(ServeAddress("127.0.0.1", other.getsockname()[1]))
    with pytest.raises(ConfigError, match="cannot listen at tcp://192.0.2.1:1"):
        listening_socket(ServeAddress("192.0.2.1", 1))


def test_a_stale_socket_file_is_replaced_and_another_file_or_service_is_not(tmp_path: Path):
    path = tmp_path / "wake.socket"
    address = ServeAddress(path=path)
    crashed, _ = listening_socket(address)
    crashed.close()
    assert path.exists()
    found, _ = listening_socket(address)
    assert path.stat().st_mode & 0o777 == 0o660
    with pytest.raises(ConfigError, match="another service listens at"):
        listening_socket(address)
    remove_socket_file(address, found)
    assert not path.exists()
    path.write_text("notes")
    with pytest.raises(ConfigError, match="is there and no socket"):
        listening_socket(address)
    assert path.read_text() == "notes"


def test_the_socket_file_of_the_next_service_is_left_alone(tmp_path: Path):
    address = ServeAddress(path=tmp_path / "wake.socket")
    first, _ = listening_socket(address)
    address.path.unlink()
    second, _ = listening_socket(address)
    remove_socket_file(address, first)
    assert address.path.exists()
    second.close()


def test_an_allowance_fills_up_to_its_burst():
    allowance = Allowance(per_s=2.0, burst=10.0)
    assert allowance.owed_s(10.0, 100.0) == 0.0
    assert allowance.owed_s(1.0, 100.0) == 0.5
    assert allowance.owed_s(1.0, 101.0) == 0.0
    assert allowance.owed_s(10.0, 1000.0) == 0.0, "no more than the burst was saved"
    assert allowance.owed_s(4.0, 1001.0) == 1.0


def test_limits_are_above_zero():
    with pytest.raises(ConfigError, match="`idle_s`: got 0, expected a number above 0"):
        ServeLimits(idle_s=0)


def record(event: str, at_s: float = 1e9, **fields) -> logging.LogRecord:
    made = logging.LogRecord("kws.serve", logging.INFO, "", 0, event, (), None)
    made.created, made.fields = at_s, fields
    return made


def test_log_lines_are_json_of_one_line_each_or_text_for_people():
    made = record(
        "detection", name='a "quoted"\nname', score=0.123456, client=3, path=Path("/x"), many=("a", 1)
    )
    line = JsonFormatter().format(made)
    assert "\n" not in line
    assert json.loads(line) == {
        "time": json.loads(line)["time"],
        "level": "info",
        "event": "detection",
        "name": 'a "quoted"\nname',
        "score": 0.1235,
        "client": 3,
        "path": "/x",
        "many": ["a", 1],
    }
    assert json.loads(line)["time"].startswith("2001-09-09T01:46:40.")
    text = TextFormatter().format(made)
    assert "\n" not in text and text.endswith('client=3  path="/x"  many=["a", 1]')
    long = json.loads(JsonFormatter().format(record("x", text="a" * 10_000)))
    assert len(long["text"]) == 303


def test_no_client_fills_a_disk_with_log_lines():
    few = FewOfAKind()
    passed = [few.filter(record("client refused", 1e9 + number / 1000, client=1)) for number in range(1000)]
    assert sum(passed) == MOST_OF_A_KIND and all(passed[:MOST_OF_A_KIND])
    assert all(few.filter(record("model added", 1e9)) for _ in range(200)), "those of no client all pass"
    later = record("client refused", 1e9 + 11, client=1)
    assert few.filter(later) and later.fields["left_out_before"] == 1000 - MOST_OF_A_KIND


def test_numbers_are_in_the_text_format_of_prometheus():
    metrics = Metrics()
    metrics.add("kws_detections_total", name='a"b\\c\nd')
    metrics.add("kws_detections_total", name='a"b\\c\nd')
    metrics.time(0.004)
    metrics.time(0.2)
    lines = metrics.text().splitlines()
    assert r'kws_detections_total{name="a\"b\\c\nd"} 2' in lines
    assert "# TYPE kws_detections_total counter" in lines and "# TYPE kws_models gauge" in lines
    assert 'kws_hearing_seconds_bucket{le="0.005"} 1' in lines
    assert 'kws_hearing_seconds_bucket{le="+Inf"} 2' in lines and "kws_hearing_seconds_sum 0.204000" in lines
    memory = next(line for line in lines if line.startswith("process_resident_memory_bytes "))
    assert float(memory.split()[1]) > 1e7 or not Path("/proc/self/statm").exists()


def test_an_announced_service_is_found_and_gone_when_it_stops():
    from zeroconf import ServiceStateChange
    from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

    async def announced() -> tuple[int, list[str]]:
        seen: list[tuple[str, ServiceStateChange]] = []

        def changed(zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
            seen.append((name, state_change))

        async with AsyncZeroconf(interfaces=["127.0.0.1"]) as other:
            browser = AsyncServiceBrowser(other.zeroconf, SERVICE_TYPE, handlers=[changed])
            announcement = Announcement("kws.test", ServeAddress("127.0.0.1", 10499), ["127.0.0.1"])
            await announcement.start()
            name = f"kws-test.{SERVICE_TYPE}"
            for _ in range(200):
                if (name, ServiceStateChange.Added) in seen:
                    break
                await asyncio.sleep(0.02)
            found = await other.async_get_service_info(SERVICE_TYPE, name, timeout=3000)
            await announcement.stop()
            for _ in range(200):
                if (name, ServiceStateChange.Removed) in seen:
                    break
                await asyncio.sleep(0.02)
            await browser.async_cancel()
            return found.port, [change.name for seen_name, change in seen if seen_name == name]

    assert asyncio.run(announced()) == (10499, ["Added", "Removed"])


def test_an_address_that_nobody_else_reaches_is_not_announced():
    with pytest.raises(
        ConfigError, match=r'`zeroconf`: other machines do not reach .*`uri="tcp://0.0.0.0:10400"`'
    ):
        Announcement("kws", ServeAddress("127.0.0.1", 10400))


def test_without_the_protocols_package_the_command_says_what_brings_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setitem(sys.modules, "wyoming", None)
    monkeypatch.setitem(sys.modules, "wyoming.event", None)
    assert main(["serve", "."]) == 2
    assert 'kws serve needs wyoming: `pip install "kws[serve]"`' in capsys.readouterr().err
