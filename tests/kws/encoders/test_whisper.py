"""Whisper's encoder: agrees with an independent walk, reads both kinds of files, fetches with a checksum."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from export import to_onnx
from kws.detector import Detector
from kws.encoders.registry import load_encoder
from kws.encoders.sliding import STREAM_BOUND
from kws.encoders.sources import whisper_weights
from kws.encoders.sources.whisper import HOP_SAMPLES, WhisperEncoder
from kws.encoders.sources.whisper_weights import MODELS, load
from kws.encoders.truncate import truncate
from kws.errors import AudioError, CheckpointError, ConfigError
from tests.support.encoders import TINY_WHISPER, tiny_encoder, voice
from tests.support.runs import write_run
from tests.tolerances import STREAMING

DIMENSION, HEADS, MELS = (TINY_WHISPER[key] for key in ("dimension", "num_heads", "num_mels"))
REAL = os.environ.get("KWS_WHISPER_BASE")
"""The hub's ``model.safetensors`` of openai/whisper-base."""


def hub_weights(encoder: WhisperEncoder) -> dict[str, Tensor]:
    """Return the weights under the names of the hub's file, with what a loader must leave out."""
    tensors = {
        f"model.encoder.{name.removeprefix('stem.')}": tensor.clone()
        for name, tensor in encoder.state_dict().items()
    }
    tensors["model.encoder.layer_norm.weight"] = torch.ones(DIMENSION)
    tensors["model.encoder.embed_positions.weight"] = torch.zeros(1500, DIMENSION)
    tensors["model.decoder.layers.0.fc1.weight"] = torch.zeros(4, 4)
    return tensors


def openai_weights(encoder: WhisperEncoder) -> dict[str, Tensor]:
    """Return the weights under the names of OpenAI's file, in half precision as published."""
    names = {
        "self_attn.q_proj": "attn.query",
        "self_attn.k_proj": "attn.key",
        "self_attn.v_proj": "attn.value",
        "self_attn.out_proj": "attn.out",
        "self_attn_layer_norm": "attn_ln",
        "final_layer_norm": "mlp_ln",
        "fc1": "mlp.0",
        "fc2": "mlp.2",
        "layers.": "blocks.",
        "stem.": "",
    }
    tensors = {"decoder.ln.weight": torch.zeros(4), "encoder.ln_post.bias": torch.zeros(DIMENSION)}
    for name, tensor in encoder.state_dict().items():
        for ours, theirs in names.items():
            name = name.replace(ours, theirs)
        tensors[f"encoder.{name}"] = tensor.half()
    return tensors


