"""The keyword model: frames, keywords, padding and its settings."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kws.errors import AudioError, CheckpointError, ConfigError
from kws.model import ModelConfig, WakeWordModel, build_model
from tests.support.encoders import voice
from tests.support.training import TINY, tiny_model, tiny_weights
from tests.tolerances import PADDED


def test_scores_are_one_per_whole_hop_and_keyword_and_leave_the_mode_alone():
    model = tiny_model(("a", "b")).train()
    scores = model.scores(voice(6400 + 639)[None].repeat(3, 1))
    assert scores.shape == (3, 10, 2) and model.training
    assert bool(((scores > 0) & (scores < 1)).all()) and not scores.requires_grad
    model.eval()
    torch.testing.assert_close(model.scores(voice(6400 + 639)[None])[0], scores[0], rtol=0, atol=PADDED)
    logits, frames = model(voice(6400)[None], torch.tensor([6400]))
    torch.testing.assert_close(torch.sigmoid(logits)[0], scores[0], rtol=0, atol=PADDED)
    assert frames.tolist() == [10]


def test_dropped_blocks_and_dropout_are_for_training_only():
    model = tiny_model().train()
    waveform, lengths = voice(6400)[None], torch.tensor([6400])
    runs = [model(waveform, lengths)[0] for _ in range(4)]
    assert not all(torch.equal(runs[0], other) for other in runs[1:])
    model.eval()
    assert torch.equal(model(waveform, lengths)[0], model(waveform, lengths)[0])


def test_a_row_shorter_than_a_hop_is_refused():
    with pytest.raises(AudioError, match="audio of 639 samples is shorter than one hop of 640"):
        tiny_model()(torch.zeros(2, 1280), torch.tensor([1280, 639]))
    assert tiny_model().scores(torch.zeros(1, 639)).shape == (1, 0, 1)


def test_the_state_is_the_encoders_then_the_heads():
    model = tiny_model()
    state = model.initial_state(2)
    assert len(state) == len(model.encoder.initial_state(2)) + len(model.head.initial_state(2))
    assert all(tensor.shape[0] == 2 and not tensor.any() for tensor in state)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"keywords": ()}, "keywords: got none or an empty one"),
        ({"keywords": ("a", " ")}, "keywords: got none or an empty one"),
        ({"keywords": ("a", "b", "a")}, "a, b, a holds one twice"),
        (
            {"keywords": ("a",), "head": "hed"},
            "head: got 'hed', allowed: attention, conv, cross_stitch, gru, linear",
        ),
    ],
)
def test_settings_out_of_range_are_refused(values: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=message):
        ModelConfig(**values)


def test_a_model_is_built_from_a_folder_of_weights(tmp_path: Path):
    weights = tiny_weights(tmp_path / "encoder")
    model = build_model(ModelConfig(("a", "b"), weights=weights, depth=2, head="linear"))
    assert isinstance(model, WakeWordModel) and len(model.encoder.layers) == 2
    assert model.encoder.config == TINY and model.head.output.out_features == 2
    with pytest.raises(ConfigError, match="depth: got 5, allowed: 1 to 4 for encoder 'embedded'"):
        build_model(ModelConfig(("a",), weights=weights, depth=5))
    with pytest.raises(ConfigError, match="encoder: got 'embeded', nearest known: embedded"):
        build_model(ModelConfig(("a",), encoder="embeded"))
    with pytest.raises(
        CheckpointError, match=r"gone: holds no config\.yaml; give the output folder of `kws pretrain`"
    ):
        build_model(ModelConfig(("a",), weights=tmp_path / "gone"))
    (weights / "weights.safetensors").write_bytes(b"none")
    with pytest.raises(
        CheckpointError, match=r"encoder/weights\.safetensors: no readable safetensors weights"
    ):
        build_model(ModelConfig(("a",), weights=weights))
