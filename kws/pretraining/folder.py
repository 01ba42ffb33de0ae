"""The folder of a pretraining run: which recipe and which speech it belongs to, and what was left out."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from kws.config import load_config, read_yaml, to_dict
from kws.errors import ConfigError, ManifestError
from kws.pretraining.checks import LeftOut, described
from kws.pretraining.config import PretrainConfig
from kws.pretraining.corpus import SpeechCorpus
from kws.training.checkpoints import Resumed, newest_checkpoint
from kws.weights import CONFIG, write_json, write_text

CHECKPOINTS, SPEECH, LEFT_OUT = "checkpoints", "speech.json", "left_out.jsonl"
"""Of a run: its checkpoints; what it is trained on, by hash; the lines of manifests not used, and why."""


def earlier_run(config: PretrainConfig, output: Path) -> tuple[PretrainConfig, Resumed | None]:
    """Hold a recipe against that of the run that is in its folder.

    Returns:
        The recipe, with the inventories that were collected for that run, and the checkpoint to go on from,
        or None.
    Raises:
        ConfigError: the folder holds a run of another recipe.
        CheckpointError: its checkpoints are damaged.
    """
    resumed = newest_checkpoint(output / CHECKPOINTS)
    if not resumed or not (output / CONFIG).exists():
        return config, resumed
    before, now = read_yaml(output / CONFIG), to_dict(config)
    with suppress(ConfigError):  # what the recipe of an earlier version lacks has its default
        before = to_dict(load_config(PretrainConfig, before))
    changed = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    collected = before.get("inventories", {})
    if all(collected.get(language) == symbols for language, symbols in config.inventories.items()):
        changed = [key for key in changed if key != "inventories"]  # the run added others
    if changed:
        raise ConfigError(
            f"{output}: holds a run of a recipe that differs in {', '.join(changed)}; give another "
            "`output`, or the recipe it was started with to go on"
        )
    return replace(config, inventories=collected), resumed


def claim_speech(corpus: SpeechCorpus, noise: str, output: Path, resumed: bool, write: bool = True) -> None:
    """Note what a run is trained on, or hold it against what it began with: else it would not go on alike.

    Args:
        corpus: what it is trained on.
        noise: digest of what is mixed in.
        output: folder of the run.
        resumed: it goes on from a checkpoint.
        write: False where another process writes.
    Raises:
        ManifestError: speech or noise are not those that the run began with.
    """
    path = output / SPEECH
    now: dict[str, Any] = {
        "speech": corpus.digest(),
        "noise": noise,
        "utterances": len(corpus.audio),
        "left_out": [entry.where for entry in corpus.left_out],
    }
    before = json.loads(path.read_text("utf-8")) if resumed and path.exists() else now
    changed = [what for what in ("speech", "noise") if before[what] != now[what]]
    if changed:
        gone = [entry for entry in corpus.left_out if entry.where not in before["left_out"]]
        found = f"; {len(gone)} cannot be used any more, the first: {described(gone[0])}" if gone else ""
        raise ManifestError(
            f"{output}: its {' and '.join(changed)} changed since it began ({before['utterances']} "
            f"utterances, now {now['utterances']}){found}; restore the files to go on, or give another "
            "`output`"
        )
    if write:
        write_json(path, now)


def write_left_out(output: Path, left_out: dict[str, list[LeftOut]]) -> None:
    """Write one line for each line of a manifest that is not used, by train, dev and test."""
    rows = [{"set": name, **entry._asdict()} for name, entries in left_out.items() for entry in entries]
    write_text(output / LEFT_OUT, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows))
