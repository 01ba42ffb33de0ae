"""Stems: convolutions beside plain ones over padded frames, streams, formants that lie elsewhere, ONNX."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from export import to_onnx
from kws import Detector
from kws.checkpoint import load_model
from kws.encoders.sources.embedded import EmbeddedConfig
from kws.encoders.stems import Conv2dStem, StackedStem
from kws.errors import ConfigError
from tests.export.conftest import write_run
from tests.support.encoders import TINY_EMBEDDED, voice
from tests.tolerances import CPU_REFACTOR, ONNX, STREAMING

MELS, DIMENSION, CHANNELS = 16, 12, (3, 5)


@pytest.fixture
def stem() -> Conv2dStem:
    torch.manual_seed(0)
    return Conv2dStem(MELS, DIMENSION, CHANNELS).eval()


@torch.no_grad()
def test_is_two_strided_convolutions_over_time_and_bands(stem: Conv2dStem):
    frames = torch.randn(2, 20, MELS)
    got, _ = stem(frames, stem.initial_state(2))
    picture = frames[:, None]
    for conv in stem.convs:
        assert isinstance(conv, nn.Conv2d)
        padded = nn.functional.pad(picture, (0, 0, 2, 0))
        picture = torch.relu(nn.functional.conv2d(padded, conv.weight, conv.bias, stride=2, padding=(0, 2)))
    expected = stem.norm(stem.linear(picture.permute(0, 2, 1, 3).reshape(2, 5, -1)))
    torch.testing.assert_close(got, expected, atol=CPU_REFACTOR, rtol=0)


@pytest.mark.parametrize("kind", [StackedStem, Conv2dStem])
@torch.no_grad()
def test_a_stream_gives_what_the_whole_gives(kind: type):
    stem = kind(MELS, DIMENSION, *([CHANNELS] if kind is Conv2dStem else [])).eval()
    frames = torch.randn(1, 32, MELS)
    whole, _ = stem(frames, stem.initial_state(1))
    state, found = stem.initial_state(1), []
    for piece in frames.split([4, 12, 8, 8], dim=1):
        output, state = stem(piece, state)
        found.append(output)
    torch.testing.assert_close(torch.cat(found, 1), whole, atol=STREAMING, rtol=0)


@torch.no_grad()
def test_filters_answer_alike_wherever_the_formants_lie(stem: Conv2dStem):
    frames = torch.zeros(1, 16, MELS)
    frames[:, 4:12, 6] = 1.0
    answers = []
    for shift in (0, 4):  # bands; four are one after both steps
        features = nn.functional.pad(frames.roll(shift, 2)[:, None], (0, 0, 2, 0))
        first = torch.relu(stem.convs[0](features))
        answers.append(torch.relu(stem.convs[1](nn.functional.pad(first, (0, 0, 2, 0)))))
    torch.testing.assert_close(answers[0][..., 1:2], answers[1][..., 2:3])


def test_an_encoder_with_convolutions_is_exported_with_its_state(tmp_path: Path):
    shape = TINY_EMBEDDED | {"stem_channels": [3, 5]}
    path = to_onnx.export(write_run(tmp_path / "run", encoder="embedded", shape=shape, depth=2))
    waveform = voice(16000).numpy()
    expected = load_model(path.parent).scores(torch.from_numpy(waveform)[None])[0].numpy()
    heard = np.concatenate([Detector(path).scores(waveform[:0]), Detector(path).scores(waveform)])
    np.testing.assert_allclose(heard, expected[: len(heard)], atol=ONNX, rtol=0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"stem_channels": (4,)}, r"encoder.stem_channels: got \[4\], allowed: two numbers above 0 or none"),
        ({"stem_channels": (4, 0)}, "encoder.stem_channels"),
        ({"stem_channels": (4, 4), "num_mels": 10}, "encoder.num_mels: got 10, allowed with encoder.stem_ch"),
    ],
)
def test_stems_that_cannot_be_are_refused(values: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        EmbeddedConfig(**values)
