"""Does a second language help the first? Three short pretrainings, by phone errors of unseen speakers.

    python -m benchmarks.embedded_data --data CORPORA --output DATA
    python -m benchmarks.languages --data DATA --work WORK [--steps 3000] [--utterances 6000]

English alone; English and Mandarin with one phone inventory; English and Mandarin with an output for each
(``kws/recipes/multilingual.yaml``). All take the same number of steps and hear as much English in each: with
Mandarin a batch is half as long again. Mandarin is read by eSpeak NG from random common words; no voice
variant of its test is in training. Finished runs are kept in ``benchmarks/results/languages.jsonl`` and not
run again, one that was stopped goes on; prints a Markdown table, with 95 % intervals over speakers.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from torchaudio.functional import edit_distance

from benchmarks.short_runs import keep, read
from data_prep.synthesis import corpus, espeak
from data_prep.synthesis.mandarin import WORDS
from data_prep.synthesis.phones import symbols_to_phones
from kws.config import load_config, read_yaml
from kws.encoders.ctc import PhoneRecognizer
from kws.encoders.sources.embedded_weights import load_recognizer
from kws.manifest import read_manifest
from kws.pretraining.batches import evaluation_batches
from kws.pretraining.config import PretrainConfig
from kws.pretraining.corpus import SpeechCorpus
from kws.pretraining.sources import SpeechSourceConfig, load_sources
from kws.pretraining.task import count_edits, recognize
from kws.workflows.pretrain import pretrain, texts_as_phones

KIND = "languages"
"""Name of the file of results."""
LANGUAGE = "cmn"
CHOICES = {
    "English alone": "shared",
    "English and Mandarin, one inventory": "shared",
    "English and Mandarin, an output for each": "per_language",
}
"""What is compared, with the recipe's ``outputs``."""
SHARE = 1 / 3
"""Of what is heard in a run with Mandarin, the part that is Mandarin."""
NUM_VOICES = {"train": 400, "dev": 50, "test": 100}
FEWEST_TEST = 100
"""Mandarin utterances for dev and for test; a twentieth of those for training where that is more."""

Edits = dict[str, list[int]]
"""Of each speaker: edits, and phones that were said."""


