"""What a person types has one form from the door on, and file names are opened as they are."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from data_prep import manifests
from data_prep.checks import check_all
from data_prep.report import build, to_markdown
from data_prep.synthesis.keyword import synthesize_keyword
from kws.cli import main
from kws.manifest import read_manifest
from tests.support.recordings import tone, write_audio
from tests.support.training import write_manifest

COMPOSED = "caf\u00e9 2"
DECOMPOSED = "cafe\u0301 \uff12"


def test_labels_and_texts_of_manifests_are_composed_and_paths_are_not(tmp_path: Path):
    path = write_audio(tmp_path / "cafe\u0301.wav", tone())
    row = {"path": path, "text": DECOMPOSED, "label": DECOMPOSED, "speaker": "Zoe\u0308", "phones": "tʰ õ"}
    row["phones"] = unicodedata.normalize("NFD", str(row["phones"]))
    listed = write_manifest(tmp_path / "m.jsonl", [row])
    for entry in (*manifests.read(listed), *read_manifest(listed)):
        assert (entry.text, entry.label, entry.phones) == (COMPOSED, COMPOSED, "tʰ õ")
        assert entry.speaker == "Zoe\u0308" and entry.path == path and entry.path.is_file()


def test_file_names_are_composed_in_a_report(tmp_path: Path):
    empty = tmp_path / "cafe\u0301.wav"
    empty.touch()
    good = [write_audio(tmp_path / f"{hz}.wav", tone(hz=hz)) for hz in (300, 400)]
    result = check_all([entry for entry in manifests.read(tmp_path)], progress=False)
    assert len(result.kept) == len(good)
    page = to_markdown(build(result, result.kept, [], {}))
    assert "caf\u00e9.wav: empty file" in page and str(empty) not in page


def test_phrases_are_composed_by_every_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    sources = ["--positives", str(tmp_path), "--negatives", str(tmp_path), "--output", str(tmp_path / "run")]
    for command in ("train", "probe"):
        keywords = ["--keyword", COMPOSED, "--keyword", DECOMPOSED, "--positives", str(tmp_path)]
        assert main([command, *keywords, *sources]) == 2
        assert f"{COMPOSED}, {COMPOSED} holds one twice" in capsys.readouterr().err
    assert (
        main(["enroll", DECOMPOSED, COMPOSED, "--method", "phones", "--output", str(tmp_path / "run")]) == 2
    )
    assert f"{COMPOSED}, {COMPOSED} holds one twice" in capsys.readouterr().err
    positives, _ = synthesize_keyword(DECOMPOSED, tmp_path / "said", 1, 0)
    assert json.loads(positives.read_text("utf-8"))["label"] == COMPOSED
