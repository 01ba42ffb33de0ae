"""Makes what ``kws enroll`` knows of other speech, in three files of ``kws/assets/embedded``.

    python -m benchmarks.background --data DATA --work WORK

Into ``background.safetensors`` go the phones of speech, as the recogniser hears them, on which thresholds of
typed phrases are chosen; into ``frames.safetensors`` every second frame of it and of synthetic voices, as the
encoder's first layers make them, against which layers are fitted, and into ``frame_phones.safetensors`` the
phones that those layers hear in it. No recording is one that the keyword benchmark tests on: all
speech-to-intent but its test split, which the recogniser heard without knowing what is said, every sixth
sentence of speechocean762's train split, which it was trained on, and noise. Of three recordings one stays
as it is, one is augmented as in training with noise recordings, and one as in training without.
``WORK`` is what ``embedded_data.py`` wrote.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from benchmarks.corpora import rows_of
from data_prep import manifests
from data_prep.augmentation.banks import NoiseBank
from data_prep.augmentation.chain import Chain, default_chain
from kws import audio
from kws.encoders.sources.embedded_weights import load_recognizer
from kws.enrollment.heard import FRAME_PHONES, FRAMES, FirstLayers, pack_frames
from kws.enrollment.typed import BACKGROUND, pack_background
from kws.weights import write_weights

TAIL_S = 0.4
SEED = 3


def main() -> None:
    """Run the shipped recogniser over the recordings and write what it hears."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the corpora")
    parser.add_argument("--work", type=Path, required=True, help="folder that embedded_data.py wrote")
    arguments = parser.parse_args()
    data = arguments.data
    noise = [row for row in rows_of(data, "noise") if row["split"] != "test"]
    rows = [row for row in rows_of(data, "speech_to_intent") if row["split"] != "test"]
    rows += [row for row in rows_of(data, "speechocean762") if row["split"] == "train"][::6]
    paths = [Path(str(row["path"])) for row in (*rows, *noise)]
    voices = [
        entry.path
        for source, every in (("flite", 10), ("synthetic", 36))
        for entry in manifests.read(arguments.work / source / "train.jsonl")[::every]
    ]
    chains = (
        Chain(()),
        default_chain(NoiseBank(tuple(paths[len(rows) :])), seed=SEED),
        default_chain(seed=SEED),
    )
    model = load_recognizer()
    first_layers = FirstLayers(model)
    heard, frames, phones = [], [], []
    for number, path in enumerate(tqdm([*paths, *voices], "listening", disable=None)):
        waveform = chains[number % len(chains)].augment(audio.load(path), path.name, SEED, 0)
        if number < len(paths):
            heard.append(model.hear(waveform, TAIL_S))
        seen = first_layers.hear(waveform).as_background()
        frames.append(seen.frames)
        phones.append(seen.phones)
    for file, tensors in (
        (BACKGROUND, {"behind": pack_background(torch.cat(heard))}),
        (FRAMES, pack_frames(torch.cat(frames))),
        (FRAME_PHONES, {"behind": pack_background(torch.cat(phones))}),
    ):
        write_weights(file, tensors)
        print(f"{file}: {max(map(len, tensors.values()))} frames, {file.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
