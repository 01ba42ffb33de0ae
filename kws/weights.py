"""Weights in safetensors and small text files, written under a temporary name; nothing is unpickled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kws import audio
from kws.config import to_dict
from kws.errors import CheckpointError

WEIGHTS, CONFIG, METRICS = "weights.safetensors", "config.yaml", "metrics.json"
"""Files of every folder that holds a model."""


def write_weights(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors as safetensors, under a temporary name first.

    Raises:
        CheckpointError: they cannot be written, such as to a full disk; what was there is whole.
    """
    try:
        with audio.atomic_write(path) as temporary:
            plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
            save_file(plain, temporary)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: cannot be written ({error}); free space, or make the folder writable, and give the "
            "same command again"
        ) from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path}: no readable safetensors weights ({error}); check the path or train again"
        ) from error


def load_strictly(module: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Load weights into a module, every name and shape agreeing.

    Raises:
        CheckpointError: names or shapes differ; the first differences are named.
    """
    wanted = module.state_dict()
    wrong = [
        f"{name} is {tuple(tensors[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    wrong += [f"{name} is missing" for name in wanted if name not in tensors]
    wrong += [f"{name} is not part of the model" for name in tensors if name not in wanted]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise CheckpointError(
            f"{path}: the weights do not fit the model: {'; '.join(wrong[:3])}{more}; "
            "use the configuration that the weights were trained with"
        )
    module.load_state_dict({name: tensor.to(wanted[name].dtype) for name, tensor in tensors.items()})


def write_text(path: Path, text: str) -> None:
    """Write a text file under a temporary name first."""
    with audio.atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, values: Any) -> None:
    """Write JSON under a temporary name first."""
    write_text(path, json.dumps(values, indent=2, sort_keys=True) + "\n")


def write_config(path: Path, config: Any) -> None:
    """Write a configuration dataclass as YAML under a temporary name first."""
    write_text(path, yaml.safe_dump(to_dict(config), sort_keys=False))
