"""`kws train` as a person calls it: what a run leaves, what it says, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from data_prep import manifests
from data_prep.synthesis import espeak, flite
from data_prep.synthesis import keyword as keyword_synthesis
from kws import Detector, audio, checkpoint
from kws.checkpoint import load_model, load_operating_point
from kws.cli import main
from kws.data import BatchConfig, KeywordBatches
from kws.encoders.registry import load_encoder
from kws.encoders.sources.embedded_weights import load_recognizer
from kws.errors import ConfigError
from kws.heads import available_heads
from kws.manifest import Recording
from kws.speech_span import TRAINING, speech_span
from kws.text import mentions, same_words
from kws.training import loop
from kws.training.loop import fit
from kws.transfer import available_policies
from kws.weights import read_weights
from kws.workflows import recordings as cli_recordings
from kws.workflows import train
from kws.workflows.recordings import (
    CONFUSABLES_OF_PHRASE,
    Synthesis,
    SyntheticRecordings,
    select_keyword,
    select_negatives,
    synthesize,
    transcribed_speech,
)
from kws.workflows.train import audio as run_audio
from kws.workflows.train import gain_note
from kws.workflows.train import request as run_settings
from kws.workflows.train.audio import load_audio
from tests.support.training import (
    noise,
    spoken,
    tiny_model,
    tiny_weights,
    train_words,
    write_manifest,
    write_wavs,
)
from tests.tolerances import ONNX

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def finished(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two keywords with noise; only read it."""
    run = tmp_path_factory.mktemp("runs") / "run"
    words = train_words(recordings, run, "--noise", str(recordings / "noise"), keywords=("tone", "other"))
    assert main(words) == 0
    return run


