"""Check recordings as you have them and write a manifest with splits and a report of what was left out.

    kws prep RECORDINGS [MORE ...] --output DATA
    kws prep --corpus librispeech CORPUS --output DATA
    kws prep --synthesize "hey computer" --output DATA

RECORDINGS are folders, manifests (JSON Lines or CSV with a `path` column), Lhotse cuts or single files.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kws.cli import folders
from kws.cli.known import CORPORA
from kws.cli.own_names import CORPUS, PREPARED, SPOKEN, Kind
from kws.cli.parser import RECORDINGS

HELP = "recordings to a checked manifest, or synthetic speech from text"
MANIFEST = "manifest.jsonl"
"""Name of a corpus's manifest in the output folder."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws prep``."""
    add = parser.add_argument
    add("sources", nargs="*", type=RECORDINGS, help="recordings, or with --corpus the unpacked corpus")
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
    add("--positives", type=int, default=500, help="synthetic recordings of the phrase")
    add("--negatives", type=int, default=2000, help="synthetic recordings without it")
    add("--seed", type=int, default=0, help="seed of splits and synthetic voices")
    add("--workers", type=int, default=2, help="threads that read audio, processes that speak")
    add("--overwrite", action="store_true", help="replace a manifest made from other settings or recordings")


def run(arguments: argparse.Namespace) -> int:
    """Run the wished preparation and say where its result lies; a refused one leaves no new folder."""
    kind = (
        SPOKEN if arguments.synthesize is not None else CORPUS if arguments.corpus is not None else PREPARED
    )
    with folders.undone_when_refused(arguments.output, kind):
        return _prepare(arguments, kind)


def _prepare(arguments: argparse.Namespace, kind: Kind) -> int:
    """Run what ``kind`` says."""
    from data_prep.config import CheckConfig, PrepConfig, SourceConfig, SplitConfig
    from data_prep.corpora import prepare_corpus
    from data_prep.prepare import prepare
    from data_prep.synthesis.keyword import synthesize_keyword
    from data_prep.synthesis.readings import note
    from kws.errors import ConfigError
    from kws.text import normalize

    if arguments.synthesize is not None:
        folders.claim(arguments.output, kind)
        counts = (arguments.positives, arguments.negatives, arguments.seed)
        for path in synthesize_keyword(
            arguments.synthesize,
            arguments.output,
            *counts,
            language=arguments.language,
            num_workers=arguments.workers,
        ):
            print(path)
        print(f"note: {note(arguments.synthesize, arguments.language, None, (), arguments.output)}")
        return 0
    if not arguments.sources:
        raise ConfigError(
            "no recordings were named; give a folder, a manifest or a file, or --synthesize PHRASE"
        )
    # a corpus is read by the names of its parts, so that a folder of ours in it is not taken for recordings
    folders.keep_apart(arguments.output, {"recordings": arguments.sources}, above=kind is not CORPUS)
    folders.claim(arguments.output, kind)
    if arguments.corpus is not None:
        print(prepare_corpus(arguments.corpus, arguments.sources[0], arguments.output / MANIFEST))
        return 0
    label = arguments.label and normalize(arguments.label)
    fields = {"label": label, "speaker": arguments.speaker, "split": arguments.split}
    config = PrepConfig(
        sources=tuple(SourceConfig(source, **fields) for source in arguments.sources),
        output=arguments.output,
        checks=CheckConfig(min_s=arguments.min_s),
        split=SplitConfig(dev_fraction=arguments.dev, test_fraction=arguments.test, seed=arguments.seed),
        num_workers=arguments.workers,
    )
    prepared = prepare(config, overwrite=arguments.overwrite)
    print((prepared.manifest.parent / "report.md").read_text(encoding="utf-8"))
    print(prepared.manifest)
    return 0
