"""Phone error rate of an encoder on parts of the manifests that ``embedded_data.py`` made.

    python benchmarks/phone_errors.py WORK [--encoder RUN] [--limit 200]

Reads up to ``--limit`` utterances of each manifest and split, drawn by seed 0, and prints a Markdown table:
what it recognises of what it was trained on shows whether training fits or generalisation lacks.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from kws.encoders.sources.embedded_weights import load_recogniser
from kws.manifest import read_manifest
from kws.training.pretrain import phone_error_rate
from kws.training.pretrain_data import Corpus

PARTS = (
    ("speechocean762.jsonl", "train"),
    ("speechocean762.jsonl", "dev"),
    ("speechocean762.jsonl", "test"),
    ("ljspeech.jsonl", "train"),
    ("synthetic/train.jsonl", "train"),
    ("flite/train.jsonl", "train"),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of the manifests")
    parser.add_argument("--encoder", type=Path, help="output of kws pretrain (default: what ships)")
    parser.add_argument(
        "--limit", type=int, default=200, help="utterances of each part (default: %(default)s)"
    )
    arguments = parser.parse_args()
    model = load_recogniser(arguments.encoder) if arguments.encoder else load_recogniser()
    print("| manifest | split | utterances | phone error rate (%) |\n|---|---|---|---|")
    for manifest, split in PARTS:
        found = [entry for entry in read_manifest(arguments.work / manifest, (split,)) if entry.phones]
        random.Random(0).shuffle(found)
        corpus = Corpus(found[: arguments.limit], progress=False)
        rate = phone_error_rate(model, corpus)["all"]
        print(f"| {manifest} | {split} | {len(corpus.utterances)} | {100 * rate:.1f} |", flush=True)


if __name__ == "__main__":
    main()
