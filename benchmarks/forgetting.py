"""What the recogniser forgets when its first layers learn a keyword.

    python -m benchmarks.forgetting RUN... --manifest FILE [--split test] [--language en] [--limit 500]

Puts the layers of each finished run of ``kws train`` back under the upper layers and the phone output of the
recogniser that they were cut from, and reads transcribed speech (`phones`, or `text` and a --language) with
both. Prints a Markdown table and adds a row for each run to ``benchmarks/results/forgetting.jsonl``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kws.checkpoint import PROVENANCE
from kws.config import read_yaml
from kws.pretraining.corpus import SpeechCorpus
from kws.pretraining.forgetting import Forgetting, measure_forgetting
from kws.pretraining.sources import SpeechSourceConfig, load_sources
from kws.weights import CONFIG
from kws.workflows.pretrain import texts_as_phones

RESULTS = Path(__file__).parent / "results" / "forgetting.jsonl"
SEED = 0


def row_of(found: Forgetting, corpus: SpeechCorpus, manifest: Path, splits: Sequence[str]) -> dict[str, Any]:
    """Return what is kept of a result: the run's choices, what it was read on, and the phone error rates."""
    values = read_yaml(found.run / CONFIG)
    training = values["training"]
    return {
        "run": found.run.name,
        "keywords": values["model"]["keywords"],
        "encoder": values["model"]["encoder"],
        "depth": found.depth,
        "policy": training["transfer"]["policy"],
        "regularizers": training.get("regularizers", {}),
        "seed": training["seed"],
        "config_hash": json.loads((found.run / PROVENANCE).read_text(encoding="utf-8"))["config_hash"],
        "manifest": f"{manifest.absolute().parent.name}/{manifest.name}",
        "manifest_sha256": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        "splits": list(splits),
        "utterances": len(corpus.utterances),
        "hours": round(corpus.hours, 3),
        "phones": sum(len(targets) for targets in corpus.targets),
        "phone_error_rate_before": found.before,
        "phone_error_rate_after": found.after,
    }


def table_line(row: dict[str, Any]) -> str:
    """Return a row as a line of the Markdown table."""
    before, after = (100 * row[f"phone_error_rate_{when}"] for when in ("before", "after"))
    terms = ", ".join(f"{name} {weight:g}" for name, weight in row["regularizers"].items()) or "–"
    values = (row["run"], row["policy"], row["depth"], terms, f"{before:.1f}", f"{after:.1f}")
    return "| " + " | ".join(map(str, values)) + f" | {after - before:+.1f} |"


def rows(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the row of each run, kept in the results before the next one is read."""
    splits = tuple(arguments.split or ["test"])
    source = SpeechSourceConfig(arguments.manifest.absolute(), splits, language=arguments.language)
    corpus = load_sources((source,), to_phones=texts_as_phones)
    if arguments.limit:
        corpus = corpus.sample(arguments.limit, SEED)
    for found in measure_forgetting(arguments.runs, corpus, arguments.weights):
        row = row_of(found, corpus, arguments.manifest, splits)
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        yield row


def main(words: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="output folder of kws train")
    parser.add_argument("--manifest", type=Path, required=True, help="JSON Lines of transcribed speech")
    parser.add_argument("--split", action="append", help="split to read; may be repeated (default: test)")
    parser.add_argument("--language", default="", help="eSpeak language of lines that have a `text` alone")
    parser.add_argument("--weights", type=Path, help="weights of the source (default: those the run names)")
    parser.add_argument("--limit", type=int, default=0, help="utterances drawn by seed 0, 0 for all")
    arguments = parser.parse_args(words)
    print("| run | policy | depth | regularisers | phone errors before (%) | after (%) | change |")
    print("|---|---|---|---|---|---|---|")
    for row in rows(arguments):
        print(table_line(row), flush=True)


if __name__ == "__main__":
    main()
