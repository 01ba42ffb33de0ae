"""The manifest as training reads it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kws import audio
from kws.errors import AudioError, ManifestError
from kws.manifest import Recording, read_manifest, to_row
from tests.support.training import noise, tone, write_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``a.wav`` of three seconds, one second each of three tones."""
    audio.save(tmp_path / "a.wav", np.concatenate([tone(1, 400), tone(1, 800), tone(1, 1600)]))
    return tmp_path


def test_fields_order_and_unknown_columns_are_kept(folder: Path):
    rows = [
        {"path": "a.wav", "text": "hé", "label": "l", "speaker": "s", "split": "dev", "phones": "K AE T"},
        {"path": folder / "a.wav", "offset_s": 1.0, "duration_s": 0.5, "gender": "f"},
    ]
    first, second = read_manifest(write_manifest(folder / "m.jsonl", rows))
    assert first == Recording(folder / "a.wav", "hé", "l", "s", "dev", "K AE T", 3.0)
    assert (second.duration_s, second.offset_s, second.extra) == (0.5, 1.0, {"gender": "f"})
    assert first.item_id == f"{folder.name}/a.wav@0" and second.item_id.endswith("a.wav@1")


def test_relative_paths_start_at_the_folder_or_the_one_above(folder: Path):
    (folder / "data").mkdir()
    manifest = write_manifest(folder / "data" / "m.jsonl", [{"path": "a.wav"}])
    assert read_manifest(manifest)[0].path.resolve() == folder / "a.wav"


def test_splits_are_chosen(folder: Path):
    rows = [{"path": "a.wav", "split": split} for split in ("train", "dev", None)]
    manifest = write_manifest(folder / "m.jsonl", rows)
    assert [entry.split for entry in read_manifest(manifest, {"dev", "train"})] == ["train", "dev"]
    with pytest.raises(ManifestError, match=r"m\.jsonl: holds no recordings with split test"):
        read_manifest(manifest, {"test"})


