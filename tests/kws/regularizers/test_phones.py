"""Phones beside the keyword: CTC as a sum over all alignments, where its output begins, what it asks for."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from kws.encoders.sources.embedded_weights import load_recognizer
from kws.errors import ConfigError
from kws.model import ModelConfig, WakeWordModel, build_model
from kws.phones import BLANK
from kws.regularizers import build_regularizer, need_transcripts
from kws.regularizers.phones import Phones
from kws.structs import Transcribed
from kws.transfer import TransferConfig, apply_policy
from tests.support.steps import batch_of, step_of
from tests.support.training import tiny_model, tiny_weights

HOP = 640


def moving(model: WakeWordModel) -> Phones:
    apply_policy(model, TransferConfig("late", num_layers=1))
    term = build_regularizer("phones", model)
    assert isinstance(term, Phones)
    return term


def over_all_paths(probabilities: Tensor, said: list[int]) -> float:
    """Return minus the logarithm of the sum over all paths that read ``said``, per phone."""
    total = 0.0
    for path in itertools.product({BLANK, *said}, repeat=len(probabilities)):
        merged = [symbol for symbol, _ in itertools.groupby(path) if symbol != BLANK]
        if merged == said:
            total += float(torch.stack([probabilities[t, symbol] for t, symbol in enumerate(path)]).prod())
    return -float(torch.tensor(total).log()) / len(said)


def test_is_the_sum_over_all_alignments_of_the_valid_frames():
    model = tiny_model(depth=3)
    term = moving(model)
    model.eval()
    waveform = 0.1 * torch.randn(2, 5 * HOP)
    told = Transcribed(
        waveform, torch.tensor([5 * HOP, 3 * HOP]), torch.tensor([7, 7, 2, 9]), torch.tensor([3, 1])
    )
    value = term(model, step_of(model, batch_of()._replace(transcribed=told)))
    expected = []
    for row, frames, said in ((0, 5, [7, 7, 2]), (1, 3, [9])):
        features, _ = model.encoder(waveform[row : row + 1, : frames * HOP], torch.tensor([frames * HOP]))
        expected.append(over_all_paths(torch.softmax(term.output(features[0]), dim=1).detach(), said))
    assert float(value.detach()) == pytest.approx(sum(expected) / 2, rel=1e-4)


def test_speech_too_short_for_its_phones_costs_nothing_and_gives_no_nan():
    model = tiny_model(depth=3)
    term = moving(model)
    told = Transcribed(torch.randn(1, HOP), torch.tensor([HOP]), torch.tensor([1, 2, 3]), torch.tensor([3]))
    value = term(model, step_of(model, batch_of()._replace(transcribed=told)))
    value.backward()
    assert float(value.detach()) == 0
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


def test_moves_the_kept_layers_that_may_move_and_not_the_head():
    model = tiny_model(depth=3)
    term = moving(model)
    term(model, step_of(model)).backward()
    assert model.encoder.layers[2].expand.weight.grad.abs().sum() > 0
    assert model.encoder.layers[1].expand.weight.grad is None
    assert all(parameter.grad is None for parameter in model.head.parameters())
    assert all(parameter.grad is not None for parameter in term.parameters())


@pytest.mark.parametrize(("depth", "layer"), [(1, 1), (2, 1), (3, 4), (4, 4)])
def test_begins_as_the_output_of_the_recognizer_for_the_nearest_layer(depth: int, layer: int, tmp_path: Path):
    folder = tiny_weights(tmp_path)
    model = build_model(ModelConfig(("tone",), weights=folder, depth=depth))
    recognizer = load_recognizer(folder)  # its middle output is on layer 1, the other on layer 4
    source = recognizer.middle_output if layer == 1 else recognizer.output
    term = moving(model)
    assert torch.equal(term.output[1].weight, source[1].weight)
    assert not any("output" in name for name in model.state_dict() if name.startswith("encoder")), "not saved"
    nn.init.zeros_(term.output[1].weight)
    assert model.encoder.phone_outputs[layer][1].weight.abs().sum() > 0, "a copy of its own"


def test_an_encoder_with_random_weights_gets_a_new_output(tmp_path: Path):
    model = build_model(ModelConfig(("tone",), weights=tiny_weights(tmp_path), depth=2), pretrained=False)
    assert model.encoder.phone_outputs == {}
    assert tuple(moving(model).output[1].weight.shape) == (40, 16)


def test_without_a_borrowed_layer_that_moves_it_is_refused():
    model = tiny_model()
    apply_policy(model, TransferConfig("head"))
    with pytest.raises(ConfigError, match="regularizers.phones: no borrowed layer moves.*policy=late"):
        build_regularizer("phones", model)


def test_without_transcribed_speech_it_is_refused():
    assert need_transcripts({"l2_sp": 1.0, "phones": 1.0}) and not need_transcripts({"l2_sp": 1.0}, 0)
    with pytest.raises(
        ConfigError,
        match="regularizers.phones: learns from transcribed speech, and no training negative .* `text`",
    ):
        need_transcripts({"phones": 1.0}, 0)
