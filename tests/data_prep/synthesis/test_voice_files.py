"""Fetching voices from a server on this machine: whole, stopped, damaged, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_prep.synthesis import voice_files
from data_prep.synthesis.voice_files import PART, FetchError, RemoteFile, fetch
from tests.support.voices import Hub, serving

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving() as found:
        found.files["/voice.bin"] = CONTENT
        yield found


def remote(hub: Hub, **changes: object) -> RemoteFile:
    given = {"size": len(CONTENT), "digest": hub.sha256("/voice.bin")} | changes
    return RemoteFile(f"{hub.address}/voice.bin", "engine/voice.bin", **given)  # type: ignore[arg-type]


def test_a_file_is_fetched_once_and_appears_under_its_name(hub: Hub, tmp_path: Path):
    (path,) = fetch([remote(hub)], tmp_path)
    assert path == tmp_path / "engine" / "voice.bin" and path.read_bytes() == CONTENT
    fetch([remote(hub)], tmp_path)
    assert len(hub.asked) == 1 and [entry.name for entry in path.parent.iterdir()] == ["voice.bin"]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_fetch_that_was_stopped_goes_on(hub: Hub, tmp_path: Path, ranges: bool):
    hub.cut_after, hub.ranges = 100_000, ranges
    with pytest.raises(FetchError, match="(?s)100000 of 256000 bytes; give the same command again|cannot be"):
        fetch([remote(hub)], tmp_path)
    part = tmp_path / "engine" / f"voice.bin{PART}"
    assert part.stat().st_size == 100_000 and not part.with_name("voice.bin").exists()
    hub.cut_after = None
    (path,) = fetch([remote(hub)], tmp_path)
    assert hub.asked[-1] == ("/voice.bin", "bytes=100000-") and path.read_bytes() == CONTENT


def test_another_content_is_refused_and_leaves_nothing(hub: Hub, tmp_path: Path):
    wrong = hashlib.sha256(b"").hexdigest()
    with pytest.raises(FetchError, match=f"checksum is {hub.sha256('/voice.bin')}, expected {wrong}"):
        fetch([remote(hub, digest=wrong)], tmp_path)
    assert list((tmp_path / "engine").iterdir()) == []


def test_a_longer_file_is_not_read_to_its_end(hub: Hub, tmp_path: Path):
    with pytest.raises(FetchError, match="after 1001 of 1000 bytes"):
        fetch([remote(hub, size=1000)], tmp_path)


def test_a_damaged_file_is_fetched_anew(hub: Hub, tmp_path: Path):
    (path,) = fetch([remote(hub)], tmp_path)
    path.write_bytes(CONTENT[:-1])
    fetch([remote(hub)], tmp_path)
    assert path.read_bytes() == CONTENT


def test_the_checksum_of_git_is_known(tmp_path: Path):
    path = tmp_path / "hello"
    path.write_bytes(b"hello\n")
    assert voice_files.digest(path, "git") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object


def test_no_such_file_and_no_network_are_told(hub: Hub, tmp_path: Path):
    missing = RemoteFile(f"{hub.address}/other.bin", "other.bin", 1, "")
    with pytest.raises(FetchError, match="the server says 404"):
        fetch([missing], tmp_path)
    nobody = RemoteFile("http://127.0.0.1:9/voice.bin", "voice.bin", 1, "")
    with pytest.raises(FetchError, match="cannot be reached .*check the network"):
        fetch([nobody], tmp_path)


def test_the_folder_is_that_of_the_variable_or_of_the_platform(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("KWS_VOICES", str(tmp_path))
    assert voice_files.folder() == tmp_path
    monkeypatch.delenv("KWS_VOICES")
    monkeypatch.setattr(voice_files.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert voice_files.folder() == tmp_path / "cache" / "kws" / "voices"
    monkeypatch.setattr(voice_files.sys, "platform", "darwin")
    assert voice_files.folder().parts[-4:] == ("Library", "Caches", "kws", "voices")
