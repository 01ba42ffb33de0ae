"""The recordings and files that people really have, through the commands: used, or named with the remedy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from kws import Detector
from kws.cli import main
from kws.errors import AudioError
from tests.support.onnx_models import write_tone_model
from tests.support.recordings import write_audio
from tests.support.runs import write_run
from tests.support.training import (
    noise,
    one_thread,
    spoken,
    tiny_weights,
    tone,
    train_words,
    two_steps_suffice,
    write_wavs,
)


def word(seed: int) -> np.ndarray:
    """A word at exactly 1 kHz, in noise of its own."""
    return spoken(1000 / (1 + 0.002 * seed), seed)


def with_nan() -> np.ndarray:
    waveform = spoken()
    waveform[5000] = np.nan
    return waveform


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "corrupt.wav": (lambda path: path.write_bytes(b"RIFF" + bytes(range(250))), "cannot be decoded as audio"),
    "text.wav": (lambda path: path.write_text("not audio at all"), "cannot be decoded as audio"),
    "empty.wav": (lambda path: path.write_bytes(b""), "empty file (0 bytes)"),
    "no_samples.wav": (lambda path: write_audio(path, np.zeros(0, np.float32)), "holds no samples"),
    "one_sample.wav": (lambda path: write_audio(path, np.full(1, 0.5)), "0.0001 s long, at least 0.15 s"),
    "silent.wav": (lambda path: write_audio(path, np.zeros(16_000, np.float32)), "silent (peak -200 dB"),
    "nan.wav": (lambda path: write_audio(path, with_nan(), subtype="FLOAT"), "holds NaN or infinite samples"),
}
"""File name -> how it is made and what is said of it."""

UNUSUAL: dict[str, Callable[[Path], object]] = {
    "8khz.wav": lambda path: write_audio(path, word(11)[::2], 8_000),
    "96khz.wav": lambda path: write_audio(path, np.repeat(word(12), 6), 96_000),
    "stereo.wav": lambda path: write_audio(path, np.stack([word(13)] * 2, axis=1)),
    "float.wav": lambda path: write_audio(path, 3 * word(14), subtype="FLOAT"),
}
"""File name -> how it is made; these are used like any other."""


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``tone``: four plain words, the unusual and the broken ones; ``broken``: these alone; ``speech``."""
    folder = tmp_path_factory.mktemp("sources")
    write_wavs(folder / "tone", [spoken(seed=seed) for seed in range(4)])
    write_wavs(folder / "speech", [noise(2, seed) for seed in range(4)])
    (folder / "broken").mkdir()
    for name, make in UNUSUAL.items():
        make(folder / "tone" / name)
    for name, (make, _) in BROKEN.items():
        make(folder / "tone" / name)
        make(folder / "broken" / name)
    (folder / "empty").mkdir()
    tiny_weights(folder / "encoder")
    return folder


def test_training_uses_what_can_be_used_and_reports_the_rest(
    sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    with two_steps_suffice():
        assert main(train_words(sources, run)) == 0
    total = 4 + len(UNUSUAL) + len(BROKEN)
    kinds = "2 corrupt, 2 empty, 1 nonfinite, 1 short, 1 silent"
    note = f"note: positives: {len(BROKEN)} of {total} files cannot be used ({kinds}); see report.md"
    assert note in capsys.readouterr().out
    lines = (run / "data" / "positives.jsonl").read_text("utf-8").splitlines()
    used = {Path(json.loads(line)["path"]).name for line in lines}
    assert used == {"000.wav", "001.wav", "002.wav", "003.wav", *UNUSUAL}
    report = (run / "data" / "positives" / "report.md").read_text("utf-8")
    for name, (_, message) in BROKEN.items():
        assert any(name in line and message in line for line in report.splitlines()), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positives": "broken"}, "all 7 recordings cannot be used"),
        ({"negatives": "broken"}, "all 7 recordings cannot be used"),
        ({"positives": "empty"}, "empty: holds no audio files; put recordings there"),
        ({"negatives": "empty"}, "empty: holds no audio files; put recordings there"),
        ({"positives": "gone"}, "gone: no such file or folder"),
        ({"positives": "encoder/metrics.json"}, "metrics.json: neither a manifest nor audio"),
    ],
)
def test_training_on_nothing_usable_ends_with_a_message(
    sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, str], message: str
):
    places: dict = {name: sources / place for name, place in changes.items()}
    if "positives" in places:
        places["positives"] = [places["positives"]]
    assert main(train_words(sources, tmp_path / "run", **places)) == 2
    printed = capsys.readouterr().err
    assert message in printed and "Traceback" not in printed


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tone_model(tmp_path_factory.mktemp("model") / "m.onnx", {"tone": 1000.0})


