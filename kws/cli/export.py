"""Export a trained model to one .onnx file for a device; refused when the file computes something else."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from kws.cli.options import add_option
from kws.cli.parser import RUN
from kws.counts import counted

if TYPE_CHECKING:
    from kws.workflows.export import JoinedWords

HELP = "trained model to one checked .onnx file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws export``."""
    parser.add_argument(
        "run",
        type=RUN,
        nargs="+",
        metavar="RUN",
        help="output folder of `kws train` or `kws enroll`; several become one file of many words",
    )
    parser.add_argument(
        "--format",
        choices=("onnx", "microwakeword"),
        default="onnx",
        help="onnx: one file for kws and onnxruntime; microwakeword: a small int8 network for ESPHome learns "
        "from the run, some ten minutes (default: %(default)s)",
    )
    add_option(
        parser,
        "--output",
        "or a folder with microwakeword; without it, RUN/model.onnx or RUN/microwakeword; several runs "
        "need it",
        metavar="FILE",
    )
    add_option(parser, "--chunk-ms", "without it, 80 or what the encoder asks")
    parser.add_argument(
        "--opset",
        type=int,
        metavar="N",
        help="version of ONNX's operators, 18 to 23; without it 18, which onnxruntime 1.14 and later read",
    )
    add_option(parser, "--int8", "is written to model.int8.onnx, and how far its scores differ is said")
    micro = parser.add_argument_group("with --format microwakeword")
    add_option(micro, "--negatives", "without it, those of the run")
    add_option(micro, "--noise", "without it, that of the run")
    add_option(micro, "--voices", "who say the keyword; without it, eSpeak and the best that is installed")
    add_option(micro, "--false-accepts-per-hour", "without it, the rate of the run")
    add_option(micro, "--workers")
    add_option(micro, "--overwrite")


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`export` and print what was written; 1 when the graph differs from the checkpoint."""
    from kws.errors import ExportMismatch
    from kws.workflows.export import export

    if arguments.format == "microwakeword":
        return _microwakeword(arguments)
    try:
        made = export(
            arguments.run, arguments.output, arguments.chunk_ms, int8=arguments.int8, opset=arguments.opset
        )
    except ExportMismatch as error:
        print(f"kws export: {error}")
        return 1
    path, report = made.model, made.report
    metadata = report["metadata"]
    print(f"{path}  {path.stat().st_size / 1e6:.2f} MB, licence {metadata['licence']}")
    print(f"  parity: {parity_text(report)}")
    thresholds = ", ".join(
        f"{keyword} {value:.3f}" for keyword, value in json.loads(metadata["thresholds"]).items()
    )
    print(
        f"  thresholds: {thresholds} (chosen for {metadata['false_accepts_per_hour']} false accepts per hour)"
    )
    if made.joined is not None:
        print(f"  {joined_text(made.joined)}")
    if made.int8 is not None and made.int8_report is not None:
        report = made.int8_report
        print(
            f"{made.int8}  {report['int8_bytes'] / 1e6:.2f} MB, scores differ by up to "
            f"{report['max_score_difference']:.1e} (mean {report['mean_score_difference']:.1e}); "
            "compare its misses with `kws eval`"
        )
    return 0


def _microwakeword(arguments: argparse.Namespace) -> int:
    """Call :func:`export_microwakeword` for each run and print what was written."""
    from kws.errors import ConfigError, ExportMismatch
    from kws.workflows.microcontroller import export_microwakeword

    refused = [name for name in ("chunk_ms", "opset", "int8") if getattr(arguments, name)]
    if refused or len(arguments.run) > 1:
        given = f"--{refused[0].replace('_', '-')}" if refused else f"{len(arguments.run)} runs"
        raise ConfigError(f"`format` microwakeword takes no {given}: it writes an int8 model of one run")
    try:
        made = export_microwakeword(
            arguments.run[0],
            arguments.output,
            negatives=arguments.negatives or (),
            noise=arguments.noise or (),
            voices=arguments.voices,
            false_accepts_per_hour=arguments.false_accepts_per_hour,
            num_workers=arguments.workers,
            overwrite=arguments.overwrite,
        )
    except ExportMismatch as error:
        print(f"kws export: {error}")
        return 1
    for each in made:
        print("\n".join(each.lines()))
    return 0


def joined_text(joined: JoinedWords) -> str:
    """Return what the words of one file share, and what they cost beside the largest of them alone."""
    encoders = "share one encoder" if joined.encoders == 1 else f"need {joined.encoders} encoders"
    return (
        f"{joined.runs} runs {encoders}: {joined.weights / 1e6:.2f} million weights, "
        f"{joined.weights / joined.largest_alone:.2f} times those of one; in files of their own "
        f"{joined.sum_alone / 1e6:.2f} million"
    )


def parity_text(report: dict[str, Any]) -> str:
    """Return what was compared with torch and how near it came, from the report beside a file."""
    audio_s = sum({entry["signal"]: entry["duration_s"] for entry in report["signals"]}.values())
    found = report["detections_compared"]
    told = counted(found, "detection") + " in it identical" if found else "no detection in it to compare"
    return (
        f"scores within {report['max_score_difference']:.1e} of torch "
        f"(allowed {report['score_tolerance']:g}) on {audio_s:.1f} s of made speech and noise; {told}"
    )
