"""`kws enroll --ensemble`: the typed phrase and a trained run in one model, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from data_prep.synthesis.espeak import speak, voices
from data_prep.synthesis.flite import FliteVoice
from kws import Detector
from kws.checkpoint import OperatingPoint, load_model, load_operating_point, save_model
from kws.cli import main
from kws.decisions import DecisionSettings
from kws.encoders.truncate import truncate
from kws.errors import ConfigError
from kws.heads import EnsembleHead
from kws.heads.phrase_window import PhraseWindowHead
from kws.model import ModelConfig, build_model
from kws.workflows.enroll import audio as enroll_audio
from kws.workflows.enroll import examples as enroll_examples
from tests.support.training import TINY, noise, tiny_weights, tone, write_manifest, write_wavs
from tests.tolerances import ONNX


def trained_run(folder: Path, policy: str = "all", **config: Any) -> Path:
    """Write what ``kws train`` would, with layers that moved a little and a head that fires on nothing."""
    made_of = ModelConfig(("computer",), **config)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        model = build_model(made_of).eval()
        for parameter in model.encoder.parameters():
            parameter.data += 1e-3 * torch.randn_like(parameter)
    model.head.output.bias.data.fill_(-3.0)
    save_model(
        folder,
        model,
        made_of,
        OperatingPoint({"computer": 0.5}, DecisionSettings(), 1.0),
        training={"transfer": {"policy": policy}},
        metrics={"recordings": 12},
        provenance={
            "config_hash": "abc",
            "manifests": {"negatives.jsonl": "def"},
            "encoder": {"name": "embedded", "source": "what the run was trained on", "licence": "Apache-2.0"},
        },
    )
    paths = write_wavs(folder / "speech", [noise(30.0, 0), noise(30.0, 1), tone(30.0)])
    rows = [
        {"path": path, "duration_s": 30.0, "split": split}
        for path, split in zip(paths, ("dev", "dev", "train"), strict=True)
    ]
    (folder / "data").mkdir()
    write_manifest(folder / "data" / "negatives.jsonl", rows)
    return folder


@pytest.mark.slow
def test_the_typed_phrase_goes_beside_what_was_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    said = [speak("computer", voice) for voice in voices(6, seed=3)]  # in place of Flite's voices
    monkeypatch.setattr("data_prep.synthesis.flite.flite_voices", lambda: [FliteVoice()])
    monkeypatch.setattr(enroll_examples, "_spoken", lambda *_: (said, []))
    run, both = trained_run(tmp_path / "run"), tmp_path / "both"
    words = ["enroll", "computer", "--ensemble", str(run), "--output", str(both), "--workers", "1"]
    assert main([*words, "--false-accepts-per-hour", "60"]) == 0
    printed = capsys.readouterr().out
    assert "note: computer: learnt from 6 synthetic voices" in printed
    assert f"note: ensemble with {run}, which learnt from 12 recordings of each phrase" in printed
    origin = json.loads((both / "provenance.json").read_text("utf-8"))
    known = {"config_hash": "abc", "manifests": {"negatives.jsonl": "def"}, "run": str(run)}
    assert origin["ensemble"] == known
    assert origin["encoder"]["source"] == "what the run was trained on"
    metrics = json.loads((both / "metrics.json").read_text("utf-8"))  # of what was held out, a minute
    assert metrics["dev_hours"] == pytest.approx((1 + metrics["dev_copies"]) / 60, rel=0.01)
    assert metrics["recordings"] == 12
    assert load_operating_point(both).decision.false_accepts_per_hour == 60

    trained, model = load_model(run), load_model(both)
    head = model.head
    assert isinstance(head, EnsembleHead) and len(head.blocks) == 1
    for name, tensor in trained.head.state_dict().items():
        assert torch.equal(head.trained.state_dict()[name], tensor), name
    layers = [*model.encoder.layers, *head.blocks]
    for mine, theirs in zip(layers, trained.encoder.layers, strict=True):
        assert all(map(torch.equal, mine.state_dict().values(), theirs.state_dict().values()))

    # the mean of both, each heard by itself
    audio = np.pad(speak("computer", voices(1, seed=1)[0]), (48_000, 16_000)).astype(np.float32)
    audio = audio[: len(audio) // 1280 * 1280]
    waveform = torch.from_numpy(audio)[None]
    own = trained.scores(waveform).double().logit()
    cut = truncate(trained.encoder, 5)
    features, _ = cut.run(waveform, cut.initial_state(1))
    typed, _ = PhraseWindowHead.forward(head, features, PhraseWindowHead.initial_state(head, 1))
    expected = ((own + typed) / 2).sigmoid()[0].float()
    found = model.scores(waveform)[0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    np.testing.assert_allclose(Detector(both / "model.onnx").scores(audio), found.numpy(), atol=ONNX, rtol=0)
    other = np.pad(speak("marmalade", voices(1, seed=1)[0]), (48_000, 16_000))
    assert found.max() > Detector(both / "model.onnx").scores(other).max()

    assert main([*words[:3], str(both), "--output", str(tmp_path / "again")]) == 2
    assert "holds typed phrases already; give a run of `kws train`" in capsys.readouterr().err
    recordings = write_wavs(tmp_path / "recordings", [tone(0.5)])[0].parent
    added = ["train", "--add-to", str(both), "--keyword", "lights", "--positives", str(recordings)]
    assert main([*added, "--negatives", str(run / "speech"), "--output", str(tmp_path / "more")]) == 2
    assert f"--add-to {both}: is made from typed phrases; add the keyword to a run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["jarvis"], "is of computer; give the same phrases in the same order, or train a run of these"),
        (["computer", "jarvis"], "is of computer; give the same phrases"),
        (["computer", "--method", "phones"], "--method phones: with --ensemble only examples is possible"),
        (
            ["computer", "--recordings", "."],
            "--recordings: the run of --ensemble has heard recordings; leave",
        ),
        (["computer", "--weights", "."], "--weights: an ensemble needs the recogniser that ships"),
    ],
)
def test_what_does_not_go_beside_a_run_is_named(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = trained_run(tmp_path / "run")
    assert main(["enroll", *words, "--ensemble", str(run), "--output", str(tmp_path / "both")]) == 2
    printed = capsys.readouterr().err
    assert message in printed and "Traceback" not in printed
    assert not (tmp_path / "both").exists()


@pytest.mark.parametrize("given", [False, True])
def test_the_noise_of_the_run_is_mixed_in_where_none_is_given(
    given: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run, own = trained_run(tmp_path / "run"), tmp_path / "own"
    own.mkdir()
    listed = write_manifest(run / "data" / "noise.jsonl", [{"path": tmp_path / "0.wav"}])
    heard: list[Path] = []

    def augmentation(noise: Sequence[Path], _: object) -> None:
        heard.extend(noise)
        raise ConfigError("enough is known")

    monkeypatch.setattr(enroll_audio, "augmentation", augmentation)
    monkeypatch.setattr("data_prep.synthesis.flite.flite_voices", lambda: [FliteVoice()])
    words = ["enroll", "computer", "--ensemble", str(run), "--output", str(tmp_path / "both")]
    assert main([*words, *(("--noise", str(own)) if given else ())]) == 2
    assert heard == [own if given else listed]


def test_runs_on_other_layers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    def refused(run: Path) -> str:
        assert main(["enroll", "computer", "--ensemble", str(run), "--output", str(tmp_path / "both")]) == 2
        return capsys.readouterr().err

    scratch = trained_run(tmp_path / "scratch", policy="scratch")
    assert f"--ensemble {scratch}: its layers are not those that ship" in refused(scratch)
    shallow = trained_run(tmp_path / "shallow", depth=4)
    keeps = f"--ensemble {shallow}: keeps 4 layers, allowed: 6; train it with `--set model.depth=6`"
    assert keeps in refused(shallow)
    weights = tiny_weights(tmp_path / "weights")
    other = trained_run(tmp_path / "other", weights=weights, depth=4)
    assert f"--ensemble {other}: its layers are not those that ship" in refused(other)
    earlier = trained_run(
        tmp_path / "earlier", weights=tiny_weights(tmp_path / "six", replace(TINY, num_layers=6))
    )
    values = yaml.safe_load((earlier / "config.yaml").read_text("utf-8"))
    values["model"]["weights"] = None  # as a run on what shipped with an earlier version
    (earlier / "config.yaml").write_text(yaml.safe_dump(values), "utf-8")
    assert f"--ensemble {earlier}: its layers are not those that ship" in refused(earlier)
    assert "gone: no such file or folder; give the output folder of `kws train`" in refused(tmp_path / "gone")
    assert not (tmp_path / "both").exists()
