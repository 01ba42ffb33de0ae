"""`benchmarks/phrases.py`: what counts as spoken, the stream cut at its recordings, the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import phrases
from kws import audio
from kws.enrollment.examples import FittedLayer, head_of
from kws.enrollment.heard import FirstLayers, FrameSpace
from kws.evaluation.scoring import TAIL_S
from kws.heads.window import NUM_FRAMES
from kws.model import WakeWordModel
from tests.support.training import noise, tiny_recogniser

PAUSE = audio.seconds_to_samples(TAIL_S)


def test_an_order_that_shares_a_word_with_a_phrase_counts_for_nothing():
    order = {"text": None, "slots": {"roast": "dark roast", "sugarAmount": "A lot of brown sugar"}}
    said = [
        phrases.spoken_in(order, phrase) for phrase in ("dark roast", "brown sugar", "light roast", "latte")
    ]
    assert said == [True, True, None, False]
    sentence = {"text": "THE ROAST WAS DARK"}
    assert phrases.spoken_in(sentence, "dark roast") is False
    assert phrases.spoken_in({"text": "a dark roast, please"}, "dark roast") is True


def test_the_stream_is_cut_where_recordings_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    kept = FirstLayers(tiny_recogniser())
    layer = FittedLayer(np.full((NUM_FRAMES, 12), 0.1, np.float32), -1.0, np.zeros(0))
    head = head_of([layer], FrameSpace(torch.zeros(12), torch.eye(12)), kept, [["K AH"]])
    model = WakeWordModel(kept.encoder, head, ("cup",)).eval()
    paths, lengths = [tmp_path / f"{number}.wav" for number in range(3)], (30_000, 24_500, 16_000)
    for number, (path, length) in enumerate(zip(paths, lengths, strict=True)):
        audio.save(path, noise(length / 16_000, seed=number))
    monkeypatch.setattr(phrases, "PIECE_S", 4.0)  # the first two are one piece, the last another
    found = list(phrases.stream_logits(model, paths))
    hop = model.hop_samples
    first = (lengths[0] + PAUSE) // hop
    assert [len(each.phones) for each in found] == [
        first,
        (lengths[0] + lengths[1] + 2 * PAUSE) // hop - first,
        (lengths[2] + PAUSE) // hop,
    ]
    alone = phrases.logits_of(model, np.pad(audio.load(paths[2]), (0, PAUSE)))
    for stream, once in zip(found[2], alone, strict=True):
        torch.testing.assert_close(stream, once[: len(stream)])
    both = np.concatenate([np.pad(audio.load(path), (0, PAUSE)) for path in paths[:2]])
    joined = phrases.logits_of(model, both)
    torch.testing.assert_close(
        torch.cat([found[0].window, found[1].window]), joined.window[: len(both) // hop]
    )


def test_the_table_shows_every_way_and_each_phrase_of_the_last():
    ways = list(phrases.WAYS)
    rows = [
        {
            "phrase": phrase,
            "way": way,
            "missed": {name: {"0.5": [missed, 4], "1": [1, 4], "2": [0, 4]} for name in "ab"},
        }
        for phrase, missed in (("latte", 2), ("mocha", 4))
        for way in ways
    ]
    table = list(phrases.summary(rows))
    assert [row[0] for row in table] == [*ways, "latte", "mocha"]
    assert table[0][1:] == ["75.0 / 75.0", "25.0 / 25.0", "0.0 / 0.0"]
    assert table[-1][1] == "100.0 / 100.0"
