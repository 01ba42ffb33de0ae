"""Models in files and folders: their names, and what happens when the files change."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest

from kws.errors import CheckpointError, ConfigError
from kws.serve.description import info_of
from kws.serve.library import ModelStore
from kws.serve.settings import DecisionChoices
from tests.support.onnx_models import write_tone_model


def library(*sources: Path, **choices) -> ModelStore:
    return ModelStore(list(sources), DecisionChoices(**choices))


def names(found: ModelStore) -> list[str]:
    return list(found.catalog.models)


def looked_twice(found: ModelStore) -> bool:
    """A change is taken up when two looks have seen it."""
    return found.refresh() | found.refresh()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files, and a run with two keywords."""
    models = tmp_path / "models"
    (models / "robot").mkdir(parents=True)
    write_tone_model(models / "a.onnx", {"hey robot": 500.0})
    write_tone_model(models / "b.onnx", {"computer": 1000.0})
    write_tone_model(models / "robot" / "model.onnx", {"hey robot": 700.0, "stop": 900.0})
    write_tone_model(models / "robot" / "model.int8.onnx", {"hey robot": 700.0, "stop": 900.0})
    return models


def test_each_keyword_is_its_name_and_a_second_one_has_that_of_its_file(folder: Path):
    assert names(library(folder)) == ["hey robot", "computer", "hey robot (robot)", "stop"]
    assert names(library(folder / "robot")) == ["hey robot", "stop"]
    both = library(folder / "b.onnx", folder)
    assert names(both) == ["computer", "hey robot", "hey robot (robot)", "stop"], "each file once"


def test_the_description_says_what_the_metadata_says(tmp_path: Path):
    entries = {"languages": '["en", "de"]', "created_by": "kws 0.1.0"}
    path = write_tone_model(tmp_path / "m.onnx", {"hey robot": 500.0}, metadata=entries)
    (program,) = info_of(library(path).catalog).wake
    (model,) = program.models
    assert (model.name, model.phrase, model.description) == ("hey robot", "hey robot", "hey robot")
    assert model.languages == ["en", "de"] and model.version == "000000000000" and model.installed
    assert model.attribution.name == "kws 0.1.0, encoder tones (CC0-1.0)"
    assert program.name == "kws" and program.version


def test_added_replaced_and_removed_files_are_taken_up_once_they_are_settled(folder: Path):
    found = library(folder)
    before = found.catalog
    assert not looked_twice(found) and found.catalog is before
    write_tone_model(folder / "c.onnx", {"lights": 600.0})
    assert not found.refresh(), "it may be half copied"
    assert found.refresh() and "lights" in names(found) and "lights" not in before.models
    write_tone_model(folder / "b.onnx", {"computer": 1200.0})
    assert looked_twice(found)
    assert found.catalog.models["computer"].file is not before.models["computer"].file
    assert found.catalog.models["stop"].file is before.models["stop"].file, "others stay as they were"
    (folder / "a.onnx").unlink()
    assert found.refresh() and names(found) == ["computer", "lights", "hey robot", "stop"]


def test_a_broken_file_is_refused_once_and_the_one_before_stays(
    folder: Path, caplog: pytest.LogCaptureFixture
):
    found = library(folder)
    before = found.catalog
    (folder / "b.onnx").write_bytes(b"half a model")
    (folder / "d.onnx").write_bytes(b"nothing")
    with caplog.at_level(logging.INFO, "kws.serve"):
        assert not looked_twice(found) and not looked_twice(found)
    assert found.catalog is before and found.num_refused == 2
    told = [record.fields for record in caplog.records if record.message == "model refused"]
    assert [Path(fields["path"]).name for fields in told] == ["b.onnx", "d.onnx"]
    assert [fields["kept"] for fields in told] == ["the one before stays", "it is left out"]
    write_tone_model(folder / "b.onnx", {"computer": 1000.0})
    assert looked_twice(found), "what is mended is taken up"


def test_a_file_that_opens_and_does_not_run_is_refused(tmp_path: Path):
    path = write_tone_model(tmp_path / "m.onnx", metadata={"hop_samples": "320"})
    with pytest.raises(CheckpointError, match="gave scores of shape"):
        library(path)
    assert names(library(tmp_path)) == []


def test_a_folder_that_vanishes_keeps_its_models_and_a_named_file_does_not(folder: Path):
    found = library(folder, folder / "b.onnx")
    before = names(found)
    shutil.move(folder, folder.with_name("away"))
    found.refresh()
    assert "stop" in names(found) and set(names(found)) <= set(before)
    shutil.move(folder.with_name("away"), folder)
    looked_twice(found)
    assert names(found) == before
    alone = library(folder / "b.onnx")
    (folder / "b.onnx").unlink()
    assert alone.refresh() and names(alone) == []


def test_hidden_files_are_being_written(folder: Path):
    os.replace(folder / "a.onnx", folder / ".a.onnx.part")
    shutil.copy(folder / "b.onnx", folder / ".c.onnx")
    assert names(library(folder)) == ["computer", "hey robot", "stop"]


def test_a_source_that_is_missing_or_broken_is_named(tmp_path: Path):
    with pytest.raises(CheckpointError, match="absent: no such file or folder; give exported models"):
        library(tmp_path / "absent")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(CheckpointError, match="text.onnx: onnxruntime cannot open it"):
        library(tmp_path / "text.onnx")


def test_decisions_are_chosen_for_all_or_for_one(folder: Path):
    found = library(
        folder,
        threshold={"": 0.6, "computer": 0.9},
        refractory_s={"stop": 3.0},
        smoothing_frames={"": 2},
    ).catalog.models
    assert found["computer"].file.detector.thresholds == {"computer": 0.9}
    assert found["stop"].file.detector.thresholds == {"hey robot": 0.6, "stop": 0.6}
    assert found["stop"].file.detector.decision_config.refractory_s == 3.0
    assert found["computer"].file.detector.decision_config.refractory_s == 1.0
    assert {model.file.detector.decision_config.smoothing_frames for model in found.values()} == {2}
    with pytest.raises(ConfigError, match="`refractory_s`: hey robot, stop are of one file and share"):
        library(folder / "robot", refractory_s={"stop": 3.0, "hey robot": 1.0})


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"threshold": {"": 1.5}}, r"`threshold`: got 1.5, expected a number within \[0, 1\]"),
        ({"refractory_s": {"a": -1.0}}, "`refractory_s`: got -1.0, expected 0 or more"),
        ({"refractory_s": {"a": float("inf")}}, "`refractory_s`: got inf"),
        ({"smoothing_frames": {"": 0}}, "`smoothing_frames`: got 0, expected 1"),
    ],
)
def test_choices_out_of_range_are_refused(choices: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        DecisionChoices(**choices)
