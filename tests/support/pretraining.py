"""What pretraining is tried on: five short files with phones, and a recipe of four steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kws.encoders.sources.embedded import EmbeddedConfig, EmbeddedEncoder
from kws.pretraining.config import PretrainConfig
from kws.pretraining.sources import SpeechSourceConfig
from tests.support.training import noise, tone, write_manifest, write_wavs

TINY = EmbeddedConfig(num_mels=8, dimension=12, num_layers=2, kernel=3, drop=0.3)
TEXTS = ["K AE T", "D AO G", "T AY M", "K AE", "AH"]
LENGTHS_S = [0.5, 0.7, 0.9, 0.6, 0.4]


def write_speech(folder: Path) -> Path:
    """Write five files and ``speech.jsonl``: the last two are of split dev, and one line has no phones."""
    waveforms = [tone(s, 300 + 100 * n) + noise(s, n, 0.01) for n, s in enumerate(LENGTHS_S)]
    rows = []
    for index, path in enumerate(write_wavs(folder / "wavs", waveforms)):
        rows.append(
            {"path": path.relative_to(folder), "phones": TEXTS[index], "duration_s": LENGTHS_S[index]}
        )
        rows[-1] |= {
            "duration_s": LENGTHS_S[index],
            "split": "train" if index < 3 else "dev",
            "gender": "fm"[index % 2],
            "age": 10 + 5 * index,
        }
    write_manifest(folder / "speech.jsonl", [*rows, {"path": "wavs/000.wav", "split": "train"}])
    return folder


def tiny_recipe(manifest: Path) -> PretrainConfig:
    """Return a recipe of four steps with every random part switched on."""
    return PretrainConfig(
        train=(SpeechSourceConfig(manifest),),
        dev=(SpeechSourceConfig(manifest, ("dev",)),),
        test=(SpeechSourceConfig(manifest, ("dev",)),),
        encoder=TINY,
        middle=1,
        steps=4,
        batch_s=2.0,
        ramp=0.0,
        evaluate_every=2,
        num_workers=0,
        precision="32-true",
        ema_decay=0.5,
    )


class FixedRecognizer(torch.nn.Module):
    """A recogniser that hears the same in everything; subclasses give ``logits``."""

    def __init__(self, config: EmbeddedConfig = TINY) -> None:
        super().__init__()
        self.encoder = EmbeddedEncoder(config)

    def hidden(self, features: Tensor) -> list[Tensor]:
        return [features]


def no_change(waveform: np.ndarray, item_id: str, seed: int, epoch: int) -> np.ndarray:
    """Augment nothing."""
    return waveform
