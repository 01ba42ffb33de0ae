"""`kws probe`: a row for each depth, the recommendation, and what it refuses."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread

from kws.cli import main
from kws.errors import ConfigError
from kws.evaluation.intervals import proportion
from kws.training import probe as module
from kws.training.probe import DepthResult, ProbeConfig, recommend


def words(recordings: Path, output: Path, *more: str) -> list[str]:
    found = ["probe", "--keyword", "tone", "--output", str(output), "--workers", "1"]
    for name, folder in (("positives", "tone"), ("negatives", "speech"), ("weights", "encoder")):
        found += [f"--{name}", str(recordings / folder)]
    return [*found, *more]


def test_every_depth_gets_a_row_and_one_is_recommended(
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
    assert stored["recommended"] in (1, 3) and f"recommended: --depth {stored['recommended']}" in printed
    assert imread(output / "probe.png").std() > 0.01  # something is drawn


def test_a_tone_is_told_from_noise_by_a_linear_layer(recordings: Path, tmp_path: Path):
    from kws.cli.recordings import SyntheticRecordings, prepare_training
    from kws.cli.run_audio import augmentation, load_audio
    from kws.encoders.registry import load_encoder

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


def test_the_shallowest_that_is_nearly_the_best_is_recommended():
    losses = {2: 0.9, 4: 0.54, 6: 0.5, 8: 0.52}
    results = [DepthResult(depth, 1, proportion(1, 10), loss) for depth, loss in losses.items()]
    assert recommend(results) == 4
