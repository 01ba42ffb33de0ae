"""What every registered encoder, and every kind of block of the embedded one, promises.

Shapes, cuts, streams, padding, look-ahead, memory, and helpful errors.
"""

from __future__ import annotations

import math
from pathlib import Path

import onnxruntime
import pytest
import torch
import yaml
from torch import Tensor, nn

from kws.encoders.base import Encoder
from kws.encoders.registry import available_encoders, build_encoder, load_encoder
from kws.encoders.truncate import num_parameters, truncate
from kws.errors import ConfigError
from kws.heads import build_head
from kws.model import WakeWordModel
from kws.transfer import TransferConfig, apply_policy
from tests.support.encoders import kinds_of_encoders, registered, tiny_encoder, tiny_shape, voice
from tests.tolerances import CPU_REFACTOR, ONNX, PADDED, STREAMING

PIECES = 12
PADDED_BOUND = {"emformer_rnnt_base_librispeech": 2e-4}
"""Where ``PADDED`` is not met: in the Emformer's mel bands a quiet band shows the rounding of a loud one."""
every_encoder = pytest.mark.parametrize("name", kinds_of_encoders())


def stream(encoder: Encoder, waveform: Tensor, pieces: list[int]) -> Tensor:
    """Run (batch, samples) in pieces of so many samples; return (batch, time, feature)."""
    state, outputs = encoder.initial_state(waveform.shape[0]), []
    for piece in waveform.split(pieces, dim=1):
        features, state = encoder.run(piece, state)
        outputs.append(features)
    return torch.cat(outputs, dim=1)


def step(encoder: Encoder) -> int:
    return encoder.info.chunk_samples or encoder.info.hop_samples


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


@every_encoder
def test_gives_one_frame_per_hop(name: str):
    encoder = tiny_encoder(name)
    info = encoder.info
    assert info.name == registered(name)
    assert info.num_layers == len(encoder.layers) == 3
    lengths = torch.tensor([7 * info.hop_samples + 5, 3 * info.hop_samples])
    features, frames = encoder(voice(int(lengths[0])).repeat(2, 1), lengths)
    assert features.shape[0::2] == (2, info.dimension)
    assert features.shape[1] >= 7 and features.dtype == torch.float32
    assert frames.tolist() == [7, 3]
    streamed, _ = encoder.run(voice(3 * info.hop_samples)[None], encoder.initial_state(1))
    assert streamed.shape == (1, 3, info.dimension)
    shortest, _ = encoder.run(voice(info.hop_samples)[None], encoder.initial_state(1))
    assert shortest.shape == (1, 1, info.dimension)


@every_encoder
def test_keeps_the_layers_of_a_cut_bit_identical_and_drops_the_others(name: str):
    encoder = tiny_encoder(name)
    weights = {key: tensor.clone() for key, tensor in encoder.state_dict().items()}
    cut = truncate(encoder, 2)
    kept = cut.state_dict()
    assert cut.info.num_layers == len(cut.layers) == 2 and encoder.info.num_layers == len(encoder.layers) == 3
    assert set(weights) - set(kept) == {key for key in weights if key.startswith("layers.2.")}
    assert all(torch.equal(tensor, weights[key]) for key, tensor in kept.items())
    assert num_parameters(cut) < num_parameters(encoder)


@every_encoder
def test_gives_after_a_cut_what_that_layer_gave_before(name: str):
    encoder = tiny_encoder(name)
    waveform = voice(2560)[None]
    lengths = torch.tensor([2560])
    seen = {}

    def remember(number: int):
        def hook(module, inputs, output):
            seen[number] = output[0] if isinstance(output, tuple) else output

        return hook

    for number, layer in enumerate(encoder.layers, start=1):
        # the Emformer's layers are walked part by part, and this is their last part
        getattr(layer, "layer_norm_output", layer).register_forward_hook(remember(number))
    whole = encoder(waveform, lengths).features
    for depth in (1, 2, 3):
        features = truncate(encoder, depth)(waveform, lengths).features
        torch.testing.assert_close(features, seen[depth][:, : features.shape[1]], rtol=0, atol=CPU_REFACTOR)
    assert not torch.allclose(whole, truncate(encoder, 2)(waveform, lengths).features, atol=1e-2)


@every_encoder
@pytest.mark.parametrize("depth", [0, 4, -1])
def test_refuses_a_depth_it_does_not_have(name: str, depth: int):
    with pytest.raises(
        ConfigError, match=rf"depth: got {depth}, allowed: 1 to 3 for encoder '{registered(name)}'"
    ):
        truncate(tiny_encoder(name), depth)


