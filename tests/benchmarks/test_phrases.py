"""`benchmarks/phrases.py`: what counts as spoken, the parts of a detector, the table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from benchmarks import phrases
from kws import audio
from kws.enrollment.examples import FittedLayer, head_of
from kws.enrollment.heard import FirstLayers, FrameSpace
from kws.evaluation.heard import HeardClip
from kws.heads.window import NUM_FRAMES
from kws.manifest import Recording
from kws.model import WakeWordModel
from tests.support.training import noise, tiny_recognizer


def test_an_order_that_shares_a_word_with_a_phrase_counts_for_nothing():
    order = {"text": None, "slots": {"roast": "dark roast", "sugarAmount": "A lot of brown sugar"}}
    said = [
        phrases.spoken_in(order, phrase) for phrase in ("dark roast", "brown sugar", "light roast", "latte")
    ]
    assert said == [True, True, None, False]
    sentence = {"text": "THE ROAST WAS DARK"}
    assert phrases.spoken_in(sentence, "dark roast") is False
    assert phrases.spoken_in({"text": "a dark roast, please"}, "dark roast") is True


@torch.no_grad()
def test_the_parts_of_a_detector_fused_are_what_it_scores():
    kept = FirstLayers(tiny_recognizer())
    layer = FittedLayer(np.full((NUM_FRAMES, 12), 0.1, np.float32), -1.0, np.zeros(0), np.zeros(0))
    head = head_of([layer], FrameSpace(torch.zeros(12), torch.eye(12)), kept, [["K AH"]])
    head.scale, head.offset = torch.tensor([[0.5], [2.0]]), torch.tensor([[1.0], [-1.0]])
    model = WakeWordModel(kept.encoder, head, ("cup",)).eval()
    waveform = noise(1.9)
    samples = audio.to_int16(waveform[: len(waveform) // model.hop_samples * model.hop_samples])
    found = phrases.logits_of(
        model, HeardClip(Recording(Path("a.wav")), samples, len(samples), 0.0, 0.0, 1.9)
    )
    expected = model.scores(torch.from_numpy(audio.to_float32(samples))[None])[0, :, 0].numpy()
    scores = [phrases.scores(way, head, found, 0) for way in phrases.WAYS]
    np.testing.assert_allclose(scores[-1], expected, atol=1e-5)
    assert all(np.abs(scores[-1] - other).max() > 0.01 for other in scores[:-1])


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
