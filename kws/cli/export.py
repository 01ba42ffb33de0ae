"""Export a trained model to one .onnx file for a device; refused when the file computes something else."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from kws.cli.parser import RUN
from kws.counts import counted

HELP = "trained model to one checked .onnx file"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws export``."""
    parser.add_argument("folder", type=RUN, metavar="RUN", help="output folder of `kws train`")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="file to write; without it, RUN/model.onnx"
    )
    parser.add_argument(
        "--chunk-ms",
        type=float,
        metavar="MS",
        help="step of the device; without it, 80 ms or what the encoder asks",
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="also write the int8 form, model.int8.onnx, and say how far its scores differ",
    )


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`export` and print what was written; 1 when the graph differs from the checkpoint."""
    from kws.errors import ExportMismatch

    try:
        path = export(arguments.folder, arguments.output, arguments.chunk_ms, int8=arguments.int8)
    except ExportMismatch as error:
        print(f"kws export: {error}")
        return 1
    from export.to_onnx import report_path

    report = json.loads(report_path(path).read_text(encoding="utf-8"))
    metadata = report["metadata"]
    print(f"{path}  {path.stat().st_size / 1e6:.2f} MB, licence {metadata['licence']}")
    print(f"  parity: {told_parity(report)}")
    thresholds = ", ".join(
        f"{keyword} {value:.3f}" for keyword, value in json.loads(metadata["thresholds"]).items()
    )
    print(
        f"  thresholds: {thresholds} (chosen for {metadata['false_accepts_per_hour']} false accepts per hour)"
    )
    if arguments.int8:
        int8 = path.with_suffix(".int8.onnx")
        report = json.loads(report_path(int8).read_text(encoding="utf-8"))
        print(
            f"{int8}  {report['int8_bytes'] / 1e6:.2f} MB, scores differ by up to "
            f"{report['max_score_difference']:.1e} (mean {report['mean_score_difference']:.1e}); "
            "compare its misses with `kws eval`"
        )
    return 0


def told_parity(report: dict[str, Any]) -> str:
    """Return what was compared with torch and how near it came, from the report beside a file."""
    audio_s = sum({entry["signal"]: entry["duration_s"] for entry in report["signals"]}.values())
    found = report["detections_compared"]
    told = counted(found, "detection") + " in it identical" if found else "no detection in it to compare"
    return (
        f"scores within {report['max_score_difference']:.1e} of torch "
        f"(allowed {report['score_tolerance']:g}) on {audio_s:.1f} s of made speech and noise; {told}"
    )


def export(
    run: Path, output: Path | None = None, chunk_ms: float | None = None, *, int8: bool = False
) -> Path:
    """Export a trained model, and its int8 form where wished.

    Args:
        run: output folder of ``kws train``.
        output: the file to write; None writes ``model.onnx`` into ``run``.
        chunk_ms: step of the device in milliseconds; None takes 80 ms, or what the encoder asks.
        int8: also write ``model.int8.onnx`` beside it.
    Returns:
        The float32 file.
    Raises:
        CheckpointError, ConfigError, ExportMismatch: see :func:`export.to_onnx.export`.
    """
    from export.quantize import to_int8
    from export.to_onnx import export as export_run

    if output is not None:
        check_free(output)
    path = export_run(run, output, chunk_ms)
    if int8:
        to_int8(path)
    return path


def check_free(output: Path) -> None:
    """Refuse to replace a file that no export has written.

    Raises:
        ConfigError: it is there, and no report of an export lies beside it.
    """
    from export.to_onnx import report_path
    from kws.errors import ConfigError

    try:
        exported = json.loads(report_path(output).read_text(encoding="utf-8"))["file"] == output.name
    except (OSError, ValueError, KeyError, TypeError):
        exported = False
    if not exported and any(path.exists() for path in (output, report_path(output))):
        raise ConfigError(
            f"--output {output}: is there and was not written by `kws export`; give another file"
        )
