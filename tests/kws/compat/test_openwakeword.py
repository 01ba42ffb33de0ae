"""A program of openWakeWord runs with one changed import: the same calls, shapes, types and meanings."""

from __future__ import annotations

import wave
from collections import deque
from pathlib import Path

import numpy as np
import pytest

import kws.compat.openwakeword as openwakeword
from kws import Detector
from kws.compat.openwakeword.model import Model
from kws.errors import CheckpointError, ConfigError
from tests.support.onnx_models import silence, tone, write_tone_model


def pcm(*parts: np.ndarray) -> np.ndarray:
    return (np.concatenate(parts) * 32767).astype(np.int16)


CALL = pcm(silence(0.8), tone(1000, 0.4), silence(0.8))


def stepped(model: Model, audio: np.ndarray, step: int = 1280, **settings: object) -> list[dict[str, float]]:
    return [model.predict(audio[start : start + step], **settings) for start in range(0, len(audio), step)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_tone_model(tmp_path / "hey_tone.onnx", threshold=0.9)


def test_the_loop_of_its_readme_hears_the_keyword(path: Path):
    program = """
from openwakeword.model import Model
import openwakeword
openwakeword.utils.download_models()
model = Model(wakeword_models=["path/to/model.onnx"])
found = []
for frame in frames:
    prediction = model.predict(frame)
    for mdl in model.prediction_buffer.keys():
        if list(model.prediction_buffer[mdl])[-1] > 0.5:
            found.append(mdl)
"""
    changed = program.replace("from openwakeword", "from kws.compat.openwakeword")
    changed = changed.replace("import openwakeword\n", "import kws.compat.openwakeword as openwakeword\n")
    changed = changed.replace("path/to/model.onnx", str(path))
    names = {"frames": np.split(CALL, range(1280, len(CALL), 1280))}
    exec(compile(changed, "program", "exec"), names)
    assert set(names["found"]) == {"hey_tone"} and 3 <= len(names["found"]) <= 8


def test_half_is_the_threshold_of_the_file_and_order_is_kept(path: Path):
    raw = [found["hey_tone"] for found in stepped(Model([path], raw_scores=True), CALL)]
    scaled = [found["hey_tone"] for found in stepped(Model([path]), CALL)]
    assert [score >= 0.5 for score in scaled] == [score >= 0.9 for score in raw]
    assert (np.diff(np.array(scaled)[np.argsort(raw)]) >= 0).all() and max(raw) > 0.99
    at = np.array([0.9], np.float32)
    from kws.compat.openwakeword.model import _scaled

    assert _scaled(at, np.array([0.9]))[0] == pytest.approx(0.5)
    assert _scaled(np.array([0.0, 1.0]), np.array([0.5, 0.5])) == pytest.approx([0, 1], abs=1e-5)


def test_a_prediction_is_the_highest_of_its_frames_and_short_audio_waits(path: Path):
    alone = Detector(path).scores(CALL[: 1280 * 20])[:, 0].reshape(20, 2).max(axis=1)
    found = [each["hey_tone"] for each in stepped(Model([path], raw_scores=True), CALL[: 1280 * 20])]
    assert found[5:] == pytest.approx(alone[5:].tolist(), abs=1e-6)
    assert found[:5] == [0.0] * 5, "those of a new model are 0"
    model = Model([path], raw_scores=True)
    stepped(model, CALL[: 1280 * 6])
    last = model.prediction_buffer["hey_tone"][-1]
    assert model.predict(CALL[:700])["hey_tone"] == last, "nothing is complete: the last one again"
    assert len(model.prediction_buffer["hey_tone"]) == 7
    longer = Model([path], raw_scores=True)
    stepped(longer, pcm(silence(0.5)), 1280)
    assert longer.predict(CALL)["hey_tone"] > 0.99, "many frames at once give their highest score"


def test_types_and_buffers_are_those_of_the_package(path: Path):
    model = Model(wakeword_models=[str(path)], inference_framework="tflite", ncpu=1)
    found = stepped(model, CALL)[-1]
    assert list(found) == ["hey_tone"] and isinstance(found["hey_tone"], np.float32)
    assert isinstance(model.prediction_buffer["hey_tone"], deque)
    assert model.prediction_buffer["hey_tone"].maxlen == 30
    assert model.prediction_buffer["nothing"] == deque()
    assert list(model.models) == ["hey_tone"]
    assert model.get_parent_model_from_label("hey_tone") == "hey_tone"
    assert model.get_parent_model_from_label("nobody") == ""
    found, seconds = model.predict(CALL[:1280], timing=True)
    assert list(seconds["models"]) == list(found)
    model.reset()
    assert model.prediction_buffer == {} and model.predict(CALL[:1280])["hey_tone"] == 0.0


def test_several_files_and_keywords_have_their_own_labels(path: Path, tmp_path: Path):
    both = write_tone_model(tmp_path / "both.onnx", {"low": 500.0, "high": 1500.0})
    model = Model([path, both])
    assert set(model.predict(CALL[:1280])) == {"hey_tone", "low", "high"}
    assert model.get_parent_model_from_label("high") == "both"
    renamed = Model([both], class_mapping_dicts=[{"0": "deep"}])
    assert set(renamed.predict(CALL[:1280])) == {"deep", "high"}
    with pytest.raises(ConfigError, match="two files are called 'both'"):
        Model([both, both])


def test_patience_waits_and_debounce_swallows(path: Path):
    settings = {"threshold": {"hey_tone": 0.5}}
    audio = pcm(silence(0.8), tone(1000, 0.8), silence(0.5))
    plain = [found["hey_tone"] >= 0.5 for found in stepped(Model([path]), audio)]
    patient = [
        f["hey_tone"] >= 0.5 for f in stepped(Model([path]), audio, patience={"hey_tone": 3}, **settings)
    ]
    assert plain.index(True) + 3 == patient.index(True)
    calm = [f["hey_tone"] >= 0.5 for f in stepped(Model([path]), audio, debounce_time=1.0, **settings)]
    assert calm.index(True) == plain.index(True) and sum(calm) == 1
    with pytest.raises(ValueError, match="need values in `threshold`"):
        Model([path]).predict(CALL[:1280], patience={"hey_tone": 3})
    with pytest.raises(ValueError, match="cannot be used together"):
        Model([path]).predict(CALL[:1280], {"hey_tone": 3}, {"hey_tone": 0.5}, 1.0)


def test_clips_are_padded_and_read_from_files(path: Path, tmp_path: Path):
    with wave.open(str(tmp_path / "call.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", "not compressed"))
        file.writeframes(CALL.tobytes())
    from_file = Model([path]).predict_clip(str(tmp_path / "call.wav"))
    assert from_file == Model([path]).predict_clip(CALL)
    assert len(from_file) == len(range(0, len(CALL) + 32_000 - 1280, 1280))
    assert max(found["hey_tone"] for found in from_file) > 0.9
    assert openwakeword.utils.bulk_predict([str(tmp_path / "call.wav")], [str(path)]) == {
        str(tmp_path / "call.wav"): from_file
    }
    assert openwakeword.get_pretrained_model_paths() == [] and openwakeword.MODELS == {}


def test_what_has_no_counterpart_is_said(path: Path, tmp_path: Path):
    for settings, told in (
        ({}, "there are no ready models"),
        ({"wakeword_models": [path], "vad_threshold": 0.5}, "vad_threshold: there is no voice detector"),
        ({"wakeword_models": [path], "enable_speex_noise_suppression": True}, "trained with noise"),
        ({"wakeword_models": [path], "custom_verifier_models": {"hey_tone": "v.pkl"}}, "are pickles"),
    ):
        with pytest.raises(ConfigError, match=told):
            Model(**settings)
    with pytest.raises(CheckpointError, match="no such file"):
        Model([tmp_path / "alexa"])
    with pytest.raises(TypeError, match="unexpected keyword argument 'no_such'"):
        Model([path], no_such=1)
    with pytest.raises(ValueError, match=r"numpy array of 16-bit integers, got float32"):
        Model([path]).predict(np.zeros(1280, np.float32))


def test_it_answers_as_the_package_itself(path: Path, tmp_path: Path):
    """The same calls on the same audio: labels, lengths, types, first zeros and what waits."""
    package = pytest.importorskip("openwakeword.model", reason="pip install openwakeword, and set its files")
    import os

    folder = os.environ.get("KWS_OPENWAKEWORD")
    if not folder:
        pytest.skip("set KWS_OPENWAKEWORD to the folder of its ONNX files")
    files = {name: str(Path(folder) / f"{name}.onnx") for name in ("melspectrogram", "embedding_model")}
    (word,) = [file for file in Path(folder).glob("*.onnx") if file.stem not in files]
    theirs = package.Model(
        wakeword_models=[str(word)],
        inference_framework="onnx",
        melspec_model_path=files["melspectrogram"],
        embedding_model_path=files["embedding_model"],
    )
    (tmp_path / word.name).write_bytes(path.read_bytes())
    ours = Model([str(tmp_path / word.name)], inference_framework="onnx")
    held = 0
    for length in (*[1280] * 6, 640, 640, 2560, 300, 980, 1280, 3840, 1280):
        mine, other = ours.predict(CALL[:length]), theirs.predict(CALL[:length])
        assert mine.keys() == other.keys()
        for model in (ours, theirs):
            assert model.prediction_buffer.keys() == mine.keys()
        buffers = [model.prediction_buffer[word.stem] for model in (ours, theirs)]
        assert len(buffers[0]) == len(buffers[1])
        frames, held = divmod(held + length, 1280)
        if len(buffers[0]) <= 5:
            assert mine == other == {word.stem: 0.0}, "those of a new model are 0"
        elif frames:
            assert type(mine[word.stem]) is type(other[word.stem]) is np.float32
        else:
            assert all(buffer[-1] == buffer[-2] for buffer in buffers), "the last one again"
    assert len(ours.predict_clip(CALL)) == len(theirs.predict_clip(CALL))
    assert ours.get_parent_model_from_label(word.stem) == theirs.get_parent_model_from_label(word.stem)
