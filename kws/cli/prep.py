"""Check recordings as you have them and write a manifest with splits and a report of what was left out.

    kws prep RECORDINGS [MORE ...] --output DATA
    kws prep --corpus librispeech CORPUS --output DATA
    kws prep --synthesize --keyword "hey computer" --output DATA

RECORDINGS are folders, manifests (JSON Lines or CSV with a `path` column), Lhotse cuts or single files.
"""

from __future__ import annotations

import argparse

from kws.cli.known import CORPORA
from kws.cli.options import add_option
from kws.cli.parser import RECORDINGS, CommandParser, renamed_option

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
    add_option(parser, "--output", "the folder gets manifest and report", required=True)
    add("--label", help="label of recordings that have none, such as the keyword")
    add_option(parser, "--speaker", "in recordings that name none")
    add_option(
        parser,
        "--split",
        "of recordings that name none; without it they are shared out",
        choices=("train", "dev", "test"),
    )
    add("--min-s", type=float, default=0.2, help="shortest recording to keep, in seconds")
    add("--dev", type=float, default=0.1, help="share of speakers for choosing thresholds")
    add("--test", type=float, default=0.1, help="share of speakers for reporting")
    add("--corpus", choices=CORPORA, metavar="NAME", help="recipe of a public corpus: %(choices)s")
    add(
        "--synthesize",
        action="store_true",
        help="make synthetic recordings of a --keyword and of what it may be confused with",
    )
    add_option(parser, "--keyword", "for --synthesize")
    add_option(parser, "--language", "for --synthesize")
    add_option(parser, "--voices", "(default: espeak)")
    add("--num-positives", type=int, default=500, metavar="N", help="synthetic recordings of the keyword")
    add("--num-negatives", type=int, default=2000, metavar="N", help="synthetic recordings without it")
    add_option(parser, "--seed")
    add_option(parser, "--workers", "or speak")
    add_option(parser, "--overwrite")
    renamed_option(parser, "--positives", "--num-positives")
    renamed_option(parser, "--negatives", "--num-negatives")
    if isinstance(parser, CommandParser):
        parser.moved_values["--synthesize"] = "--keyword"


def run(arguments: argparse.Namespace) -> int:
    """Run the wished preparation and say where its result lies."""
    from kws.errors import ConfigError
    from kws.workflows.prepare import prepare, prepare_corpus, synthesize

    if arguments.synthesize:
        if arguments.keyword is None:
            raise ConfigError("--synthesize: which keyword? Give it as --keyword")
        spoken = synthesize(
            arguments.keyword,
            arguments.output,
            language=arguments.language,
            voices=arguments.voices or ("espeak",),
            num_positives=arguments.num_positives,
            num_negatives=arguments.num_negatives,
            seed=arguments.seed,
            num_workers=arguments.num_workers,
        )
        print(spoken.positives, spoken.negatives, arguments.parser.in_flags(f"note: {spoken.note}"), sep="\n")
        return 0
    if not arguments.sources:
        raise ConfigError(
            "no recordings were named; give a folder, a manifest or a file, or --synthesize and a --keyword"
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