def rows(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def read_json(path: Path) -> dict:
    return json.loads(path.read_text("utf-8"))


def test_a_run_holds_model_thresholds_metrics_and_origin(finished: Path):
    names = {path.name for path in finished.iterdir()}
    assert names >= {
        "config.yaml", "weights.safetensors", "metrics.json", "provenance.json", "run.json", "data",
        "log", "tensorboard",
    }  # fmt: skip
    assert not names & {"checkpoints", "cache"}  # what only a run that goes on needs
    model, point = load_model(finished), load_operating_point(finished)
    assert model.keywords == ("tone", "other") and len(model.encoder.layers) == 2
    metrics = read_json(finished / "metrics.json")
    assert metrics["thresholds"] == point.thresholds and set(point.thresholds) == {"tone", "other"}
    assert (metrics["policy"], metrics["recordings"], metrics["epochs"]) == ("all", 6, 1)
    assert metrics["held_out"] is metrics["resumed"] is False
    assert metrics["moving"] == ["head", "stem", "layer 1", "layer 2"]
    origin = read_json(finished / "provenance.json")
    for name in ("positives.jsonl", "negatives.jsonl"):
        data = (finished / "data" / name).read_bytes()
        assert origin["manifests"][name] == hashlib.sha256(data).hexdigest()
    assert origin["encoder"]["licence"] == "Apache-2.0" and origin["packages"]["torch"]
    assert origin["config_hash"] == read_json(finished / "run.json")["identity"]
    assert origin["languages"] == ["en"]
    training = yaml.safe_load((finished / "config.yaml").read_text("utf-8"))["training"]
    assert training["steps_per_epoch"] == 2 and training["transfer"]["policy"] == "all"
    assert training["regularizers"] == {"feature_matching": 1.0}


def test_manifests_name_keyword_and_split_and_noise_is_a_negative(finished: Path):
    positives, negatives = (rows(finished / "data" / f"{name}.jsonl") for name in ("positives", "negatives"))
    assert [row["label"] for row in positives] == ["tone"] * 6 + ["other"] * 6
    assert len(negatives) == 6 + 3 and {row["split"] for row in negatives} == {"train", "dev"}
    assert all("noise" in row["path"] for row in rows(finished / "data" / "noise.jsonl"))
    for name in ("positives", "negatives", "noise"):
        assert (finished / "data" / name / "report.md").is_file()


@pytest.mark.slow
def test_the_exported_run_scores_like_the_trained_model(finished: Path, tmp_path: Path):
    from export.to_onnx import export

    detector = Detector(export(finished, tmp_path / "model.onnx"))
    assert detector.keywords == ("tone", "other")
    assert detector.thresholds == pytest.approx(load_operating_point(finished).thresholds)
    waveform = np.concatenate([noise(1.0), spoken(), spoken(400)])[:38_400]
    expected = load_model(finished).scores(torch.from_numpy(waveform)[None])[0].numpy()
    np.testing.assert_allclose(detector.scores(waveform), expected, atol=ONNX, rtol=0)


@pytest.mark.parametrize(
    ("policy", "more", "moving"),
    [
        # three parts open at 23, 47 and 70 %, the last of two steps is at 50 %
        ("gradual", ("direction=up", "thaw=0.7"), ["head", "stem", "layer 1"]),
        ("surgical", ("num_layers=3",), ["head", "stem", "layer 1", "layer 2"]),
        ("adapters", ("adapter_rank=2",), ["head", "layer 1", "layer 2"]),
    ],
)
def test_each_way_to_transfer_leaves_a_plain_model_and_says_what_it_moved(
    recordings: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    policy: str,
    more: tuple[str, ...],
    moving: list[str],
):
    from safetensors import safe_open

    run = tmp_path / "run"
    settings = [word for key in more for word in ("--set", f"train.transfer.{key}")]
    assert main(train_words(recordings, run, "--policy", policy, *settings)) == 0
    assert f"note: policy {policy}: asked for; moved: {', '.join(moving)}" in capsys.readouterr().out
    metrics = read_json(run / "metrics.json")
    assert (metrics["policy"], metrics["moving"]) == (policy, moving)
    with safe_open(run / "weights.safetensors", "pt") as file:
        assert set(file.keys()) == set(tiny_model(depth=2).state_dict())
    source = load_recognizer(recordings / "encoder").encoder
    for number, layer in enumerate(load_model(run).encoder.layers):
        kept = torch.equal(layer.expand.weight, source.layers[number].expand.weight)
        assert kept is (f"layer {number + 1}" not in moving)


@pytest.mark.slow
def test_a_model_with_merged_adapters_is_exported(recordings: Path, tmp_path: Path):
    from export.to_onnx import export

    run, waveform = tmp_path / "run", np.concatenate([noise(1.0), spoken()])[:25_600]
    assert main(train_words(recordings, run, "--policy", "adapters")) == 0
    found = Detector(export(run, tmp_path / "model.onnx")).scores(waveform)
    expected = load_model(run).scores(torch.from_numpy(waveform)[None])[0].numpy()
    np.testing.assert_allclose(found, expected, atol=ONNX, rtol=0)


def test_help_names_every_policy_and_head(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"which layers move: {', '.join(available_policies())}, auto (default: auto" in shown
    assert f"stacked on the encoder: {', '.join(available_heads())} (default: conv)" in shown


def test_a_finished_run_is_not_trained_again_unless_asked(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    words = train_words(recordings, run)
    assert main(words) == 0
    first = capsys.readouterr().out
    assert (
        "note: policy all with feature_matching 1: 6 recordings" in first
        and f"next: kws export {run}" in first
    )
    assert "tone: threshold 0." in first and "misses" in first
    written = {path: path.stat().st_mtime_ns for path in run.rglob("*") if path.is_file()}
    assert main(words) == 0
    again = capsys.readouterr().out
    assert "this run was finished before; add --overwrite to train it anew" in again
    made = [line for line in first.splitlines() if line.startswith((f"{run}: trained in", "tone: threshold"))]
    note = "note: this run was finished before; add --overwrite to train it anew"
    assert again.splitlines() == [*made, note, f"next: kws export {run}"]
    changed = {path for path in written if path.stat().st_mtime_ns != written[path]}
    assert {path.name for path in changed} <= {"run.json"}
    (run / "weights.safetensors").write_bytes(b"damaged")
    assert main(words) == 2
    assert "weights.safetensors: no readable safetensors weights" in capsys.readouterr().err
    assert main([*words, "--overwrite"]) == 0
    assert load_model(run).keywords == ("tone",)


def test_other_settings_in_the_same_folder_need_overwrite(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    assert main(train_words(recordings, run)) == 0
    weights = (run / "weights.safetensors").read_bytes()
    other = train_words(recordings, run, "--seed", "5")
    assert main(other) == 2
    assert f"{run}: holds a run of other settings; choose another --output or add --overwrite" in (
        capsys.readouterr().err
    )
    assert main(train_words(recordings, run, keywords=("other",))) == 2  # other sources
    assert (run / "weights.safetensors").read_bytes() == weights
    assert main([*other, "--overwrite"]) == 0
    assert (run / "weights.safetensors").read_bytes() != weights


def test_a_folder_that_holds_something_else_is_left_alone(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tiny_weights(tmp_path / "encoder")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for more in ([], ["--overwrite"]):
        assert main(train_words(recordings, folder, *more)) == 2
        assert "holds something else than a run of `kws train`" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (tmp_path / "file").write_text("x", "utf-8")
    assert main(train_words(recordings, tmp_path / "file")) == 2
    assert f"--output {tmp_path / 'file'}: is a file; give a folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--policy", "nonsense"], "--policy: got 'nonsense', allowed: head, early, late, all"),
        (["--depth", "99"], "depth: got 99, allowed: 1 to 4 for encoder 'embedded'"),
        (["--depth", "0"], "depth: got 0, allowed: 1 to 4"),
        (["--encoder", "embeded"], "--encoder: got 'embeded', allowed: embedded, emformer"),
        (["--head", "hed"], "head: got 'hed', allowed: attention, conv, cross_stitch, gru, linear"),
        (["--weights", "gone"], "gone: no such file or folder; give the output folder of `kws pretrain`"),
        (["--config", "gone.yaml"], "gone.yaml: no such file or folder; give a YAML file"),
        (["--set", "train.nonsense=1"], "train: unknown key `nonsense`; known keys: transfer, batch"),
        (["--set", "train.epoch=1"], "train: unknown key `epoch`; did you mean `epochs`?"),
        (["--set", "train.batch.window=1"], "train.batch: unknown key `window`; did you mean `window_s`?"),
        (["--set", "model.dept=1"], "model: unknown key `dept`; did you mean `depth`?"),
        (["--set", "trian.epochs=1"], "config: unknown key `trian`; did you mean `train`?"),
        (["--set", "train=5"], "config.train: expected keys and values, got 5"),
        (["--set", "train.epochs=many"], "train.epochs: expected int, got 'many'"),
        (["--set", "train.augmentation=2"], "train.augmentation: got 2.0, allowed: 0 (none) to 1.4"),
        (["--set", "train.epochs=0"], "train.epochs: got 0, allowed: above 0"),
        (["--set", "train.epochs=["], "--set train.epochs=[: the value is not valid YAML"),
        (["--set", "train.precision=8"], "train.precision: got 8, allowed: bf16-mixed, 32-true"),
        (["--set", "train.learning_rate=.nan"], "train.learning_rate: expected a finite number, got nan"),
        (["--set", "epochs"], "--set epochs: expected key=value"),
        (["--set", "train.regularizers.ewc=0"], "train.regularizers.ewc: got 0, allowed: a weight above 0"),
        (
            ["--encoder", "wavlm_base", "--set", "train.regularizers.distillation=1"],
            "train.regularizers.distillation: encoder 'wavlm_base' has no phone outputs; encoders that have "
            "them: embedded; or take `feature_matching`, which needs none",
        ),
        (["--keyword", "b"], "got 2 keywords and 1 --positives; give one for each, or none at all"),
        (["--keyword", "tone", "--positives", "."], "keywords: tone, tone holds one twice; name each once"),
        (["--negatives", "gone"], "gone: no such file or folder; give a folder of recordings, a manifest"),
    ],
)  # fmt: skip
def test_wrong_usage_ends_with_code_2_and_a_message_and_spoils_nothing(
    recordings: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    message: str,
):

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_audio, "load_audio", lambda *_: pytest.fail("audio was read first"))
    run = tmp_path / "run"
    assert main(train_words(recordings, run, *more)) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.startswith("kws train: ") and "Traceback" not in printed
    run_settings.claim_folder(run, "the right settings", overwrite=False)  # the folder is still free


