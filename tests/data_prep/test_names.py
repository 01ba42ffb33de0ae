"""Names that are hard to write down, in manifests and reports: any bytes, spaces at the ends, a tilde."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import manifests
from data_prep.config import PrepConfig, SourceConfig
from data_prep.prepare import prepare
from kws.manifest import Recording, read_manifest
from kws.text import normalize, shown
from tests.support.recordings import tone, write_audio, write_tones

ODD = [
    "caf\udce9.wav",
    "~x.wav",
    "~.wav",
    " a.wav",
    "a.wav ",
    "a\n.wav",
    "a,b;c.wav",
    '"a".wav',
    "小.wav",
    "\\u00e9.wav",
]

names = st.binary(min_size=1, max_size=20).map(os.fsdecode).filter(lambda name: not set("/\0") & set(name))


@given(st.lists(names.filter(lambda name: name.strip() not in ("", ".", "..")), min_size=1, unique=True))
@settings(max_examples=60, deadline=None)
def test_any_name_survives_a_manifest(found: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        recordings = [
            Recording(Path(f"{folder}/wavs/{name}"), text=name[:3], duration_s=1.0) for name in found
        ]
        path = manifests.write(recordings, f"{folder}/m.jsonl")
        path.read_text(encoding="utf-8")
        recordings[0].path.parent.mkdir()
        recordings[0].path.touch()
        assert [entry.path for entry in manifests.read(path)] == [entry.path for entry in recordings]
        assert [entry.text for entry in manifests.read(path)] == [
            normalize(entry.text or "") for entry in recordings
        ]
        assert [entry.path for entry in read_manifest(path)] == [entry.path for entry in recordings]


def test_a_folder_of_odd_names_is_prepared_and_its_manifest_read(tmp_path: Path) -> None:
    for index, name in enumerate(ODD):
        write_audio(tmp_path / "plain.wav", tone(hz=200 + 50 * index)).rename(f"{tmp_path}/{name}")
    found = sorted(ODD, key=os.fsencode)
    first = prepare(PrepConfig(sources=(SourceConfig(tmp_path),), output=tmp_path / "data"))
    again = prepare(PrepConfig(sources=(SourceConfig(first.manifest),), output=tmp_path / "again"))
    for result in (first, again):
        read = manifests.read(result.manifest)
        assert sorted((entry.path.name for entry in read), key=os.fsencode) == [
            name
            for name in found
            if name != "a.wav "  # its ending is no audio's
        ]
        assert all(entry.path.is_file() for entry in read)
    assert json.loads((tmp_path / "data" / "report.json").read_text(encoding="utf-8"))["num_kept"] == 9


def test_reports_show_such_names(tmp_path: Path) -> None:
    write_tones(tmp_path, 2)
    write_audio(tmp_path / "plain.wav", 0 * tone()).rename(f"{tmp_path}/caf\udce9.wav")
    prepare(PrepConfig(sources=(SourceConfig(tmp_path),), output=tmp_path / "data"))
    assert r"caf\xe9.wav: silent" in (tmp_path / "data" / "report.md").read_text(encoding="utf-8")
    findings = json.loads((tmp_path / "data" / "report.json").read_text(encoding="utf-8"))["findings"]
    assert os.fsencode(findings[0]["path"]).endswith(b"caf\xe9.wav")
    assert shown("caf\udce9 é 小") == r"caf\xe9 é 小"


def test_csv_keeps_spaces_that_the_file_has_and_drops_those_it_has_not(tmp_path: Path) -> None:
    for name in (" a.wav", "b.wav"):
        write_audio(tmp_path / name, tone())
    (tmp_path / "m.csv").write_text("path,label\n a.wav,x\n b.wav ,y\n")
    assert [entry.path.name for entry in manifests.read(tmp_path / "m.csv")] == [" a.wav", "b.wav"]


def test_a_tilde_is_the_home_folder_only_before_a_slash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    at_home = write_audio(tmp_path / "home" / "a.wav", tone())
    beside = write_audio(tmp_path / "~nobody" / "~b.wav", tone())
    (tmp_path / "m.csv").write_text("path\n~/a.wav\n~nobody/~b.wav\n")
    assert [entry.path for entry in manifests.read("m.csv")] == [at_home, beside]
    assert [entry.path for entry in manifests.read("~nobody")] == [beside]
    assert [entry.path for entry in manifests.read("~/a.wav")] == [at_home]
