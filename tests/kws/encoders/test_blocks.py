"""Each kind of block against what it is said to compute, worked by loops or by another implementation."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.testing import assert_close

from kws.checkpoint import load_model
from kws.config import read_yaml
from kws.encoders.blocks.attention import AttentionBlock
from kws.encoders.blocks.base import ResidualBlock
from kws.encoders.blocks.gated import GatedBlock
from kws.encoders.blocks.separable import SeparableBlock
from kws.encoders.blocks.squeeze import RunningMean, SqueezeBlock
from kws.encoders.sources.embedded import EmbeddedConfig, EmbeddedEncoder
from kws.encoders.sources.embedded_weights import ASSETS, load_recognizer
from kws.errors import ConfigError
from kws.weights import WEIGHTS
from tests.support.encoders import TINY_BLOCKS, TINY_EMBEDDED, tiny_encoder, voice
from tests.support.runs import write_run
from tests.tolerances import CPU_REFACTOR, STREAMING

FEATURES, FRAMES = 12, 40
PARTS = [
    f"{part}.{kind}"
    for part in ("depthwise.conv", "norm", "expand", "project")
    for kind in ("weight", "bias")
]
"""Tensors of a separable block."""


def make(kind: str, lookahead: int = 0) -> ResidualBlock:
    """Return a block with random weights, in eval mode."""
    torch.manual_seed(3)
    made = {
        "separable": lambda: SeparableBlock(FEATURES, 5, 2, 0.0, lookahead),
        "gated": lambda: GatedBlock(FEATURES, 5, 2, 0.0, lookahead),
        "squeeze": lambda: SqueezeBlock(FEATURES, 5, 2, 0.0, lookahead, frames=3),
        "attention": lambda: AttentionBlock(FEATURES, 3, 6, 0.0, lookahead),
    }
    return made[kind]().eval()


KINDS = ("separable", *TINY_BLOCKS)


@pytest.fixture(autouse=True)
def _no_grad():
    with torch.no_grad():
        yield


def whole(block: ResidualBlock, features: Tensor) -> Tensor:
    """Run a block from a cold start."""
    return block(features, block.initial_state(len(features)))[0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lookahead", [0, 1])
def test_nothing_older_than_the_declared_memory_counts(kind: str, lookahead: int):
    block, features = make(kind, lookahead), torch.randn(1, FRAMES, FEATURES)
    assert len(block.initial_state(1)) == block.num_states
    changed = features.clone()
    changed[:, 5] = torch.randn(FEATURES)
    difference = (whole(block, changed) - whole(block, features)).abs().amax(dim=(0, 2))
    assert not difference[:5].any(), "causal"
    last = 5 + block.memory_frames
    assert difference[last + 1 :].max() <= (STREAMING if kind == "squeeze" else CPU_REFACTOR)
    if kind != "squeeze":
        assert difference[last] > 0, "the bound is met"


@pytest.mark.parametrize("kind", KINDS)
def test_a_look_ahead_is_a_wait(kind: str):
    features = torch.randn(2, FRAMES, FEATURES)
    # a row through a block that adds nothing: the frame before
    block = make(kind, lookahead=1)
    block.project.weight.zero_()
    block.project.bias.zero_()
    output = whole(block, features)
    assert torch.equal(output[:, 1:], features[:, :-1]) and not output[:, 0].any()


def test_a_gated_layer_has_as_many_weights_and_is_one_layer_times_the_silu_of_another():
    gated, plain = GatedBlock(192, 9, 2), SeparableBlock(192, 9, 2)

    def matrices(block: ResidualBlock) -> int:
        return sum(layer.weight.numel() for layer in block.modules() if isinstance(layer, nn.Linear))

    assert matrices(gated) == matrices(plain) == 4 * 192 * 192
    block, frame = make("gated"), torch.randn(FEATURES)
    assert isinstance(block, GatedBlock)
    opened = block.gate.weight @ frame + block.gate.bias
    inner = (block.expand.weight @ frame + block.expand.bias) * opened / (1 + torch.exp(-opened))
    assert_close(block.inner(frame), block.project.weight @ inner + block.project.bias)


def test_the_running_mean_is_weighted_by_age_and_starts_with_the_first_frame():
    features = torch.randn(2, FRAMES, FEATURES)
    found, state = RunningMean(FEATURES, 4)(features, torch.zeros(2, 1, FEATURES + 1))
    for frame in range(FRAMES):
        weights = torch.tensor([0.75 ** (frame - past) for past in range(frame + 1)])
        expected = (features[:, : frame + 1] * weights[:, None]).sum(1) / weights.sum()
        assert_close(found[:, frame], expected, rtol=0, atol=STREAMING)
    assert torch.equal(found[:, 0], features[:, 0])
    assert_close(state[:, 0, -1], torch.full((2,), (1 - 0.75**FRAMES) / 0.25))
    assert RunningMean(FEATURES, 4).memory_frames == 33  # 0.75 ** 33 < 1e-4 < 0.75 ** 32
    assert RunningMean(FEATURES, 1).memory_frames == 0


def test_the_branch_is_scaled_by_what_its_mean_excites():
    block, features = make("squeeze"), torch.randn(1, 9, FEATURES)
    assert isinstance(block, SqueezeBlock)
    plain = SeparableBlock(FEATURES, 5, 2).eval()
    plain.load_state_dict(block.state_dict(), strict=False)
    branch = whole(plain, features) - features
    mean, _ = block.mean(branch, torch.zeros(1, 1, FEATURES + 1))
    factor = torch.sigmoid(torch.relu(mean @ block.squeeze.weight.T) @ block.excite.weight.T)
    assert factor.std() > 1e-3
    assert_close(whole(block, features), features + factor * branch)


@pytest.mark.parametrize("lookahead", [0, 1])
def test_attention_is_pytorchs_over_a_window_with_slopes(lookahead: int):
    block, features = make("attention", lookahead), torch.randn(1, FRAMES, FEATURES)
    assert isinstance(block, AttentionBlock)
    other = nn.MultiheadAttention(FEATURES, 3, batch_first=True).eval()
    other.in_proj_weight.copy_(torch.cat([block.query.weight, block.key_value.weight]))
    other.in_proj_bias.copy_(torch.cat([block.query.bias, block.key_value.bias]))
    other.out_proj.load_state_dict(block.project.state_dict())
    mask = torch.full((3, FRAMES, FRAMES), -torch.inf)
    for head, slope in enumerate((2 ** (-8 / 3), 2 ** (-16 / 3), 2**-8)):
        for now in range(FRAMES):
            for key in range(max(0, now - 6), now + 1):
                mask[head, now, key] = -slope * abs(now - lookahead - key)
    waited = nn.functional.pad(features, (0, 0, lookahead, 0))[:, :FRAMES]
    frames = block.norm(features)
    attended, _ = other(block.norm(waited), frames, frames, attn_mask=mask, need_weights=False)
    assert_close(whole(block, features), waited + attended, rtol=0, atol=STREAMING)


def test_attention_does_not_take_a_zero_state_for_silence():
    block, features = make("attention"), torch.randn(1, 3, FEATURES)
    keys_values, _ = block.initial_state(1)
    silent, _ = block(features, [keys_values, torch.tensor([[6.0]])])
    assert (silent - whole(block, features)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_a_dropped_branch_leaves_the_frames_as_they_are(kind: str):
    block, features = make(kind).train(), torch.randn(64, 7, FEATURES)
    block.drop = 0.5
    torch.manual_seed(0)
    moved = (whole(block, features) - features).abs().amax(dim=(1, 2)) > 0
    assert 16 < int(moved.sum()) < 48
    branch = whole(block.eval(), features)[moved] - features[moved]
    torch.manual_seed(0)
    assert_close(whole(block.train(), features)[moved], features[moved] + 2 * branch, rtol=0, atol=STREAMING)


def test_every_nth_block_is_of_the_kind():
    def kinds(**values: object) -> list[str]:
        config = EmbeddedConfig(**{**TINY_EMBEDDED, "num_layers": 5, **values})
        return [type(layer).__name__.removesuffix("Block") for layer in EmbeddedEncoder(config).layers]

    assert kinds() == kinds(block_every=2) == ["Separable"] * 5
    assert kinds(block="gated") == ["Gated"] * 5
    assert kinds(block="squeeze", block_every=3) == ["Separable", "Separable", "Squeeze", *["Separable"] * 2]
    assert kinds(block="attention", block_every=2) == ["Separable", "Attention"] * 2 + ["Separable"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"block": "attention"},
            r"block_every: got 1, allowed with block 'attention': 2 to 10 \(num_layers\)",
        ),
        (
            {"block": "squeeze", "block_every": 11},
            "block_every: got 11, allowed with block 'squeeze': 1 to 10",
        ),
        (
            {"block": "attention", "block_every": 5, "attention_heads": 5},
            r"attention_heads: got 5, allowed: divisors of 192 \(dimension\)",
        ),
        ({"block": "dense"}, "block: got 'dense', allowed: separable, gated, squeeze, attention"),
        ({"attention_left": 0}, "attention_left: got 0, allowed: 1 or more"),
        ({"squeeze_frames": 0}, "squeeze_frames: got 0, allowed: 1 or more"),
    ],
)
def test_shapes_that_cannot_be_are_refused(values: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=f"encoder.{message}"):
        EmbeddedConfig(**values)  # type: ignore[arg-type]


def test_what_ships_is_as_it_was():
    encoder, stored = load_recognizer().encoder, load_file(ASSETS / WEIGHTS)
    kept = {f"encoder.{name}": tensor for name, tensor in encoder.state_dict().items()}
    assert kept.keys() == {name for name in stored if name.startswith("encoder.")}
    assert all(torch.equal(tensor, stored[name]) for name, tensor in kept.items())
    shapes = [tuple(tensor.shape) for tensor in encoder.initial_state(1)]
    # the stem keeps two frames of 64 bands, then of 24 channels of 32 bands
    assert shapes == [(1, 240), (1, 2, 64), (1, 2, 24 * 32), *[(1, 8, 192)] * 10]
    # 3 and 2 * 3 frames of 10 ms of the stem, 8 of 40 ms per block, and a window of 25 ms
    assert encoder.info.receptive_field_samples == (9 + 10 * 8 * 4) * 160 + 400
    # the blocks, the first four of which wait a frame, written out
    features = torch.randn(1, 80, 64)
    expected, _ = encoder.stem(features, encoder.stem.initial_state(1))
    for number in range(10):
        weights = {name: stored[f"encoder.layers.{number}.{name}"].float() for name in PARTS}
        padded = nn.functional.pad(expected, (0, 0, 8, 0))
        kernel, bias = weights["depthwise.conv.weight"], weights["depthwise.conv.bias"]
        mixed = nn.functional.conv1d(padded.transpose(1, 2), kernel, bias, groups=192).transpose(1, 2)
        normed = nn.functional.layer_norm(mixed, (192,), weights["norm.weight"], weights["norm.bias"])
        inner = nn.functional.linear(normed, weights["expand.weight"], weights["expand.bias"]).relu()
        waited = padded[:, 7:-1] if number < 4 else expected
        expected = waited + nn.functional.linear(inner, weights["project.weight"], weights["project.bias"])
    found, _ = encoder.encode(features, encoder.initial_state(1)[1:])
    assert_close(found, expected, rtol=0, atol=CPU_REFACTOR)


def test_a_checkpoint_that_is_older_than_the_kinds_of_blocks_scores_as_it_did(tmp_path: Path):
    run = write_run(tmp_path / "run")
    waveform = voice(16_000)[None]
    expected = load_model(run).scores(waveform)
    values = read_yaml(run / "config.yaml")
    shape = values["encoder_shape"]
    newer = [key for key in shape if key.startswith(("block", "squeeze", "attention", "stem"))]
    assert len(newer) == 6
    for key in newer:
        del shape[key]
    (run / "config.yaml").write_text(yaml.safe_dump(values), "utf-8")
    assert torch.equal(load_model(run).scores(waveform), expected)


@pytest.mark.parametrize("block", TINY_BLOCKS)
def test_an_encoder_declares_the_memory_of_its_blocks(block: str):
    encoder = tiny_encoder(f"embedded {block}")
    memory = {"gated": 3 * 2, "squeeze": 3 * (2 + 33), "attention": 2 + 5 + 2}[block]  # frames of 40 ms
    assert encoder.info.receptive_field_samples == (9 + 4 * memory) * 160 + 400
