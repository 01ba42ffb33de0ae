"""Phone error rate of an encoder on parts of the manifests that ``embedded_data.py`` made.

    python -m benchmarks.phone_errors WORK [--encoder RUN] [--limit 200] [--splits dev test] [--by gender age]

Reads up to ``--limit`` utterances of each manifest and split, drawn by seed 0, as they are and with the
full augmentation of training (rooms, noise, speed, codecs), and prints a Markdown table. What it recognises
of what it was trained on shows whether training fits or generalisation lacks. Speech that was not trained on
is also read with phone 6-grams of the sentences that were.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from data_prep import manifests
from data_prep.augmentation.banks import NoiseBank
from data_prep.augmentation.chain import default_chain
from kws import audio, phones
from kws.encoders.sources.embedded_weights import load_recognizer
from kws.manifest import read_manifest
from kws.pretraining.corpus import SpeechCorpus
from kws.pretraining.phone_ngrams import PhoneNgrams
from kws.pretraining.task import phone_error_rate

SEED = 0
PARTS = (
    ("speechocean762.jsonl", "train"),
    ("speechocean762.jsonl", "dev"),
    ("speechocean762.jsonl", "test"),
    ("mini_librispeech.jsonl", "train"),
    ("mini_librispeech.jsonl", "dev"),
    ("mini_librispeech.jsonl", "test"),
    ("dspspeech.jsonl", "test"),
    ("ljspeech.jsonl", "train"),
    ("synthetic/train.jsonl", "train"),
    ("flite/train.jsonl", "train"),
)
SENTENCES = (("speechocean762.jsonl", "train"), ("ljspeech.jsonl", "train"))
"""Parts whose texts are sentences; the synthetic ones hold random words too."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of the manifests")
    parser.add_argument("--encoder", type=Path, help="output of kws pretrain (default: what ships)")
    parser.add_argument(
        "--limit", type=int, default=200, help="utterances of each part, 0 for all (default: %(default)s)"
    )
    parser.add_argument(
        "--splits",
        nargs="+",
        choices=("train", "dev", "test"),
        default=("train", "dev", "test"),
        help="parts of these splits alone (default: all)",
    )
    parser.add_argument(
        "--by", nargs="+", default=[], metavar="FIELD", help="also by a field of the manifests: gender age"
    )
    arguments = parser.parse_args()
    model = load_recognizer(arguments.encoder) if arguments.encoder else load_recognizer()
    noise = NoiseBank(tuple(entry.path for entry in manifests.read(arguments.work / "noise.jsonl")))
    augment = default_chain(noise, seed=SEED).augment
    parts = {
        (manifest, split): [e for e in read_manifest(arguments.work / manifest, (split,)) if e.phones]
        for manifest, split in PARTS
        if (arguments.work / manifest).is_file()
    }
    trained = {entry.phones or "" for part in SENTENCES for entry in parts[part]}
    ngrams = PhoneNgrams([phones.encode(said) for said in sorted(trained)])
    print("| manifest | split | utterances | of them | clean (%) | with 6-grams (%) | augmented (%) |")
    print("|---|---|---|---|---|---|---|")
    for (manifest, split), found in parts.items():
        if split not in arguments.splits:
            continue
        random.Random(SEED).shuffle(found)
        corpus = SpeechCorpus(found[: arguments.limit or None], progress=False)
        clean = phone_error_rate(model, corpus, arguments.by)
        read = {} if split == "train" else phone_error_rate(model, corpus, arguments.by, [ngrams])
        corpus.audio = [
            audio.to_int16(augment(waveform, entry.path.name, SEED, 0))
            for waveform, entry in zip(corpus.audio, corpus.utterances, strict=True)
        ]
        augmented = phone_error_rate(model, corpus, arguments.by)
        for group in clean:
            rates = [f"{100 * found[group]:.1f}" if found else "–" for found in (clean, read, augmented)]
            print(
                f"| {manifest} | {split} | {len(corpus.audio)} | {group} | {' | '.join(rates)} |", flush=True
            )


if __name__ == "__main__":
    main()
