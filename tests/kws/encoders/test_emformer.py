"""The Emformer: front end and segments agree with torchaudio's own, and local files load strictly."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torchaudio import models, transforms
from torchaudio.models import rnnt
from torchaudio.pipelines import rnnt_pipeline

from kws.encoders.registry import load_encoder
from kws.encoders.sources import emformer
from kws.encoders.sources.emformer import NAME, PARAMS, STATISTICS, EmformerEncoder, GlobalMel, load
from kws.errors import CheckpointError
from tests.support.encoders import TINY_EMFORMER, tiny_encoder, voice
from tests.tolerances import STREAMING


def recognizer() -> models.RNNT:
    """Return torchaudio's whole recogniser, small, with random weights."""
    torch.manual_seed(0)
    rest = {"num_symbols": 9, "symbol_embedding_dim": 4, "num_lstm_layers": 1, "lstm_layer_norm": True}
    return models.emformer_rnnt_model(
        **{**PARAMS, **TINY_EMFORMER, **rest},
        input_dim=80,
        transformer_max_memory_size=0,
        transformer_weight_init_scale_strategy="depthwise",
        transformer_tanh_on_mem=True,
        lstm_layer_norm_epsilon=1e-3,
        lstm_dropout=0.3,
    ).eval()


def test_front_end_is_torchaudios():
    waveform = voice(8000)
    mel = transforms.MelSpectrogram(16000, n_fft=400, n_mels=80, hop_length=160, center=False)(waveform).T
    expected = rnnt_pipeline._piecewise_linear_log(mel * rnnt_pipeline._gain)
    torch.testing.assert_close(GlobalMel()(waveform[None])[0], expected, rtol=1e-3, atol=1e-3)


def test_agrees_with_torchaudios_streaming_inference():
    encoder = tiny_encoder(NAME)
    assert isinstance(encoder, EmformerEncoder)
    model = recognizer().transcriber
    encoder.stem.projection.load_state_dict(model.input_linear.state_dict())
    encoder.layers.load_state_dict(model.transformer.emformer_layers.state_dict())
    waveform = voice(12 * 2560)[None]
    delayed = nn.functional.pad(waveform, (640 + 240, 0))  # the first segment waits for its right context
    expected, states = [], None
    with torch.no_grad():
        for start in range(0, waveform.shape[1], 2560):
            mel = encoder.frontend(delayed[:, start : start + 2560 + 640 + 240])
            stacked, lengths = model.time_reduction(model.input_linear(mel), torch.tensor([20]))
            features, _, states = model.transformer.infer(stacked, lengths, states)
            expected.append(features)
        found, _ = encoder.run(waveform, encoder.initial_state(1))
        frames = encoder.frontend(delayed)
        stacked, lengths = model.time_reduction(model.input_linear(frames), torch.tensor([frames.shape[1]]))
        whole, _ = model.transformer(stacked, lengths)
    torch.testing.assert_close(found, torch.cat(expected, dim=1), rtol=0, atol=STREAMING)
    torch.testing.assert_close(found, whole, rtol=0, atol=STREAMING)  # how it was trained: one masked pass


def test_loads_a_local_file_with_its_statistics(tmp_path: Path):
    model = recognizer()
    torch.save(model.state_dict(), tmp_path / "emformer.pt")
    missing = rf"{STATISTICS}: no readable mel statistics .*download https://\S+{STATISTICS}"
    with pytest.raises(CheckpointError, match=missing):
        load(tmp_path / "emformer.pt", True, TINY_EMFORMER)
    (tmp_path / STATISTICS).write_text(json.dumps({"mean": [14.0] * 80, "invstddev": [0.25] * 80}))
    encoder = load(tmp_path / "emformer.pt", True, TINY_EMFORMER)
    for number, layer in enumerate(encoder.layers):
        kept = model.transcriber.transformer.emformer_layers[number].state_dict()
        assert all(torch.equal(tensor, kept[key]) for key, tensor in layer.state_dict().items())
    assert encoder.frontend.mean.unique().item() == 14.0 and not encoder.training
    (tmp_path / STATISTICS).write_text(json.dumps({"mean": [14.0] * 79, "invstddev": [0.25] * 80}))
    with pytest.raises(CheckpointError, match=r"mean is \(79,\), expected \(80,\)"):
        load(tmp_path / "emformer.pt", True, TINY_EMFORMER)


def test_names_the_first_weights_that_do_not_fit(tmp_path: Path):
    weights = recognizer().state_dict()
    weights["transcriber.input_linear.weight"] = torch.zeros(3, 80)
    torch.save(weights, tmp_path / "emformer.pt")
    with pytest.raises(
        CheckpointError, match=r"emformer.pt: .*input_linear.weight is \(3, 80\), expected \(8, 80\)"
    ):
        load(tmp_path / "emformer.pt", True, TINY_EMFORMER)


def test_has_the_architecture_of_the_bundle(monkeypatch: pytest.MonkeyPatch):
    asked: dict[str, Any] = {}
    monkeypatch.setattr(rnnt, "emformer_rnnt_model", lambda **arguments: asked.update(arguments))
    emformer.BUNDLE._rnnt_factory_func()
    mine = dict(asked)
    monkeypatch.setattr(
        models, "emformer_rnnt_model", lambda **arguments: mine.update(arguments) or recognized
    )
    recognized = SimpleNamespace(transcriber=None)
    emformer._architecture({})
    outputs = {key for key in asked if key.startswith(("num_symbols", "symbol_", "lstm_", "num_lstm"))}
    assert {key for key in asked if asked[key] != mine[key]} <= outputs


def test_names_the_local_remedy_without_a_network(monkeypatch: pytest.MonkeyPatch):
    def refuse(self):
        raise OSError("no route to host")

    monkeypatch.setattr(rnnt_pipeline.RNNTBundle, "get_decoder", refuse)
    with pytest.raises(CheckpointError, match=rf"{NAME}.*no route to host.*{NAME}.pt and .*{STATISTICS}"):
        load_encoder(NAME)
