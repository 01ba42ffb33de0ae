"""The recogniser cut and put together again: what lies above a cut, and fine-tuned layers put back."""

from __future__ import annotations

import pytest
import torch

from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.registry import available_encoders, load_recognizer
from kws.encoders.sources.embedded import EmbeddedConfig, EmbeddedEncoder
from kws.encoders.truncate import truncate
from kws.errors import ConfigError
from tests.support.encoders import voice

SHAPE = EmbeddedConfig(num_mels=8, dimension=12, num_layers=4, kernel=3, lookahead=3)


@pytest.fixture
def recognizer() -> PhoneRecognizer:
    return PhoneRecognizer(EmbeddedEncoder(SHAPE), 2).eval()


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_what_lies_above_a_cut_gives_the_phones_of_the_whole(recognizer: PhoneRecognizer, depth: int):
    waveform, lengths = voice(12_800)[None], torch.tensor([12_800])
    log_mel, _ = recognizer.encoder.frontend(waveform, recognizer.encoder.frontend.initial_state(1))
    features, _ = truncate(recognizer.encoder, depth)(waveform, lengths)
    assert torch.equal(recognizer.above(features, depth), recognizer(log_mel)[0])


def test_an_untouched_cut_put_back_is_the_recognizer_bit_for_bit(recognizer: PhoneRecognizer):
    joined = recognizer.with_first_layers(truncate(recognizer.encoder, 2))
    assert joined is not recognizer and joined.middle == 2
    before, after = recognizer.state_dict(), joined.state_dict()
    assert list(before) == list(after) and all(torch.equal(before[name], after[name]) for name in before)


def test_fine_tuned_layers_are_put_back_and_the_others_stay(recognizer: PhoneRecognizer):
    cut = truncate(recognizer.encoder, 2)
    with torch.no_grad():
        for parameter in cut.parameters():
            parameter += 1.0
    before = {name: tensor.clone() for name, tensor in recognizer.state_dict().items()}
    joined = recognizer.with_first_layers(cut)
    below = ("encoder.stem", "encoder.layers.0", "encoder.layers.1")
    for name, tensor in joined.state_dict().items():
        torch.testing.assert_close(tensor, before[name] + float(name.startswith(below)), rtol=0, atol=0)
        assert torch.equal(recognizer.state_dict()[name], before[name])


def test_layers_of_another_shape_are_refused(recognizer: PhoneRecognizer):
    other = EmbeddedEncoder(EmbeddedConfig(num_mels=8, dimension=12, num_layers=4, kernel=5))
    with pytest.raises(ConfigError, match=r"shape \{.*'kernel': 5.*give the recogniser that the encoder was"):
        recognizer.with_first_layers(truncate(other, 2))


def test_only_encoders_with_phone_outputs_are_recognizers():
    assert load_recognizer().encoder.info.num_layers == 10
    for name in set(available_encoders()) - {"embedded"}:
        with pytest.raises(ConfigError, match=f"'{name}' has no phone outputs; encoders that .*: embedded"):
            load_recognizer(name)