def test_texts_may_hold_every_kind_of_line_end(folder: Path):
    text = "one\u2028two\x85three\x0bfour"
    (folder / "m.jsonl").write_text(
        json.dumps({"path": "a.wav", "text": text}, ensure_ascii=False) + "\n\n", "utf-8"
    )
    assert read_manifest(folder / "m.jsonl")[0].text == text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected a JSON object, got list"),
        ("7", "expected a JSON object, got int"),
        ('{"text": "x"}', "no `path`; columns given: text"),
        ('{"path": 5}', "no `path`"),
    ],
)
def test_a_bad_line_is_named(folder: Path, line: str, message: str):
    (folder / "m.jsonl").write_text('{"path": "a.wav"}\n' + line + "\n", "utf-8")
    with pytest.raises(ManifestError, match=rf"m\.jsonl, line 2: {message}"):
        read_manifest(folder / "m.jsonl")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"path": " "}, "no `path`; columns given: path; add the audio's path"),
        ({"duration_s": "x"}, "`duration_s` is 'x', expected a number that is not negative; mend the line"),
        ({"duration_s": -1}, "`duration_s` is -1"),
        ({"duration_s": float("nan")}, "`duration_s` is nan"),
        ({"duration_s": True}, "`duration_s` is True"),
        ({"offset_s": "x"}, "`offset_s` is 'x'"),
        ({"offset_s": 9}, "`offset_s` 9 is behind the end of .*a.wav"),
        ({"phones": ["K"]}, r"`phones` is \['K'\], expected text"),
        ({"text": {"en": "x"}}, "`text` is {'en': 'x'}, expected text"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(folder: Path, values: dict, message: str):
    rows = [{"path": "a.wav"}, {"path": "a.wav", **values}]
    with pytest.raises(ManifestError, match=rf"m\.jsonl, line 2: {message}"):
        read_manifest(write_manifest(folder / "m.jsonl", rows))


def test_numbers_in_the_place_of_text_are_text(folder: Path):
    row = {"path": "a.wav", "text": 42, "speaker": 7, "offset_s": 1}
    (entry,) = read_manifest(write_manifest(folder / "m.jsonl", [row]))
    assert (entry.text, entry.speaker, entry.duration_s) == ("42", "7", 2.0)  # to the end of the file
    assert entry.where == f"{folder / 'm.jsonl'}, line 1"


def test_files_without_a_length_can_be_set_aside(folder: Path):
    unreadable: list = []
    manifest = write_manifest(folder / "m.jsonl", [{"path": "gone.wav"}, {"path": "a.wav"}])
    (entry,) = read_manifest(manifest, unreadable=unreadable)
    assert entry.path.name == "a.wav"
    ((where, error),) = unreadable
    assert where == f"{manifest}, line 1" and f"{folder / 'gone.wav'}: no such file" in str(error)


def test_files_that_are_no_manifest_are_named(folder: Path):
    with pytest.raises(ManifestError, match=r"gone\.jsonl: cannot be read \(No such file"):
        read_manifest(folder / "gone.jsonl")
    with pytest.raises(ManifestError, match=r"a\.wav: cannot be read as UTF-8 text"):
        read_manifest(folder / "a.wav")
    (folder / "empty.jsonl").write_text("", "utf-8")
    with pytest.raises(ManifestError, match=r"empty\.jsonl: holds no recordings; check"):
        read_manifest(folder / "empty.jsonl")
    with pytest.raises(AudioError, match=r"gone\.wav: no such file"):
        read_manifest(write_manifest(folder / "m.jsonl", [{"path": "gone.wav"}]))


def test_a_stretch_is_read_alone_wherever_it_starts(folder: Path):
    whole = Recording(folder / "a.wav", duration_s=3.0).load()
    assert len(whole) == 48_000
    first, middle, last = (
        Recording(folder / "a.wav", duration_s=1.0, offset_s=offset).load() for offset in (0.0, 1.0, 2.0)
    )
    np.testing.assert_array_equal(middle, whole[16_000:32_000])
    np.testing.assert_array_equal(first, whole[:16_000])
    np.testing.assert_array_equal(last, whole[32_000:])
    assert len(Recording(folder / "a.wav", duration_s=2.995).load()) == 48_000  # manifests round lengths


def test_pieces_are_the_whole(tmp_path: Path):
    audio.save(tmp_path / "long.wav", noise(130))
    utterance = Recording(tmp_path / "long.wav", duration_s=130.0)
    pieces = list(utterance.pieces())
    assert [len(piece) // 16_000 for piece in pieces] == [60, 60, 10]
    np.testing.assert_array_equal(np.concatenate(pieces), utterance.load())
    part = Recording(tmp_path / "long.wav", duration_s=61.0)
    assert sum(map(len, part.pieces())) == len(part.load()) == 976_000
    audio.save(tmp_path / "empty.wav", np.zeros(0, np.float32))
    with pytest.raises(AudioError, match=r"empty\.wav: holds no samples"):
        list(Recording(tmp_path / "empty.wav", duration_s=1.0).pieces())


def test_manifests_of_version_0_1_read_and_are_written_as_they_were(folder: Path):
    """Lines as `kws prep` and `kws train` wrote them when training had a type and a reader of its own."""
    written = (
        '{"path": "a.wav", "text": "hey you", "label": "hey", "speaker": "anna", "split": "train", '
        '"phones": "HH EY1", "duration_s": 3.0, "sample_rate": 16000, "language": "en", "source": "mine", '
        '"samples_hash": "07", "word_phones": ["HH EY1"], "age": 6}\n'
        '{"path": "a.wav", "split": "dev", "duration_s": 1.0, "offset_s": 1.0}\n'
        '{"path": "a.wav"}\n'
    )
    (folder / "m.jsonl").write_text(written, "utf-8")
    first, stretch, bare = read_manifest(folder / "m.jsonl")
    assert (first.source, first.sample_rate, first.column("age"), first.column("language")) == (
        "mine", 16_000, 6, "en",
    )  # fmt: skip
    assert (stretch.split, stretch.offset_s, stretch.duration_s) == ("dev", 1.0, 1.0)
    assert (bare.duration_s, bare.speaker, bare.column("room")) == (3.0, None, None)
    rows = [to_row(entry, folder) for entry in (first, stretch)]
    assert "".join(json.dumps(row) + "\n" for row in rows) == "".join(written.splitlines(True)[:2])