def make_mandarin(folder: Path, num_utterances: int, num_workers: int) -> None:
    """Write the manifests of synthetic Mandarin, one for each split; finished files are kept."""
    fewer = max(FEWEST_TEST, num_utterances // 20)
    for seed, (split, count) in enumerate(
        (("train", num_utterances), ("dev", fewer), ("test", fewer)), start=1
    ):
        texts = corpus.random_texts(WORDS, count, seed, min_words=2, max_words=6)
        voices = espeak.voices(NUM_VOICES[split], seed, accents=(LANGUAGE,), split=split)
        corpus.synthesize_corpus(folder, texts, count, voices, seed, split, num_workers)


def settings(choice: str, values: dict[str, Any], arguments: argparse.Namespace) -> list[str]:
    """Return what a run changes in the recipe, as ``kws pretrain --set`` takes it."""
    english = [source for source in values["train"] if source.get("language") != LANGUAGE]
    mandarin = [source for source in values["train"] if source.get("language") == LANGUAGE]
    weight = sum(
        source["weight"] * len(read_manifest(arguments.data / source["manifest"], source["splits"]))
        for source in english
    )
    for source in mandarin:
        source["weight"] = weight * SHARE / (1 - SHARE) / arguments.utterances
        source["manifest"] = str((arguments.work / source["manifest"]).resolve())
    for source in english + mandarin:  # a short run does not draw more
        source["versions"] = min(source["versions"], arguments.versions)
    alone = choice == "English alone"
    changes = {
        "train": english if alone else english + mandarin,
        "dev": [source for source in values["dev"] if source.get("language") != LANGUAGE],
        "test": [],
        "outputs": CHOICES[choice],
        "batch_s": values["batch_s"] * (1 - SHARE if alone else 1),
        "steps": arguments.steps,
        "evaluate_every": min(arguments.steps, 1000),
    }
    return [f"{key}={json.dumps(value)}" for key, value in changes.items()] + arguments.set


def edits_by_speaker(model: PhoneRecognizer, speech: SpeechCorpus, in_english_phones: bool = False) -> Edits:
    """Count edits of each speaker, or of each voice variant of a synthesiser.

    Args:
        model: the recogniser.
        speech: of one language.
        in_english_phones: map what the output of another language heard, and what was said, to ARPAbet.
    """
    found: Edits = defaultdict(lambda: [0, 0])
    for batch, utterances in evaluation_batches(speech, 120.0, model.encoder):
        counted = count_edits(model, batch)[0]
        if in_english_phones:
            symbols = model.inventories[LANGUAGE]
            heard = [
                symbols_to_phones([symbols[index - 1] for index in row], LANGUAGE)
                for row in recognize(model, batch)[0]
            ]
            said = [symbols_to_phones(str(utterance.phones).split(), LANGUAGE) for utterance in utterances]
            counted = [(int(edit_distance(s, h)), len(s)) for s, h in zip(said, heard, strict=True)]
        for (edits, length), utterance in zip(counted, utterances, strict=True):
            total = found[str(utterance.speaker).split("-s")[0]]
            total[0] += edits
            total[1] += length
    return dict(sorted(found.items()))


def measure(run: Path, config: PretrainConfig, arguments: argparse.Namespace) -> dict[str, Edits]:
    """Return the edits of a finished run on English dev and test speech and on Mandarin test speech."""
    model, found = load_recognizer(run), {}
    own = bool(model.inventories)

    def hear(source: SpeechSourceConfig, root: Path) -> SpeechCorpus:
        return load_sources((source,), root, texts_as_phones, config.outputs, model.inventories)

    for part, sources in (("dev", config.dev), ("test", config.test)):
        for source in sources:
            if not source.language:
                found[f"english {part}"] = edits_by_speaker(model, hear(source, arguments.data))
            elif part == "test":
                speech = hear(source, arguments.work)
                found["mandarin test"] = edits_by_speaker(model, speech, in_english_phones=own)
                if own:
                    found["mandarin test, own symbols"] = edits_by_speaker(model, speech)
    return found


def rate_with_interval(edits: Edits | None) -> str:
    """Return the phone error rate in percent with its 95 % interval, from 2000 draws of speakers."""
    if not edits:
        return "–"
    counts = np.array(list(edits.values()))
    rng = np.random.default_rng(0)
    drawn = counts[rng.integers(len(counts), size=(2000, len(counts)))].sum(1)
    low, high = np.percentile(100 * drawn[:, 0] / drawn[:, 1], [2.5, 97.5])
    total, length = counts.sum(0)
    return f"{100 * total / length:.1f} ({low:.1f}–{high:.1f})"


def table(rows: list[dict]) -> Iterator[str]:
    """Yield the lines of a Markdown table of phone error rates."""
    columns = ("english dev", "english test", "mandarin test", "mandarin test, own symbols")
    yield "| pretraining | steps | hours | " + " | ".join(f"{column} (%)" for column in columns) + " |"
    yield "|---|---|---|" + "---|" * len(columns)
    for row in rows:
        values = [rate_with_interval(row["edits"].get(column)) for column in columns]
        name = row["choice"] + (f", {' '.join(row['settings'])}" if row["settings"] else "")
        yield f"| {name} | {row['steps']} | {row['train_hours']:.1f} | " + " | ".join(values) + " |"


def main() -> None:
    """Make the Mandarin manifests, run what is not in the results yet, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder that embedded_data.py wrote")
    add("--work", type=Path, required=True, help="folder for Mandarin speech and runs")
    add("--steps", type=int, default=3000, help="steps of each run (default: %(default)s)")
    add("--utterances", type=int, default=6000, help="Mandarin for training (default: %(default)s)")
    add("--versions", type=int, default=3, help="most versions of each utterance (default: %(default)s)")
    add("--workers", type=int, default=2, help="processes that speak (default: %(default)s)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe of every run")
    arguments = parser.parse_args()
    make_mandarin(arguments.work / "mandarin", arguments.utterances, arguments.workers)
    with resources.as_file(resources.files("kws.recipes") / "multilingual.yaml") as recipe:
        for choice in CHOICES:
            name = "-".join([choice, str(arguments.steps), str(arguments.utterances), *arguments.set])
            if any(row["run"] == name for row in read(KIND)):
                continue
            values = read_yaml(recipe)
            config = replace(load_config(PretrainConfig, values), outputs=CHOICES[choice])
            run = arguments.work / KIND / name.replace(" ", "_").replace("/", "_")
            metrics = pretrain(recipe, run, arguments.data, settings(choice, values, arguments)).metrics
            row = {
                "run": name,
                "choice": choice,
                "utterances": arguments.utterances,
                "settings": arguments.set,
            }
            row |= {name: metrics[name] for name in ("steps", "train_hours", "config_hash", "wall_s")}
            keep(KIND, row | {"edits": measure(run, config, arguments)})
    print("\n".join(table(read(KIND))))


if __name__ == "__main__":
    main()
