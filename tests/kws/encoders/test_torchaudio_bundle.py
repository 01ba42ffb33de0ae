"""torchaudio's recognisers: the walk is theirs, local files load strictly, the stream is bounded."""

from __future__ import annotations

import urllib.error
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchaudio import models, pipelines

from kws.encoders.registry import load_encoder
from kws.encoders.sliding import STREAM_BOUND
from kws.encoders.sources import torchaudio_bundle
from kws.encoders.sources.torchaudio_bundle import BUNDLES, load
from kws.encoders.truncate import truncate
from kws.errors import CheckpointError
from kws.heads import build_head
from kws.model import WakeWordModel
from tests.support.encoders import TINY_BUNDLE, voice
from tests.tolerances import PADDED, STREAMING

OVERLAP = 80  # samples of silence that move torchaudio's frame t to end with hop t


def reference(name: str, params: dict[str, Any], **more: Any) -> models.Wav2Vec2Model:
    """Return torchaudio's own model of a bundle, with an output layer where the bundle has one."""
    factory = models.wavlm_model if "wavlm" in name else models.wav2vec2_model
    torch.manual_seed(0)
    return factory(**{**BUNDLES[name]._params, **params, **more}).eval()


def as_downloaded(model: nn.Module) -> dict[str, Tensor]:
    """Rename the weights as in the files on torchaudio's server, older than torch's parametrizations."""
    names = {"parametrizations.weight.original0": "weight_g", "parametrizations.weight.original1": "weight_v"}
    tensors = {}
    for name, tensor in model.state_dict().items():
        for new, old in names.items():
            name = name.replace(new, old)
        tensors[name] = tensor.clone()
    return tensors


@pytest.mark.parametrize(
    "name", ["wav2vec2_base", "wav2vec2_large_lv60k", "hubert_large", "wavlm_base", "wavlm_large"]
)
def test_agrees_with_torchaudio_after_every_layer(name: str, tmp_path: Path):
    model = reference(name, TINY_BUNDLE)
    torch.save(as_downloaded(model), tmp_path / "weights.pth")
    encoder = load(name, tmp_path / "weights.pth", True, TINY_BUNDLE)
    waveform = voice(16_000)[None]
    normalize = BUNDLES[name]._normalize_waveform
    heard = nn.functional.layer_norm(waveform, waveform.shape) if normalize else waveform
    with torch.no_grad():
        expected, _ = model.extract_features(nn.functional.pad(heard, (OVERLAP, 0)))
        for depth in (1, 2, 3):
            found = truncate(encoder, depth)(waveform, torch.tensor([16_000])).features
            torch.testing.assert_close(found, expected[depth - 1], rtol=0, atol=STREAMING)


def test_takes_a_file_with_an_output_layer_and_todays_names(tmp_path: Path):
    model = reference("wav2vec2_asr_base_960h", TINY_BUNDLE, aux_num_out=32)
    torch.save(model.state_dict(), tmp_path / "weights.pth")
    save_file(as_downloaded(model), tmp_path / "weights.safetensors")
    waveform, lengths = voice(6400)[None], torch.tensor([6400])
    with torch.no_grad():
        found = [
            load("wav2vec2_asr_base_960h", tmp_path / file, True, TINY_BUNDLE)(waveform, lengths).features
            for file in ("weights.pth", "weights.safetensors")
        ]
    assert torch.equal(*found)


def test_wav2vec2_base_from_a_local_file_streams_within_the_bound(tmp_path: Path):
    depth, path = {"encoder_num_layers": 2}, tmp_path / "wav2vec2_fairseq_base_ls960.pth"
    torch.save(as_downloaded(reference("wav2vec2_base", depth)), path)
    encoder = truncate(load("wav2vec2_base", path, True, depth), 2)
    path.unlink()  # 95 MB
    assert (encoder.info.dimension, encoder.info.hop_samples) == (768, 320)
    torch.manual_seed(0)
    model = WakeWordModel(encoder, build_head("conv", 768, 1), ["computer"]).eval()
    chunk = encoder.info.chunk_samples
    waveform = voice(10 * chunk)[None]  # longer than the window
    with torch.no_grad():
        whole = encoder(waveform, torch.tensor([10 * chunk])).features
        streamed, state = [], encoder.initial_state(1)
        for piece in waveform.split([2 * chunk, 7 * chunk, chunk], dim=1):
            features, state = encoder.run(piece, state)
            streamed.append(features)
        scores = [
            torch.sigmoid(model.head(features, model.head.initial_state(1))[0])
            for features in (whole, torch.cat(streamed, dim=1))
        ]
    error = (torch.cat(streamed, dim=1) - whole).square().mean().sqrt() / whole.square().mean().sqrt()
    assert 0.02 < float(error) < STREAM_BOUND
    assert float((scores[0] - scores[1]).abs().max()) < 0.1