@every_encoder
def test_gives_the_same_stream_however_it_is_cut(name: str):
    encoder = tiny_encoder(name)
    waveform = torch.stack([voice(PIECES * step(encoder), seed) for seed in (1, 2)])
    at_once = stream(encoder, waveform, [PIECES * step(encoder)])
    for counts in ([1] * PIECES, [2, 1, 5, 3, 1]):
        in_pieces = stream(encoder, waveform, [count * step(encoder) for count in counts])
        torch.testing.assert_close(in_pieces, at_once, rtol=0, atol=STREAMING)


@every_encoder
def test_streams_what_the_whole_recording_gives_if_it_says_so(name: str):
    encoder = tiny_encoder(name)
    waveform = voice(PIECES * step(encoder))[None]
    whole, frames = encoder(waveform, torch.tensor([waveform.shape[1]]))
    difference = (stream(encoder, waveform, [step(encoder)] * PIECES) - whole[:, : frames[0]]).abs().max()
    assert (difference <= STREAMING) == encoder.info.streaming
    assert (encoder.info.window_samples > 0) == (not encoder.info.streaming)


@every_encoder
def test_starts_anew_from_zeros(name: str):
    encoder = tiny_encoder(name)
    state = encoder.initial_state(2)
    assert all(
        tensor.shape[0] == 2 and tensor.dtype == torch.float32 and not tensor.any() for tensor in state
    )
    _, after = encoder.run(voice(4 * step(encoder)).repeat(2, 1), state)
    assert [tensor.shape for tensor in after] == [tensor.shape for tensor in state]
    assert not any(tensor.any() for tensor in state)


@every_encoder
def test_hears_nothing_of_what_a_row_is_padded_with(name: str):
    encoder = tiny_encoder(name)
    lengths = torch.tensor([30_000, 17_123, 6_400])
    batch = 0.3 * torch.randn(3, 30_000, generator=torch.Generator().manual_seed(0))
    rows = [voice(int(length), seed) for seed, length in enumerate(lengths)]
    for row, waveform in zip(batch, rows, strict=True):
        row[: len(waveform)] = waveform
    features, frames = encoder(batch, lengths)
    for number, waveform in enumerate(rows):
        alone, length = encoder(waveform[None], lengths[number : number + 1])
        assert length[0] == frames[number]
        limit = PADDED_BOUND.get(name, PADDED)
        torch.testing.assert_close(features[number, : length[0]], alone[0, : length[0]], rtol=0, atol=limit)


@every_encoder
def test_sees_no_further_ahead_than_it_says(name: str):
    encoder = tiny_encoder(name)
    info = encoder.info
    waveform, loud = voice(24 * info.hop_samples)[None], voice(24 * info.hop_samples, 5)
    before, _ = encoder.run(waveform, encoder.initial_state(1))
    changed = set()
    for hop in (3, 7, 8, 13):
        other = waveform.clone()
        other[:, hop * info.hop_samples :] = loud[hop * info.hop_samples :]
        after, _ = encoder.run(other, encoder.initial_state(1))
        first = int(((before - after).abs().amax(dim=(0, 2)) > 1e-5).nonzero()[0])
        ahead = (hop - 1 - first) * info.hop_samples  # the change begins so far after the end of that frame
        assert ahead < max(info.lookahead_samples, 1), f"frame {first} saw {ahead} samples ahead"
        changed.add(first)
    assert len(changed) >= 2


