"""Fetching from a server on this machine: whole, stopped, damaged, changed, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_prep import fetching
from data_prep.fetching import PART, FetchError, RemoteFile, digest, fetch
from data_prep.synthesis import voice_files
from tests.support.hub import Hub, serving

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
    assert digest(path, "git") == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object


def test_no_such_file_and_no_network_are_told(hub: Hub, tmp_path: Path):
    missing = RemoteFile(f"{hub.address}/other.bin", "other.bin", 1, "")
    with pytest.raises(FetchError, match="the server says 404"):
        fetch([missing], tmp_path)
    nobody = RemoteFile("http://127.0.0.1:9/voice.bin", "engine/voice.bin", 1, "")
    by_hand = f"By hand: download {nobody.url} elsewhere and put it there as {tmp_path / 'engine/voice.bin'}"
    with pytest.raises(FetchError, match=f"cannot be reached .*check the network.*{by_hand}"):
        fetch([nobody], tmp_path)
    (tmp_path / "engine" / "voice.bin").write_bytes(CONTENT)
    (path,) = fetch([RemoteFile(nobody.url, nobody.name, None, None)], tmp_path)
    assert path.read_bytes() == CONTENT, "what was put there by hand is taken"


def test_the_folder_is_that_of_the_variable_or_of_the_platform(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("KWS_VOICES", str(tmp_path))
    assert voice_files.folder() == tmp_path
    monkeypatch.delenv("KWS_VOICES")
    monkeypatch.setattr(fetching.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert voice_files.folder() == tmp_path / "cache" / "kws" / "voices"
    monkeypatch.setattr(fetching.sys, "platform", "darwin")
    assert voice_files.folder().parts[-4:] == ("Library", "Caches", "kws", "voices")
    monkeypatch.setenv("KWS_SOME", "~/mine")
    assert fetching.own_folder("KWS_SOME", "data", "data") == Path.home() / "mine"
    monkeypatch.delenv("KWS_SOME")
    assert fetching.own_folder("KWS_SOME", "data", "data").parts[-4:] == (
        "Library", "Application Support", "kws", "data",
    )  # fmt: skip
    monkeypatch.setattr(fetching.sys, "platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    assert fetching.own_folder("KWS_SOME", "data", "data") == tmp_path / "share" / "kws" / "data"


def test_the_checksum_may_be_md5(hub: Hub, tmp_path: Path):
    fits = hashlib.md5(CONTENT).hexdigest()
    (path,) = fetch([remote(hub, digest=fits, digest_of="md5")], tmp_path)
    assert digest(path, "md5") == fits
    with pytest.raises(FetchError, match="its checksum is"):
        fetch([remote(hub, digest="0" * 32, digest_of="md5")], tmp_path)


def unknown(hub: Hub, **changes: object) -> RemoteFile:
    """Return a file of which the publisher gives neither size nor checksum."""
    return remote(hub, **{"size": None, "digest": None, "about": len(CONTENT), **changes})


@pytest.mark.parametrize("told", [True, False])
def test_a_file_without_checksum_goes_on_only_where_it_is_the_same(hub: Hub, tmp_path: Path, told: bool):
    hub.etag, hub.cut_after = '"first"', 100_000
    with pytest.raises(FetchError, match="100000 of 256000 bytes"):
        fetch([unknown(hub)], tmp_path)
    hub.cut_after, hub.told = None, told
    hub.etag, hub.files["/voice.bin"] = '"second"', CONTENT[::-1]
    (path,) = fetch([unknown(hub)], tmp_path)
    assert path.read_bytes() == CONTENT[::-1], "no half of the first with a half of the second"
    assert [entry.name for entry in path.parent.iterdir()] == ["voice.bin"]
    path.rename(path.with_name(f"voice.bin{PART}"))
    path.with_name(f"voice.bin{PART}").write_bytes(CONTENT[::-1][:1000])
    path.with_name(f"voice.bin{PART}{fetching.VERSION}").write_text('"second"')
    fetch([unknown(hub)], tmp_path)
    assert hub.asked[-1] == ("/voice.bin", "bytes=1000-") and path.read_bytes() == CONTENT[::-1]


def test_a_file_of_unknown_size_is_not_read_without_end(hub: Hub, tmp_path: Path):
    with pytest.raises(FetchError, match="sends more than 0 MB, where about 0 MB are expected"):
        fetch([unknown(hub, about=1000)], tmp_path)
    assert not (tmp_path / "engine" / f"voice.bin{PART}").exists()


def test_a_server_may_point_only_to_protected_addresses_or_to_itself(hub: Hub, tmp_path: Path):
    hub.moved["/old.bin"] = f"{hub.address}/voice.bin"
    moved = remote(hub)
    fetch([RemoteFile(f"{hub.address}/old.bin", moved.name, moved.size, moved.digest)], tmp_path)
    with serving() as other:
        other.files["/voice.bin"] = CONTENT
        hub.moved["/old.bin"] = f"{other.address}/voice.bin"
        with pytest.raises(FetchError, match="points to http://127.* not protected by https; it was not fol"):
            fetch([RemoteFile(f"{hub.address}/old.bin", "b", moved.size, moved.digest)], tmp_path)
        assert other.asked == []
    hub.moved["/old.bin"] = "https://127.0.0.1:9/voice.bin"
    with pytest.raises(FetchError, match="cannot be reached .*refused"):
        fetch([RemoteFile(f"{hub.address}/old.bin", "b", moved.size, moved.digest)], tmp_path)
    hub.moved["/old.bin"] = "file:///etc/hostname"
    with pytest.raises(FetchError, match="is not allowed"):
        fetch([RemoteFile(f"{hub.address}/old.bin", "b", moved.size, moved.digest)], tmp_path)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, as Linux has it")
def test_a_full_disk_is_told_from_a_network_that_fails(hub: Hub, tmp_path: Path):
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / f"voice.bin{PART}").symlink_to("/dev/full")
    with pytest.raises(FetchError, match="cannot be written .*free some of the disk"):
        fetch([remote(hub)], tmp_path)
