"""A pretraining run that is killed (SIGKILL) at any moment and goes on ends with the same weights."""

from __future__ import annotations

import functools
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch
import yaml
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import EMAWeightAveraging
from safetensors.torch import load_file

from data_prep.augmentation.spec_augment import SpecAugment
from kws import weights
from kws.encoders.sources import embedded_weights
from kws.errors import CheckpointError, ConfigError, ManifestError
from kws.manifest import Utterance
from kws.pretraining import corpus, teachers
from kws.pretraining import loop as module
from kws.pretraining.config import PretrainConfig
from kws.pretraining.loop import pretrain
from kws.pretraining.sources import SourceConfig
from kws.pretraining.task import CtcTask
from kws.pretraining.teachers import EncoderTeacher, TeacherConfig
from kws.training.checkpoints import newest_checkpoint
from tests.support.pretraining import write_speech


def louder(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
    return waveform * (1 + 0.1 * epoch)


@pytest.fixture
def recipe(config: PretrainConfig, monkeypatch: pytest.MonkeyPatch) -> PretrainConfig:
    """Six steps with a checkpoint after every second, two versions of half of the files, and a teacher."""
    monkeypatch.setattr(teachers, "SHARD", 1)
    sources = (replace(config.train[0], versions=2), config.train[0])
    teacher = TeacherConfig("embedded", depth=1, layer=1)
    return replace(config, train=sources, steps=6, ema_decay=0.6, teacher=teacher)


def run(recipe: PretrainConfig, output: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a run, the saved ones and those that training would go on with."""
    pretrain(recipe, output, louder, SpecAugment())
    last = newest_checkpoint(output / "checkpoints")
    assert last is not None and last.step == recipe.steps
    return {**load_file(output / "weights.safetensors"), **last.current}


WHOLE: dict[str, torch.Tensor] = {}


def assert_as_if_not_killed(found: dict[str, torch.Tensor], recipe: PretrainConfig, folder: Path) -> None:
    """Hold weights against those of the run that is not killed, which is made once."""
    if not WHOLE:
        WHOLE.update(run(recipe, folder / "whole"))
    torch.testing.assert_close(found, WHOLE, rtol=0, atol=0)


def call(pickled: bytes) -> None:
    """Call a function with what the fixtures change changed here too."""
    module.STATISTICS_UTTERANCES = teachers.SHARD = 1
    torch.set_num_threads(1)
    cloudpickle.loads(pickled)()


def exit_code(body: Callable[[], object]) -> int | None:
    """Call a function in a process of its own, forked from one that has not trained: torch forbids others."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=call, args=(cloudpickle.dumps(body),))
    process.start()
    process.join(60)
    return process.exitcode


def killed(recipe: PretrainConfig, output: Path, prepare: Callable[[], None]) -> None:
    """Run in a process that kills itself where ``prepare`` says."""

    def body() -> None:
        prepare()
        run(recipe, output)

    assert exit_code(body) == -signal.SIGKILL


def at_call(
    owner: Any, name: str, number: int = 1, act: Callable[..., Any] | None = None, of: str = ""
) -> Callable[[], None]:
    """Return what lets a process die at the ``number``-th call of a function.

    Args:
        owner: module or class of the function.
        name: of the function.
        number: of the call, among those in whose arguments ``of`` occurs.
        act: done instead of the call, before death.
        of: part of an argument.
    """

    def prepare() -> None:
        original, left = getattr(owner, name), [number]

        @functools.wraps(original)
        def counted(*args: Any, **kwargs: Any) -> Any:
            left[0] -= of in str(args)
            if left[0] == 0:
                if act is not None:
                    act(*args, **kwargs)
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        setattr(owner, name, counted)

    return prepare


def write_half(values: Any, file: Any) -> None:
    file.write(b"PK\x03\x04 half of a checkpoint")
    file.flush()


def write_half_weights(tensors: Any, path: Path) -> None:
    Path(path).write_bytes(b"half of the weights")


QUICK: dict[str, tuple[Callable[[], None], int]] = {
    "augmenting": (at_call(corpus, "log_mel", 5), 0),
    "writing the second checkpoint": (at_call(torch, "save", 2, write_half), 2),
    "setting the second checkpoint aside": (at_call(os, "replace", 2, os.rename, "previous.ckpt"), 4),
    "writing the weights": (at_call(weights, "save_file", 1, write_half_weights), 6),
}
"""What the process dies at, and the step that it goes on from."""

SLOW: dict[str, tuple[Callable[[], None], int]] = {
    "reading speech": (at_call(Utterance, "load", 2), 0),
    "hearing the teacher": (at_call(EncoderTeacher, "embed", 2), 0),
    "the first step": (at_call(CtcTask, "training_step"), 0),
    "writing the first checkpoint": (at_call(torch, "save", 1, write_half), 0),
    "between checkpoints": (at_call(CtcTask, "training_step", 4), 2),
    "setting the first checkpoint aside": (at_call(os, "replace", 1, os.rename, "previous.ckpt"), 2),
    "evaluating at the end": (at_call(CtcTask, "validation_step", 3), 6),
    "writing the metrics": (at_call(embedded_weights, "write_json"), 6),
    "reading the phone error rate": (at_call(module, "phone_error_rate"), 6),
    "writing the last metrics": (at_call(embedded_weights, "write_json", 2), 6),
}


@pytest.mark.parametrize(
    ("prepare", "step"),
    [
        *(pytest.param(*values, id=name) for name, values in QUICK.items()),
        *(pytest.param(*values, id=name, marks=pytest.mark.slow) for name, values in SLOW.items()),
    ],
)
def test_a_run_that_was_killed_ends_with_the_same_weights(
    recipe: PretrainConfig,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    prepare: Callable[[], None],
    step: int,
):
    killed(recipe, tmp_path, prepare)
    left = newest_checkpoint(tmp_path / "checkpoints")
    assert (left.step if left else 0) == step
    assert_as_if_not_killed(run(recipe, tmp_path), recipe, tmp_path_factory.getbasetemp())
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} <= {"last.ckpt", "previous.ckpt"}
    assert (tmp_path / "metrics.json").is_file()


def test_a_damaged_checkpoint_leaves_the_one_before(config: PretrainConfig, tmp_path: Path, caplog):
    expected = run(config, tmp_path)
    last, previous = (tmp_path / "checkpoints" / name for name in ("last.ckpt", "previous.ckpt"))
    last.write_bytes(last.read_bytes()[:1000])
    (tmp_path / "weights.safetensors").unlink()
    torch.testing.assert_close(run(config, tmp_path), expected, rtol=0, atol=0)
    assert "last.ckpt" in caplog.text and "damaged; going on from previous.ckpt, step 2" in caplog.text
    for path in (last, previous):
        path.write_bytes(b"PK")
    with pytest.raises(
        CheckpointError, match=r"last.ckpt .* and .*previous.ckpt .*: damaged.*; copy the file"
    ):
        run(config, tmp_path)
    assert last.read_bytes() == b"PK"  # nothing is overwritten


def test_a_folder_that_was_moved_goes_on_again_and_again(config: PretrainConfig, tmp_path: Path):
    longer = replace(config, steps=6)
    expected = run(longer, tmp_path / "whole")
    place = tmp_path / "0"
    for number, step in enumerate((3, 3)):
        killed(longer, place, at_call(CtcTask, "training_step", step))
        place = place.rename(tmp_path / str(number + 1))
    torch.testing.assert_close(run(longer, place), expected, rtol=0, atol=0)
    assert {path.name for path in (place / "checkpoints").iterdir()} == {"last.ckpt", "previous.ckpt"}


def test_a_full_disk_leaves_the_earlier_checkpoint_whole(config: PretrainConfig, tmp_path: Path):
    killed(config, tmp_path, at_call(CtcTask, "training_step", 3))
    last = tmp_path / "checkpoints" / "last.ckpt"
    before = last.read_bytes()

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2))
        with pytest.raises(
            CheckpointError, match=r"last.ckpt: cannot be written .*; the checkpoint before it is"
        ):
            run(config, tmp_path)

    assert exit_code(no_room) == 0
    assert last.read_bytes() == before and [path.name for path in last.parent.iterdir()] == ["last.ckpt"]
    torch.testing.assert_close(run(config, tmp_path), run(config, tmp_path / "whole"), rtol=0, atol=0)


