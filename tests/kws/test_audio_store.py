"""What a store of recordings gives back, what it need not read again, and how much of it is in memory."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import time
import tracemalloc
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from kws import audio, audio_store
from kws.audio import SAMPLE_RATE
from kws.audio_store import AudioStore
from kws.errors import AudioError
from kws.manifest import Recording
from tests.support.training import noise, tone, write_utterances


def halved(utterance: Recording) -> np.ndarray:
    """Read a recording at half its level."""
    return audio_store.decode(utterance) // 2


def test_a_store_gives_each_recording_back(tmp_path: Path):
    waveforms = [tone(0.3), noise(0.2), tone(0.1, 500)]
    store = AudioStore(write_utterances(tmp_path, waveforms), None, 1)
    assert len(store) == 3 and store.hours == pytest.approx(0.6 / 3600)
    for index, waveform in enumerate(waveforms):
        np.testing.assert_allclose(store.waveform(index), waveform, atol=1 / 32768)
    np.testing.assert_array_equal(store.window(4700, 200)[100:], store.waveform(1)[:100])
    np.testing.assert_array_equal(store.window(10**9, 100), store.waveform(2)[-100:])


def test_the_cache_gives_the_same_samples_and_does_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    utterances = write_utterances(tmp_path / "wavs", [tone(0.3), noise(0.2)])
    first = AudioStore(utterances, tmp_path / "cache", 1)
    monkeypatch.setattr(Recording, "load", lambda self: pytest.fail("read again"))
    second = AudioStore(utterances, tmp_path / "cache", 1)
    np.testing.assert_array_equal(first.samples, second.samples)
    np.testing.assert_array_equal(first.waveform(1), second.waveform(1))


def test_the_cache_notices_another_file_stretch_or_order(tmp_path: Path):
    utterances = write_utterances(tmp_path / "wavs", [tone(0.3), noise(0.3)])
    AudioStore(utterances, tmp_path / "cache", 1)
    turned = AudioStore(utterances[::-1], tmp_path / "cache", 1)
    np.testing.assert_allclose(turned.waveform(1), tone(0.3), atol=1 / 32768)
    stretch = AudioStore([replace(utterances[0], offset_s=0.1, duration_s=0.1)], tmp_path / "cache", 1)
    np.testing.assert_allclose(stretch.waveform(0), tone(0.3)[1600:3200], atol=1 / 32768)
    status = utterances[0].path.stat()
    audio.save(utterances[0].path, tone(0.3, 700))
    os.utime(utterances[0].path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))
    changed = AudioStore(utterances, tmp_path / "cache", 1)
    np.testing.assert_allclose(changed.waveform(0), tone(0.3, 700), atol=1 / 32768)


def test_a_file_that_is_gone_is_named(tmp_path: Path):
    gone = [Recording(tmp_path / "gone.wav", duration_s=1.0)]
    for cache in (None, tmp_path / "cache"):
        with pytest.raises(AudioError, match=r"gone\.wav: [Nn]o such file"):
            AudioStore(gone, cache, 1)


def test_a_long_recording_is_decoded_in_pieces(tmp_path: Path):
    path, minutes = tmp_path / "long.wav", 10
    with soundfile.SoundFile(str(path), "w", SAMPLE_RATE, 1, "PCM_16") as file:
        for minute in range(minutes):
            file.write(np.full(60 * SAMPLE_RATE, minute / 100, np.float32))
    tracemalloc.start()
    store = AudioStore([Recording(path, duration_s=60.0 * minutes)], None, 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [round(100 * float(store.waveform(0)[minute * 960_000])) for minute in range(10)] == list(
        range(10)
    )
    assert peak < 4 * store.samples.nbytes  # as float32 alone it would be twice, and several copies of that


@pytest.mark.parametrize("cache", ["cache", None])
def test_a_recording_that_cannot_be_used_is_empty_and_told_with_the_reason(
    cache: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    good = write_utterances(tmp_path / "wavs", [tone(0.3), noise(0.2)])
    (tmp_path / "bad.wav").write_bytes(b"x")
    bad = [Recording(tmp_path / name, duration_s=1.0) for name in ("bad.wav", "gone.wav")]
    utterances = [good[0], *bad, good[1]]
    folder = None if cache is None else tmp_path / cache
    for again in (False, True):
        store = AudioStore(utterances, folder, 1, keep_faults=True)
        assert store.faults.keys() == {1, 2}
        assert "bad.wav: cannot be decoded" in store.faults[1] and "gone.wav" in store.faults[2]
        np.testing.assert_array_equal(store.clips([3])[0], audio.to_int16(good[1].load()))
        assert [len(clip) for clip in store.clips(range(4))] == [4800, 0, 0, 3200]
        if folder is not None and not again:
            monkeypatch.setattr(audio_store, "_tried", lambda *_: pytest.fail("read again"))
    monkeypatch.undo()
    audio.save(bad[1].path, tone(1.0))
    assert AudioStore(utterances, folder, 1, keep_faults=True).faults.keys() == {1}


def test_a_cache_with_faults_is_no_cache_for_whom_there_may_be_none(tmp_path: Path):
    (tmp_path / "bad.wav").write_bytes(b"x")
    utterances = [
        *write_utterances(tmp_path / "wavs", [tone(0.3)]),
        Recording(tmp_path / "bad.wav", duration_s=1.0),
    ]
    assert AudioStore(utterances, tmp_path / "cache", 1, keep_faults=True).faults.keys() == {1}
    with pytest.raises(AudioError, match=r"bad\.wav: cannot be decoded"):
        AudioStore(utterances, tmp_path / "cache", 1)


def test_processes_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(audio_store, "FEW", 2)
    utterances = write_utterances(tmp_path / "wavs", [tone(0.1), noise(0.2), tone(0.3)])
    utterances.insert(1, Recording(tmp_path / "gone.wav", duration_s=1.0))
    one, two = (AudioStore(utterances, None, workers, keep_faults=True) for workers in (1, 2))
    np.testing.assert_array_equal(one.samples, two.samples)
    assert [len(clip) for clip in two.clips(range(4))] == [1600, 0, 3200, 4800]
    assert one.faults == two.faults and one.faults.keys() == {1}


def test_clips_are_some_of_the_recordings_in_any_order(tmp_path: Path):
    waveforms = [tone(0.1), noise(0.2), tone(0.3)]
    utterances = write_utterances(tmp_path / "wavs", waveforms)
    store = AudioStore(utterances, tmp_path / "cache", 1)
    clips = store.clips([2, 0])
    assert len(clips) == 2 and [len(clip) for clip in clips] == [4800, 1600]
    assert clips[0].dtype == np.int16
    np.testing.assert_array_equal(clips[-1], audio.to_int16(utterances[0].load()))
    np.testing.assert_array_equal(clips[1:][0], clips[1])
    with pytest.raises(IndexError):
        clips[2]


def test_what_reads_a_recording_is_part_of_the_cache(tmp_path: Path):
    utterances = write_utterances(tmp_path / "wavs", [tone(0.3)])
    whole = AudioStore(utterances, tmp_path / "cache", 1)
    half = AudioStore(utterances, tmp_path / "cache", 1, decode=halved)
    np.testing.assert_array_equal(half.samples, whole.samples // 2)


@pytest.mark.parametrize("harm", ["cut", "facts gone", "facts cut", "samples gone"])
def test_a_cache_that_is_not_whole_is_made_again(harm: str, tmp_path: Path):
    utterances = write_utterances(tmp_path / "wavs", [tone(0.3), noise(0.2)])
    before = AudioStore(utterances, tmp_path / "cache", 1).samples.copy()
    (samples,), (facts,) = (list((tmp_path / "cache").glob(f"*.{end}")) for end in ("int16", "json"))
    if harm == "cut":
        samples.write_bytes(samples.read_bytes()[:-2])
    elif harm == "facts cut":
        facts.write_text(facts.read_text()[:-2])
    else:
        (samples if harm == "samples gone" else facts).unlink()
    np.testing.assert_array_equal(AudioStore(utterances, tmp_path / "cache", 1).samples, before)


def test_what_a_killed_process_left_behind_goes_and_what_is_being_written_stays(tmp_path: Path):
    utterances = write_utterances(tmp_path / "wavs", [tone(0.1)])
    cache = tmp_path / "cache"
    AudioStore(utterances, cache, 1)
    killed, alive = cache / ".0123456789abcdef.int16.k1l2_k1l", cache / ".0123456789abcdef.int16.l1v2_l1v"
    for path in (killed, alive, cache / ".mine.int16.old"):
        path.write_bytes(b"\0\0")
    before = time.time() - audio_store.LEFT_S
    for path in (killed, cache / ".mine.int16.old"):
        os.utime(path, (before - 60, before - 60))
    os.utime(alive, (before + 60, before + 60))
    whole = set(cache.iterdir()) - {killed}
    AudioStore(utterances, cache, 1)
    assert set(cache.iterdir()) == whole


def test_a_cache_of_nothing_is_empty(tmp_path: Path):
    for _ in range(2):
        store = AudioStore([], tmp_path / "cache", 1)
        assert len(store) == len(store.samples) == 0


def test_a_cache_is_written_recording_by_recording_and_not_held(tmp_path: Path):
    utterances = write_utterances(tmp_path / "wavs", [noise(2.0, seed) for seed in range(40)])
    AudioStore(utterances[:1], tmp_path / "first", 1)  # what is loaded but once
    tracemalloc.start()
    store = AudioStore(utterances, tmp_path / "cache", 1)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert store.samples.nbytes == 40 * 64_000
    assert peak < store.samples.nbytes / 4


def sum_of(clips: Sequence[np.ndarray]) -> int:
    """Return the sum of all samples, in whichever process this runs."""
    return sum(int(clip.sum(dtype=np.int64)) for clip in clips)


def test_another_process_maps_the_samples_for_itself(tmp_path: Path):
    utterances = write_utterances(tmp_path / "wavs", [noise(2.0), tone(0.1)])
    cached, held = (AudioStore(utterances, folder, 1) for folder in (tmp_path / "cache", None))
    assert len(pickle.dumps(cached.clips([1]))) < 2_000 < 64_000 < len(pickle.dumps(held.clips([1])))
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        for store in (cached, held):
            for indices in ([0], [1]):
                assert pool.submit(sum_of, store.clips(indices)).result() == sum_of(held.clips(indices)) != 0


@pytest.mark.parametrize("kept", [0, 3000])
def test_a_full_disk_names_the_file_and_the_cure(tmp_path: Path, kept: int):
    resource = pytest.importorskip("resource")
    entries = write_utterances(tmp_path / "audio", [noise(1.0, seed) for seed in range(40)])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kept, before[1]))
    try:
        with pytest.raises(AudioError) as caught:
            AudioStore(entries, tmp_path / "cache", 1, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = str(caught.value)
    assert said.startswith(f"{tmp_path / 'cache'}") and ".int16: no room for decoded audio" in said
    assert "it takes 1 MB" in said and "give `cache` on another disk" in said
    assert list((tmp_path / "cache").iterdir()) == []
    assert len(AudioStore(entries, tmp_path / "cache", 1, progress=False)) == 40


def test_a_disk_without_room_is_told_how_much_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    entries = write_utterances(tmp_path / "audio", [noise(1.0)])
    entries[0] = replace(entries[0], duration_s=100 * 3600.0)
    monkeypatch.setattr(audio_store, "_without_faults", full)
    monkeypatch.setattr(audio_store.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000_000))
    with pytest.raises(AudioError, match=r"No space left .*takes 11520 MB, 1000 MB are free.*free 10520 MB"):
        AudioStore(entries, tmp_path / "cache", 1, decode=lambda _: np.zeros(1, np.int16), progress=False)
