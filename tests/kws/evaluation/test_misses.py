"""Which clips are missed at a rate, on made-up scores."""

from __future__ import annotations

import numpy as np

from kws.decisions import DecisionConfig
from kws.evaluation.misses import Heard, count_misses

ALONE = DecisionConfig((1.0,), 1, 1.0)


def test_misses_are_those_at_the_lowest_threshold_that_keeps_to_the_rate():
    # frames of 1 s; one hour of negatives with peaks 0.9, 0.6 and 0.3, apart
    negatives = np.zeros(3600)
    negatives[[100, 200, 300]] = 0.9, 0.6, 0.3
    clips = {
        "clean": Heard([np.array([0.2, top, 0.1]) for top in (0.95, 0.7, 0.5, 0.25)]),
        "noise": Heard([np.array([0.7])]),
    }
    found = count_misses(clips, negatives, 1.0, (0.5, 1.0, 2.0), ALONE, 1.0)
    clean = found["clean"]
    assert [clean[rate].missed for rate in (0.5, 1.0, 2.0)] == [(1, 2, 3), (2, 3), (3,)]
    assert [clean[rate].false_accepts for rate in (0.5, 1.0, 2.0)] == [0, 1, 2]
    assert 0.3 < (clean[2.0].threshold or 0) < 0.5 and clean[0.5].clips == 4
    assert found["noise"][0.5].missed == (0,) and found["noise"][1.0].missed == ()


def test_what_fires_before_the_keyword_hits_nothing_and_swallows_what_follows_at_once():
    negatives = np.zeros(3600)
    early, late, both = np.zeros(20), np.zeros(20), np.zeros(20)
    early[2] = late[10] = both[[2, 10]] = 0.9
    soon = np.zeros(20)
    soon[[7, 8, 9, 10, 11]] = 0.9  # one rise that begins before the keyword
    clips = {"clean": Heard([early, late, both, soon], [9.0] * 4)}
    found = count_misses(clips, negatives, 1.0, (1.0,), ALONE, 1.0)["clean"][1.0]
    assert found.missed == (0, 3)
    assert Heard([late], [9.0]).first_frames(1.0).tolist() == [8]  # the frame that ends at 9 s


def test_where_no_threshold_keeps_to_the_rate_all_is_missed():
    negatives = np.ones(3600)
    negatives[::2] = 0.0
    count = count_misses({"clean": Heard([np.ones(3)])}, negatives, 1.0, (1.0,), ALONE, 1.0)["clean"][1.0]
    assert (count.threshold, count.missed, count.clips) == (None, (0,), 1)
