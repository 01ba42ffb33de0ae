"""What was decoded once is given back sample by sample, and what was not is decoded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_prep.checks import check_all
from kws import audio
from kws.audio_store import AudioStore
from kws.decoded_audio import DecodedAudio, decode
from kws.manifest import Recording
from tests.support.recordings import write_audio
from tests.support.training import noise, tone


@pytest.fixture
def checked(tmp_path: Path) -> tuple[DecodedAudio, list[Recording]]:
    """A long recording, a short one and one at another rate, checked by two threads."""
    paths = [
        write_audio(tmp_path / "long.wav", noise(25.0, 1)),
        write_audio(tmp_path / "short.wav", tone(0.5)),
        write_audio(tmp_path / "other.wav", tone(0.7), 44_100),
    ]
    decoded = DecodedAudio(tmp_path / "cache")
    result = check_all([Recording(path) for path in paths], num_workers=2, progress=False, decoded=decoded)
    return decoded, result.kept


def test_samples_are_those_of_decoding(checked: tuple[DecodedAudio, list[Recording]]):
    decoded, recordings = checked
    for recording in recordings:
        assert recording in decoded
        np.testing.assert_array_equal(decoded.clip(recording), decode(recording))


def test_a_part_is_cut_out_where_that_is_what_decoding_gives(
    checked: tuple[DecodedAudio, list[Recording]], monkeypatch: pytest.MonkeyPatch
):
    decoded, (long, _, other) = checked
    part = replace(long, offset_s=3.0, duration_s=19.5)
    np.testing.assert_array_equal(decoded.clip(part), decode(part))
    assert part in decoded
    resampled = replace(other, offset_s=0.1, duration_s=0.1)
    assert resampled not in decoded and replace(long, duration_s=30.0) not in decoded
    np.testing.assert_array_equal(decoded.clip(resampled), decode(resampled))


def test_a_store_reads_only_what_is_not_kept(
    checked: tuple[DecodedAudio, list[Recording]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    decoded, recordings = checked
    more = Recording(write_audio(tmp_path / "more.wav", tone(0.3)), duration_s=0.3)
    given = [recordings[0], more, recordings[1]]
    plain = AudioStore(given, None, 1)
    read = []
    blocks = audio.blocks
    monkeypatch.setattr(audio, "blocks", lambda path, *a, **k: read.append(path) or blocks(path, *a, **k))
    for cache in (None, tmp_path / "stored"):
        store = AudioStore(given, cache, 1, decoded=decoded)
        np.testing.assert_array_equal(store.samples, plain.samples)
        np.testing.assert_array_equal(store.offsets, plain.offsets)
    assert set(read) == {more.path}


def test_a_disk_that_takes_no_more_leaves_the_rest_to_be_decoded(tmp_path: Path):
    recording = Recording(write_audio(tmp_path / "a.wav", tone(0.5)))
    decoded = DecodedAudio(tmp_path / "cache")
    decoded._file.close()

    class Full:
        def seek(self, place: int) -> None: ...

        def write(self, data: memoryview) -> int:
            raise OSError(28, "No space left on device")

    decoded._file = Full()
    (kept,) = check_all([recording], progress=False, decoded=decoded).kept
    assert kept not in decoded
    np.testing.assert_array_equal(decoded.clip(kept), decode(kept))
    assert list((tmp_path / "cache").iterdir()) == []  # the file has no name
