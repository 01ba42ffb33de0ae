"""Check recordings as you have them and write a manifest with splits and a report of what was left out.

    kws prep RECORDINGS [MORE ...] --output DATA
    kws prep --corpus librispeech CORPUS --output DATA
    kws prep --synthesize "hey computer" --output DATA

RECORDINGS are folders, manifests (JSON Lines or CSV with a `path` column), Lhotse cuts or single files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kws.cli.known import CORPORA
from kws.cli.parser import RECORDINGS

HELP = "recordings to a checked manifest, or synthetic speech from text"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws prep``."""
    add = parser.add_argument
    add(
        "sources",
        nargs="*",
        type=RECORDINGS,
        metavar="RECORDINGS",
        help="recordings, or with --corpus the unpacked corpus",
    )
    add("--output", type=Path, required=True, help="folder for manifest and report")
    add("--label", help="label of recordings that have none, such as the keyword")
    add("--speaker", help="speaker of recordings that name none")
    add(
        "--split",
        choices=("train", "dev", "test"),
        help="split of recordings that have none; without it they are shared out",
    )
    add("--min-s", type=float, default=0.2, help="shortest recording to keep, in seconds")
    add("--dev", type=float, default=0.1, help="share of speakers for choosing thresholds")
    add("--test", type=float, default=0.1, help="share of speakers for reporting")
    add("--corpus", choices=CORPORA, metavar="NAME", help="recipe of a public corpus: %(choices)s")
    add(
        "--synthesize",
        metavar="PHRASE",
        help="make synthetic recordings of a phrase and of what it may be confused with",
    )
    add("--language", default="en", help="eSpeak language of that phrase; `en` is every accent of English")
    add("--positives", dest="num_positives", type=int, default=500, help="synthetic recordings of the phrase")
    add("--negatives", dest="num_negatives", type=int, default=2000, help="synthetic recordings without it")
    add("--seed", type=int, default=0, help="seed of splits and synthetic voices")
    add(
        "--workers",
        dest="num_workers",
        type=int,
        default=2,
        help="threads that read audio, processes that speak",
    )
    add("--overwrite", action="store_true", help="replace a manifest made from other settings or recordings")


def run(arguments: argparse.Namespace) -> int:
    """Run the wished preparation and say where its result lies."""
    from kws.errors import ConfigError
    from kws.workflows.prepare import prepare, prepare_corpus, speak_phrase

    if arguments.synthesize is not None:
        spoken = speak_phrase(
            arguments.synthesize,
            arguments.output,
            language=arguments.language,
            num_positives=arguments.num_positives,
            num_negatives=arguments.num_negatives,
            seed=arguments.seed,
            num_workers=arguments.num_workers,
        )
        print(spoken.positives, spoken.negatives, arguments.parser.in_flags(f"note: {spoken.note}"), sep="\n")
        return 0
    if not arguments.sources:
        raise ConfigError(
            "no recordings were named; give a folder, a manifest or a file, or --synthesize PHRASE"
        )
    if arguments.corpus is not None:
        print(prepare_corpus(arguments.corpus, arguments.sources[0], arguments.output))
        return 0
    prepared = prepare(
        arguments.sources,
        arguments.output,
        label=arguments.label,
        speaker=arguments.speaker,
        split=arguments.split,
        min_s=arguments.min_s,
        dev=arguments.dev,
        test=arguments.test,
        seed=arguments.seed,
        num_workers=arguments.num_workers,
        overwrite=arguments.overwrite,
    )
    print((prepared.manifest.parent / "report.md").read_text(encoding="utf-8"))
    print(prepared.manifest)
    return 0