@pytest.mark.parametrize("name", [n for n in kinds_of_encoders() if n.startswith(("embedded", "emformer"))])
def test_depends_on_no_more_of_the_past_than_it_says(name: str):
    encoder = tiny_encoder(name)
    info, past = encoder.info, 6 * step(encoder)
    pieces = math.ceil((past + info.receptive_field_samples) / step(encoder)) + 2
    waveform = voice(pieces * step(encoder))[None]
    other = waveform.clone()
    other[:, :past] = voice(past, 5)
    before, after = (stream(encoder, wave, [step(encoder)] * pieces) for wave in (waveform, other))
    difference = (before - after).abs().amax(dim=(0, 2))
    free = (
        math.ceil((past + info.receptive_field_samples) / info.hop_samples) - 1
    )  # its field starts after it
    assert difference[: past // info.hop_samples].max() > 1e-2
    assert difference[free:].max() <= PADDED_BOUND.get(name, STREAMING)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["hubert_large", "wavlm_base"],
)
def test_streams_alike_as_an_onnx_graph(name: str, tmp_path: Path):
    """Those of which no whole model is exported by tests/export/test_to_onnx.py."""
    encoder = truncate(tiny_encoder(name), 2).requires_grad_(False)
    chunk, state = step(encoder), encoder.initial_state(1)

    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = encoder

        def forward(self, waveform: Tensor, *state: Tensor):
            features, after = self.encoder.run(waveform, list(state))
            return features, *after

    waveform = voice(PIECES * chunk)[None]
    torch.onnx.export(Graph().eval(), (waveform[:, :chunk], *state), dynamo=True).save(
        tmp_path / "graph.onnx"
    )
    session = onnxruntime.InferenceSession(tmp_path / "graph.onnx")
    names = [node.name for node in session.get_inputs()]
    found, arrays = [], [tensor.numpy() for tensor in state]
    for piece in waveform.split(chunk, dim=1):
        features, *arrays = session.run(None, dict(zip(names, [piece.numpy(), *arrays], strict=True)))
        found.append(torch.from_numpy(features))
    expected = stream(encoder, waveform, [chunk] * PIECES)
    torch.testing.assert_close(torch.cat(found, dim=1), expected, rtol=0, atol=ONNX)


@every_encoder
def test_is_rebuilt_from_its_shape_and_weights(name: str):
    cut = truncate(tiny_encoder(name), 2)
    shape = yaml.safe_load(yaml.safe_dump(cut.shape()))
    again = truncate(build_encoder(registered(name), shape), 2).eval()
    waveform, lengths = voice(8000)[None], torch.tensor([8000])
    assert not torch.equal(again(waveform, lengths).features, cut(waveform, lengths).features)
    again.load_state_dict(cut.state_dict())
    assert torch.equal(again(waveform, lengths).features, cut(waveform, lengths).features)
    assert again.info == cut.info


@every_encoder
def test_trains_every_weight_it_keeps(name: str):
    encoder = truncate(tiny_encoder(name), 2).train()
    with torch.enable_grad():
        encoder(voice(8000).repeat(2, 1), torch.tensor([8000, 6000])).features.square().mean().backward()
    without = {key for key, parameter in encoder.named_parameters() if parameter.grad is None}
    assert without == set()


def test_a_policy_holds_the_stem_and_layers_of_a_borrowed_encoder():
    encoder = truncate(tiny_encoder("hubert_base"), 3)
    model = WakeWordModel(encoder, build_head("linear", encoder.info.dimension, 1), ["computer"])
    _, groups = apply_policy(model, TransferConfig(policy="early", num_layers=1))
    assert [group.name for group in groups] == ["head", "stem", "layer 1"]
    still = {key for key, parameter in model.named_parameters() if not parameter.requires_grad}
    above = ("encoder.layers.1", "encoder.layers.2")
    assert still == {key for key, _ in model.named_parameters() if key.startswith(above)}


def test_names_the_nearest_encoders():
    with pytest.raises(
        ConfigError, match=r"got 'wav2vec2_bas', nearest known: wav2vec2_base.*available_encoders"
    ):
        load_encoder("wav2vec2_bas")


@pytest.mark.parametrize("name", ["wavlm_base", "emformer_rnnt_base_librispeech"])
def test_names_the_key_of_a_shape_that_it_does_not_know(name: str):
    params = tiny_shape(name)["params"]
    nearest = next(iter(params))
    with pytest.raises(
        ConfigError, match=rf"encoder_shape.params.{nearest}s: unknown.*nearest known: {nearest}"
    ):
        build_encoder(name, {"bundle": name, "params": {f"{nearest}s": 1}})
    with pytest.raises(ConfigError, match=f"encoder_shape: got .*allowed for '{name}'"):
        build_encoder(name, {"bundle": "another"})


def test_registers_every_recognizer_of_torchaudio():
    kinds = {"embedded", "wav2vec2_asr_base_960h", "hubert_large", "wavlm_base_plus", "wav2vec2_xlsr_300m"}
    assert kinds < set(available_encoders())
    assert len(available_encoders()) == 42
    licenses = {
        name: tiny_encoder(name).info.license for name in ("hubert_base", "voxpopuli_asr_base_10k_de")
    }
    assert licenses == {"hubert_base": "MIT", "voxpopuli_asr_base_10k_de": "CC-BY-NC-4.0"}
