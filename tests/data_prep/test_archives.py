"""Archives that are as they should be, damaged, or made to do harm."""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from data_prep import archives
from data_prep.archives import UnpackedFile, unpack
from data_prep.fetching import FetchError
from tests.support.archives import write_tar, write_zip

FILES = {"corpus/a.wav": b"sound", "corpus/b/c.txt": b"text"}
MOST = 1000


def contents(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.tgz", "x.tar.bz2", "x.zip"])
def test_files_come_out_with_their_checksums(name: str, tmp_path: Path):
    write = write_zip if name.endswith(".zip") else write_tar
    found = unpack(write(tmp_path / name, FILES), tmp_path / "out", MOST)
    assert contents(tmp_path / "out") == FILES
    assert found == [UnpackedFile(key, hashlib.sha256(value).hexdigest()) for key, value in FILES.items()]


def test_only_what_is_wanted_is_written(tmp_path: Path):
    archive = write_tar(tmp_path / "x.tar.gz", {f"./{name}": content for name, content in FILES.items()})
    unpack(archive, tmp_path / "out", 5, lambda name: name.endswith(".wav"))
    assert contents(tmp_path / "out") == {"corpus/a.wav": b"sound"}
    with pytest.raises(FetchError, match="holds none of the files that were expected"):
        unpack(archive, tmp_path / "out", 5, lambda name: name.endswith(".flac"))


@pytest.mark.parametrize(
    "name", ["../out.wav", "a/../../out.wav", "/tmp/out.wav", "a\\..\\out.wav", "C:out.wav"]
)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_a_path_that_leads_out_is_refused(name: str, kind: str, tmp_path: Path):
    write = write_zip if kind == "zip" else write_tar
    archive = write(tmp_path / f"x.{kind}", {name: b"evil"})
    with pytest.raises(FetchError, match="leads out of the folder; it is refused"):
        unpack(archive, tmp_path / "in" / "out", MOST)
    assert contents(tmp_path).keys() == {f"x.{kind}"}


def test_links_and_devices_are_passed_by(tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"mine")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for kind, target in (
            (tarfile.SYMTYPE, str(victim)),
            (tarfile.LNKTYPE, "good"),
            (tarfile.CHRTYPE, ""),
        ):
            link = tarfile.TarInfo(f"link{kind.decode()}")
            link.type, link.linkname = kind, target
            tar.addfile(link)
        through = tarfile.TarInfo(f"link{tarfile.SYMTYPE.decode()}")
        through.size = 4
        tar.addfile(through, io.BytesIO(b"evil"))
    unpack(tmp_path / "x.tar", tmp_path / "tar", MOST)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as file:
        file.writestr("good", b"good")
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(link, str(victim))
    unpack(tmp_path / "x.zip", tmp_path / "zip", MOST)
    assert contents(tmp_path / "tar") == {"link2": b"evil"} and not (tmp_path / "tar/link2").is_symlink()
    assert contents(tmp_path / "zip") == {"good": b"good"} and victim.read_bytes() == b"mine"


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_a_bomb_is_stopped_while_it_is_written(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archives, "BLOCK", 1000)
    write = write_zip if kind == "zip" else write_tar
    archive = write(tmp_path / f"x.{kind}", {"small": bytes(600), "large": bytes(1_000_000)})
    with pytest.raises(FetchError, match="holds more than the 0 MB that were expected"):
        unpack(archive, tmp_path / "out", 5000)
    assert sum(map(len, contents(tmp_path / "out").values())) <= 6600


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(archives, "MOST_FILES", 1)
    with pytest.raises(FetchError, match="holds more than 1 files"):
        unpack(write_tar(tmp_path / "x.tar", FILES), tmp_path / "out", MOST)


@pytest.mark.parametrize("name", ["x.tar.gz", "x.zip"])
def test_a_damaged_archive_is_named(name: str, tmp_path: Path):
    noise = {"a.wav": bytes(hashlib.sha256(str(n).encode()).digest()[0] for n in range(3000))}
    write = write_zip if name.endswith(".zip") else write_tar
    archive = write(tmp_path / name, noise)
    whole = archive.read_bytes()
    for broken in (whole[:-1500], whole[:500] + bytes(500) + whole[1000:], b"no archive"):
        archive.write_bytes(broken)
        with pytest.raises(FetchError, match="is damaged|holds none of"):
            unpack(archive, tmp_path / "out", 10_000)


def test_a_zip_with_a_password_is_damaged(tmp_path: Path):
    archive = write_zip(tmp_path / "x.zip", {"a": b"a"})
    content = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(mark) + offset] |= 1
    archive.write_bytes(content)
    with pytest.raises(FetchError, match="is damaged .*password"):
        unpack(archive, tmp_path / "out", MOST)


def test_the_writers_of_this_test_take_any_name(tmp_path: Path):
    files: Mapping[str, bytes] = {"../a": b"a"}
    assert tarfile.open(write_tar(tmp_path / "x.tar", files)).getnames() == ["../a"]
    assert zipfile.ZipFile(write_zip(tmp_path / "x.zip", files)).namelist() == ["../a"]
