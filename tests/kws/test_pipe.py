"""Audio through pipes: headers without a length, every kind of sample, and what is no audio."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
import soundfile

from kws.errors import AudioError, ConfigError
from kws.pipe import PipeFormat, PipeSource
from tests.support.onnx_models import tone

WAVEFORM = tone(440, 0.5)


def wav(samples: np.ndarray, rate_hz: int = 16_000, subtype: str = "PCM_16") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate_hz, format="WAV", subtype=subtype)
    return buffer.getvalue()


def with_size(data: bytes, size: int) -> bytes:
    place = data.index(b"data") + 4
    return data[:place] + struct.pack("<I", size) + data[place + 4 :]


def heard(data: bytes, raw: PipeFormat | None = None, channel=None) -> np.ndarray:
    return np.concatenate(list(PipeSource(io.BytesIO(data), "pipe", raw, channel).blocks()))


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFDB])
def test_a_header_without_a_length_is_read_to_the_end(size: int):
    np.testing.assert_allclose(heard(with_size(wav(WAVEFORM), size)), WAVEFORM, atol=1 / 32_768)


def test_what_follows_the_samples_is_no_sound():
    data = wav(WAVEFORM) + b"LIST" + struct.pack("<I", 4000) + b"\x7f" * 4000
    assert len(heard(data)) == len(WAVEFORM)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_every_kind_of_sample_is_read(subtype: str):
    found = heard(wav(WAVEFORM, subtype=subtype))
    np.testing.assert_allclose(found, WAVEFORM, atol=1 / 127 if subtype == "PCM_U8" else 1 / 32_768)


def test_raw_samples_and_their_channels():
    two = np.stack([WAVEFORM, -0.5 * WAVEFORM], axis=1)
    data = np.round(two * 32_767).astype("<i2").tobytes()
    for channel, expected in ((1, WAVEFORM), (2, -0.5 * WAVEFORM), ("mix", 0.25 * WAVEFORM)):
        found = heard(data, PipeFormat(16_000, 2), channel)
        np.testing.assert_allclose(found, expected, atol=1e-4)
    assert len(heard(data + b"\1", PipeFormat(16_000, 2))) == len(WAVEFORM)  # half a frame is left out
    with pytest.raises(ConfigError, match="channel 3: pipe has channels 1 to 2"):
        heard(data, PipeFormat(16_000, 2), 3)


def test_another_rate_is_resampled_as_it_comes():
    found = heard(wav(tone(440, 0.5, rate_hz=44_100), 44_100))
    assert len(found) == len(WAVEFORM)
    np.testing.assert_allclose(found[500:-500], WAVEFORM[500:-500], atol=2e-3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no samples came"),
        (wav(np.zeros(0, np.float32)), "no samples came"),
        (b"fLaC" + bytes(100), r"begins with b'fLaC'; give `raw` .* `ffmpeg -i INPUT -f wav -`"),
        (wav(WAVEFORM)[:20], "damaged at b'fmt '"),
        (wav(WAVEFORM)[:40], "ends before the samples"),
        (wav(WAVEFORM, subtype="ULAW"), "WAV of kind 7 with 8 bits, 1 channels"),
        (wav(1000 * WAVEFORM, subtype="FLOAT"), "float audio reaches 500, expected"),
        (wav(np.full(100, np.nan, np.float32), subtype="FLOAT"), "NaN or infinite"),
    ],
)
def test_what_is_no_audio_is_refused_by_name(data: bytes, message: str):
    with pytest.raises(AudioError, match=f"pipe: .*{message}"):
        heard(data)