def test_a_run_goes_on_with_the_same_speech_and_noise_alone(config: PretrainConfig, tmp_path: Path):
    folder = write_speech(tmp_path / "speech")
    recipe = replace(config, train=(SourceConfig(folder / "speech.jsonl"),))
    killed(recipe, tmp_path / "run", at_call(CtcTask, "training_step", 3))
    audio = folder / "wavs" / "001.wav"
    kept, before = audio.read_bytes(), (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes()
    audio.unlink()
    message = (
        r"its speech changed since it began \(3 utterances, now 2\); 1 cannot be used any more, the first: "
        r".*speech.jsonl:2: .*001.wav: no such file.*; restore the files to go on, or give another --output"
    )
    with pytest.raises(ManifestError, match=message):
        run(recipe, tmp_path / "run")
    audio.write_bytes(kept[:-2000] + bytes(2000))
    with pytest.raises(
        ManifestError, match=r"its speech changed since it began \(3 utterances, now 3\); restore"
    ):
        run(recipe, tmp_path / "run")
    audio.write_bytes(kept)
    with pytest.raises(ManifestError, match=r"its noise changed since it began"):
        pretrain(recipe, tmp_path / "run", louder, SpecAugment(), noise_digest="another")
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes() == before
    torch.testing.assert_close(run(recipe, tmp_path / "run"), run(recipe, tmp_path / "whole"), rtol=0, atol=0)


def test_a_run_of_an_earlier_version_goes_on(config: PretrainConfig, tmp_path: Path):
    def prepare() -> None:  # Lightning wrote checkpoints, and averaged band statistics too
        vars(module)["WholeCheckpoints"] = TorchCheckpointIO
        vars(module)["EMAWeightAveraging"] = lambda decay, use_buffers: EMAWeightAveraging(decay=decay)
        at_call(CtcTask, "training_step", 3)()

    folder = tmp_path / "run"
    killed(config, folder, prepare)
    assert not (folder / "checkpoints" / "previous.ckpt").exists()
    for name in ("speech.json", "left_out.jsonl"):
        (folder / name).unlink()
    values = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
    del values["max_left_out"]
    (folder / "config.yaml").write_text(yaml.safe_dump(values), "utf-8")
    torch.testing.assert_close(run(config, folder), run(config, tmp_path / "whole"), rtol=0, atol=0)
    with pytest.raises(ConfigError, match="differs in max_left_out; give another"):
        run(replace(config, max_left_out=0.1), folder)