@pytest.mark.slow
def test_the_whole_wav2vec2_base_loads_by_its_registry_name(tmp_path: Path):
    model = reference("wav2vec2_base", {})
    torch.save(as_downloaded(model), tmp_path / "weights.pth")
    encoder = truncate(load_encoder("wav2vec2_base", tmp_path / "weights.pth"), 6)
    (tmp_path / "weights.pth").unlink()  # 380 MB
    waveform = voice(16_000)[None]
    with torch.no_grad():
        expected, _ = model.extract_features(nn.functional.pad(waveform, (OVERLAP, 0)), num_layers=6)
        found = encoder(waveform, torch.tensor([16_000])).features
    torch.testing.assert_close(found, expected[5], rtol=0, atol=STREAMING)


def test_names_the_first_weights_that_do_not_fit(tmp_path: Path):
    weights = as_downloaded(reference("wav2vec2_base", TINY_BUNDLE))
    del weights["encoder.transformer.layer_norm.weight"]
    weights["encoder.transformer.layers.1.layer_norm.bias"] = torch.zeros(7)
    weights["quantizer.vars"] = torch.zeros(1)
    torch.save(weights, tmp_path / "weights.pth")
    wrong = (
        r"weights.pth: the weights do not fit the model: encoder.transformer.layers.1.layer_norm.bias is "
        r"\(7,\), expected \(32,\); encoder.transformer.layer_norm.weight is missing; "
        r"quantizer.vars is not part of the model"
    )
    with pytest.raises(CheckpointError, match=wrong):
        load("wav2vec2_base", tmp_path / "weights.pth", True, TINY_BUNDLE)


def test_says_what_is_wrong_with_a_file(tmp_path: Path):
    open_it = partial(load, "wav2vec2_base", pretrained=True, params=TINY_BUNDLE)
    with pytest.raises(
        CheckpointError, match=r"none.pth: no readable state dict .*what torchaudio downloads"
    ):
        open_it(tmp_path / "none.pth")
    (tmp_path / "page.pth").write_text("<html>404</html>")
    with pytest.raises(CheckpointError, match="page.pth: no readable state dict"):
        open_it(tmp_path / "page.pth")
    torch.save(nn.Linear(1, 1), tmp_path / "pickled.pth")
    with pytest.raises(CheckpointError, match="pickled.pth: no readable state dict"):
        open_it(tmp_path / "pickled.pth")
    torch.save({"model": {"weight": torch.zeros(1)}}, tmp_path / "nested.pth")
    with pytest.raises(CheckpointError, match="nested.pth: holds no plain state dict"):
        open_it(tmp_path / "nested.pth")
    (tmp_path / "text.safetensors").write_text("no tensors")
    with pytest.raises(CheckpointError, match="text.safetensors: no readable safetensors"):
        open_it(tmp_path / "text.safetensors")


def test_names_the_local_remedy_without_a_network(monkeypatch: pytest.MonkeyPatch):
    def refuse(self, *, dl_kwargs):
        assert dl_kwargs == {"weights_only": True}  # nothing that is downloaded is unpickled
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(pipelines.Wav2Vec2Bundle, "get_model", refuse)
    remedy = r"'hubert_base'.*no route to host.*download https://\S+hubert\S+ .*model.weights=FILE"
    with pytest.raises(CheckpointError, match=remedy):
        load_encoder("hubert_base")


def test_takes_the_model_out_of_torchaudios_batch_normalizing_wrapper(monkeypatch: pytest.MonkeyPatch):
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = reference("wav2vec2_large_lv60k", TINY_BUNDLE)

    monkeypatch.setattr(pipelines.Wav2Vec2Bundle, "get_model", lambda self, *, dl_kwargs: Wrapper())
    encoder = load_encoder("wav2vec2_large_lv60k")
    quiet, loud = voice(6400), 50 * voice(6400, 1)
    with torch.no_grad():
        batch = encoder(torch.stack([quiet, loud]), torch.tensor([6400, 6400])).features
        alone = encoder(quiet[None], torch.tensor([6400])).features
    torch.testing.assert_close(batch[:1], alone, rtol=0, atol=PADDED)
    assert encoder.stem.normalize_waveform and not encoder.training


def test_knows_the_license_of_every_bundle():
    licenses = {torchaudio_bundle._license(bundle.__doc__ or "") for bundle in BUNDLES.values()}
    assert licenses == {"MIT", "CC-BY-NC-4.0"}
    assert torchaudio_bundle._license("") == "not stated by torchaudio"
