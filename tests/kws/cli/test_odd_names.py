"""Commands take recordings whose names hold bytes that are no UTF-8, a tilde or a space, and show them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kws import audio
from kws.cli import main
from kws.detector import Detector
from kws.errors import ConfigError
from kws.workflows import folders
from kws.workflows.written_files import RUN
from tests.support.encoded import encode
from tests.support.onnx_models import silence, tone, write_tone_model

LATIN = "caf\udce9.wav"


def recordings(folder: Path, hz: float, *names: str) -> Path:
    """Write a few recordings with a tone each."""
    folder.mkdir()
    for index, name in enumerate(names):
        audio.save(folder / name, np.concatenate([silence(0.5), tone(hz, 0.5 + 0.1 * index), silence(0.5)]))
    return folder


@pytest.mark.parametrize("name", [LATIN, "~x.wav", " a.wav"])
def test_prep_and_eval_and_listen(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]):
    positives = recordings(tmp_path / "p", 1000, name, "b.wav")
    negatives = recordings(tmp_path / "n", 300, name, "b.wav")
    assert main(["prep", str(positives), "--output", str(tmp_path / "data")]) == 0
    model = write_tone_model(tmp_path / "tone.onnx")
    report = tmp_path / "report"
    given = ["--positives", str(positives), "--negatives", str(negatives), "--split", "all"]
    assert main(["eval", str(model), *given, "--output", str(report)]) == 0
    json.loads((report / "evaluation.json").read_text(encoding="utf-8"))
    (report / "report.html").read_text(encoding="utf-8")
    assert main(["listen", str(model), "--file", str(positives / name)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].split("  ")[1] == "tone"


def test_a_recording_in_the_working_folder_that_begins_with_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    recordings(tmp_path / "p", 1000, "~nobody.wav", "b.wav")
    monkeypatch.chdir(tmp_path / "p")
    assert main(["prep", "~nobody.wav", "b.wav", "--output", "data"]) == 0
    assert main(["eval", str(write_tone_model(tmp_path / "tone.onnx")), "--positives", "~nobody.wav",
                 "--negatives", "b.wav", "--split", "all", "--output", "report"]) == 0  # fmt: skip


def test_a_model_may_have_such_a_name_and_an_output_folder_may_not(tmp_path: Path):
    model = write_tone_model(tmp_path / "tone.onnx").rename(f"{tmp_path}/t\udce9.onnx")
    assert Detector(model).keywords
    with pytest.raises(ConfigError, match=r"`output` .*run\\xe9: holds bytes that are no UTF-8"):
        folders.claim(Path(f"{tmp_path}/run\udce9"), RUN)


def test_eval_says_what_a_scan_passed_by(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    positives = recordings(tmp_path / "p", 1000, "a.wav")
    negatives = recordings(tmp_path / "n", 300, "b.wav")
    (negatives / "talk.docx").touch()
    model = write_tone_model(tmp_path / "tone.onnx")
    given = ["--positives", str(positives), "--negatives", str(negatives), "--split", "all"]
    assert main(["eval", str(model), *given, "--output", str(tmp_path / "report")]) == 0
    assert "1 file passed by: 1 .docx" in caplog.text


def test_listen_takes_a_phone_recording(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    said = encode(tmp_path / "a.m4a", np.concatenate([silence(1), tone(1000, 0.5), silence(1)]))
    assert main(["listen", str(write_tone_model(tmp_path / "tone.onnx")), "--file", str(said)]) == 0
    shown = capfd.readouterr()
    assert "tone" in shown.out and "ffmpeg" not in shown.err and "Warning" not in shown.err
