"""What windows hold, and that a batch depends on seed and step alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from kws import audio
from kws.audio import SAMPLE_RATE
from kws.audio_store import AudioStore
from kws.data import LATEST_FIRING_S, Augment, BatchConfig, KeywordBatches, Synthetic
from kws.errors import ConfigError
from kws.manifest import Recording
from kws.speech_span import TRAINING
from tests.support.training import noise, spoken, tone

HOP_SAMPLES = 640
MARK = 0.9
"""A sample of this height marks a place; everything else is below 0.5."""


def store_of(*waveforms: np.ndarray) -> AudioStore:
    """Hold waveforms as if they had been read from files."""
    store = AudioStore([])
    store.utterances = [Recording(Path(f"{index}.wav"), duration_s=1.0) for index in range(len(waveforms))]
    store.offsets = np.cumsum([0, *(len(waveform) for waveform in waveforms)])
    store.samples = audio.to_int16(np.concatenate([np.zeros(0, np.float32), *waveforms]))
    return store


def batches(
    positives: AudioStore,
    negatives: AudioStore,
    *,
    labels: list[int] | None = None,
    augment: Augment | None = None,
    seed: int = 0,
    confusables: AudioStore | None = None,
    synthetic: Synthetic | None = None,
    transcribed: AudioStore | None = None,
    target: AudioStore | None = None,
    **config: float | None,
) -> KeywordBatches:
    return KeywordBatches(
        positives,
        labels or [0] * len(positives),
        negatives,
        replace(BatchConfig(num_positives=6, num_negatives=6, window_s=1.2), **config),
        num_keywords=max(labels or [0]) + 1,
        hop_samples=HOP_SAMPLES,
        augment=augment,
        seed=seed,
        confusables=confusables,
        synthetic=synthetic,
        transcribed=transcribed,
        target=target,
    )


def test_a_batch_depends_on_seed_and_step_alone():
    positives, negatives = store_of(spoken(seed=1), spoken(seed=2)), store_of(noise(20))
    first, again = batches(positives, negatives), batches(positives, negatives)
    for step in (7, 3, 0):
        for one, other in zip(first.batch(step)[:5], again.batch(step)[:5], strict=True):
            assert torch.equal(one, other)
    assert not torch.equal(first.batch(1).waveform, first.batch(2).waveform)
    assert not torch.equal(first.batch(1).waveform, batches(positives, negatives, seed=1).batch(1).waveform)


def test_workers_share_the_steps_out_and_change_nothing():
    made = batches(store_of(spoken()), store_of(noise(5)))
    made.steps = range(4, 9)
    by_workers = list(DataLoader(made, batch_size=None, num_workers=2))
    assert len(by_workers) == 5
    for step, found in zip(range(4, 9), by_workers, strict=True):
        assert torch.equal(found.waveform, made.batch(step).waveform)


def transcribed_store() -> AudioStore:
    """Hold recordings of 0.5, 0.6, ... 0.9 s, each of its own level and number of phones."""
    levels = range(1, 6)
    store = store_of(*(np.full(6400 + 1600 * number, 0.1 * number, np.float32) for number in levels))
    said = [" ".join(["AA1", "B", "K", "S", "T"][:number]) for number in levels]
    store.utterances = [replace(u, phones=phones) for u, phones in zip(store.utterances, said, strict=True)]
    return store


def test_transcribed_recordings_come_whole_with_their_phones_and_silence_after_them():
    made = batches(store_of(spoken()), store_of(noise(5)), transcribed=transcribed_store(), transcribed_s=3.0)
    seen = set()
    for step in range(12):
        found = made.batch(step).transcribed
        assert found is not None
        assert int(found.lengths.sum()) <= 3 * SAMPLE_RATE and 2 <= len(found.lengths) <= 5
        rows = zip(found.waveform, found.lengths, found.phones.split(found.num_phones.tolist()), strict=True)
        for waveform, length, said in rows:
            number = round(10 * float(waveform[0]))
            seen.add(number)
            spoken_samples = 6400 + 1600 * number
            assert said.tolist() == [1, 7, 20, 29, 31][:number]  # ARPAbet in order, after the blank
            assert int(length) == spoken_samples + audio.seconds_to_samples(LATEST_FIRING_S)
            assert torch.allclose(waveform[:spoken_samples], torch.tensor(0.1 * number), atol=1e-4)
            assert not waveform[spoken_samples:].any()
    assert seen == {1, 2, 3, 4, 5}


def test_transcribed_recordings_depend_on_seed_and_step_and_change_nothing_else():
    given = store_of(spoken()), store_of(noise(5))
    with_them, again = (batches(*given, transcribed=transcribed_store()) for _ in range(2))
    found, same = with_them.batch(4), again.batch(4)
    for one, other in zip(found.transcribed or (), same.transcribed or (), strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(found.transcribed[2], with_them.batch(5).transcribed[2])
    without = batches(*given).batch(4)
    assert without.transcribed is None and torch.equal(found.waveform, without.waveform)


def of_domains(target: AudioStore | None = None) -> KeywordBatches:
    """Negatives at level 0.1, synthetic speech at 0.2, words alike at 0.3, and a target or the negatives."""
    level = [store_of(np.full(80_000, 0.1 * number, np.float32)) for number in (1, 2, 3)]
    synthetic = Synthetic(store_of(spoken()), [0], level[1])
    given = {"synthetic": synthetic, "confusables": level[2], "num_negatives": 24, "num_target": 5}
    return batches(store_of(spoken()), level[0], target=target or level[0], **given)


def level_of(row: Tensor) -> int:
    """Return which of the stores of :func:`of_domains` a window was drawn from; 0 for part of a keyword."""
    tenths = 10 * float(row.abs().median())
    return round(tenths) if abs(tenths - round(tenths)) < 0.01 else 0


def test_synthetic_rows_without_a_keyword_are_the_source_domain_and_real_audio_the_target():
    for step in range(3):
        found = of_domains().batch(step)
        domains = found.domains
        assert domains is not None
        levels = [level_of(row) for row in found.waveform]
        assert domains.source.tolist() == [
            level in (2, 3) and not said for level, said in zip(levels, found.targets[:, 0], strict=True)
        ]
        assert {2, 3} <= set(levels) and domains.source.sum() < 24
        assert domains.waveform.shape == (5, found.waveform.shape[1])
        assert [level_of(row) for row in domains.waveform] == [1] * 5
        assert domains.lengths.tolist() == [found.waveform.shape[1]] * 5


def test_with_target_audio_every_row_without_a_keyword_is_the_source_domain():
    target = store_of(np.full(80_000, 0.6, np.float32))
    found = of_domains(target).batch(1)
    assert found.domains is not None
    assert torch.equal(found.domains.source, found.targets[:, 0] == 0)
    assert [level_of(row) for row in found.domains.waveform] == [6] * 5


def test_target_audio_changes_no_other_row():
    given = store_of(spoken()), store_of(noise(5))
    with_it = batches(*given, target=store_of(noise(4))).batch(4)
    without = batches(*given).batch(4)
    assert without.domains is None and torch.equal(with_it.waveform, without.waveform)


def test_a_transcribed_recording_is_augmented_and_longer_than_the_batch_it_stands_alone():
    def augment(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
        return waveform[::2] if item_id.startswith("transcribed") else waveform

    made = batches(
        store_of(spoken()),
        store_of(noise(5)),
        augment=augment,
        transcribed=transcribed_store(),
        transcribed_s=0.1,
    )
    found = made.batch(0).transcribed
    number = round(10 * float(found.waveform[0, 0]))
    assert found.waveform.shape == (1, (6400 + 1600 * number + 6400) // 2) == (1, int(found.lengths))


def test_shapes_targets_and_balance_of_keywords():
    made = batches(store_of(spoken(), spoken(500), spoken(2000)), store_of(noise(5)), labels=[0, 1, 1])
    waveform, lengths, targets, first, last, *_ = made.batch(0)
    assert waveform.shape == (12, made.window_samples) and made.window_samples % HOP_SAMPLES == 0
    assert waveform.dtype == torch.float32 and lengths.tolist() == [made.window_samples] * 12
    assert targets[:6].sum(0).tolist() == [3, 3] and targets[6:].sum() == 0
    assert (first <= last).all() and int(last.max()) < made.window_samples // HOP_SAMPLES


def test_the_window_grows_with_long_words_but_not_with_a_single_outlier():
    short, long = spoken(), np.concatenate([noise(0.2, level=0.001), tone(3.0), noise(0.2, level=0.001)])
    other = store_of(noise(5))
    assert batches(store_of(short), other, window_s=1.5).window_samples == 24320  # 1.5 s in whole hops
    assert batches(store_of(*[long] * 3), other, window_s=1.5).window_samples >= 3.6 * SAMPLE_RATE
    assert batches(store_of(*[short] * 40, long), other, window_s=1.5).window_samples == 24320


def marked_word(length_s: float = 0.5, begin: float = 0.9, end: float = 0.9) -> np.ndarray:
    """A word whose first and last samples are marks, between pauses."""
    word = tone(length_s)
    word[0], word[-1] = begin, end
    pause = noise(0.3, level=0.001)
    return np.concatenate([pause, word, pause])


def speed(factor: float) -> Augment:
    """A stand-in for a speed change that keeps marks: nearest sample."""

    def augment(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
        places = np.minimum((np.arange(round(len(waveform) / factor)) * factor).round(), len(waveform) - 1)
        return waveform[places.astype(int)]

    return augment


@pytest.mark.parametrize("factor", [None, 0.8, 0.9, 1.0, 1.1, 1.6])
def test_the_end_of_the_word_lies_in_the_span_whatever_the_speed(factor: float | None):
    word = marked_word(begin=0.3)
    word[-4800 - 40 : -4800] = MARK  # the end of the tone, 40 samples wide so that no resampling skips it
    made = batches(
        store_of(word),
        store_of(noise(20)),
        augment=None if factor is None else speed(factor),
        num_positives=16,
        num_negatives=1,
    )
    margin = TRAINING.margin_s * SAMPLE_RATE / (factor or 1)
    for step in range(6):
        batch = made.batch(step)
        for row in range(16):
            end = int(np.flatnonzero(batch.waveform[row].numpy() > 0.85)[-1])
            first, last = int(batch.first_frames[row]), int(batch.last_frames[row])
            latest = (end + margin) / HOP_SAMPLES + LATEST_FIRING_S * 25
            assert first < end / HOP_SAMPLES <= last + 1
            assert last == pytest.approx(min(latest, made.window_samples // HOP_SAMPLES - 1), abs=1.1)
            half = 0.5 * (0.5 + 2 * TRAINING.margin_s) * SAMPLE_RATE / (factor or 1)  # of word and margins
            assert first == pytest.approx(max(0.0, end + margin - half) / HOP_SAMPLES, abs=1.1)


def test_a_positive_holds_its_whole_word_and_ends_at_different_places():
    made = batches(
        store_of(marked_word()), store_of(noise(20)), num_positives=16, num_negatives=1, speech_before=1.0
    )
    ends = []
    for step in range(4):
        for row in made.batch(step).waveform[:16].numpy():
            marks = np.flatnonzero(row > 0.85)
            assert marks[-1] - marks[0] == 7999
            ends.append(int(marks[-1]))
    assert max(ends) - min(ends) > 0.2 * SAMPLE_RATE


def test_other_speech_comes_before_the_word_as_often_as_asked():
    loud = store_of(np.full(10 * SAMPLE_RATE, 0.4, np.float32))
    for share, expected in ((0.0, 0), (1.0, 16)):
        made = batches(store_of(marked_word()), loud, num_positives=16, num_negatives=1, speech_before=share)
        before = (np.abs(made.batch(0).waveform[:16].numpy() - 0.4) < 0.01).any(axis=1)
        assert before.sum() == expected


def test_no_negative_holds_a_whole_keyword():
    made = batches(
        store_of(marked_word(begin=0.9, end=-0.9)),
        store_of(noise(20)),
        num_positives=1,
        num_negatives=30,
        partial_share=1.0,
    )
    parts = 0
    for step in range(4):
        rows = made.batch(step).waveform[1:].numpy()
        begins, ends = (rows > 0.85).any(axis=1), (rows < -0.85).any(axis=1)
        assert not (begins & ends).any()
        parts += int((begins | ends).sum())
        heard = (np.abs(rows) > 0.1).sum(axis=1) / (np.abs(tone(0.5)) > 0.1).sum()
        assert heard.max() < 0.75  # at most half of the word with its margins
    assert parts > 60


def test_a_recording_far_longer_than_the_window_is_no_obstacle():
    long = tone(12.0)
    made = batches(store_of(*[spoken()] * 40, long), store_of(noise(20)), partial_share=1.0, num_positives=30)
    for step in range(10):
        assert torch.isfinite(made.batch(step).waveform).all()


def test_hard_negatives_hold_the_frame_that_fired():
    background = noise(30, level=0.01)
    place = 14 * SAMPLE_RATE
    background[place - 40 : place] = MARK
    made = batches(
        store_of(spoken()), store_of(background), num_positives=1, num_negatives=40,
        partial_share=0.0, hard_share=1.0,
    )  # fmt: skip
    assert (made.batch(0).waveform[1:] > 0.85).any(dim=1).float().mean() < 0.5
    made.hard = np.array([place])
    assert (made.batch(0).waveform[1:] > 0.85).any(dim=1).all()
    assert len({int(row.argmax()) for row in made.batch(0).waveform[1:]}) > 20


def test_words_that_sound_like_the_keyword_are_drawn_by_their_share():
    short, long = MARK * np.ones(4_000, np.float32), np.full(60_000, -MARK, np.float32)
    made = batches(
        store_of(spoken()), store_of(noise(30)), confusables=store_of(short, long), num_positives=1,
        num_negatives=80, partial_share=0.2, confusable_share=0.5,
    )  # fmt: skip
    rows = made.batch(0).waveform[1:]
    marked = [(row.abs() > 0.85).sum() for row in rows]
    assert 25 < sum(count > 0 for count in marked) < 55
    assert (
        max(marked) == made.window_samples and 4_000 in marked
    )  # a part of the long one, the short one whole
    assert (
        batches(store_of(spoken()), store_of(noise(30)), confusable_share=1.0).batch(0).waveform.abs().max()
        < 0.85
    )


def test_synthetic_voices_are_drawn_by_their_share():
    voice, speech = np.full(6_000, MARK, np.float32), np.full(6_000, -MARK, np.float32)
    made = batches(
        store_of(spoken(), spoken()), store_of(noise(30)), labels=[0, 1], num_positives=80, num_negatives=80,
        synthetic=Synthetic(store_of(voice), [0], store_of(speech)), synthetic_share=0.4, partial_share=0.0,
    )  # fmt: skip
    batch = made.batch(0)
    said = (batch.waveform > 0.85).any(dim=1)
    of_first = batch.targets[:, 0] == 1
    assert 8 <= int(said[of_first].sum()) <= 24  # 40 rows of the first keyword
    assert not said[~of_first].any()  # nothing was made of the second, and of negatives
    other = (batch.waveform < -0.85).any(dim=1)
    assert 8 <= int(other[80:].sum()) <= 26 and not other[:80].any()  # a fifth of 80


@pytest.mark.parametrize(
    ("beside", "wished", "low", "high"),
    [(True, None, 60, 100), (False, None, 170, 230), (False, 0.4, 60, 100)],
)
def test_where_all_positives_are_synthetic_half_of_the_negatives_are_too(
    beside: bool, wished: float | None, low: int, high: int
):
    said = store_of(*([noise(0.4, level=0.1)] if beside else []))
    made = batches(
        store_of(spoken()), store_of(noise(30)), num_positives=1, num_negatives=400, partial_share=0.0,
        synthetic=Synthetic(said, [0] * beside, store_of(np.full(6_000, -MARK, np.float32))),
        **{} if wished is None else {"synthetic_share": wished},
    )  # fmt: skip
    # 0.2 of 400 beside recordings or where asked for, else 0.5
    assert low <= int((made.batch(0).waveform[1:] < -0.85).any(dim=1).sum()) <= high


def test_without_synthetic_voices_nothing_is_drawn_for_them():
    empty = Synthetic(store_of(), [], store_of())
    given = store_of(spoken()), store_of(noise(30))
    with_none, with_empty = batches(*given).batch(3), batches(*given, synthetic=empty).batch(3)
    assert torch.equal(with_none.waveform, with_empty.waveform)


def test_negatives_shorter_than_a_window_are_padded():
    made = batches(store_of(spoken()), store_of(noise(0.4)), partial_share=0.0, speech_before=1.0)
    rows = made.batch(0).waveform[6:]
    assert rows.shape == (6, made.window_samples) and torch.isfinite(rows).all()


def test_augmentation_sees_a_new_name_for_each_row_and_the_step():
    seen = []

    def augment(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
        seen.append((item_id, seed, epoch))
        return waveform

    batches(store_of(spoken()), store_of(noise(5)), augment=augment, seed=5).batch(3)
    assert len({name for name, _, _ in seen}) == 12
    assert {(seed, step) for _, seed, step in seen} == {(5, 3)}


def test_many_recordings_take_larger_batches_unless_the_size_is_given():
    sizes = [BatchConfig().num_windows(count) for count in (0, 24, 25, 200)]
    assert sizes == [(12, 28), (12, 28), (24, 56), (24, 56)]
    assert BatchConfig(num_positives=5).num_windows(200) == (5, 56)
    assert BatchConfig(num_negatives=7).num_windows() == (12, 7)


def test_a_batch_has_the_windows_that_it_was_asked_for():
    made = batches(store_of(spoken()), store_of(noise(5)), num_positives=3, num_negatives=4).batch(0)
    assert made.targets.sum(dim=1).tolist() == [1.0] * 3 + [0.0] * 4
    usual = batches(store_of(spoken()), store_of(noise(5)), num_positives=None, num_negatives=None)
    assert usual.batch(0).waveform.shape == (40, usual.window_samples)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("window_s", 0.4, "batch.window_s: got 0.4, allowed: 0.5 or more"),
        ("num_negatives", 0, "batch.num_negatives: got 0, allowed: 1 or more"),
        ("hard_share", 1.5, "batch.hard_share: got 1.5, allowed: 0 to 1"),
        ("synthetic_share", -0.1, "batch.synthetic_share: got -0.1, allowed: 0 to 1"),
    ],
)
def test_settings_out_of_range_are_refused(key: str, value: float, message: str):
    with pytest.raises(ConfigError, match=message):
        BatchConfig(**{key: value})
