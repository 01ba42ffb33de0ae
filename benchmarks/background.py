"""Makes ``kws/assets/embedded/background.safetensors``: phones of speech, as the recogniser hears them.

    python benchmarks/background.py --data DATA

``kws enroll`` chooses thresholds on it. No recording is one that the keyword benchmark tests on: all
speech-to-intent but its test split, which the recogniser was never trained on, every sixth sentence of
speechocean762's train split, which it was, and noise; every second recording is augmented as in training.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # so that the file can be called by its path

import torch  # noqa: E402
from tqdm import tqdm  # noqa: E402

from benchmarks.corpora import rows_of  # noqa: E402
from data_prep.augmentation.banks import NoiseBank  # noqa: E402
from data_prep.augmentation.chain import default_chain  # noqa: E402
from kws import audio  # noqa: E402
from kws.encoders.sources.embedded_weights import load_recogniser  # noqa: E402
from kws.enrollment import BACKGROUND, pack_background  # noqa: E402
from kws.weights import write_weights  # noqa: E402

TAIL_S = 0.4
SEED = 3


def main() -> None:
    """Run the shipped recogniser over the recordings and write what it hears."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    data = parser.parse_args().data
    noise = [row for row in rows_of(data, "noise") if row["split"] != "test"]
    rows = [row for row in rows_of(data, "speech_to_intent") if row["split"] != "test"]
    rows += [row for row in rows_of(data, "speechocean762") if row["split"] == "train"][::6]
    bank = NoiseBank(tuple(Path(str(row["path"])) for row in noise))
    augment = default_chain(bank, seed=SEED).augment
    model = load_recogniser()
    heard = []
    for number, row in enumerate(tqdm([*rows, *noise], "listening")):
        waveform = audio.load(str(row["path"]))
        if number % 2:
            waveform = augment(waveform, Path(str(row["path"])).name, SEED, 0)
        heard.append(model.hear(waveform, TAIL_S))
    packed = pack_background(torch.cat(heard))
    write_weights(BACKGROUND, {"behind": packed})
    hours = len(packed) * model.encoder.info.hop_samples / audio.SAMPLE_RATE / 3600
    print(f"{BACKGROUND}: {hours:.2f} h, {BACKGROUND.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
