"""The phrase head: its paths against every path written out, its state against the whole stream."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from kws.errors import ManifestError
from kws.heads.phrase import FRAME_COST, OFFSET, PAUSE_FRAMES, SLOPE, WAIT_FRAMES, WORST_FRAME, PhraseHead
from kws.phones import BLANK, NUM_OUTPUTS, collapse, encode
from tests.tolerances import STREAMING


def random_frames(frames: int, seed: int = 0, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.log_softmax(3 * torch.randn(batch, frames, NUM_OUTPUTS, generator=generator), dim=-1)


def heard(symbols: list[int], certain: float = 6.0) -> Tensor:
    """Return (1, time, 40) log-probabilities of a recogniser that hears these symbols clearly."""
    logits = torch.zeros(1, len(symbols), NUM_OUTPUTS)
    for frame, symbol in enumerate(symbols):
        logits[0, frame, symbol] = certain
    return torch.log_softmax(logits, dim=-1)


def search(head: PhraseHead, frames: Tensor) -> np.ndarray:
    logits, _ = head.search(frames, head.initial_state(frames.shape[0])[0])
    return logits[0].numpy()


def nats_per_phone(head: PhraseHead, frames: Tensor) -> np.ndarray:
    return (search(head, frames) - OFFSET) / SLOPE


def test_the_best_path_is_that_of_all_paths_written_out():
    spoken, frames = "K AH K K", random_frames(6)
    symbols = [BLANK, *encode("K AH")]
    behind = (frames[0] - frames[0].amax(dim=-1, keepdim=True)).clamp(min=-WORST_FRAME).numpy() - FRAME_COST
    best = np.full(6, -np.inf)
    for end in range(6):
        for length in range(1, end + 2):
            for path in itertools.product(symbols, repeat=length):
                if path[0] != BLANK and collapse(path) == encode(
                    spoken
                ):  # a path begins with the first phone
                    gain = sum(behind[end - length + 1 + frame, symbol] for frame, symbol in enumerate(path))
                    best[end] = max(best[end], gain)
    found = 4 * nats_per_phone(PhraseHead(8, [[spoken]]), frames)[:, 0]
    reachable = np.isfinite(best)
    assert reachable.sum() == 2  # K AH K _ K takes five frames
    np.testing.assert_allclose(found[reachable], best[reachable], atol=1e-4)


def test_a_phrase_is_found_where_it_ends_whatever_came_before():
    head = PhraseHead(8, [["HH EY M AH"], ["AH M"]])
    before, word = encode("S T"), encode("HH EY M AH")
    clear = nats_per_phone(head, heard([*before, BLANK, *word, BLANK, BLANK]))
    assert clear[-3, 0] == pytest.approx(-FRAME_COST) and clear[-4, 0] < -1.5
    assert clear[-1, 0] == pytest.approx(
        -1.5 * FRAME_COST
    )  # two blanks later it is still the end of the word
    assert clear[:, 1].max() < -1.5  # M AH was said, AH M was not
    np.testing.assert_allclose(nats_per_phone(head, heard(word))[-1, 0], clear[-3, 0], atol=1e-5)


@pytest.mark.parametrize("after", [BLANK, encode("AH")[0]])
def test_a_phrase_is_over_soon_after_its_last_phone(after: int):
    head, word = PhraseHead(8, [["HH EY M AH"]]), encode("HH EY M AH")
    found = nats_per_phone(head, heard([*word, *[BLANK] * WAIT_FRAMES, after, after]))[:, 0]
    last = len(word) - 1
    assert found[last : last + WAIT_FRAMES + 1].min() > -1.0  # so long it is still heard
    assert found[last + WAIT_FRAMES + 1 :].max() < -1.0  # and then no longer, in silence or a new sound
    twice = search(head, heard([*word, *[BLANK] * 10, *word]))[:, 0]
    assert twice[-1] == pytest.approx(twice[last], abs=1e-4) and twice[last + 7 : -2].max() < twice[last] - 2


def test_a_last_phone_that_was_not_said_is_not_misheard_long_after():
    head, word = PhraseHead(8, [["HH EY M AH"]]), encode("HH EY M AH")
    found = nats_per_phone(head, heard([*word[:-1], *[BLANK] * 40], certain=20.0))[:, 0]
    near = len(word) - 1 + PAUSE_FRAMES + 1 + WAIT_FRAMES
    assert found[len(word) - 1 : near].max() > -2.2  # one of four, at 8 nats
    assert found[near:].max() < -3
    late = nats_per_phone(head, heard([*word[:-1], *[BLANK] * PAUSE_FRAMES, word[-1]]))[-1, 0]
    assert late > -0.1 > -1 > nats_per_phone(head, heard([*word[:-1], *[BLANK] * 20, word[-1]]))[-1, 0]


def test_one_misheard_phone_costs_no_more_than_a_frame_may():
    head, word = PhraseHead(8, [["HH EY M AH"]]), encode("HH EY M AH")
    word[2] = encode("N")[0]
    found = nats_per_phone(head, heard(word, certain=20.0))[-1, 0]
    assert found == pytest.approx(-WORST_FRAME / 4 - FRAME_COST)


def test_between_two_equal_phones_a_blank_must_be_heard():
    head, (first, second) = PhraseHead(8, [["M M"]]), (encode("M")[0], BLANK)
    assert nats_per_phone(head, heard([first, second, first]))[-1, 0] == pytest.approx(-1.5 * FRAME_COST)
    assert nats_per_phone(head, heard([first, first, first]))[-1, 0] < -2


def test_a_keyword_has_the_score_of_its_best_pronunciation():
    frames = random_frames(20)
    ways = [["K AE T"], ["D AO G Z"]]
    both = search(PhraseHead(8, [[*ways[0], *ways[1]], ["S UW N"]]), frames)
    alone = [search(PhraseHead(8, [way]), frames)[:, 0] for way in ways]
    np.testing.assert_allclose(both[:, 0], np.maximum(*alone), atol=1e-4)
    np.testing.assert_allclose(both[:, 1], search(PhraseHead(8, [["S UW N"]]), frames)[:, 0], atol=1e-4)


def test_a_recorded_way_that_was_heard_clearly_counts_as_the_typed_one():
    frames, word = random_frames(30), encode("HH EY M AH")
    head = PhraseHead(8, [["HH EY M AH"], ["S AH N"]], [[4], []])
    head.heard.copy_(torch.nn.functional.one_hot(torch.tensor(word), NUM_OUTPUTS))
    np.testing.assert_allclose(
        search(head, frames), search(PhraseHead(8, [["HH EY M AH"], ["S AH N"]]), frames), atol=1e-3
    )


def test_a_recorded_way_knows_how_a_phone_was_heard():
    word, heard_as = encode("HH EY M AH"), encode("HH EY N AH")
    head = PhraseHead(8, [["HH EY M AH"]], [[4]])
    one_hot = torch.nn.functional.one_hot
    head.heard.copy_(
        (one_hot(torch.tensor(word), NUM_OUTPUTS) + one_hot(torch.tensor(heard_as), NUM_OUTPUTS)) / 2
    )
    typed, both = (
        nats_per_phone(found, heard(heard_as, certain=20.0))[-1, 0]
        for found in (PhraseHead(8, [["HH EY M AH"]]), head)
    )
    assert typed == pytest.approx(-WORST_FRAME / 4 - FRAME_COST)
    assert both == pytest.approx((typed + np.log(0.5) / 4 - FRAME_COST) / 2, abs=1e-4)


@pytest.mark.parametrize("step", [1, 3])
def test_piece_by_piece_is_as_a_whole_for_every_row(step: int):
    head = PhraseHead(8, [["HH EY M AH", "HH AY M AH L"]]).eval()
    features = torch.randn(2, 30, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        whole, last = head(features, head.initial_state(2))
        state, pieces = head.initial_state(2), []
        for piece in features.split(step, dim=1):
            logits, state = head(piece, state)
            pieces.append(logits)
        alone, _ = head(features[1:], head.initial_state(1))
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, atol=10 * STREAMING, rtol=0)
    torch.testing.assert_close(state[0], last[0], atol=10 * STREAMING, rtol=0)
    torch.testing.assert_close(alone[0], whole[1], atol=10 * STREAMING, rtol=0)


def test_minutes_of_other_speech_leave_no_trace():
    head = PhraseHead(8, [["HH EY M AH"]])
    _, state = head.search(heard([encode("S")[0]] * 20_000), head.initial_state(1)[0])
    assert float(state.abs().max()) <= 200
    logits, _ = head.search(heard(encode("HH EY M AH")), state)
    assert float(logits[0, -1, 0]) == pytest.approx(OFFSET - SLOPE * FRAME_COST, abs=1e-4)


def test_an_unknown_phone_is_named():
    with pytest.raises(ManifestError, match="unknown phone 'XX' in 'K XX'"):
        PhraseHead(8, [["K XX"]])
