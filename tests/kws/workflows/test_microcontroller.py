"""A typed phrase for a microcontroller: the two files, what stops and goes on, and what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from data_prep.synthesis.espeak import speak, voices
from kws import MicroDetector
from kws.cli import main
from kws.errors import ConfigError, DependencyError
from kws.student.rows import NUM_STEPS, STRIDE_SAMPLES
from kws.student.training import DistillConfig
from kws.workflows.enroll import enroll
from kws.workflows.microcontroller import audio, export_microwakeword
from kws.workflows.microcontroller.audio import TeacherScores
from tests.support.training import noise, write_wavs

pytest.importorskip("pymicro_wakeword", reason='pip install "kws[esp]"')
pytestmark = pytest.mark.slow

KEYWORD = "hey robot"
SHORT = DistillConfig(steps=40, said=16, alike=8, other=16)
FEW = {"NUM_SAID": 40, "NUM_ALIKE": 12, "NUM_VOICES": 12, "NUM_OTHER_VOICES": 18}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector of a typed phrase."""
    folder = tmp_path_factory.mktemp("typed") / "robot"
    enroll([KEYWORD], folder, method="phones", num_workers=1)
    return folder


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two minutes without the phrase."""
    folder = tmp_path_factory.mktemp("speech")
    write_wavs(folder, [noise(4, seed, 0.1) for seed in range(30)])
    return folder


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in FEW.items():
        monkeypatch.setattr(audio, name, value)
    return


def test_teacher_says_what_was_known_at_the_end_of_each_step(run: Path):
    teacher = TeacherScores(run, KEYWORD)
    voice = voices(3)[0]
    clip = speak(KEYWORD, voice)
    waveform = np.concatenate([np.zeros(16_000), clip, np.zeros(16_000)]).astype(np.float32)
    waveform = waveform[: len(waveform) // STRIDE_SAMPLES * STRIDE_SAMPLES]
    logits = teacher(waveform)
    assert len(logits) == len(waveform) // STRIDE_SAMPLES
    at = np.argmax(logits) * STRIDE_SAMPLES
    assert logits.max() > 0 and 16_000 + len(clip) // 2 < at < 16_000 + len(clip) + 12_000
    # what comes later changes nothing that was known before
    early = teacher(waveform[: 40 * STRIDE_SAMPLES])
    np.testing.assert_allclose(early, logits[:40], atol=1e-3)


def test_two_files_that_hear_what_they_were_taught_and_the_same_once_more(
    run: Path, speech: Path, tmp_path: Path
):
    (made,) = export_microwakeword(
        run, tmp_path / "first", negatives=[speech], voices=["espeak"], config=SHORT, num_workers=1
    )
    assert made.files.model == tmp_path / "first" / "hey_robot.tflite" and made.files.max_difference <= 2
    assert sorted(path.name for path in (tmp_path / "first").glob("hey_robot*")) == [
        "hey_robot.json",
        "hey_robot.metrics.json",
        "hey_robot.tflite",
    ]
    assert not list((tmp_path / "first" / "work").rglob("*.npz"))
    metrics = json.loads((tmp_path / "first" / "hey_robot.metrics.json").read_text())
    detector = MicroDetector(made.files.manifest)
    assert detector.keywords == (KEYWORD,)
    assert metrics["threshold"] <= detector.thresholds[KEYWORD] < metrics["threshold"] + 1 / 256
    assert metrics["recordings"] == 0 and metrics["negative_hours"] > 0.02
    assert any("voices that say it are eSpeak NG" in note for note in made.notes)
    (again,) = export_microwakeword(
        run, tmp_path / "second", negatives=[speech], voices=["espeak"], config=SHORT, num_workers=1
    )
    assert again.files.model.read_bytes() == made.files.model.read_bytes()


def test_a_stopped_export_goes_on_without_making_rows_again(
    run: Path, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    given = {"negatives": [speech], "voices": ["espeak"], "config": SHORT, "num_workers": 1}
    with monkeypatch.context() as patch:
        patch.setattr("kws.student.training.distill", stop)
        with pytest.raises(KeyboardInterrupt):
            export_microwakeword(run, tmp_path / "out", **given)  # type: ignore[arg-type]
    rows = {path.name for path in (tmp_path / "out" / "work").rglob("*.npz")}
    assert rows == {"said.npz", "alike.npz", "sentences.npz", "other.npz"}
    monkeypatch.setattr(audio, "RowJobs", stop)
    (made,) = export_microwakeword(run, tmp_path / "out", **given)  # type: ignore[arg-type]
    assert made.files.model.is_file()
    monkeypatch.setattr(audio, "gather_student_audio", stop)
    (again,) = export_microwakeword(run, tmp_path / "out", **given)  # type: ignore[arg-type]
    assert again.notes == (f"{KEYWORD}: was made before; add `overwrite=True` to make it anew",)
    assert (again.files, again.metrics) == (made.files, made.metrics)
    given["config"] = DistillConfig(steps=50)
    with pytest.raises(ConfigError, match=r"holds hey_robot\.tflite of other settings"):
        export_microwakeword(run, tmp_path / "out", **given)  # type: ignore[arg-type]


def test_rows_hold_the_phrase_where_the_teacher_hears_it(run: Path, speech: Path, tmp_path: Path):
    gathered, _ = audio.gather_student_audio(
        run, KEYWORD, "en", split_manifest(speech, tmp_path), None, ["espeak"], tmp_path / "work", 1
    )
    rows = audio.make_rows(gathered, run, KEYWORD, tmp_path / "work", 1)
    assert set(rows) == {"said", "alike", "other"} and len(rows["said"]) == FEW["NUM_SAID"]
    peaks = rows["said"].targets.max(1)
    assert np.median(peaks) > 0 > rows["other"].targets.max()
    heard = rows["said"].targets[peaks > 0].argmax(1)
    assert heard.min() > NUM_STEPS // 2


def split_manifest(speech: Path, folder: Path) -> Path:
    """Write a manifest of a folder whose first recordings are those for the cutoff."""
    lines = [
        json.dumps({"path": str(path), "split": "dev" if index < 4 else "train"})
        for index, path in enumerate(sorted(speech.glob("*.wav")))
    ]
    path = folder / "speech.jsonl"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_without_speech_one_message_says_where_to_get_some(run: Path, tmp_path: Path):
    with pytest.raises(ConfigError, match="`negatives`: none were given"):
        export_microwakeword(run, tmp_path / "out")


def test_without_the_extra_one_message_says_what_to_install(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "pymicro_features", None)
    with pytest.raises(DependencyError, match=r'pip install "kws\[esp\]"'):
        export_microwakeword(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "said"), [(["--int8"], "takes no --int8"), (["--chunk-ms", "160"], "takes no --chunk-ms")]
)
def test_options_of_the_other_format_are_refused(
    more: list[str], said: str, run: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["export", str(run), "--format", "microwakeword", *more]) == 2
    assert said in capsys.readouterr().err
