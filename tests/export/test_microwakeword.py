"""A student as a .tflite file: what the real runtime computes from it, and what it asks of a chip."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from export.microwakeword import (
    MAX_ARENA,
    MAX_BYTES,
    MAX_VARIABLES,
    OPERATORS,
    check_limits,
    export_student,
    file_name,
    runtime_probabilities,
    to_tflite,
)
from export.tflite_facts import read_facts, read_student
from kws import MicroDetector
from kws.errors import CheckpointError, DependencyError, ExportMismatch
from kws.micro_detector import chip_cutoff, chip_threshold
from kws.student.network import STRIDE, StudentConfig
from kws.student.quantized import QuantizedStudent, quantize
from tests.support.students import small_student, speech_features

pymicro_wakeword = pytest.importorskip("pymicro_wakeword", reason='pip install "kws[esp]"')
READY = Path(pymicro_wakeword.__file__).parent / "models"


@pytest.fixture(scope="module")
def student() -> QuantizedStudent:
    """One of full size."""
    return quantize(small_student(StudentConfig()))


@pytest.mark.parametrize(
    "config",
    [
        StudentConfig(),
        StudentConfig(channels=8, kernels=(2,), last_steps=1),
        StudentConfig(channels=16, first_kernel=3, kernels=(4, 2), last_steps=3),
    ],
    ids=["full", "least", "other"],
)
def test_runtime_computes_what_the_student_does(config: StudentConfig, tmp_path: Path):
    small = quantize(small_student(config))
    path = tmp_path / "word.tflite"
    path.write_bytes(to_tflite(small, "word"))
    features = speech_features(700 * STRIDE, seed=4)
    expected = small.probabilities(features)
    assert expected.min() < 60 < 200 < expected.max()
    apart = np.abs(runtime_probabilities(path, features).astype(int) - expected.astype(int))
    assert apart.max() <= 2


def test_a_file_holds_the_layers_that_were_written(student: QuantizedStudent):
    found = read_student(to_tflite(student, "word"))
    for mine, theirs in zip(student.layers, found.layers, strict=True):
        np.testing.assert_array_equal(theirs.weight, mine.weight)
        np.testing.assert_array_equal(theirs.bias, mine.bias)
        np.testing.assert_allclose(theirs.scales, mine.scales, rtol=1e-7)
        assert (theirs.depthwise, theirs.stride) == (mine.depthwise, mine.stride)
        assert (theirs.input_zero, theirs.output_zero) == (mine.input_zero, mine.output_zero)
        assert theirs.output_scale == pytest.approx(mine.output_scale, rel=1e-7)
    features = speech_features(200 * STRIDE, seed=6)
    np.testing.assert_array_equal(found.probabilities(features), student.probabilities(features))


def test_the_kernels_of_the_chip_compute_what_whole_numbers_do(student: QuantizedStudent):
    runtime = pytest.importorskip(
        "tflite_micro.python.tflite_micro.runtime",
        reason="pip install tflite-micro, TensorFlow's own kernels",
    )
    features = speech_features(500 * STRIDE, seed=5)
    data = to_tflite(student, "word")
    interpreter = runtime.Interpreter.from_bytes(data)
    heard = []
    for step in range(500):
        interpreter.set_input(features[step * STRIDE : (step + 1) * STRIDE][None], 0)
        interpreter.invoke()
        heard.append(int(interpreter.get_output(0)[0, 0]))
    np.testing.assert_array_equal(heard, student.probabilities(features, "chip"))


def test_file_stays_within_what_a_device_takes(student: QuantizedStudent):
    facts = read_facts(to_tflite(student, "word"))
    assert facts.num_bytes <= MAX_BYTES == 60_000
    assert facts.arena_bytes <= MAX_ARENA == 30_000
    assert facts.operators <= OPERATORS
    assert facts.variables <= MAX_VARIABLES
    assert (facts.input_shape, facts.input_type) == ((1, 3, 40), "INT8")
    assert (facts.output_shape, facts.output_type) == ((1, 1), "UINT8")
    assert facts.multiply_adds == student.multiply_adds
    assert facts.multiply_adds <= read_facts((READY / "okay_nabu.tflite").read_bytes()).multiply_adds


@pytest.mark.parametrize("name", ["alexa", "hey_jarvis", "hey_mycroft"])
def test_arena_is_no_smaller_than_what_ready_models_ask_for(name: str):
    stated = json.loads((READY / f"{name}.json").read_text())["micro"]["tensor_arena_size"]
    facts = read_facts((READY / f"{name}.tflite").read_bytes())
    assert stated <= facts.arena_bytes <= 1.15 * stated
    assert facts.operators <= OPERATORS


def test_two_files_that_the_detector_opens(student: QuantizedStudent, tmp_path: Path):
    features = speech_features(300 * STRIDE)
    files = export_student(student, tmp_path, "Hey Bücherwurm!", 0.7, features, ["de"], "Ann")
    assert files.model == tmp_path / "hey_bucherwurm.tflite"
    manifest = json.loads(files.manifest.read_text(encoding="utf-8"))
    micro = manifest.pop("micro")
    assert manifest == {
        "type": "micro",
        "wake_word": "Hey Bücherwurm!",
        "author": "Ann",
        "model": "hey_bucherwurm.tflite",
        "trained_languages": ["de"],
        "version": 2,
    }
    assert micro["tensor_arena_size"] == files.facts.arena_bytes and micro["sliding_window_size"] == 5
    detector = MicroDetector(files.manifest)
    assert detector.keywords == ("Hey Bücherwurm!",)
    assert 0.7 <= detector.thresholds["Hey Bücherwurm!"] < 0.705


def test_another_model_than_the_student_is_not_written(
    student: QuantizedStudent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = to_tflite(quantize(small_student(StudentConfig(), seed=9)), "word")
    monkeypatch.setattr("export.microwakeword.to_tflite", lambda *_: other)
    with pytest.raises(ExportMismatch, match=r"word: TensorFlow Lite differs by \d+ of 256"):
        export_student(student, tmp_path, "word", 0.7, speech_features(300 * STRIDE))
    assert not list(tmp_path.iterdir())


def test_what_no_device_takes_is_refused():
    large = read_facts((READY / "okay_nabu.tflite").read_bytes())
    with pytest.raises(ExportMismatch, match=r"word: the model does not fit a device: 80824 bytes"):
        check_limits(large, "word")


def test_what_is_no_tflite_file_is_refused():
    with pytest.raises(CheckpointError, match=r"no \.tflite file"):
        read_facts(b"RIFF" * 40)


def test_without_the_package_one_message_says_what_to_install(
    student: QuantizedStudent, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "tflite", None)
    with pytest.raises(DependencyError, match=r'pip install "kws\[esp\]"'):
        to_tflite(student, "word")


@pytest.mark.parametrize("threshold", [0.0, 0.31, 0.5, 0.7, 0.973, 0.9925])
def test_the_cutoff_of_a_manifest_keeps_a_threshold(threshold: float):
    kept = chip_threshold(chip_cutoff(threshold, 5), 5)
    assert threshold <= kept < threshold + 1 / 256


@pytest.mark.parametrize(
    ("keyword", "name"), [("hey jarvis", "hey_jarvis"), ("Ça va?", "ca_va"), ("你好", "wake_670d9743")]
)
def test_file_names_are_plain(keyword: str, name: str):
    assert file_name(keyword) == name