def evaluate(model: Path, positives: Path, negatives: Path, output: Path) -> int:
    return main(
        [
            "eval",
            str(model),
            "--positives",
            str(positives),
            "--negatives",
            str(negatives),
            "--output",
            str(output),
        ]
    )


@pytest.mark.parametrize("name", [name for name in BROKEN if name not in ("one_sample.wav", "silent.wav")])
def test_evaluation_names_a_file_that_it_cannot_read(
    sources: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
):
    assert evaluate(model, sources / "broken" / name, sources / "speech", tmp_path / "out") == 2
    printed = capsys.readouterr().err
    assert printed.startswith("kws eval: ") and name in printed and "Traceback" not in printed
    assert not (tmp_path / "out" / "evaluation.json").exists()


def test_evaluation_takes_any_rate_channels_and_length(sources: Path, model: Path, tmp_path: Path):
    clips = tmp_path / "clips"
    for name, make in UNUSUAL.items():
        make(clips / name)
    for name in ("one_sample.wav", "silent.wav"):
        BROKEN[name][0](clips / name)
    assert evaluate(model, clips, sources / "speech", tmp_path / "out") == 0
    result = json.loads((tmp_path / "out" / "evaluation.json").read_text("utf-8"))
    (keyword,) = result["keywords"]
    assert keyword["num_positives"] == 6
    stored = keyword["operating"][0]["misses"]
    assert (stored["events"], stored["trials"]) == (2, 6)  # the tone is heard in all that hold one


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_text("no model"), "m.onnx: onnxruntime cannot open it as an ONNX model"),
        (lambda path: None, "m.onnx: no such file or folder"),
        (lambda path: path.mkdir(), "m.onnx: holds no config.yaml; give the output folder of `kws train`"),
        (
            lambda path: write_tone_model(path, metadata={"thresholds": None}),
            "m.onnx: the metadata lacks thresholds; export the model again",
        ),
        (
            lambda path: (write_run(path) / "weights.safetensors").write_bytes(b"x"),
            "weights.safetensors: no readable safetensors weights",
        ),
    ],
)
def test_evaluation_of_no_model_ends_with_a_message(
    sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], make: Callable, message: str
):
    make(tmp_path / "m.onnx")
    assert (
        evaluate(tmp_path / "m.onnx", sources / "tone" / "000.wav", sources / "speech", tmp_path / "out") == 2
    )
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", ["eval", "listen", "export", "bench"])
def test_every_command_names_a_model_that_is_not_there(
    sources: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
):
    words = [command, str(tmp_path / "gone.onnx")]
    if command == "eval":
        words += ["--positives", str(sources / "tone" / "000.wav"), "--negatives", str(sources / "speech")]
    assert main(words) == 2
    printed = capsys.readouterr().err
    assert printed.startswith(f"kws {command}: ") and "gone.onnx" in printed and "Traceback" not in printed


def test_a_detector_refuses_bad_audio_and_goes_on_as_if_it_had_not_been_given(model: Path):
    detector, undisturbed = Detector(model), Detector(model)
    word = tone(1.0, 1000.0)
    found = detector.process(word[:7000])
    for bad in (with_nan(), np.zeros((2, 100), np.float32), np.zeros(100, np.int64), np.array(["a"])):
        with pytest.raises(AudioError):
            detector.process(bad)
    found += detector.process(np.zeros(0, np.float32)) + detector.process(word[7000:7001])
    found += detector.process(word[7001:])
    assert found == undisturbed.process(word) and len(found) == 1