def reference(weights: dict[str, Tensor], waveform: Tensor, depth: int) -> Tensor:
    """Return (time, dimension) after so many layers, made of torch's own parts."""
    w = {name.removeprefix("model.encoder."): tensor for name, tensor in weights.items()}
    edged = nn.functional.pad(waveform, (200, 200))
    spectrum = torch.stft(edged, 400, 160, window=torch.hann_window(400), center=False, return_complex=True)
    banks = melscale_fbanks(201, 0.0, 8000.0, MELS, 16_000, norm="slaney", mel_scale="slaney")
    level = (banks.T @ spectrum[:, :-1].abs().square()).clamp(min=1e-10).log10()
    level = (torch.maximum(level, level.max() - 8) + 4) / 4  # (mel, 100 a second)
    features = nn.functional.gelu(
        nn.functional.conv1d(level[None], w["conv1.weight"], w["conv1.bias"], padding=1)
    )
    features = nn.functional.conv1d(features, w["conv2.weight"], w["conv2.bias"], stride=2, padding=1)
    features = nn.functional.gelu(features).transpose(1, 2)
    rates = 10_000.0 ** -(torch.arange(DIMENSION // 2) / (DIMENSION // 2 - 1))
    angle = torch.arange(features.shape[1])[:, None] * rates
    features = features + torch.cat([angle.sin(), angle.cos()], dim=1)
    for number in range(depth):
        layer = nn.TransformerEncoderLayer(
            DIMENSION, HEADS, 4 * DIMENSION, 0.0, "gelu", batch_first=True, norm_first=True
        ).eval()
        at = f"layers.{number}."
        parts = [w[f"{at}self_attn.{part}_proj.weight"] for part in "qkv"]
        biases = [w[f"{at}self_attn.q_proj.bias"], torch.zeros(DIMENSION), w[f"{at}self_attn.v_proj.bias"]]
        own = {"self_attn.in_proj_weight": torch.cat(parts), "self_attn.in_proj_bias": torch.cat(biases)}
        names = {
            "self_attn.out_proj": "self_attn.out_proj",
            "linear1": "fc1",
            "linear2": "fc2",
            "norm1": "self_attn_layer_norm",
            "norm2": "final_layer_norm",
        }
        for torchs, hubs in names.items():
            own |= {f"{torchs}.{kind}": w[f"{at}{hubs}.{kind}"] for kind in ("weight", "bias")}
        layer.load_state_dict(own)
        features = layer(features)
    return features[0]


def test_agrees_with_torchs_own_layers_after_every_one(tmp_path: Path):
    weights = hub_weights(tiny_encoder("whisper_base"))
    save_file(weights, tmp_path / "model.safetensors")
    encoder = load("whisper_base", tmp_path, True, TINY_WHISPER)
    waveform = voice(16_000)
    with torch.no_grad():
        for depth in (1, 2, 3):
            found = truncate(encoder, depth)(waveform[None], torch.tensor([16_000])).features[0]
            torch.testing.assert_close(found, reference(weights, waveform, depth), rtol=0, atol=STREAMING)


def test_reads_what_openai_publishes_as_what_the_hub_does(tmp_path: Path):
    tiny = tiny_encoder("whisper_tiny")
    torch.save({"dims": {"n_mels": MELS}, "model_state_dict": openai_weights(tiny)}, tmp_path / "tiny.pt")
    found = load("whisper_tiny", tmp_path / "tiny.pt", True, TINY_WHISPER)
    for name, tensor in tiny.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor.half().float()), name
    assert found.info.license == "MIT" and found.info.source == "openai/whisper: tiny.pt"


def test_hears_the_young_stream_alone_and_numbers_its_frames_from_there():
    encoder = tiny_encoder("whisper_base")
    waveform = voice(8 * HOP_SAMPLES)[None]
    late = nn.functional.pad(waveform, (5 * HOP_SAMPLES, 0))
    with torch.no_grad():
        alone = encoder.encode(waveform, torch.tensor([0]), torch.tensor([8]))
        found = encoder.encode(late, torch.tensor([5]), torch.tensor([13]))
    torch.testing.assert_close(found[:, 5:], alone, rtol=0, atol=STREAMING)


@pytest.mark.parametrize(
    "text, match",
    [
        ("wrong", "no readable Whisper weights"),
        ("other", r"other\.pt: no readable Whisper weights \('model_state_dict'\)"),
        ("none", "holds no encoder of Whisper"),
    ],
)
def test_says_what_a_file_is_not(tmp_path: Path, text: str, match: str):
    path = tmp_path / f"{text}.pt"
    if text == "wrong":
        path.write_bytes(b"no weights")
    else:
        torch.save({"weights" if text == "other" else "model_state_dict": {"a": torch.ones(1)}}, path)
    with pytest.raises(CheckpointError, match=match):
        load("whisper_base", path, True)


def test_refuses_the_weights_of_another_size(tmp_path: Path):
    save_file(hub_weights(tiny_encoder("whisper_base")), tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"conv1\.weight is \(16, 8, 3\), expected \(384, 80, 3\)"):
        load("whisper_tiny", tmp_path / "model.safetensors", True)


def test_refuses_sizes_that_do_not_fit():
    with pytest.raises(ConfigError, match="allowed: a multiple of twice num_heads"):
        load("whisper_tiny", None, False, {"dimension": 20, "num_heads": 6})
    with pytest.raises(ConfigError, match="encoder_shape.heads: unknown .* nearest known: num_heads"):
        load("whisper_tiny", None, False, {"heads": 6})


def test_says_what_to_cut_where_a_recording_is_longer_than_whisper_hears():
    with pytest.raises(AudioError, match=r"hears at most 30 s at once, got 30\.0 s; cut the recording"):
        tiny_encoder("whisper_base")(torch.zeros(1, 30 * 16_000 + 320), torch.tensor([480_320]))


def test_fetches_once_and_only_what_has_the_checksum(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tiny = tiny_encoder("whisper_tiny")
    torch.save({"model_state_dict": openai_weights(tiny)}, tmp_path / "tiny.pt")
    digest = hashlib.sha256((tmp_path / "tiny.pt").read_bytes()).hexdigest()
    monkeypatch.setattr(whisper_weights, "_URL", tmp_path.as_uri())
    monkeypatch.setattr(whisper_weights.hub, "get_dir", lambda: str(tmp_path / "cache"))
    for name, sha256 in (("good", digest), ("bad", "0" * 64)):
        (tmp_path / sha256).mkdir()
        (tmp_path / sha256 / "tiny.pt").write_bytes((tmp_path / "tiny.pt").read_bytes())
        monkeypatch.setitem(
            MODELS, name, whisper_weights.WhisperModel("tiny.pt", sha256, MODELS["whisper_tiny"].shape)
        )
    with pytest.raises(CheckpointError, match="could not be fetched .*invalid hash"):
        load("bad", None, True, TINY_WHISPER)
    load("good", None, True, TINY_WHISPER)
    (tmp_path / digest / "tiny.pt").unlink()
    load("good", None, True, TINY_WHISPER)


def test_says_where_to_download_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(whisper_weights.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(whisper_weights, "_URL", "http://127.0.0.1:9")
    with pytest.raises(CheckpointError, match=r"download http.*/base\.pt where there is a network .*`model"):
        load_encoder("whisper_base")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="set KWS_WHISPER_BASE to model.safetensors of openai/whisper-base")
def test_two_layers_of_the_real_file_hear_phones_and_run_on_a_device(tmp_path: Path):
    encoder = truncate(load_encoder("whisper_base", Path(str(REAL))), 2)
    chunk = encoder.info.chunk_samples
    waveform = voice(10 * chunk)[None]
    with torch.no_grad():
        whole = encoder(waveform, torch.tensor([10 * chunk])).features
        streamed, _ = encoder.run(waveform, encoder.initial_state(1))
    error = (streamed - whole).square().mean().sqrt() / whole.square().mean().sqrt()
    assert 0.01 < float(error) < STREAM_BOUND
    path = to_onnx.export(
        write_run(tmp_path / "run", encoder="whisper_base", weights=Path(str(REAL)), depth=2)
    )
    detector = Detector(path)
    assert detector.metadata["licence"] == "MIT"
    assert np.isfinite(detector.scores(waveform[0].numpy())).all()
