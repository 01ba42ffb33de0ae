"""Makes ``kws/assets/embedded/words.safetensors``: the maps of ``kws enroll --method`` for what ships.

    python -m benchmarks.word_space WORK

WORK holds the manifests of ``embedded_data.py``. A recogniser of ``kws pretrain`` gets its maps by the key
``words`` of its recipe.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kws.encoders.sources.embedded_weights import ASSETS, load_recognizer
from kws.pretraining.sources import SpeechSourceConfig, load_sources
from kws.pretraining.word_space import make_word_space

UTTERANCES = 4000
SOURCES = (
    SpeechSourceConfig(Path("speechocean762.jsonl"), weight=5.0),
    SpeechSourceConfig(Path("ljspeech.jsonl"), weight=2.0),
    SpeechSourceConfig(Path("flite/train.jsonl"), weight=0.8),
)


def main() -> None:
    """Learn the maps and write them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of the manifests")
    work = parser.parse_args().work
    corpus = load_sources(SOURCES, work).sample(UTTERANCES)
    path = make_word_space(load_recognizer(), corpus, ASSETS)
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
