"""`kws probe`: a row for each depth, the recommendation, and what it refuses."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from kws.cli import main
from kws.errors import ConfigError
from kws.evaluation.intervals import proportion
from kws.evaluation.pictures import GREEN
from kws.training import probe as module
from kws.training.probe import DepthResult, ProbeConfig, recommend
from kws.workflows import probe as module_cli


def words(recordings: Path, output: Path, *more: str) -> list[str]:
    found = ["probe", "--keyword", "tone", "--output", str(output), "--workers", "1"]
    for name, folder in (("positives", "tone"), ("negatives", "speech"), ("weights", "encoder")):
        found += [f"--{name}", str(recordings / folder)]
    return [*found, *more]


def test_every_depth_gets_a_row_and_recordings_that_were_trained_on_recommend_none(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(module, "ProbeConfig", functools.partial(ProbeConfig, num_batches=2, steps=4))
    output = tmp_path / "probe"
    assert main(words(recordings, output, "--depths", "1", "3", "--false-accepts-per-hour", "900")) == 0
    printed = capsys.readouterr().out
    assert (output / "probe.md").read_text("utf-8").strip() in printed
    stored = json.loads((output / "probe.json").read_text("utf-8"))
    assert [entry["depth"] for entry in stored["depths"]] == [1, 3]
    first, last = stored["depths"]
    assert first["num_parameters"] < last["num_parameters"] and 0 < first["push_ms"]
    assert all(entry["misses"]["trials"] == 12 for entry in stored["depths"])  # two copies of six recordings
    assert stored["recommended"] is None and stored["alike"] == [1, 3]
    assert "no depth is recommended: the recordings are too few to hold some out" in printed
    assert "note: positives: 6 recordings are fewer than 60" in printed
    assert imread(output / "probe.png").std() > 0.01  # something is drawn


def test_a_tone_is_told_from_noise_by_a_linear_layer(recordings: Path, tmp_path: Path):
    from kws.encoders.registry import load_encoder
    from kws.workflows.recordings import SyntheticRecordings, prepare_training
    from kws.workflows.train.audio import augmentation, load_audio

    prepared = prepare_training(
        ["tone"], [recordings / "tone"], [recordings / "speech"], [], tmp_path, cache=tmp_path, num_workers=1
    )
    data = load_audio(prepared, ["tone"], tmp_path, 1, 0, augmentation(prepared, 0), SyntheticRecordings())
    encoder = load_encoder("embedded", recordings / "encoder", pretrained=True)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    config = ProbeConfig(num_batches=3, steps=120, false_accepts_per_hour=900.0)
    (untrained, _), (trained, model) = (
        next(iter(module.probe(encoder, ["tone"], data, settings, depths=[2])))
        for settings in (ProbeConfig(num_batches=1, steps=1, false_accepts_per_hour=900.0), config)
    )
    assert trained.dev_loss < 0.5 * untrained.dev_loss and trained.misses.rate < 0.2
    kept = model.encoder.state_dict()
    assert all(torch.equal(kept[name], before[name]) for name in kept)
    with pytest.raises(ConfigError, match="depth: got 9, allowed: 1 to 4"):
        next(iter(module.probe(encoder, ["tone"], data, config, depths=[9])))


def result(depth: int, missed: Sequence[int], trials: int = 40, loss: float = 0.5) -> DepthResult:
    return DepthResult(depth, 1, proportion(len(missed), trials), loss, tuple(missed))


def test_the_depth_that_every_other_one_is_shown_to_miss_more_than_is_recommended():
    results = [result(2, range(30)), result(4, range(20)), result(6, range(2), loss=0.9)]
    advice = recommend(results)
    assert (advice.depth, advice.alike) == (6, (6,))
    assert module_cli._sentences(advice, results, [1.0, 2.0, 3.0]) == [
        "recommended: depth 6: every other depth is shown to miss more of the same recordings"
    ]


def test_where_no_depth_stands_out_none_is_recommended_and_how_many_recordings_would_tell_is_said():
    # 6 misses two of forty, 4 four others: of six that differ two speak for 4, which a coin does often
    results = [result(2, range(30), loss=0.1), result(4, range(4, 8)), result(6, range(2))]
    advice = recommend(results)
    assert (advice.depth, advice.alike) == (None, (4, 6))
    # 1.96^2 * 6 / 2^2 = 5.76 times as many
    assert advice.reason == (
        "depths 4 and 6 cannot be told apart by 40 recordings; about 231 held-out recordings would tell"
    )
    assert module_cli._sentences(advice, results, [1.0, 2.0, 3.0]) == [
        f"no depth is recommended: {advice.reason}",
        "every other depth is shown to miss more; 4 costs least of these",
    ]
    alike = recommend([result(2, [1]), result(4, [2])])
    assert alike.depth is None and "the two that miss least miss as many" in alike.reason


def test_pairs_are_counted_and_not_intervals():
    # the intervals of 12 and 4 of 40 overlap, but 4 misses nothing that 6 hears: 8 of 8 speak for 4
    worse, better = result(6, range(12)), result(4, range(4))
    assert better.misses.high > worse.misses.low
    assert recommend([worse, better]).depth == 4
    # five of five do not: a coin falls so in 6 of 100 times, on either side
    assert recommend([result(6, range(9)), better]).depth is None


@given(st.lists(st.sets(st.integers(0, 39)), min_size=2, max_size=6))
@settings(max_examples=50, deadline=None)
def test_no_depth_that_misses_most_is_recommended(missed: list[set[int]]):
    results = [result(depth, sorted(found)) for depth, found in enumerate(missed, 1)]
    advice = recommend(results)
    if advice.depth is not None:
        assert len(missed[advice.depth - 1]) == min(map(len, missed)) < max(map(len, missed))


def test_one_depth_is_compared_with_nothing():
    assert recommend([result(2, [])]).depth is None


@pytest.mark.parametrize("best", [None, 1, 12])
def test_the_plot_marks_what_is_recommended_alone(best: int | None, tmp_path: Path):
    results = [result(depth, range(depth)) for depth in range(1, 13)]
    module_cli.plot(results, [0.1] * 12, best, tmp_path / "probe.png")
    green = np.abs(imread(tmp_path / "probe.png")[..., :3] - to_rgb(GREEN)).max(axis=-1) < 0.1
    assert green.any() == (best is not None)
