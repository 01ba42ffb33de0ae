"""A run folder gives the same model back, and what is wrong with a damaged one is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from kws.checkpoint import (
    FLAT,
    OperatingPoint,
    load_model,
    load_model_config,
    load_operating_point,
    save_model,
)
from kws.decisions import DecisionSettings
from kws.encoders.sources.embedded import EmbeddedEncoder
from kws.errors import CheckpointError, ConfigError, KwsError
from kws.model import ModelConfig, assemble
from tests.support.runs import write_run
from tests.support.training import TINY, noise, tiny_model


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


def change_config(run: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = run / "config.yaml"
    values = yaml.safe_load(path.read_text("utf-8"))
    change(values)
    path.write_text(yaml.safe_dump(values), "utf-8")


def change_weights(run: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(run / "weights.safetensors")
    change(tensors)
    save_file(tensors, run / "weights.safetensors")


@pytest.mark.parametrize("head", ["conv", "linear", "gru", "attention"])
def test_a_round_trip_gives_the_same_scores_and_settings(tmp_path: Path, head: str):
    model = tiny_model(("hé, da", "b"), head=head).eval()
    config = ModelConfig(("hé, da", "b"), depth=3, head=head, weights=Path("gone/on/this/machine"))
    point = OperatingPoint({"hé, da": 0.25, "b": 0.5}, DecisionSettings(0.4, 3, 0.7, 0.2, 0.1), 1.25, ("b",))
    save_model(tmp_path, model, config, point, training={"seed": 3}, metrics={"m": 1}, provenance={"p": "é"})
    loaded = load_model(tmp_path)
    waveform = torch.from_numpy(noise(1.0))[None]
    assert torch.equal(loaded.scores(waveform), model.scores(waveform))
    assert loaded.keywords == ("hé, da", "b") and not loaded.training
    assert load_operating_point(tmp_path) == point
    assert {path.name for path in tmp_path.iterdir()} == {
        "config.yaml",
        "metrics.json",
        "provenance.json",
        "weights.safetensors",
    }
    assert yaml.safe_load((tmp_path / "config.yaml").read_text("utf-8"))["training"] == {"seed": 3}


def test_thresholds_of_an_earlier_version_load(tmp_path: Path):
    config, model = ModelConfig(("a", "b"), depth=3), tiny_model(("a", "b")).eval()
    point = OperatingPoint({"a": 0.25, "b": 0.5}, DecisionSettings(0.4, 3, 0.7), 1.25)
    save_model(tmp_path, model, config, point, training={}, metrics={}, provenance={})
    values = yaml.safe_load((tmp_path / "config.yaml").read_text("utf-8"))
    flat = values["operating_point"].pop("decision")
    values["operating_point"] |= {name: flat[name] for name in FLAT}  # beside the thresholds
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values), "utf-8")
    assert load_operating_point(tmp_path) == point


SAID = [["K AE T"], ["D AO G", "D AA G"]]


@pytest.mark.parametrize(
    ("head", "options", "earlier"),
    [
        ("phrase", {"pronunciations": SAID, "readings": [[3], []]}, {"readings": [[3], []]}),
        ("phrase_window", {"pronunciations": SAID, "layers": 1}, {"head_layers": 1}),
        ("attributes", {"pronunciations": SAID}, {}),
        ("columns", {"sizes": [1, 1]}, {"columns": [1, 1]}),
        (
            "ensemble",
            {
                "pronunciations": SAID,
                "layers": 1,
                "trained": "columns",
                "trained_options": {"sizes": [1, 1]},
            },
            {"columns": [1, 1], "head_layers": 1, "head": "columns"},
        ),
        (
            "ensemble",
            {"pronunciations": SAID, "layers": 1, "trained": "gru"},
            {"head_layers": 1, "head": "gru"},
        ),
        ("conv", {}, {}),
    ],
)
def test_a_model_folder_of_an_earlier_version_loads(
    head: str, options: dict[str, Any], earlier: dict[str, Any], tmp_path: Path
):
    """Earlier versions had the fields of every head in the model, and no head called ensemble."""
    config = ModelConfig(("cat", "dog"), depth=2, head=head, head_options=options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = assemble(EmbeddedEncoder(TINY), config).eval()
    point = OperatingPoint({"cat": 0.5, "dog": 0.5}, DecisionSettings(), 1.0)
    save_model(tmp_path, model, config, point, training={}, metrics={}, provenance={})
    path = tmp_path / "config.yaml"
    values = yaml.safe_load(path.read_text("utf-8"))
    assert values["model"].pop("head_options") == options
    said = SAID if "pronunciations" in options else []
    defaults = {"pronunciations": said, "readings": [], "columns": [], "head_layers": 0}
    values["model"] |= {**defaults, **earlier}
    path.write_text(yaml.safe_dump(values), "utf-8")
    loaded, waveform = load_model(tmp_path), torch.from_numpy(noise(1.0))[None]
    assert torch.equal(loaded.scores(waveform), model.scores(waveform))
    assert load_model_config(tmp_path).options == config.options


NAME = "head.output.bias"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop(NAME), f"{NAME} is missing"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "extra is not part of the model"),
        (
            lambda tensors: tensors.update({NAME: torch.zeros(5)}),
            rf"{NAME} is \(5,\), expected \(2,\)",
        ),
        (lambda tensors: tensors.clear(), r"is missing.*is missing.*is missing and \d+ more"),
    ],
)
def test_weights_that_do_not_fit_are_named(run: Path, change: Callable, message: str):
    change_weights(run, change)
    with pytest.raises(CheckpointError, match=rf"weights\.safetensors: the weights do not fit.*{message}"):
        load_model(run)


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "gone"])
def test_a_damaged_weights_file_is_named(run: Path, damage: str):
    path = run / "weights.safetensors"
    data = {"cut": path.read_bytes()[:-100], "text": b"no tensors", "empty": b""}.get(damage)
    path.unlink() if data is None else path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"run/weights\.safetensors: no readable safetensors weights"):
        load_model(run)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.pop("model"), "is not of a keyword model"),
        (lambda values: values.pop("operating_point"), "is not of a keyword model"),
        (lambda values: values.pop("encoder_shape"), "is not of a keyword model"),
        (
            lambda values: values["model"].update(dept=3),
            "model: unknown key `dept`; did you mean `depth`",
        ),
        (lambda values: values["model"].update(depth="deep"), "model.depth: expected int, got 'deep'"),
        (lambda values: values["model"].update(depth=9), "depth: got 9, allowed: 1 to 2"),
        (lambda values: values["model"].update(head="hed"), "head: got 'hed', allowed: attention, conv"),
        (lambda values: values["model"].update(encoder="embeded"), "encoder: got 'embeded', nearest known"),
        (
            lambda values: values["encoder_shape"].update(kernl=3),
            "encoder_shape: unknown key `kernl`; did you mean `kernel`",
        ),
        (lambda values: values.update(model=3), "model: expected keys and values, got int"),
    ],
)
def test_a_damaged_configuration_is_named_with_its_file(run: Path, change: Callable, message: str):
    change_config(run, change)
    with pytest.raises(KwsError, match=rf"(?s)^\S*{message}|config\.yaml: .*{message}") as caught:
        load_model(run)
    assert "config.yaml" in str(caught.value) or "head" in message


def test_an_unknown_key_of_the_thresholds_is_named(run: Path):
    change_config(run, lambda values: values["operating_point"].update(threshholds={}))
    with pytest.raises(
        ConfigError,
        match=r"config\.yaml: operating_point: unknown key `threshholds`; did you mean `thresholds`",
    ):
        load_operating_point(run)


def test_a_folder_that_is_no_run_is_named(tmp_path: Path, run: Path):
    with pytest.raises(CheckpointError, match=r"absent: holds no config\.yaml; give the output folder of"):
        load_model(tmp_path / "absent")
    (run / "config.yaml").write_text("model: [", "utf-8")
    with pytest.raises(ConfigError, match=r"config\.yaml: not valid YAML"):
        load_model(run)
    (run / "config.yaml").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigError, match=r"config\.yaml: is no text file in UTF-8"):
        load_model(run)


def test_a_write_that_fails_leaves_the_earlier_run(run: Path, monkeypatch: pytest.MonkeyPatch):
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    monkeypatch.setattr("kws.weights.save_file", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(CheckpointError, match=r"weights.safetensors: cannot be written \(disk full\); free"):
        write_run(run, keywords=("other",))
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
