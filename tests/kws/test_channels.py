"""One channel of several: speech on one side, channels of opposite sign, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from kws import audio
from kws.channels import Mixer, surviving_channel
from kws.errors import ConfigError
from kws.listening import listen
from tests.support.onnx_models import silence, tone, write_tone_model

WORD = np.concatenate([silence(0.3), tone(1000, 0.5, amplitude=0.3), silence(0.4)])


def sides(*gains: float) -> np.ndarray:
    return np.stack([gain * WORD for gain in gains], axis=1)


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ((1.0, -1.0), 1),
        ((-0.5, 1.0, -0.5), 2),
        ((1.0, 1.0), None),
        ((0.0, 1.0), None),  # the average is 6 dB lower, and has all of it
        ((0.0, 0.0), None),
        ((1.0,), None),
    ],
)
def test_an_average_that_cancels_is_seen(gains: tuple[float, ...], expected: int | None):
    assert surviving_channel(sides(*gains)) == expected


@pytest.mark.parametrize("gains", [(1.0, -1.0), (0.0, 1.0), (1.0, 0.0), (0.5, 0.5)])
def test_a_phrase_is_heard_whatever_side_it_is_on(tmp_path: Path, gains: tuple[float, float]):
    model = write_tone_model(tmp_path / "m.onnx")
    soundfile.write(tmp_path / "two.wav", sides(*gains), 16_000)
    assert listen(model, file=tmp_path / "two.wav").num_detections == 1


def test_a_channel_of_a_file_is_read_as_it_is(tmp_path: Path):
    samples = sides(1.0, -0.5)
    soundfile.write(tmp_path / "two.wav", samples, 16_000, subtype="FLOAT")
    for channel, expected in ((1, samples[:, 0]), (2, samples[:, 1]), ("mix", samples.mean(axis=1))):
        pieces = list(audio.blocks(tmp_path / "two.wav", block_s=0.25, channel=channel))
        np.testing.assert_allclose(np.concatenate(pieces), expected, atol=1e-7)
    with pytest.raises(ConfigError, match="channel 3: .*two.wav has channels 1 to 2; choose one of them"):
        list(audio.blocks(tmp_path / "two.wav", channel=3))


@pytest.mark.parametrize("block_s", [0.07, 0.5, 60.0])
def test_pieces_of_a_file_whose_channels_cancel_are_the_whole(tmp_path: Path, block_s: float):
    soundfile.write(tmp_path / "two.wav", sides(0.9, -1.0), 16_000, subtype="FLOAT")
    pieces = np.concatenate(list(audio.blocks(tmp_path / "two.wav", block_s=block_s)))
    np.testing.assert_array_equal(pieces, audio.load(tmp_path / "two.wav"))
    np.testing.assert_allclose(pieces, -WORD, atol=1e-7)


def test_of_a_stream_whose_channels_cancel_the_loudest_is_taken_and_named_once():
    mixer = Mixer(None, 16_000)
    heard = np.concatenate([mixer.push(block) for block in np.array_split(sides(0.5, -1.0), 10)])
    np.testing.assert_allclose(heard[8000:], -WORD[8000:], atol=1e-7)
    assert mixer.notes() == ("the channels cancel each other; channel 2, the loudest, is listened to",)
    assert mixer.notes() == ()


@pytest.mark.parametrize(("channel", "told"), [(1, True), (2, False), (None, True), ("mix", True)])
def test_a_channel_that_is_far_louder_is_named_once(channel, told: bool):
    mixer = Mixer(channel, 16_000)
    long = np.tile(sides(0.01, 1.0), (10, 1))
    notes = []
    for block in np.array_split(long, 150):
        mixer.push(block)
        notes += mixer.notes()
    assert notes == ["channel 2 is 40 dB louder than channel 1; hear it alone with `channel=2`"] * told


def test_channels_that_are_alike_are_not_spoken_of():
    mixer = Mixer(None, 16_000)
    for _ in range(10):
        np.testing.assert_allclose(mixer.push(sides(1.0, 0.5)), 0.75 * WORD, atol=1e-7)
    assert mixer.notes() == ()
