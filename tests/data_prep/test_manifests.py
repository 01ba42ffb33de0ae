"""Manifests: what is read from folders, JSONL and CSV, what is written, and what is refused."""

from __future__ import annotations

import gzip
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from data_prep import manifests
from kws.errors import ManifestError
from kws.manifest import Recording
from tests.support.recordings import tone, write_audio


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    """One recording in ``data/wavs``."""
    return write_audio(tmp_path / "data" / "wavs" / "one.wav", tone())


def write_lines(path: Path, *rows: object) -> Path:
    """Write one JSON value a line; text is written as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8"
    )
    return path


def test_folder_is_searched_in_sorted_order_for_audio_only(tmp_path: Path) -> None:
    for name in ("b/2.wav", "b/10.FLAC", "a.ogg", ".hidden.wav", ".git/x.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = manifests.read(tmp_path)
    assert [str(item.path.relative_to(tmp_path)) for item in found] == ["a.ogg", "b/10.FLAC", "b/2.wav"]
    assert all(item.path.is_absolute() for item in found)


def test_what_a_scan_passes_by_is_named_and_counted(tmp_path: Path) -> None:
    names = [
        "a.wav",
        "b.M4A",
        "c.webm",
        "d.amr",
        "1.txt",
        "2.txt",
        "3.TXT",
        "4.docx",
        "README",
        ".hidden",
        ".x/y.md",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    notes: list[str] = []
    found = manifests.read_all([tmp_path], notes)
    assert [item.path.name for item in found] == ["a.wav", "b.M4A", "c.webm", "d.amr"]
    assert notes == [f"{tmp_path}: 5 files passed by: 3 .txt, 1 without an ending, 1 .docx"]
    for name in names[:4]:
        (tmp_path / name).unlink()
    with pytest.raises(ManifestError, match=r"holds no audio files \(5 files passed by: 3 \.txt, .*; put"):
        manifests.read(tmp_path)


def test_many_endings_are_summed_up(tmp_path: Path) -> None:
    for name in ("a.wav", *(f"{index:02d}.{index:02d}x" for index in range(11))):
        (tmp_path / name).touch()
    notes: list[str] = []
    manifests.read(tmp_path, notes)
    assert notes[0].endswith(
        "11 files passed by: " + ", ".join(f"1 .{n:02d}x" for n in range(8)) + ", 3 of other endings"
    )


def test_folder_that_links_to_itself_ends(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    (tmp_path / "again").symlink_to(tmp_path)
    assert len(manifests.read(tmp_path)) == 1


def test_single_audio_file(wav: Path) -> None:
    assert manifests.read(wav) == [Recording(path=wav)]


def test_every_field_and_unknown_columns_survive_a_round_trip(wav: Path, tmp_path: Path) -> None:
    extra = {"age": 6, "slots": {"a": [1]}}
    full = Recording(
        wav, "sag „hé“", "hey", "anna", "dev", "HH EY1", 0.25, 16_000, "en", "mine", 0.125, extra
    )
    for name in ("m.jsonl", "m.jsonl.gz"):
        path = manifests.write([full, Recording(wav)], tmp_path / "data" / name)
        assert manifests.read(path) == [full, Recording(wav)]
    row = json.loads((tmp_path / "data" / "m.jsonl").read_text(encoding="utf-8").splitlines()[1])
    assert row == {"path": "wavs/one.wav"}


def test_written_file_is_the_same_each_time(wav: Path, tmp_path: Path) -> None:
    first, second = (
        manifests.write([Recording(wav)], tmp_path / name).read_bytes()
        for name in ("a.jsonl.gz", "b.jsonl.gz")
    )
    assert first == second
    assert gzip.decompress(first).endswith(b"\n")


def test_paths_outside_the_folder_stay_absolute(wav: Path, tmp_path: Path) -> None:
    path = manifests.write([Recording(wav)], tmp_path / "elsewhere" / "m.jsonl")
    assert json.loads(path.read_text())["path"] == str(wav)


def test_path_is_looked_for_in_the_folder_then_in_its_parent(wav: Path, tmp_path: Path) -> None:
    inside = write_lines(
        tmp_path / "data" / "m.jsonl", {"path": "wavs/one.wav"}, {"path": "data/wavs/one.wav"}
    )
    assert [item.path for item in manifests.read(inside)] == [wav, wav]


def test_moved_folder_is_read_from_another_working_directory(
    wav: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifests.write([Recording(wav)], tmp_path / "data" / "m.jsonl")
    os.rename(tmp_path / "data", tmp_path / "moved")
    monkeypatch.chdir(tmp_path / "moved")
    assert manifests.read("m.jsonl")[0].path == tmp_path / "moved" / "wavs" / "one.wav"


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_as_spreadsheets_write_it(wav: Path, tmp_path: Path, separator: str) -> None:
    header = separator.join(["path", "label", "offset_s", "sample_rate", "text", "room"])
    line = separator.join(["wavs/one.wav", "", "0.5", "16000", '"hey, ""you""; there"', "kitchen"])
    path = tmp_path / "data" / "m.csv"
    path.write_bytes(f"\ufeff{header}\r\n{line}\r\n".encode())
    expected = Recording(
        wav, text='hey, "you"; there', offset_s=0.5, sample_rate=16_000, extra={"room": "kitchen"}
    )
    assert manifests.read(path) == [expected]


def test_numeric_labels_become_text(wav: Path, tmp_path: Path) -> None:
    assert manifests.read(write_lines(tmp_path / "m.jsonl", {"path": str(wav), "label": 0}))[0].label == "0"


def test_missing_files_are_left_to_the_checks_unless_all_are_missing(wav: Path, tmp_path: Path) -> None:
    path = write_lines(tmp_path / "m.jsonl", {"path": str(wav)}, {"path": "gone.wav"})
    assert [item.path.exists() for item in manifests.read(path)] == [True, False]
    with pytest.raises(
        ManifestError, match=r"none of its 1 audio files exists; the first is .*gone\.wav.*mend"
    ):
        manifests.read(write_lines(tmp_path / "n.jsonl", {"path": "gone.wav"}))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{'path': 'a.wav'}", r"m\.jsonl, line 2: not valid JSON .*one object a line"),
        ('["a.wav"]', r"line 2: expected a JSON object, got list"),
        ('{"file": "a.wav", "text": "x"}', r"line 2: no `path`; columns given: file, text"),
        ('{"path": ""}', r"line 2: no `path`"),
        ('{"path": "a.wav", "split": "valid"}', r"line 2: split is 'valid', allowed: train, dev, test"),
        ('{"path": "a.wav", "duration_s": -1}', r"line 2: `duration_s` is -1, expected a number"),
        ('{"path": "a.wav", "duration_s": NaN}', r"line 2: `duration_s` is nan"),
        ('{"path": "a.wav", "offset_s": "1:30"}', r"line 2: `offset_s` is '1:30'"),
        ('{"path": "a.wav", "label": ["a"]}', r"line 2: `label` is \['a'\], expected text"),
    ],
)
def test_bad_line_is_named(wav: Path, tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        manifests.read(write_lines(tmp_path / "m.jsonl", {"path": str(wav)}, line))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,text\na.wav,x\n", r"m\.csv: no `path` column; columns given: file, text"),
        ("path,text\na.wav,x,y\n", r"m\.csv, line 2: not 2 values as in the header; quote"),
        ("path,text\na.wav\n", r"m\.csv, line 2: not 2 values"),
        ('path,text\na.wav,"x\n', r"m\.csv, line \d: not valid CSV"),
        ("", r"m\.csv: no `path` column; columns given: none"),
        ("path,text\n", r"m\.csv: holds no recordings"),
    ],
)
def test_bad_csv_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "m.csv").write_text(content)
    with pytest.raises(ManifestError, match=message):
        manifests.read(tmp_path / "m.csv")


def test_sources_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"nowhere: no such file or folder; give a folder"):
        manifests.read(tmp_path / "nowhere")
    with pytest.raises(ManifestError, match=r"holds no audio files; put recordings there"):
        manifests.read(tmp_path)
    (tmp_path / "m.xlsx").touch()
    with pytest.raises(ManifestError, match=r"m\.xlsx: neither a manifest nor audio; give"):
        manifests.read(tmp_path / "m.xlsx")
    (tmp_path / "m.jsonl").write_bytes(b'{"path": "\xff.wav"}')
    with pytest.raises(ManifestError, match=r"m\.jsonl: cannot be read as UTF-8 text"):
        manifests.read(tmp_path / "m.jsonl")
    (tmp_path / "m.jsonl.gz").write_bytes(b"not gzip")
    with pytest.raises(ManifestError, match=r"m\.jsonl\.gz: cannot be read"):
        manifests.read(tmp_path / "m.jsonl.gz")


def test_write_refuses_and_leaves_the_old_file(wav: Path, tmp_path: Path) -> None:
    path = manifests.write([Recording(wav)], tmp_path / "m.jsonl")
    before = path.read_bytes()
    with pytest.raises(ManifestError, match=r"one\.wav cannot be written as JSON"):
        manifests.write([Recording(wav), Recording(wav, extra={"x": {1, 2}})], path)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["m.jsonl"]
    with pytest.raises(ManifestError, match=r"m\.csv: manifests are written as \.jsonl"):
        manifests.write([Recording(wav)], tmp_path / "m.csv")


def test_validate_counts_hours_by_split_and_label() -> None:
    def item(name: str, split: str, label: str | None, hours: float, speaker: str | None) -> Recording:
        return Recording(
            Path(f"/a/{name}.wav"), split=split, label=label, duration_s=3600 * hours, speaker=speaker
        )

    recordings = [
        item("a", "train", "hey", 0.5, "s1"),
        item("b", "train", "hey", 0.25, "s2"),
        item("c", "train", None, 1.0, None),
        item("d", "test", "hey", 2.0, "s3"),
    ]
    expected = {"train": {"hey": 0.75, "unlabelled": 1.0}, "test": {"hey": 2.0}}
    assert manifests.validate(recordings) == expected
    shared = [*recordings, item("e", "dev", "hey", 0.1, "s3")]
    with pytest.raises(ManifestError, match=r"1 speaker\(s\) in more than one split: s3 in dev and test"):
        manifests.validate(shared)
    assert manifests.validate(shared, allow_shared=["s3"])["dev"] == {"hey": pytest.approx(0.1)}
    with pytest.raises(ManifestError, match=r"1 file\(s\) in more than one split: .*c\.wav in dev and train"):
        manifests.validate([*recordings, item("c", "dev", None, 0.1, None)])
    with pytest.raises(ManifestError, match=r"split is None, expected train, dev, test; split first"):
        manifests.validate([Recording(Path("/a.wav"))])


def test_copies_have_the_same_fingerprint_of_content_and_another_one_of_files(tmp_path: Path) -> None:
    folders = [tmp_path / name / "wavs" for name in ("here", "there")]
    first, copy = (
        [Recording(path=write_audio(folder / "one.wav", tone()), label="tone", offset_s=0.25)]
        for folder in folders
    )
    assert manifests.content_fingerprint(first) == manifests.content_fingerprint(copy)
    assert manifests.fingerprint(first) != manifests.fingerprint(copy)
    told = manifests.content_fingerprint(first)
    os.utime(first[0].path, (1, 1))
    assert manifests.content_fingerprint(first) == told
    for change in ({"label": "other"}, {"offset_s": 0.5}, {"path": folders[1] / "none.wav"}):
        assert manifests.content_fingerprint([replace(first[0], **change)]) != told
    assert manifests.content_fingerprint(first * 2) != told
    data = bytearray(first[0].path.read_bytes())
    data[-1] ^= 1  # a sample of the same file, of the same size
    first[0].path.write_bytes(data)
    assert manifests.content_fingerprint(first) != told
