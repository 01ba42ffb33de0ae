"""The sliding window: a streamed frame is that of the window it was heard in, also in a young stream."""

from __future__ import annotations

import pytest
import torch

from kws.encoders.sliding import CHUNK_SAMPLES, ROWS, WINDOW_SAMPLES, SlidingEncoder
from kws.errors import AudioError
from tests.support.encoders import tiny_encoder, voice
from tests.tolerances import STREAMING

KINDS = ["wav2vec2_base", "wav2vec2_large_lv60k", "wavlm_base"]
"""Normalised over time, normalised over the waveform, and with a position bias."""


@pytest.mark.parametrize("name", KINDS)
def test_a_streamed_frame_is_that_of_its_window(name: str):
    encoder = tiny_encoder(name)
    hop, samples = encoder.info.hop_samples, (ROWS + 3) * CHUNK_SAMPLES
    waveform = torch.stack([voice(samples, seed) for seed in (1, 2)])
    with torch.no_grad():
        streamed, _ = encoder.run(waveform, encoder.initial_state(2))
        for stop in range(CHUNK_SAMPLES, samples + 1, CHUNK_SAMPLES):
            window = waveform[:, max(0, stop - WINDOW_SAMPLES) : stop]
            whole = encoder(window, torch.full((2,), window.shape[1])).features
            newest = streamed[:, (stop - CHUNK_SAMPLES) // hop : stop // hop]
            torch.testing.assert_close(newest, whole[:, -CHUNK_SAMPLES // hop :], rtol=0, atol=STREAMING)


def test_a_last_piece_may_be_shorter_than_a_chunk():
    encoder = tiny_encoder("wav2vec2_base")
    hop = encoder.info.hop_samples
    waveform = voice(2 * CHUNK_SAMPLES + 3 * hop)[None]
    with torch.no_grad():
        streamed, state = encoder.run(waveform, encoder.initial_state(1))
        whole = encoder(waveform, torch.tensor([waveform.shape[1]])).features
    torch.testing.assert_close(streamed[:, -3:], whole[:, -3:], rtol=0, atol=STREAMING)
    assert streamed.shape[1] == 2 * CHUNK_SAMPLES // hop + 3
    assert state[1].item() == streamed.shape[1]


def test_the_state_stops_counting_at_a_full_window():
    encoder = tiny_encoder("wav2vec2_base")
    state = [torch.zeros(1, WINDOW_SAMPLES - CHUNK_SAMPLES), torch.full((1, 1), WINDOW_SAMPLES // 320 - 1.0)]
    _, state = encoder.run(voice(CHUNK_SAMPLES)[None], state)
    assert state[1].item() == WINDOW_SAMPLES // 320


def test_refuses_a_row_without_a_frame():
    encoder = tiny_encoder("wav2vec2_base")
    assert isinstance(encoder, SlidingEncoder)
    with pytest.raises(AudioError, match="audio of 319 samples is shorter than one hop of 320"):
        encoder(voice(800).repeat(2, 1), torch.tensor([800, 319]))