def test_options_are_refused_before_anything_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        main(["train", "--keyword", "a", "--negatives", str(tmp_path)])
    assert caught.value.code == 2 and "are required: --output\n" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_labels_texts_and_splits_of_manifests_are_obeyed(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    tones = sorted((recordings / "tone").iterdir())
    labels = ["Tone!", "tone", None, "other", "tone", "tone"]
    texts = [None, None, "tone", None, None, None]
    splits = [None, None, None, None, "test", "test"]
    positives = write_manifest(
        tmp_path / "positives.jsonl",
        [
            {"path": path, "label": label, "text": text, "split": split}
            for path, label, text, split in zip(tones, labels, texts, splits, strict=True)
        ],
    )
    speech = sorted((recordings / "speech").iterdir())
    texts = ["a tone of voice", "stones", "TONE", "atonement", None, None]
    splits = [None, None, None, None, None, "test"]
    negatives = write_manifest(
        tmp_path / "negatives.jsonl",
        [{"path": p, "text": t, "split": s} for p, t, s in zip(speech, texts, splits, strict=True)],
    )
    run = tmp_path / "run"
    assert main(train_words(recordings, run, positives=[positives], negatives=negatives)) == 0
    printed = capsys.readouterr().out
    for note in (
        "tone: 1 recordings of other words were left out",
        "tone: 2 recordings of split `test` were left out",
        "negatives: 2 recordings hold a keyword and were left out",
        "negatives: 1 recordings of split `test` were left out",
        "positives: 3 recordings are fewer than 60, so none is held out",
        "tone: 3 of 3 recordings that were listened to do not sound like 'tone' (T OW N); listen to them: ",
    ):
        assert f"note: {note}" in printed
    kept = rows(run / "data" / "positives.jsonl")
    assert [Path(row["path"]).name for row in kept] == ["000.wav", "001.wav", "002.wav"]
    assert {(row["label"], row["split"]) for row in kept} == {("tone", "train")}
    kept = rows(run / "data" / "negatives.jsonl")
    assert [Path(row["path"]).name for row in kept] == ["001.wav", "003.wav", "004.wav"]


def test_with_enough_recordings_some_are_held_out_of_each_keyword(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    from kws.workflows import recordings as module

    monkeypatch.setattr(module, "HELD_OUT_FROM", 6)
    run = tmp_path / "run"
    assert main(train_words(recordings, run, keywords=("tone", "other"))) == 0
    assert "of the held-out recordings there" in capsys.readouterr().out
    splits = {(row["label"], row["split"]) for row in rows(run / "data" / "positives.jsonl")}
    assert splits == {(label, split) for label in ("tone", "other") for split in ("train", "dev")}
    metrics = read_json(run / "metrics.json")
    assert metrics["held_out"] is True and metrics["recordings"] == 6


@pytest.mark.parametrize("held_out", [0, 2])
def test_recordings_stand_in_for_a_keyword_of_which_none_is_held_out(
    held_out: int, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(run_audio, "DEV_COPIED", 2)
    sources = []
    for keyword, dev in (("tone", 0), ("other", held_out)):
        paths = sorted((recordings / keyword).iterdir())
        splits = [{"path": path, "split": "dev" if n < dev else "train"} for n, path in enumerate(paths)]
        sources.append(write_manifest(tmp_path / f"{keyword}.jsonl", splits))
    run = tmp_path / "run"
    assert main(train_words(recordings, run, keywords=("tone", "other"), positives=sources)) == 0
    metrics = read_json(run / "metrics.json")
    assert metrics["held_out"] is False
    assert all(0 <= metrics["dev_miss"][keyword] <= 1 for keyword in ("tone", "other"))


def test_each_recording_is_decoded_once(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    decoded: Counter[str] = Counter()
    blocks = audio.blocks

    def counted(path: str | Path, *given: Any, **more: Any) -> Iterator[np.ndarray]:
        decoded[str(path)] += 1
        return blocks(path, *given, **more)

    monkeypatch.setattr(audio, "blocks", counted)
    words = train_words(recordings, tmp_path / "run", "--noise", str(recordings / "noise"))
    assert main(words) == 0
    given = {str(path) for name in ("tone", "speech", "noise") for path in (recordings / name).iterdir()}
    assert decoded.keys() == given and set(decoded.values()) == {1}
    one = tmp_path / "one"
    write_wavs(one / "speech", [noise(30.0)])
    decoded.clear()
    assert main(train_words(recordings, one / "run", negatives=one / "speech")) == 0
    assert set(decoded.values()) == {1}  # a single file is cut in two, and read once


def test_a_single_long_file_of_negatives_is_cut_in_two(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (path,) = write_wavs(tmp_path, [noise(20.0)])
    run = tmp_path / "run"
    assert main(train_words(recordings, run, negatives=path)) == 0
    assert (
        "note: negatives: a single file; the thresholds are chosen on its last 15%" in capsys.readouterr().out
    )
    first, last = rows(run / "data" / "negatives.jsonl")
    assert (first["split"], first["duration_s"], last["split"]) == ("train", 17.0, "dev")
    assert (last["offset_s"], last["duration_s"]) == (17.0, 3.0)
    assert read_json(run / "metrics.json")["negative_hours"] == pytest.approx(17 / 3600, abs=5e-4)


def test_a_keyword_that_is_nearly_all_of_one_speaker_is_held_out_of_too():
    from kws.manifest import Recording
    from kws.workflows.recordings import HELD_OUT_FROM, _split

    speakers = {"a": [f"a{index}" for index in range(5 * HELD_OUT_FROM)]}
    speakers["b"] = [f"b{max(index, HELD_OUT_FROM - 3)}" for index in range(HELD_OUT_FROM)]
    entries = [
        Recording(path=Path(f"/{label}/{index}.wav"), label=label, speaker=speaker)
        for label in "ab"
        for index, speaker in enumerate(speakers[label])
    ]
    found = _split("positives", entries, ("a", "b"), [])
    assert {(entry.label, entry.split) for entry in found} == {
        (label, split) for label in "ab" for split in ("train", "dev")
    }


def test_auto_says_which_policy_it_took_and_why(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    assert main(train_words(recordings, run, "--policy", "auto")) == 0
    said = capsys.readouterr().out
    assert (
        "note: policy all with feature_matching 1: 6 recordings are at least 5 (docs/results/policies.md"
        in said
    )
    metrics = read_json(run / "metrics.json")
    assert (metrics["policy"], metrics["regularizers"]) == ("all", {"feature_matching": 1.0})


def test_what_auto_brings_is_trained_with_and_said(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    table = tmp_path / "auto.yaml"
    table.write_text(
        "{source: a study, policies: [{recordings: 0, policy: late, regularizers: {feature_matching: 2}}]}"
    )
    asked = ["--policy", "late", "--set", "train.regularizers.feature_matching=2"]
    for name, words in {
        "auto": ["--policy", "auto", "--set", f"train.transfer.auto_table={table}"],
        "asked": asked,
        "plain": asked[:2],
    }.items():
        assert main(train_words(recordings, tmp_path / name, *words)) == 0
    said = capsys.readouterr().out
    assert "note: policy late with feature_matching 2: a study; moved: " in said
    assert "note: policy late with feature_matching 2: asked for; moved: " in said
    assert read_json(tmp_path / "auto" / "metrics.json")["regularizers"] == {"feature_matching": 2.0}
    auto, same, plain = (load_model(tmp_path / name).state_dict() for name in ("auto", "asked", "plain"))
    assert all(torch.equal(auto[name], same[name]) for name in auto)
    assert any(not torch.equal(auto[name], plain[name]) for name in auto)


def test_the_control_run_is_trained_from_scratch_and_compared(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    words = train_words(recordings, run)
    assert main(words) == 0
    capsys.readouterr()
    assert main([*words, "--control"]) == 0  # also where the run itself was finished before
    printed = capsys.readouterr().out
    assert "note: this run was finished before" in printed
    assert "note: tone: misses on dev" in printed and ", from scratch" in printed
    assert read_json(run / "control" / "metrics.json")["policy"] == "scratch"
    own, control = (load_model(folder).encoder.layers[1].state_dict() for folder in (run, run / "control"))
    assert all(not torch.equal(own[name], control[name]) for name in own if own[name].ndim > 1)


@pytest.mark.parametrize("name", ["feature_matching", "distillation", "ewc"])
def test_a_run_can_stay_near_its_source_and_its_control_has_none(
    name: str, recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def layer(run: Path) -> torch.Tensor:
        return load_model(run).encoder.layers[1].expand.weight.detach()

    def trained(run: Path, *more: str) -> Path:
        assert main(train_words(recordings, run, "--policy", "late", "--set", "train.epochs=2", *more)) == 0
        return run

    free = trained(tmp_path / "free")
    capsys.readouterr()
    held = trained(tmp_path / "held", "--set", f"train.regularizers.{name}=100", "--control")
    printed = capsys.readouterr().out
    source = load_encoder(weights=recordings / "encoder").layers[1].expand.weight
    assert (layer(held) - layer(free)).abs().max() > 0 and (layer(held) - source).abs().max() > 0

    settings, control = (
        yaml.safe_load((run / "config.yaml").read_text("utf-8")) for run in (held, held / "control")
    )
    assert settings["training"]["regularizers"] == {name: 100}
    assert control["training"]["regularizers"] == {}
    note = f"note: policy scratch: {name} is left out, as there is no source to stay near"
    assert note not in printed  # the control is a run of its own, with its own notes
    words = train_words(recordings, tmp_path / "scratch", "--policy", "scratch")
    assert main([*words, "--set", f"train.regularizers.{name}=100"]) == 0
    assert note in capsys.readouterr().out


def test_a_transfer_that_gains_nothing_is_warned_of():
    assert gain_note("a", 0.1, 0.3) == "a: misses on dev 10.0 %, from scratch 30.0 %"
    assert "WARNING: transfer gained nothing here" in gain_note("a", 0.3, 0.3)


def test_sources_without_anything_to_train_on_are_named(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def refused(message: str, **changes: object) -> None:
        assert main(train_words(recordings, tmp_path / "run", **changes)) == 2
        assert message in capsys.readouterr().err

    def manifest(name: str, folder: str, **fields: str) -> Path:
        paths = sorted((recordings / folder).iterdir())
        return write_manifest(tmp_path / name, [{"path": path, **fields} for path in paths])

    refused(
        "negatives: none has split `dev`, which training needs",
        negatives=manifest("n.jsonl", "speech", split="train"),
    )
    refused(
        "negatives: nothing is left to train on; give speech without the keyword",
        negatives=manifest("n.jsonl", "speech", text="a tone"),
    )
    refused("tone: every recording has split `test`", positives=[manifest("p.jsonl", "tone", split="test")])
    refused(
        "tone: no recording is left to train on; give some split `train`, or none a split",
        positives=[manifest("p.jsonl", "tone", split="dev")],
    )
    lecture = tmp_path / "lecture"
    lecture.mkdir()
    write_wavs(lecture, [noise(31.0), noise(31.0, 1)])
    refused("000.wav: 31.0 s long, at most 30 s is allowed; cut it", positives=[lecture])
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in ("a.wav", "b.wav"):
        (broken / name).write_bytes(b"no audio")
    refused(
        f"other: no recording is left to train on; left out: {broken / 'a.wav'}: cannot be decoded",
        keywords=("tone", "other"),
        positives=[recordings / "tone", broken],
    )


def test_which_negatives_are_transcribed_and_how_they_are_said(tmp_path: Path):
    rows = [
        {"phones": "K AE1 T", "text": "never read", "split": "train"},
        {"text": "Fish!", "split": "train"},
        {"text": "...", "split": "train"},
        {"split": "train"},
        {"text": "Fish!", "split": "dev"},
        {"text": "Fish!", "split": "train", "duration_s": 21.0},
    ]
    rows = [{"path": f"{number}.wav", "duration_s": 1.0, **row} for number, row in enumerate(rows)]
    found = transcribed_speech(write_manifest(tmp_path / "n.jsonl", rows), "en")
    assert [(entry.path.name, entry.phones) for entry in found] == [
        ("0.wav", "K AE1 T"),
        ("1.wav", "F IH SH"),
    ]
    none = write_manifest(tmp_path / "none.jsonl", rows[3:4])
    assert transcribed_speech(none, "no such language, which nothing asks for") == []


def test_phones_are_learnt_beside_the_keyword_from_negatives_that_are_transcribed(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    speech = sorted((recordings / "speech").iterdir())
    wish = (
        "--policy",
        "late",
        "--set",
        "train.regularizers.phones=0.3",
        "--set",
        "train.balance=gradnorm",  # its earlier name
    )
    assert main(train_words(recordings, tmp_path / "refused", *wish)) == 2
    assert "regularizers.phones: learns from transcribed speech, and no training negative has `phones`" in (
        capsys.readouterr().err
    )
    fitted = []
    monkeypatch.setattr(loop, "fit", lambda *given: fitted.append(given[2]) or fit(*given))
    rows = [{"path": path, "phones": "AA B" if index % 2 else None} for index, path in enumerate(speech)]
    told = write_manifest(tmp_path / "told.jsonl", rows)
    run = tmp_path / "run"
    assert main(train_words(recordings, run, *wish, negatives=told)) == 0
    store = fitted[0].transcribed
    assert 2 <= len(store) <= 3 and {entry.phones for entry in store.utterances} == {"AA B"}
    training = yaml.safe_load((run / "config.yaml").read_text("utf-8"))["training"]
    assert training["regularizers"] == {"phones": 0.3} and training["loss_weighting"] == "gradnorm"
    weights = read_weights(run / "weights.safetensors")
    assert not any("phones" in name or "multipliers" in name for name in weights)


def test_target_audio_without_labels_is_brought_near(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "place").mkdir()
    write_wavs(tmp_path / "place", (noise(1.5, seed=seed) for seed in range(3)))
    wish = ("--policy", "late", "--set", "train.regularizers.dann=0.1")
    heard = ("--target-audio", str(tmp_path / "place"))
    assert main(train_words(recordings, tmp_path / "refused", *wish, "--num-synthetic", "0")) == 2
    assert "regularizers.dann: compares synthetic voices with real ones, and there are no synthetic ones" in (
        capsys.readouterr().err
    )
    assert main(train_words(recordings, tmp_path / "refused", *heard)) == 2
    assert "--target-audio: nothing compares it; add `--set train.regularizers.dann" in (
        capsys.readouterr().err
    )
    fitted = []
    monkeypatch.setattr(loop, "fit", lambda *given: fitted.append(given[2]) or fit(*given))
    run = tmp_path / "run"
    assert main(train_words(recordings, run, *wish, *heard, "--num-synthetic", "0")) == 0
    assert len(fitted[0].target) == 3 and fitted[0].target.hours == pytest.approx(4.5 / 3600)
    assert "--target-audio" not in capsys.readouterr().err
    assert not any("classifier" in name for name in read_weights(run / "weights.safetensors"))
    entries = rows(run / "data" / "target.jsonl")
    assert len(entries) == 3 and {entry["split"] for entry in entries} == {"train"}


def test_synthetic_voices_say_the_keyword_other_speech_and_words_that_sound_like_it(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    seen: list[SyntheticRecordings] = []
    monkeypatch.setattr(run_audio, "load_audio", lambda *given: seen.append(given[-1]) or load_audio(*given))
    fitted = []
    monkeypatch.setattr(loop, "fit", lambda *given: fitted.append(given[2]) or fit(*given))
    speakers = espeak.voices(3, seed=5, split="train")
    monkeypatch.setattr(flite, "flite_voices", lambda: speakers)
    cache = ["--cache", str(tmp_path / "cache")]
    words = train_words(recordings, tmp_path / "run", keywords=("tone", "other"))
    assert main([*words, "--num-confusables", "8", "--num-synthetic", "3", *cache]) == 0
    made = seen[0]
    assert len(made.confusables) == 16 and all(entry.label == "confusable" for entry in made.confusables)
    assert not any(same_words(entry.text, word) for entry in made.confusables for word in ("tone", "other"))
    assert [entry.label for entry in made.keywords] == ["tone"] * 3 + ["other"] * 3
    assert len(made.speech) == 18 and all(entry.label == "speech" for entry in made.speech)
    assert not any(mentions(word, entry.text) for entry in made.speech for word in ("tone", "other"))
    said = {entry.speaker for entry in (*made.keywords, *made.speech)}
    assert said & {voice.id for voice in speakers} and said - {voice.id for voice in speakers}
    assert fitted[0].synthetic.labels == [0, 0, 0, 1, 1, 1]
    assert [len(store) for store in fitted[0].synthetic[::2]] == [6, 18]

    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache" / "synthetic").rglob("*.flac")}
    assert len(files) == 16 + 6 + 18
    words = train_words(recordings, tmp_path / "again", keywords=("tone", "other"))
    assert main([*words, "--num-confusables", "8", "--num-synthetic", "3", *cache]) == 0
    assert all(path.stat().st_mtime_ns == time for path, time in files.items())  # not made again
    capsys.readouterr()
    words = train_words(recordings, tmp_path / "other", keywords=("tone",))
    monkeypatch.setattr(flite, "flite_voices", list)
    assert main([*words, "--num-confusables", "8", "--num-synthetic", "3", "--language", "xx"]) == 0
    shown = capsys.readouterr().out
    assert "note: tone: trained without words that sound like it: " in shown
    assert "note: tone: trained without synthetic voices: they are Flite's and speak English only" in shown


def of_voice_variant(entry: Recording) -> str:
    """Return who speaks, without accent, speed and pitch; or Flite's voice."""
    return (entry.speaker or "").partition("+")[2].rsplit("-s", 1)[0] or entry.speaker or ""


def test_without_recordings_synthetic_voices_alone_are_trained_on_and_others_held_out(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    fitted = []
    monkeypatch.setattr(loop, "fit", lambda *given: fitted.append(given[2]) or fit(*given))
    monkeypatch.setattr(cli_recordings, "SYNTHETIC_HELD_OUT", 3)
    monkeypatch.setattr(flite, "flite_voices", lambda: espeak.voices(3, seed=5, split="train"))
    run = tmp_path / "run"
    words = train_words(
        recordings,
        run,
        "--policy",
        "auto",
        "--num-synthetic",
        "4",
        keywords=("tone", "other"),
        positives=None,
    )
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "note: other: no recordings, so 4 synthetic ones take their place, by eSpeak NG's and Fli" in shown
    assert "is that of held-out synthetic voices and too low" in shown
    assert "note: policy head: no recordings are fewer than 5" in shown
    assert "% of the held-out synthetic recordings there" in shown

    (data,) = fitted
    assert data.labels == [0] * 4 + [1] * 4 and len(data.positives) == 8
    assert data.dev_labels == [0] * 3 + [1] * 3 and len(data.dev_positives) == 6 and data.held_out
    assert len(data.synthetic.keywords) == 0 and len(data.synthetic.speech) == 24
    batches = KeywordBatches(
        data.positives, data.labels, data.negatives, BatchConfig(window_s=0.5), num_keywords=2,
        hop_samples=640, synthetic=data.synthetic,
    )  # fmt: skip
    longest = max(
        stop - start
        for start, stop in (speech_span(data.positives.waveform(index), TRAINING) for index in range(8))
    )
    assert batches.window_samples > longest and batches.words.spans  # so that parts of words are negatives
    assert batches.batch(0).targets.sum(0).tolist() == [6, 6]

    made = manifests.read(run / "data" / "synthetic.jsonl")
    of_split = {
        split: {of_voice_variant(entry) for entry in made if entry.split == split}
        for split in ("train", "dev")
    }
    assert len(made) == 8 + 6 + 24 and not of_split["train"] & of_split["dev"]
    assert [entry.label for entry in made if entry.split == "dev"] == ["tone"] * 3 + ["other"] * 3
    metrics, origin = read_json(run / "metrics.json"), read_json(run / "provenance.json")
    assert (metrics["recordings"], metrics["synthetic_recordings"], metrics["policy"]) == (0, 4, "head")
    assert set(origin["manifests"]) == {"negatives.jsonl", "synthetic.jsonl"}
    assert not (run / "data" / "positives.jsonl").exists()


@pytest.fixture
def few_voices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two held-out recordings of a keyword, and no Flite."""
    monkeypatch.setattr(cli_recordings, "SYNTHETIC_HELD_OUT", 2)
    monkeypatch.setattr(flite, "flite_voices", list)


@pytest.mark.usefixtures("few_voices")
def test_a_stopped_run_without_recordings_goes_on(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left")

    run = tmp_path / "run"
    words = train_words(recordings, run, "--num-synthetic", "3", positives=None)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save_model", full)
        assert main(words) == 2
    assert (run / "checkpoints" / "last.ckpt").exists() and not (run / "metrics.json").exists()
    capsys.readouterr()
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "by eSpeak NG's voices alone (there are better ones, but they need Flite: `apt" in shown
    assert "note: this run was stopped before and went on from its last checkpoint" in shown
    assert main(words) == 0
    again = capsys.readouterr().out
    assert "this run was finished before" in again and "% of the held-out synthetic recordings" in again


@pytest.mark.slow
@pytest.mark.usefixtures("few_voices")
def test_a_run_without_recordings_is_exported_and_evaluated(recordings: Path, tmp_path: Path):
    run = tmp_path / "run"
    assert main(train_words(recordings, run, "--num-synthetic", "3", positives=None)) == 0
    assert main(["export", str(run)]) == 0
    assert Detector(run / "model.onnx").thresholds == pytest.approx(load_operating_point(run).thresholds)
    positives, negatives = (str(recordings / name) for name in ("tone", "speech"))
    assert main(["eval", str(run), "--positives", positives, "--negatives", negatives]) == 0


def test_augmentation_has_the_strength_that_is_asked_for(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def changes(*given: Any) -> None:
        waveform = noise(2.0)
        found.append(sum(not np.array_equal(given[4](waveform, "a", 0, n), waveform) for n in range(5)))
        raise ConfigError("enough")

    found: list[int] = []
    monkeypatch.setattr(loop, "fit", changes)
    for strength in ("0", "1"):
        words = train_words(recordings, tmp_path / strength, "--set", f"train.augmentation={strength}")
        assert main(words) == 2
    assert found == [0, 5]


def test_a_folder_of_recordings_given_as_speech_is_another_run(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    claimed = []

    def claim(output: Path, identity: str, *_: Any) -> None:
        claimed.append(identity)
        raise ConfigError("enough")

    monkeypatch.setattr(run_settings, "claim_folder", claim)
    tone, speech = recordings / "tone", recordings / "speech"
    for positives, negatives, noises in (
        ([tone], [speech], []),
        ([], [tone, speech], []),
        ([], [tone], [speech]),
    ):
        with pytest.raises(ConfigError, match="enough"):
            train.train(["tone"], positives, negatives, tmp_path / "run", noise=noises)
    assert len(set(claimed)) == 3


def test_without_recordings_something_must_say_the_keyword(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    run = tmp_path / "run"
    assert main(train_words(recordings, run, positives=None)) == 2
    assert (
        "got --num-synthetic 0 and no --positives: nothing would say the keyword; give recordings of it"
        in (capsys.readouterr().err)
    )
    assert not run.exists()
    words = train_words(recordings, run, "--num-synthetic", "2", "--language", "xx", positives=None)
    assert main(words) == 2 and "language 'xx' is unknown to eSpeak NG" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wanted", "num_recordings", "count"),
    [(None, 0, 600), (None, 1, 200), (None, 200, 200), (0, 25, 0), (7, 99, 7), (7, 0, 7)],
)
def test_recordings_get_synthetic_ones_beside_them(
    wanted: int | None, num_recordings: int, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked = []

    def made(keyword: str, place: Path, positives: int, negatives: int, *_: object, **__: object) -> tuple:
        asked.append((keyword, positives, negatives))
        paths = write_wavs(tmp_path / keyword, [noise(0.5)])
        return tuple(
            write_manifest(tmp_path / f"{label}.jsonl", [{"path": paths[0], "label": label}])
            for label in (keyword, "speech")
        )

    monkeypatch.setattr(keyword_synthesis, "synthesize_keyword", made)
    monkeypatch.setattr(flite, "flite_voices", lambda: espeak.voices(1, split="train"))
    spoken = synthesize(
        ["tone"], Synthesis(wanted), tmp_path, num_recordings=num_recordings, seed=0, num_workers=1
    )
    assert asked[:1] == ([("tone", count, 3 * count)] if count else [])
    assert asked[1:] == ([] if num_recordings else [("tone", 60, 0)])
    assert len(spoken.keywords) == bool(count)
    assert sum("no recordings" in note for note in spoken.notes) == (num_recordings == 0)


def test_parts_of_a_phrase_are_made_unless_a_number_is_given():
    assert Synthesis().num_confusables("hey computer") == CONFUSABLES_OF_PHRASE > 0
    assert Synthesis().num_confusables("computer") == 0
    assert Synthesis(confusables=7).num_confusables("computer") == 7
    assert Synthesis(confusables=0).num_confusables("hey computer") == 0


def test_which_recordings_are_of_the_keyword():
    from kws.manifest import Recording

    def entry(**fields: str) -> Recording:
        return Recording(path=Path("/a.wav"), **fields)

    found, notes = select_keyword([entry(label="x"), entry(label="hey_computer")], "Hey computer")
    assert [item.label for item in found] == ["Hey computer"] and len(notes) == 1
    found, notes = select_keyword([entry(), entry()], "a")
    assert len(found) == 2 and notes == []
    found, notes = select_keyword([entry(label="x"), entry(text="y")], "a")
    assert len(found) == 2 and notes == ["a: no label or text names it; all 2 recordings are taken for it"]
    texts = ["hey computer", "so hey computer two", "hey computers", "they computer"]
    kept, _ = select_negatives([entry(text=text) for text in texts], ["Hey Computer", "b"])
    assert [item.text for item in kept] == texts[2:]


def test_a_run_that_hears_nothing_says_so_and_fails(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Seconds of negatives show no rate: the threshold is raised, and what two steps taught lies below it."""
    monkeypatch.setattr("kws.evaluation.thresholds.UNUSABLE", 0.9)
    monkeypatch.setattr("kws.evaluation.thresholds.lowest_unshown", lambda *_: 0.999)
    run = tmp_path / "run"
    assert main(train_words(recordings, run)) == 1
    lines = capsys.readouterr().out.splitlines()
    made = next(index for index, line in enumerate(lines) if line.startswith(f"{run}: trained in"))
    assert "tone: threshold 0.999, raised, wished for 0.5 false accepts/h" in lines[made + 1]
    kinds = [line.split(":")[0] for line in lines[made + 2 : -1]]
    assert kinds == sorted(kinds, reverse=True) and set(kinds) == {"note", "WARNING"}  # warnings last
    few, missed, short = [line for line in lines if line.startswith("WARNING: ")]
    assert "show no rate below" in few and "the threshold is raised, tone from 0." in few
    assert "tone: 100 % of the dev recordings are missed at its threshold; it is of no use" in missed
    assert "trained for 2 steps: fewer than 80 hardly teach it the keyword" in short
    assert lines[-1] == f"{run}: is kept, but of no use for tone"
    metrics = read_json(run / "metrics.json")
    assert metrics["floored"] == metrics["unusable"] == ["tone"]
    assert load_operating_point(run).floored == ("tone",)
    export_words = ["export", str(run)]
    assert main(export_words) == 0 and json.loads(Detector(run / "model.onnx").metadata["floored"]) == [
        "tone"
    ]


@pytest.mark.slow
def test_a_killed_run_goes_on_when_the_command_is_given_again(recordings: Path, tmp_path: Path):
    run = tmp_path / "run"
    cache = tmp_path / "cache"
    words = train_words(recordings, run, "--set", "train.epochs=15", "--cache", str(cache))
    command = [sys.executable, "-m", "kws", *words]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 120
        while not (run / "checkpoints" / "last.ckpt").exists() and time.monotonic() < deadline:
            assert process.poll() is None, "the run ended before it could be killed"
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert process.returncode == -signal.SIGKILL and not (run / "metrics.json").exists()
    kept = [run / "run.json", *cache.glob("*.int16"), *(run / "data").rglob("*.jsonl")]
    before = {path: path.read_bytes() for path in kept}
    assert len(before) > 5

    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1), done.stderr  # two steps an epoch may teach nothing of use
    assert "note: this run was stopped before and went on from its last checkpoint" in done.stdout
    assert {path: path.read_bytes() for path in kept} == before
    metrics = read_json(run / "metrics.json")
    assert metrics["resumed"] is True and metrics["epochs"] == 15
    assert load_model(run).keywords == ("tone",)
