"""`kws.enrollment.heard`: packed frames, what is seen of examples, own background."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch

from kws.audio import seconds_to_samples
from kws.encoders.sources.embedded import HOP_SAMPLES
from kws.encoders.sources.embedded_weights import load_recognizer
from kws.encoders.truncate import truncate
from kws.enrollment import heard
from kws.enrollment.heard import (
    HEARING,
    STEPS,
    WIDEST,
    Background,
    FirstLayers,
    FirstLayersOutput,
    FrameSpace,
    examples_of,
    hear_each,
    pack_frames,
    read_frames,
    windows_within,
)
from kws.enrollment.typed import pack_background
from kws.errors import CheckpointError, ConfigError
from kws.heads.phrase import PhraseHead
from kws.heads.phrase_window import FLOOR, HELD_FRAMES
from kws.heads.window import NUM_FRAMES, STRIDE
from kws.phones import BLANK, NUM_OUTPUTS
from kws.training.copies import ROW_S
from kws.weights import write_weights
from tests.support.training import noise, tiny_recognizer

RNG = np.random.default_rng(0)


def test_packed_frames_are_within_half_a_step(tmp_path: Path):
    features = torch.from_numpy(RNG.standard_normal((4000, 80))).float() * torch.linspace(0.1, 3, 80)
    write_weights(tmp_path / "frames.safetensors", pack_frames(features))
    space, frames = read_frames(tmp_path / "frames.safetensors")
    assert frames.shape == (4000, HEARING.components)
    exact = FrameSpace.of(features).project(features)
    torch.testing.assert_close(torch.cov(exact.T), torch.eye(HEARING.components), atol=1e-3, rtol=0)
    inside = exact.abs() <= WIDEST
    error = (torch.from_numpy(frames) - exact).abs()
    assert float(error[inside].max()) <= WIDEST / STEPS / 2 + 1e-3
    torch.testing.assert_close(space.project(features), exact, atol=0.02, rtol=0)  # kept as half floats
    write_weights(tmp_path / "other.safetensors", {"mean": torch.zeros(80)})
    with pytest.raises(CheckpointError, match=r"other.safetensors: holds no packed frames"):
        read_frames(tmp_path / "other.safetensors")


def test_directions_in_which_nothing_varies_are_left_out():
    features = torch.from_numpy(RNG.standard_normal((20, 80))).float()
    space = FrameSpace.of(features)
    assert space.basis.shape == (80, 19)  # 20 frames differ in 19 directions
    projected = space.project(features)
    torch.testing.assert_close(torch.cov(projected.T), torch.eye(19), atol=1e-3, rtol=0)
    assert FrameSpace.of(features.repeat(50, 1)).basis.shape == (80, 19)
    constant = torch.cat([features, torch.ones(20, 4)], dim=1)
    assert FrameSpace.of(constant).basis.isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize(
    ("num_layers", "middle", "lookahead", "heard_at", "fitted_at"),
    [
        (8, 3, 2, 3, 6),
        (8, 6, 2, 6, 6),
        (8, 7, 2, 7, 7),  # no layer below its phones is fitted on
        (4, 2, 2, 2, 4),
        (8, 3, 4, 8, 8),  # the fourth layer looks further ahead than the middle output
    ],
)
def test_frames_and_phones_are_those_of_the_recognizer(
    num_layers: int, middle: int, lookahead: int, heard_at: int, fitted_at: int
):
    model = tiny_recognizer(num_layers, middle, lookahead)
    layers, waveform = FirstLayers(model), RNG.standard_normal(20_000).astype(np.float32) * 0.1
    found = layers.hear(waveform)
    whole = torch.from_numpy(waveform[None, : 20_000 // 640 * 640])

    def features_of(depth: int) -> torch.Tensor:
        cut = truncate(model.encoder, depth)
        return cut.run(whole, cut.initial_state(1))[0]

    torch.testing.assert_close(found.frames, features_of(fitted_at)[0], atol=1e-5, rtol=0)
    output = model.middle_output if heard_at == middle else model.output
    phones = torch.log_softmax(output(features_of(heard_at)), dim=-1)[0]
    torch.testing.assert_close(found.phones, phones, atol=1e-5, rtol=0)
    assert layers.info.lookahead_samples == truncate(model.encoder, fitted_at).info.lookahead_samples


@pytest.mark.parametrize("threads", [1, 3])
def test_recordings_are_heard_in_order_and_made_only_a_few_ahead(threads: int):
    class Layers:
        def hear(self, waveform: np.ndarray) -> FirstLayersOutput:
            inside.append(torch.get_num_threads())
            time.sleep(0.002 * (len(waveform) % 3))  # later ones are ready before earlier ones
            return FirstLayersOutput(torch.from_numpy(waveform), torch.zeros(0))

    inside: list[int] = []
    made: list[int] = []

    def waveforms() -> Iterator[np.ndarray]:
        for number in range(1, 101):
            made.append(number)
            yield np.full(number, number, np.float32)

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = hear_each(cast(FirstLayers, Layers()), waveforms())
        assert next(found).frames.tolist() == [1.0] and len(made) < 50
        assert [len(next(found).frames) for _ in range(99)] == list(range(2, 101))
        assert next(found, None) is None and len(inside) == 100 and set(inside) == {1}
        assert torch.get_num_threads() == threads
        failing = hear_each(FirstLayers(tiny_recognizer()), [np.zeros((2, 640), np.float32)])
        with pytest.raises(RuntimeError):
            list(failing)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_windows_within_end_after_the_near_silence_before_a_clip_up_to_its_end():
    layers = FirstLayers(tiny_recognizer())
    hop = layers.info.hop_samples
    before = seconds_to_samples(HEARING.before_s) // hop
    clips = [RNG.standard_normal(count * hop).astype(np.float32) * 0.1 for count in (before + 40, before + 7)]
    space = FrameSpace(torch.zeros(12), torch.eye(12)[:, :5])
    windows = windows_within(layers, space, clips)
    expected = []
    for clip in clips:
        frames = space.project(layers.hear(clip).frames).numpy()
        ends = range(before + STRIDE, len(frames) + 1, STRIDE)
        expected += [frames[end - STRIDE * (NUM_FRAMES - 1) - 1 : end : STRIDE] for end in ends]
    np.testing.assert_array_equal(windows, np.stack(expected))
    assert len(windows) == 40 // STRIDE + 7 // STRIDE


def test_windows_and_phones_end_when_the_layer_shall_fire():
    layers = FirstLayers(tiny_recognizer())
    hop, lookahead = layers.info.hop_samples, layers.info.lookahead_samples // layers.info.hop_samples
    clips = [RNG.standard_normal(count * hop).astype(np.float32) * 0.1 for count in (100, 80)]
    space = FrameSpace(torch.zeros(12), torch.eye(12)[:, :5])
    seen = examples_of(layers, space, clips)
    tail = seconds_to_samples(HEARING.after_s)
    assert seen.windows.shape == (6, NUM_FRAMES, 5) and lookahead == 2
    assert seen.phones.shape == (2, 100 - tail // hop + lookahead + HEARING.fires_after[-1], NUM_OUTPUTS)
    for number, (clip, count) in enumerate(zip(clips, (100, 80), strict=True)):
        whole = layers.hear(np.pad(clip, (0, tail)))
        frames = space.project(whole.frames).numpy()
        end = count - tail // hop + lookahead  # first frame that the end of the keyword is heard in
        for window, later in zip(seen.windows[3 * number :], HEARING.fires_after, strict=False):
            expected = [frames[end + later - 1 - STRIDE * back] for back in reversed(range(NUM_FRAMES))]
            np.testing.assert_array_equal(window, expected)
        said = whole.phones[: end + HEARING.fires_after[-1]]
        torch.testing.assert_close(seen.phones[number, -len(said) :], said, atol=0, rtol=0)
        before = seen.phones[number, : -len(said)]
        assert (before.argmax(dim=-1) == BLANK).all() and len(before) == (0, 20)[number]


def test_own_background_is_every_second_frame_and_a_minute_at_least():
    layers = FirstLayers(tiny_recognizer())
    hop, piece = layers.info.hop_samples, seconds_to_samples(HEARING.piece_s)
    samples = RNG.integers(-3000, 3000, seconds_to_samples(61.0)).astype(np.int16)
    background = Background.of(layers, None, samples)
    parts = [layers.hear(part.astype(np.float32) / 32768) for part in (samples[:piece], samples[piece:])]
    frames = torch.cat(
        [parts[0].frames[::STRIDE], parts[1].frames[:24:STRIDE]]
    )  # the last lacks its other half
    np.testing.assert_allclose(background.frames, background.space.project(frames), atol=1e-5)
    phones = torch.cat([parts[0].phones, parts[1].phones[:24]])
    torch.testing.assert_close(background.phones, phones, atol=0, rtol=0)
    message = r"`negatives`: 59.9 s of speech; .* at least 60 s, .*; give more"
    with pytest.raises(ConfigError, match=message):
        Background.of(layers, None, samples[: piece - 2 * hop])
    few = Background.of(layers, background.space, samples[: 10 * hop])
    assert len(few.frames) == 5
    joined = background.followed_by(few)
    assert len(background.frames) == 762 and len(joined.frames) == 750 + 5  # whole pairs of blocks
    np.testing.assert_array_equal(joined.frames, np.concatenate([background.frames[:750], few.frames]))
    torch.testing.assert_close(joined.phones, torch.cat([background.phones[:1500], few.phones]))


def test_a_row_of_a_copy_is_as_long_as_a_block():
    assert seconds_to_samples(ROW_S) == heard.BLOCK_FRAMES * STRIDE * HOP_SAMPLES


def test_phrases_are_searched_for_in_the_background_where_frames_are_kept():
    head = PhraseHead(12, [["K AH"]])
    phones = torch.log_softmax(torch.randn(400, NUM_OUTPUTS, generator=torch.Generator().manual_seed(1)), -1)
    space = FrameSpace(torch.zeros(12), torch.eye(12))
    found = Background(space, np.zeros((200, 12), np.float32), phones).phone_logits(head)
    assert found.shape == (200, 1)
    rows = 13  # of 32, each searched from its start; 400 frames fill them but for 16
    logits, _ = head.search(phones[:rows][None], head.initial_state(1)[0])
    for frame in range(0, rows, STRIDE):
        best = logits[0, max(0, frame - HELD_FRAMES + 1) : frame + 1, 0].max()
        assert found[frame // STRIDE, 0] == pytest.approx(max(FLOOR, float(best)), abs=1e-4)


def test_what_ships_belongs_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shipped = Background.shipped()
    assert len(shipped.phones) == STRIDE * len(shipped.frames) > 100_000
    write_weights(tmp_path / "phones.safetensors", {"behind": pack_background(torch.zeros(10, NUM_OUTPUTS))})
    monkeypatch.setattr(heard, "FRAME_PHONES", tmp_path / "phones.safetensors")
    with pytest.raises(CheckpointError, match=r"phones.safetensors: does not belong to frames.safetensors"):
        Background.shipped()


def test_an_example_is_no_cold_start():
    layers = FirstLayers(load_recognizer())
    space = FrameSpace(torch.zeros(192), torch.eye(192)[:, :8])
    words = [noise(length, level=0.1) for length in (0.3, 0.9)]

    def windows(before_s: float) -> np.ndarray:
        around = (seconds_to_samples(before_s), seconds_to_samples(HEARING.after_s))
        return examples_of(layers, space, [np.pad(word, around) for word in words]).windows

    later = HEARING.before_s + 3.2  # whole frames
    np.testing.assert_allclose(windows(HEARING.before_s), windows(later), atol=1e-3)
    assert np.abs(windows(1.3) - windows(later)).max() > 0.1
