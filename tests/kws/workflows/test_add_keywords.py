"""`kws train --add-to`: a keyword added later leaves the first as it was to the last bit."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from kws.checkpoint import load_model, load_operating_point
from kws.cli import main
from kws.detector import Detector
from kws.training import loop
from kws.training.loop import fit
from kws.workflows.train import audio as run_audio
from tests.support.training import noise, spoken, tiny_weights, train_words
from tests.tolerances import ONNX

WAVEFORM = np.concatenate([noise(1.0), spoken(), spoken(400), noise(0.5, 3)])
WAVEFORM = WAVEFORM[: len(WAVEFORM) // 1280 * 1280]


def added_words(recordings: Path, earlier: Path, output: Path, keyword: str, *more: str) -> list[str]:
    """Return the words of a short `kws train --add-to`."""
    words = train_words(recordings, output, "--add-to", str(earlier), *more, keywords=(keyword,))
    for name in ("--weights", "--depth"):  # of the model, which is that of the run
        place = words.index(name)
        del words[place : place + 2]
    return words


@pytest.fixture(scope="module")
def first(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one keyword whose borrowed layers moved too; only read it."""
    run = tmp_path_factory.mktemp("runs") / "first"
    wish = ("--policy", "all", "--false-accepts-per-hour", "2", "--set", "train.smoothing_frames=3")
    assert main(train_words(recordings, run, *wish)) == 0
    return run


@pytest.fixture(scope="module")
def second(first: Path, recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with another keyword; only read it."""
    run = tmp_path_factory.mktemp("runs") / "second"
    assert main(added_words(recordings, first, run, "other", "--set", "train.epochs=2")) == 0
    return run


def scores_of(run: Path) -> torch.Tensor:
    return load_model(run).scores(torch.from_numpy(WAVEFORM)[None])[0]


def test_the_first_keyword_scores_as_before_to_the_last_bit(first: Path, second: Path):
    before, after = scores_of(first), scores_of(second)
    assert load_model(second).keywords == ("tone", "other") and after.shape[1] == 2
    assert torch.equal(after[:, :1], before)
    assert (after[:, 1:] - before).abs().max() > 0.01
    own, grown = load_model(first).state_dict(), load_model(second).state_dict()
    for name, tensor in own.items():
        place = name.replace("head.", "head.columns.0.") if name.startswith("head.") else name
        assert torch.equal(grown[place], tensor), name


def test_thresholds_settings_and_origin_are_kept(first: Path, second: Path):
    before, after = load_operating_point(first), load_operating_point(second)
    assert after.thresholds["tone"] == before.thresholds["tone"] and set(after.thresholds) == {
        "tone",
        "other",
    }
    assert (after.decision.false_accepts_per_hour, after.decision.smoothing_frames) == (2.0, 3)
    values = yaml.safe_load((second / "config.yaml").read_text("utf-8"))
    made_of = values["model"]
    assert (made_of["head"], made_of["head_options"]) == ("columns", {"sizes": [1, 1]})
    assert values["training"]["transfer"]["policy"] == "head"
    origin, earlier = (json.loads((run / "provenance.json").read_text("utf-8")) for run in (second, first))
    assert origin["encoder"] == earlier["encoder"] and origin["languages"] == earlier["languages"] == ["en"]
    assert origin["added_to"]["config_hash"] == earlier["config_hash"] != origin["config_hash"]
    assert origin["added_to"]["run"] == str(first)
    metrics = json.loads((second / "metrics.json").read_text("utf-8"))
    assert set(metrics["dev_miss"]) == set(metrics["thresholds"]) == {"other"}


def test_a_third_keyword_leaves_both_as_they_were_and_says_so(
    second: Path, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run, before = tmp_path / "run", scores_of(second)
    words = added_words(recordings, second, run, "third")
    words[words.index("--positives") + 1] = str(recordings / "noise")
    assert main(words) == 0
    assert f"note: tone, other: as in {second}, thresholds too" in capsys.readouterr().out
    assert load_model(run).head.sizes == (1, 1, 1)
    assert torch.equal(scores_of(run)[:, :2], before)
    assert main(words) == 0
    assert "this run was finished before" in capsys.readouterr().out


def test_a_stopped_run_goes_on(
    first: Path, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert main(added_words(recordings, first, whole, "other")) == 0

    def cut(*given: object) -> None:
        fit(*given)
        raise RuntimeError("the power went out")

    monkeypatch.setattr(loop, "fit", cut)
    with pytest.raises(RuntimeError, match="the power went out"):
        main(added_words(recordings, first, stopped, "other"))
    monkeypatch.setattr(loop, "fit", fit)
    assert main(added_words(recordings, first, stopped, "other")) == 0
    assert (stopped / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()


@pytest.mark.slow
def test_the_exported_file_scores_both_as_torch_does(first: Path, second: Path, tmp_path: Path):
    from export.to_onnx import export

    detector = Detector(export(second, tmp_path / "model.onnx"))
    assert detector.keywords == ("tone", "other")
    assert detector.thresholds == pytest.approx(load_operating_point(second).thresholds)
    found = detector.scores(WAVEFORM)
    np.testing.assert_allclose(found[:, :1], scores_of(first).numpy(), atol=ONNX, rtol=0)
    np.testing.assert_allclose(found, scores_of(second).numpy(), atol=ONNX, rtol=0)


@pytest.mark.parametrize(
    ("keyword", "more", "message"),
    [
        ("tone", [], "holds 'tone' already; name another one"),
        ("other", ["--depth", "1"], "model.depth: with --add-to .* the model is that of the run; leave"),
        ("other", ["--head", "gru"], "model.head: with --add-to"),
        ("other", ["--policy", "late"], "train.transfer.policy: got 'late', allowed with --add-to .*: head"),
        ("other", ["--false-accepts-per-hour", "1"], "false_accepts_per_hour: got 1.0, allowed .*: 2.0"),
        ("other", ["--set", "train.smoothing_frames=2"], "train.decision.smoothing_frames: got 2, allowed"),
        ("other", ["--control"], "--control: not with --add-to"),
        ("other", ["--set", "train.regularizers.phones=1"], "phones: learns from transcribed speech"),
    ],
)  # fmt: skip
def test_what_the_earlier_run_fixes_cannot_be_chosen(
    keyword: str,
    more: list[str],
    message: str,
    first: Path,
    recordings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.setattr(run_audio, "load_audio", lambda *_: pytest.fail("audio was read first"))
    assert main(added_words(recordings, first, tmp_path / "run", keyword, *more)) == 2
    assert re.search(message, capsys.readouterr().err)


def test_the_earlier_run_is_never_written_to(
    first: Path, recordings: Path, capsys: pytest.CaptureFixture[str]
):
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    assert main(added_words(recordings, first, first, "other", "--overwrite")) == 2
    assert "is the run of --add-to, which stays as it is; choose another folder" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before


def test_what_is_no_run_or_another_head_is_refused(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    encoder = tiny_weights(tmp_path / "encoder")
    assert main(added_words(recordings, encoder, tmp_path / "run", "other")) == 2
    assert "is not of a keyword model; give the output folder of `kws train`" in capsys.readouterr().err
    linear = tmp_path / "linear"
    assert main(train_words(recordings, linear, "--head", "linear")) == 0
    capsys.readouterr()
    assert main(added_words(recordings, linear, tmp_path / "run", "other")) == 2
    assert "head: got a LinearHead, allowed: conv, or columns" in capsys.readouterr().err
