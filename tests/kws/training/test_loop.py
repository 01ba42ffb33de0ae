"""Keyword training on tones and noise: it learns, goes on after a kill, and stops in time."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

from kws.audio_store import AudioStore
from kws.data import Augment, BatchConfig
from kws.errors import ConfigError
from kws.evaluation.thresholds import DevScores
from kws.model import WakeWordModel
from kws.regularizers import build_regularizer
from kws.training.config import TrainConfig
from kws.training.data import TrainingData
from kws.training.dev import read_dev
from kws.training.loop import KeywordTask, fit, seed_everything
from kws.transfer import TransferConfig
from tests.support.steps import recognizer_of, resources_of, step_of
from tests.support.training import noise, spoken, tiny_model, tone, write_utterances

CONFIG = TrainConfig(
    transfer=TransferConfig("all", encoder_rate=1.0),
    batch=BatchConfig(window_s=1.4, num_positives=3, num_negatives=5),
    epochs=3,
    steps_per_epoch=3,
    learning_rate=0.01,
    num_workers=0,
    precision="32-true",
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    """Tones of 1 kHz among noise and tones of 300 Hz."""
    folder = tmp_path_factory.mktemp("audio")
    words = [spoken(seed=seed) for seed in range(8)]
    others = [noise(4, 1), tone(2, 300), noise(4, 2, level=0.2), tone(1, 250, level=0.1)]
    more = [noise(6, 3), tone(3, 280), noise(4, 4, level=0.15)]
    return TrainingData(
        positives=AudioStore(write_utterances(folder / "words", words[:5]), None, 1),
        labels=[0] * 5,
        negatives=AudioStore(write_utterances(folder / "others", others), None, 1),
        dev_positives=words[5:],
        dev_labels=[0] * 3,
        held_out=True,
        dev_negatives=AudioStore(write_utterances(folder / "more", more), None, 1),
    )


@pytest.mark.parametrize(("has", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_training_is_in_what_the_machine_computes_with(
    has: bool, precision: str, data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": has})
    config = replace(CONFIG, precision="bf16-mixed", epochs=1)
    outcome = fit(tiny_model(), config, data, tmp_path, no_change)
    assert outcome["precision"] == precision


def weights(model: WakeWordModel) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def no_change(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
    return waveform


def cut_at(step: int) -> Augment:
    """Break off when the batch of a step is made."""

    def augment(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
        if epoch >= step:
            raise RuntimeError("the power went out")
        return waveform

    return augment


def test_learns_to_tell_a_tone_from_noise(data: TrainingData, tmp_path: Path):
    model = tiny_model()
    before = read_dev(model, data)
    outcome = fit(model, replace(CONFIG, epochs=4, steps_per_epoch=10), data, tmp_path)
    after = read_dev(model, data)
    assert after.loss() < 0.3 * before.loss()
    assert min(clip.max() for clip in after.positives) > 2 * after.negatives.max()
    moving = ["head", "stem", "layer 1", "layer 2", "layer 3"]
    assert outcome.pop("moving_parameters") == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert outcome.pop("precision") == "32-true"
    assert outcome == {"epochs": 4, "resumed": False, "early_stop": False, "moving": moving}
    assert not model.training
    assert (tmp_path / "log" / "metrics.csv").read_text("utf-8").count("\n") >= 5
    assert list((tmp_path / "tensorboard").iterdir())


@pytest.mark.parametrize(
    "transfer",
    [
        CONFIG.transfer,
        TransferConfig("gradual", thaw=0.8),  # parts open before and after it is stopped
        TransferConfig("gradual", direction="up", thaw=0.8),
        TransferConfig("surgical", num_layers=2),
        TransferConfig("adapters", adapter_rank=2),
    ],
    ids=lambda transfer: f"{transfer.policy} {transfer.direction}",
)
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(
    data: TrainingData, tmp_path: Path, transfer: TransferConfig
):
    config, whole, stopped = replace(CONFIG, transfer=transfer), tiny_model(), tiny_model()
    first = fit(whole, config, data, tmp_path / "whole", no_change)
    torch.manual_seed(20)
    with pytest.raises(RuntimeError, match="the power went out"):
        fit(stopped, config, data, tmp_path / "stopped", cut_at(5))  # in the middle of the second epoch
    assert not same(weights(stopped), weights(whole))
    resumed = tiny_model(seed=9)  # its random start must not matter
    outcome = fit(resumed, config, data, tmp_path / "stopped", no_change)
    assert outcome == {**first, "resumed": True} and outcome["epochs"] == 3
    assert weights(whole).keys() == weights(tiny_model()).keys()
    assert same(weights(resumed), weights(whole))
    assert {path.name for path in (tmp_path / "stopped" / "log").iterdir()} >= {
        "metrics-1.csv",
        "metrics.csv",
    }


@pytest.fixture(scope="module")
def free(data: TrainingData, tmp_path_factory: pytest.TempPathFactory) -> WakeWordModel:
    """Two epochs with the keyword loss alone."""
    model = tiny_model()
    fit(model, replace(CONFIG, epochs=2), data, tmp_path_factory.mktemp("free"), no_change)
    return model


@pytest.mark.parametrize(
    ("name", "weight"), [("l2_sp", 1.0), ("feature_matching", 10.0), ("distillation", 100.0), ("ewc", 1e4)]
)
def test_a_term_beside_the_loss_holds_the_model_back_and_a_resumed_run_knows_its_source(
    data: TrainingData, free: WakeWordModel, tmp_path: Path, name: str, weight: float
):
    start, config = tiny_model().eval(), replace(CONFIG, epochs=2, regularizers={name: weight})
    term = build_regularizer(name, start, resources_of(start))

    def distance(model: WakeWordModel) -> float:
        return term(model, step_of(model)).item()

    def train(model: WakeWordModel, folder: str, augment: Augment = no_change) -> WakeWordModel:
        fit(model, config, data, tmp_path / folder, augment, recognizer_of(model))
        return model

    held, stopped, resumed = tiny_model(), tiny_model(), tiny_model(seed=9)
    train(held, "held")
    assert distance(held) < 0.5 * distance(free)
    with pytest.raises(RuntimeError, match="the power went out"):
        train(stopped, "stopped", cut_at(5))
    train(resumed, "stopped")
    assert same(weights(resumed), weights(held))


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "focal", "loss_options": {"gamma": 1}},
        {"regularizers": {"phones": 0.5}},
        {"regularizers": {"phones": 0.5}, "loss_weighting": "uncertainty"},
        {
            "regularizers": {"phones": 0.5},
            "loss_weighting": "gradnorm",
            "loss_weighting_options": {"rate": 0.1},
        },
    ],
    ids=["focal", "phones", "uncertainty", "gradnorm"],
)
def test_a_choice_changes_the_weights_and_a_resumed_run_goes_on_with_its_state(
    changes: dict, data: TrainingData, tmp_path: Path
):
    short = replace(CONFIG, epochs=2, steps_per_epoch=2)
    config, data = replace(short, **changes), replace(data, transcribed=transcribed(data))
    before = (
        replace(config, loss_weighting="fixed", loss_weighting_options={})
        if "loss_weighting" in changes
        else short
    )
    plain, whole, stopped, resumed = tiny_model(), tiny_model(), tiny_model(), tiny_model(seed=9)
    for model, settings in ((plain, before), (whole, config)):
        seed_everything(0)  # a new phone output is drawn
        fit(model, settings, data, tmp_path / ("whole" if model is whole else "plain"), no_change)
    assert not same(weights(plain), weights(whole))
    seed_everything(0)
    with pytest.raises(RuntimeError, match="the power went out"):
        fit(stopped, config, data, tmp_path / "stopped", cut_at(3))
    fit(resumed, config, data, tmp_path / "stopped", no_change)
    assert same(weights(resumed), weights(whole))
    states = [
        torch.load(tmp_path / name / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for name in ("whole", "stopped")
    ]
    assert same(*states), "phone output, log-variances and multipliers too"


def transcribed(data: TrainingData) -> AudioStore:
    """Take tones and noise for transcribed speech."""
    store = AudioStore(data.positives.utterances, None, 1)
    store.utterances = [replace(utterance, phones="AA B") for utterance in store.utterances]
    return store


def test_phones_are_learnt_beside_the_keyword(data: TrainingData, tmp_path: Path):
    config = replace(CONFIG, regularizers={"phones": 1.0}, epochs=4, steps_per_epoch=10)
    before = read_dev(tiny_model(), data)
    model = tiny_model()
    fit(model, config, replace(data, transcribed=transcribed(data)), tmp_path, no_change)
    assert read_dev(model, data).loss() < 0.5 * before.loss()
    rows = list(csv.DictReader((tmp_path / "log" / "metrics.csv").open(encoding="utf-8")))
    costs = [float(row["phones"]) for row in rows if row["phones"]]
    assert costs[-1] < 0.5 * costs[0]


def test_a_term_that_needs_transcripts_is_refused_without_any(data: TrainingData, tmp_path: Path):
    config = replace(CONFIG, regularizers={"phones": 1.0})
    with pytest.raises(ConfigError, match="regularizers.phones: learns from transcribed speech"):
        fit(tiny_model(), config, data, tmp_path)


def test_gradnorm_under_a_policy_that_moves_no_borrowed_layer_is_refused(data: TrainingData, tmp_path: Path):
    config = replace(
        CONFIG, transfer=TransferConfig("head"), regularizers={"l2_sp": 1.0}, loss_weighting="gradnorm"
    )
    with pytest.raises(ConfigError, match="train.loss_weighting gradnorm: no borrowed layer moves"):
        fit(tiny_model(), config, data, tmp_path)


def test_a_damaged_checkpoint_leaves_the_one_before_with_its_signals(data: TrainingData, tmp_path: Path):
    whole, resumed = tiny_model(), tiny_model(seed=9)
    config = replace(CONFIG, transfer=TransferConfig("surgical", num_layers=2))
    fit(whole, config, data, tmp_path / "whole", no_change)
    with pytest.raises(RuntimeError, match="the power went out"):
        fit(tiny_model(), config, data, tmp_path / "stopped", cut_at(8))  # in the third epoch
    last = tmp_path / "stopped" / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    assert fit(resumed, config, data, tmp_path / "stopped", no_change)["resumed"]
    assert same(weights(resumed), weights(whole))


def test_a_run_that_was_stopped_after_training_is_not_trained_further(data: TrainingData, tmp_path: Path):
    done, again = tiny_model(), tiny_model(seed=9)
    fit(done, CONFIG, data, tmp_path, no_change)
    last = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    fit(again, CONFIG, data, tmp_path, no_change)
    assert same(weights(again), weights(done)) and last == 9


def test_the_last_round_is_kept_also_where_an_earlier_one_was_better(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    losses = iter([0.5, 0.7, 0.9])
    monkeypatch.setattr(DevScores, "loss", lambda self: next(losses))
    with pytest.raises(RuntimeError, match="the power went out"):
        fit(tiny_model(), replace(CONFIG, steps_per_epoch=1), data, tmp_path, cut_at(2))
    assert torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2
    assert torch.load(tmp_path / "checkpoints" / "best.ckpt", weights_only=True)["global_step"] == 1


def test_the_same_seed_gives_the_same_weights_and_another_one_others(data: TrainingData, tmp_path: Path):
    found = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        model = tiny_model()
        fit(model, replace(CONFIG, epochs=1, seed=seed), data, tmp_path / name)
        found.append(weights(model))
    assert same(found[0], found[1]) and not same(found[0], found[2])


def test_frozen_layers_are_bit_identical_after_training(data: TrainingData, tmp_path: Path):
    model = tiny_model()
    before = weights(model)
    fit(model, replace(CONFIG, epochs=2, transfer=TransferConfig("early", 1)), data, tmp_path)
    for name, tensor in weights(model).items():
        moves = name.startswith(("head.", "encoder.stem.", "encoder.layers.0."))
        assert torch.equal(tensor, before[name]) is not moves, name


def recorded(
    model: WakeWordModel, config: TrainConfig, data: TrainingData, output: Path, patch: pytest.MonkeyPatch
) -> list[tuple[dict[str, torch.Tensor], dict[str, float]]]:
    """Train and return, after each step, weights and the steps that AdamW has made of each parameter."""
    steps: list[tuple[dict[str, torch.Tensor], dict[str, float]]] = []

    def after_step(task: KeywordTask, *_: object) -> None:
        state = task.optimizers().optimizer.state
        counts = {name: float(state[p]["step"]) for name, p in model.named_parameters() if p in state}
        steps.append((weights(model), counts))

    patch.setattr(KeywordTask, "on_train_batch_end", after_step)
    fit(model, config, data, output, no_change)
    return steps


@pytest.mark.parametrize("direction", ["down", "up"])
def test_a_part_is_frozen_until_it_opens_and_starts_gently_without_old_moments(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direction: Literal["down", "up"]
):
    order = ["encoder.stem.", *(f"encoder.layers.{number}." for number in range(3))]
    opens = dict(zip(order if direction == "up" else order[::-1], (2, 4, 6, 8), strict=True))
    transfer = TransferConfig("gradual", direction=direction, thaw=0.6)  # 12 steps: 1.8, 3.6, 5.4, 7.2
    config = replace(CONFIG, transfer=transfer, steps_per_epoch=4, warmup=0.25, weight_decay=0.0)
    start = weights(tiny_model())
    steps = recorded(tiny_model(), config, data, tmp_path / "gradual", monkeypatch)
    assert len(steps) == 12
    for number, (found, counts) in enumerate(steps):
        before = steps[number - 1][0] if number else start
        for name in found:
            opening = next((step for part, step in opens.items() if name.startswith(part)), 0)
            waits = number < opening or "frontend" in name
            assert torch.equal(found[name], start[name]) is waits, (number, name)
            assert torch.equal(found[name], before[name]) is waits, (number, name)
            assert counts.get(name, 0.0) == (0 if waits else number + 1 - opening)

    # AdamW's first step is as long as its rate; of 12 steps the rate rises over 3 from where a part opens
    first = next(part for part, step in opens.items() if step == 2)
    moved = max(float((steps[2][0][n] - start[n]).abs().max()) for n in start if n.startswith(first))
    assert moved == pytest.approx(0.01 * 1.0 * 0.3 * (2 + 1 - 1.8) / 3, rel=1e-3)

    alone = recorded(
        tiny_model(), replace(config, transfer=TransferConfig("head")), data, tmp_path / "head", monkeypatch
    )
    for number in (0, 1):  # before any part opens it is the policy `head`, clipping of gradients included
        assert same(steps[number][0], alone[number][0])
    assert not same(steps[2][0], alone[2][0])


def test_a_run_that_stops_early_says_only_what_it_moved(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    losses = iter([0.5, 0.7, 0.9])
    monkeypatch.setattr(DevScores, "loss", lambda self: next(losses))
    transfer = TransferConfig("gradual", thaw=0.8)  # 8 steps, of which 3 are made: from 1.6, 3.2, 4.8, 6.4 on
    config = replace(CONFIG, transfer=transfer, epochs=8, steps_per_epoch=1, patience=2)
    assert fit(tiny_model(), config, data, tmp_path)["moving"] == ["head", "layer 3"]


def test_surgical_moves_the_parts_that_the_data_pull_at_most_and_keeps_to_them(
    data: TrainingData, tmp_path: Path
):
    model, names = tiny_model(), ["stem", "layer 1", "layer 2", "layer 3"]
    start, config = weights(model), replace(CONFIG, transfer=TransferConfig("surgical", num_layers=2))
    moving = fit(model, config, data, tmp_path / "one", no_change)["moving"]
    told = torch.load(tmp_path / "one" / "checkpoints" / "last.ckpt", weights_only=True)["signals"]
    largest = sorted(names, key=lambda name: told[names.index(name)])[2:]
    assert moving == ["head", *sorted(largest, key=names.index)]
    modules = {"stem": "encoder.stem.", **{f"layer {n}": f"encoder.layers.{n - 1}." for n in (1, 2, 3)}}
    for name, tensor in weights(model).items():
        for part, prefix in modules.items():
            if name.startswith(prefix):
                assert torch.equal(tensor, start[name]) is (part not in moving), name
    other = fit(tiny_model(seed=9), config, data, tmp_path / "other", no_change)["moving"]
    assert other != moving  # so the run that goes on in the test above has kept what it was told


def test_a_loss_that_is_not_finite_stops_the_run(data: TrainingData, tmp_path: Path):
    def broken(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
        return np.full_like(waveform, np.nan) if epoch == 2 else waveform

    with pytest.raises(ConfigError, match=r"step 2: the loss is not finite; lower learning_rate or check"):
        fit(tiny_model(), CONFIG, data, tmp_path, broken)


def test_stops_early_and_takes_the_best_round_with_held_out_recordings_only(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    losses = iter([0.5, 0.7, 0.9, 1.1] * 2)
    monkeypatch.setattr(DevScores, "loss", lambda self: next(losses))
    config = replace(CONFIG, epochs=4, steps_per_epoch=1, patience=2)
    model = tiny_model()
    outcome = fit(model, config, data, tmp_path / "held_out")
    assert (outcome["epochs"], outcome["resumed"], outcome["early_stop"]) == (3, False, True)
    for name, expected in (("best", True), ("last", False)):
        stored = torch.load(tmp_path / "held_out" / "checkpoints" / f"{name}.ckpt", weights_only=True)
        found = {key.removeprefix("model."): tensor for key, tensor in stored["state_dict"].items()}
        assert same(weights(model), found) is expected
    again = tiny_model(seed=9)
    assert (
        fit(again, config, data, tmp_path / "held_out")["epochs"] == 3
    )  # as if stopped before the thresholds
    assert same(weights(again), weights(model))
    losses = iter([0.5, 0.7, 0.9, 1.1])
    trained_on = replace(data, held_out=False)
    assert fit(model, config, trained_on, tmp_path / "none")["early_stop"] is False
    stored = torch.load(tmp_path / "none" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert same(weights(model), {key.removeprefix("model."): tensor for key, tensor in stored.items()})


def test_hard_windows_are_mined_from_the_second_round_on(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    from kws.training import loop

    seeds = []

    def mine(model, store, window_samples, max_hours, seed):
        assert store is data.negatives and max_hours == CONFIG.mine_hours
        seeds.append(seed)
        return np.zeros(0, np.int64)

    monkeypatch.setattr(loop, "hard_windows", mine)
    fit(tiny_model(), replace(CONFIG, steps_per_epoch=1), data, tmp_path)
    assert seeds == [(0, 1), (0, 2)]


def test_an_unresolved_policy_is_refused(data: TrainingData, tmp_path: Path):
    with pytest.raises(ConfigError, match="must be resolved"):
        fit(tiny_model(), replace(CONFIG, transfer=TransferConfig("auto")), data, tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("epochs", 0, "train.epochs: got 0, allowed: above 0"),
        ("dev_hours", 0.0, "train.dev_hours: got 0.0, allowed: above 0"),
        ("num_workers", -1, "train.num_workers: got -1, allowed: 0 or more"),
        ("weight_decay", -0.1, "allowed: 0 or more"),
        ("warmup", 1.0, "train.warmup: got 1.0"),
    ],
)
def test_settings_out_of_range_are_refused(key: str, value: float, message: str):
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**{key: value})
