"""Makes the weights that a microcontroller network begins from, ``kws/assets/student``.

    python -m benchmarks.student_weights --data DATA --work WORK

DATA holds the corpora of ``CORPORA`` and of ``NOISE``, each with ``manifest.jsonl``; of each only split
``train`` is heard, and English alone: 9.6 h, which become rows of 3 s in noise and rooms. A student
learns to give the principal components of the shipped encoder's frames, which hears the rows clean: no
transcript and no keyword is needed. Some 35 minutes on one core; rows are kept in WORK.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks import corpora
from data_prep.augmentation import NoiseBank, stable_rng
from data_prep.augmentation.chain import Chain, default_chain
from kws.audio_store import AudioStore
from kws.encoders.sources.embedded_weights import load
from kws.student.features import micro_features
from kws.student.network import STRIDE, Student, StudentConfig
from kws.student.pretraining import HINTS, STAGES, pretrain
from kws.student.rows import BEFORE_SAMPLES, BEFORE_STEPS, NUM_STEPS, ROW_SAMPLES, STRIDE_SAMPLES
from kws.weights import write_weights

CORPORA = (
    "mini_librispeech",
    "speechocean762",
    "ljspeech",
    "speech_to_intent",
    "precise_community",
    "dspspeech",
)
NOISE = ("noise", "esc")
LENGTH = BEFORE_SAMPLES + ROW_SAMPLES
AT_ONCE = 16
SAMPLED = 800
"""Rows that the principal components are found on."""
UNCHANGED = 0.1
"""Share of rows that are heard as they are."""
ENDS = STRIDE_SAMPLES * np.arange(BEFORE_STEPS + 1, BEFORE_STEPS + NUM_STEPS + 1)


def clean_rows(store: AudioStore, first: int, last: int) -> np.ndarray:
    """Return rows of a store's joined audio with what was heard before them, (rows, ``LENGTH``) float32."""
    starts = [number * ROW_SAMPLES - BEFORE_SAMPLES for number in range(first, last)]
    return np.stack([np.resize(store.window(start, LENGTH), LENGTH) for start in starts])


def frames(encoder: torch.nn.Module, rows: np.ndarray) -> np.ndarray:
    """Return the encoder's last frame before the end of each step, (rows, steps, dimension)."""
    with torch.inference_mode():
        heard = encoder(torch.from_numpy(rows), torch.full((len(rows),), LENGTH)).features.numpy()
    return np.asarray(heard[:, ENDS // encoder.info.hop_samples - 1])


def components(encoder: torch.nn.Module, store: AudioStore) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (dimension,) and the projection (dimension, ``HINTS``), half whitened."""
    rows = [frames(encoder, clean_rows(store, at, at + AT_ONCE)) for at in range(0, SAMPLED, AT_ONCE)]
    heard = np.concatenate(rows).reshape(-1, rows[0].shape[-1])
    mean = heard.mean(0)
    _, spread, directions = np.linalg.svd(heard - mean, full_matrices=False)
    scale = np.sqrt(spread[:HINTS] / np.sqrt(len(heard)))
    return mean, directions[:HINTS].T / scale


def make_rows(data: Path, work: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return features (rows, time, channels) int8 and hints (rows, steps, ``HINTS``) float16."""
    kept = work / "rows.npz"
    if not kept.exists():
        found = [row for name in CORPORA for row in corpora.rows_of(data, name) if row["split"] == "train"]
        english = corpora.utterances([row for row in found if row.get("language", "en") == "en"])
        shuffled = [english[index] for index in np.random.default_rng(1).permutation(len(english))]
        store = AudioStore(shuffled, work / "cache")
        noise = [row for name in NOISE for row in corpora.rows_of(data, name) if row["split"] == "train"]
        bank, _ = NoiseBank.of_readable([Path(str(row["path"])) for row in noise])
        chain = Chain(default_chain(bank, seed=3).transforms[1:])  # without a change of speed
        encoder = load(None, True).eval()
        mean, projection = components(encoder, store)
        features, hints = [], []
        number = len(store.samples) // ROW_SAMPLES
        for at in tqdm(range(0, number, AT_ONCE), "rows", disable=None):
            rows = clean_rows(store, at, min(number, at + AT_ONCE))
            hints.append(((frames(encoder, rows) - mean) @ projection).astype(np.float16))
            for index, row in enumerate(rows, at):
                rng = stable_rng(7, "pre", str(index), 0)
                heard = row if rng.random() < UNCHANGED else np.asarray(chain(row, rng), np.float32)[:LENGTH]
                features.append(micro_features(heard)[BEFORE_STEPS * STRIDE :])
        np.savez(kept, features=np.stack(features), hints=np.concatenate(hints))
    with np.load(kept) as held:
        return held["features"], held["hints"]


def main() -> None:
    """Make the rows, train through every stage, and write the weights."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--work", type=Path, required=True, help="folder for rows and weights")
    arguments = parser.parse_args()
    features, hints = make_rows(arguments.data, arguments.work)
    torch.manual_seed(0)
    student = Student(StudentConfig())
    for stage in STAGES:
        left: list[list[float]] = []
        with tqdm(total=stage.steps, desc="pretraining", disable=None) as bar:

            def show(step: int, values: list[float], bar: tqdm = bar, left: list[list[float]] = left) -> None:
                bar.update(step - bar.n)
                left.append(values)

            pretrain(student, features, hints, stage, on_step=show)
        told = ", ".join(f"{share:.3f}" for share in np.mean(left[-500:], 0))
        print(f"{stage}: share of the hints' variance that is left at each block {told}")
    write_weights(arguments.work / "weights.safetensors", student.state_dict())


if __name__ == "__main__":
    main()
