"""A pretraining run that is killed (SIGKILL) at any moment and goes on ends with the same weights."""

from __future__ import annotations

import functools
import multiprocessing
import os
import pkgutil
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import yaml
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.pytorch.callbacks import EMAWeightAveraging
from safetensors.torch import load_file

from data_prep.augmentation.spec_augment import SpecAugment
from kws.errors import CheckpointError, ConfigError, ManifestError
from kws.pretraining import loop as module
from kws.pretraining import teachers
from kws.pretraining.config import PretrainConfig
from kws.pretraining.loop import pretrain
from kws.pretraining.sources import SpeechSourceConfig
from kws.pretraining.teachers import TeacherConfig
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


class Death(NamedTuple):
    """Where a process dies: at the ``number``-th call of a function."""

    owner: str
    """Module, or ``module:class``, that holds the function."""
    name: str
    number: int = 1
    """Counts the calls in whose arguments ``of`` occurs."""
    act: Callable[..., Any] | None = None
    """Done instead of the call, before death."""
    of: str = ""

    def prepare(self) -> None:
        """Let this process die there."""
        owner = pkgutil.resolve_name(self.owner)
        original, left = getattr(owner, self.name), [self.number]

        @functools.wraps(original)
        def counted(*args: Any, **kwargs: Any) -> Any:
            left[0] -= self.of in str(args)
            if left[0] == 0:
                if self.act is not None:
                    self.act(*args, **kwargs)
                os.kill(os.getpid(), signal.SIGKILL)
            return original(*args, **kwargs)

        setattr(owner, self.name, counted)


TASK = "kws.pretraining.task:CtcTask"
THIRD_STEP = Death(TASK, "training_step", 3)


def run_and_die(recipe: PretrainConfig, output: Path, death: Death) -> None:
    death.prepare()
    run(recipe, output)


def run_as_before_and_die(recipe: PretrainConfig, output: Path) -> None:
    """Run as an earlier version did: Lightning wrote checkpoints, and averaged band statistics too."""
    vars(module)["WholeCheckpoints"] = TorchCheckpointIO
    vars(module)["EMAWeightAveraging"] = lambda decay, use_buffers: EMAWeightAveraging(decay=decay)
    run_and_die(recipe, output, THIRD_STEP)


def run_without_room(recipe: PretrainConfig, output: Path, most_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    with pytest.raises(
        CheckpointError, match=r"last.ckpt: cannot be written .*; the checkpoint before it is"
    ):
        run(recipe, output)


def begin(body: Callable[..., None], *args: Any) -> None:
    """Call a function with what the fixtures change changed here too."""
    module.STATISTICS_UTTERANCES = teachers.SHARD = 1
    torch.set_num_threads(1)
    body(*args)


def exit_code(body: Callable[..., None], *args: Any) -> int | None:
    """Call a function in a process of its own, forked from one that has not trained: torch forbids others."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=begin, args=(body, *args))
    process.start()
    process.join(60)
    return process.exitcode


def killed(recipe: PretrainConfig, output: Path, death: Death) -> None:
    """Run in a process that kills itself."""
    assert exit_code(run_and_die, recipe, output, death) == -signal.SIGKILL


def write_half(values: Any, file: Any) -> None:
    file.write(b"PK\x03\x04 half of a checkpoint")
    file.flush()


def write_half_weights(tensors: Any, path: Path) -> None:
    Path(path).write_bytes(b"half of the weights")


SAVING = "kws.encoders.sources.embedded_weights"
QUICK: dict[str, tuple[Death, int]] = {
    "augmenting": (Death("kws.pretraining.corpus", "log_mel", 5), 0),
    "writing the second checkpoint": (Death("torch", "save", 2, write_half), 2),
    "setting the second checkpoint aside": (Death("os", "replace", 2, os.rename, "previous.ckpt"), 4),
    "writing the weights": (Death("kws.weights", "save_file", 1, write_half_weights), 6),
}
"""What the process dies at, and the step that it goes on from."""

SLOW: dict[str, tuple[Death, int]] = {
    "reading speech": (Death("kws.manifest:Recording", "load", 2), 0),
    "hearing the teacher": (Death("kws.pretraining.teachers:EncoderTeacher", "embed", 2), 0),
    "the first step": (Death(TASK, "training_step"), 0),
    "writing the first checkpoint": (Death("torch", "save", 1, write_half), 0),
    "between checkpoints": (Death(TASK, "training_step", 4), 2),
    "setting the first checkpoint aside": (Death("os", "replace", 1, os.rename, "previous.ckpt"), 2),
    "evaluating at the end": (Death(TASK, "validation_step", 3), 6),
    "writing the metrics": (Death(SAVING, "write_json"), 6),
    "reading the phone error rate": (Death("kws.pretraining.loop", "phone_error_rate"), 6),
    "writing the last metrics": (Death(SAVING, "write_json", 2), 6),
}


@pytest.mark.parametrize(
    ("death", "step"),
    [
        *(pytest.param(*values, id=name) for name, values in QUICK.items()),
        *(pytest.param(*values, id=name, marks=pytest.mark.slow) for name, values in SLOW.items()),
    ],
)
def test_a_run_that_was_killed_ends_with_the_same_weights(
    recipe: PretrainConfig,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    death: Death,
    step: int,
):
    killed(recipe, tmp_path, death)
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
    for number in range(2):
        killed(longer, place, THIRD_STEP)
        place = place.rename(tmp_path / str(number + 1))
    torch.testing.assert_close(run(longer, place), expected, rtol=0, atol=0)
    assert {path.name for path in (place / "checkpoints").iterdir()} == {"last.ckpt", "previous.ckpt"}


def test_a_full_disk_leaves_the_earlier_checkpoint_whole(config: PretrainConfig, tmp_path: Path):
    killed(config, tmp_path, THIRD_STEP)
    last = tmp_path / "checkpoints" / "last.ckpt"
    before = last.read_bytes()
    assert exit_code(run_without_room, config, tmp_path, len(before) // 2) == 0
    assert last.read_bytes() == before and [path.name for path in last.parent.iterdir()] == ["last.ckpt"]
    torch.testing.assert_close(run(config, tmp_path), run(config, tmp_path / "whole"), rtol=0, atol=0)


def test_a_run_goes_on_with_the_same_speech_and_noise_alone(config: PretrainConfig, tmp_path: Path):
    folder = write_speech(tmp_path / "speech")
    recipe = replace(config, train=(SpeechSourceConfig(folder / "speech.jsonl"),))
    killed(recipe, tmp_path / "run", THIRD_STEP)
    audio = folder / "wavs" / "001.wav"
    kept, before = audio.read_bytes(), (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes()
    audio.unlink()
    message = (
        r"its speech changed since it began \(3 utterances, now 2\); 1 cannot be used any more, the first: "
        r".*speech.jsonl, line 2: .*001.wav: no such file.*; restore the files to go on, or give another "
        r"`output`"
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
    folder = tmp_path / "run"
    assert exit_code(run_as_before_and_die, config, folder) == -signal.SIGKILL
    assert not (folder / "checkpoints" / "previous.ckpt").exists()
    for name in ("speech.json", "left_out.jsonl"):
        (folder / name).unlink()
    values = yaml.safe_load((folder / "config.yaml").read_text("utf-8"))
    del values["max_left_out"]
    (folder / "config.yaml").write_text(yaml.safe_dump(values), "utf-8")
    torch.testing.assert_close(run(config, folder), run(config, tmp_path / "whole"), rtol=0, atol=0)
    with pytest.raises(ConfigError, match="differs in max_left_out; give another"):
        run(replace(config, max_left_out=0.1), folder)
