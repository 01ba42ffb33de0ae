"""Audio of any form becomes what `kws.audio` makes of the same samples, in any cut."""

from __future__ import annotations

import numpy as np
import pytest

from kws.audio import resample
from kws.serve import pcm
from kws.serve.messages import MessageError
from kws.serve.pcm import PcmConverter, PcmFormat, read_format
from tests.support.onnx_models import tone
from tests.support.wyoming_clients import as_pcm

STEP = {1: 1 / 127, 2: 2**-15, 3: 2**-23, 4: 2**-23}
"""Width -> how far a sample may be off: float32 holds 24 bits."""


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_each_width_and_number_of_channels_gives_the_samples(width: int, channels: int):
    wave = tone(440, 0.3, 0.4)
    made = PcmConverter(PcmFormat(16_000, width, channels)).push(as_pcm(wave, width, channels), last=True)
    np.testing.assert_allclose(made, wave, atol=STEP[width])


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
def test_another_rate_gives_what_the_whole_recording_gives_in_any_cut(rate_hz: int):
    wave = tone(440, 0.5, 0.4, rate_hz)
    data = as_pcm(wave, 2, 2)
    whole = resample(np.frombuffer(data, "<i2")[::2].astype(np.float32) / 32_768, rate_hz)
    converter = PcmConverter(PcmFormat(rate_hz, 2, 2))
    cuts = [0, *np.sort(np.random.default_rng(0).integers(0, len(data), 20)).tolist(), len(data)]
    pieces = [converter.push(data[a:b]) for a, b in zip(cuts, cuts[1:], strict=False)]
    np.testing.assert_array_equal(np.concatenate([*pieces, converter.push(b"", last=True)]), whole)


def test_channels_that_cancel_each_other_are_heard():
    wave = tone(440, 0.5)
    opposite = np.stack([wave, -wave], 1)
    data = np.rint(opposite * 32_767).astype("<i2").tobytes()
    assert np.abs(PcmConverter(PcmFormat(16_000, 2, 2)).push(data)).max() > 0.45


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": 999}, "`rate`: got 999, expected 1000 to 384000"),
        ({"rate": "16000"}, "`rate`: got str"),
        ({"rate": None}, "`rate`: got NoneType"),
        ({"width": 5}, "`width`: got 5"),
        ({"width": True}, "`width`: got True"),
        ({"channels": 0}, "`channels`: got 0"),
        ({"channels": 10**9}, "`channels`: got 1000000000"),
        ({"rate": 16000.5}, "`rate`: got 16000.5"),
    ],
)
def test_no_form_of_audio_is_refused(change: dict, message: str):
    with pytest.raises(MessageError, match=message):
        read_format({"rate": 16_000, "width": 2, "channels": 1, **change})


def test_without_soxr_a_rate_whose_table_would_be_huge_is_refused(monkeypatch: pytest.MonkeyPatch):
    data = {"rate": 44_101, "width": 2, "channels": 1}
    assert read_format(data).rate_hz == 44_101
    monkeypatch.setattr(pcm, "_has_soxr", lambda: False)
    with pytest.raises(MessageError, match="expected a multiple of 25 Hz where soxr is not installed"):
        read_format(data)
    assert read_format({**data, "rate": 11_025}).rate_hz == 11_025


def test_a_long_payload_is_cut_into_turns_of_whole_frames():
    form = PcmFormat(48_000, 4, 2)
    data = bytes(form.frame_bytes * 30_000)
    pieces = list(form.slices(data))
    assert b"".join(pieces) == data and [form.seconds(len(piece)) for piece in pieces] == [0.25, 0.25, 0.125]
