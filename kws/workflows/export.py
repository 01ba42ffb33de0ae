"""A trained model as one checked ``.onnx`` file; what ``kws export`` does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kws.workflows.notices import quiet_libraries


@dataclass(frozen=True)
class ExportSummary:
    """What an export wrote.

    Attributes:
        model: the float32 file.
        report: of its comparison with torch, and its metadata.
        int8: the int8 file; None where none was wished.
        int8_report: how far its scores differ from the float32 file's.
    """

    model: Path
    report: dict[str, Any]
    int8: Path | None = None
    int8_report: dict[str, Any] | None = None


@quiet_libraries()
def export(
    run: Path,
    output: Path | None = None,
    chunk_ms: float | None = None,
    *,
    int8: bool = False,
    opset: int | None = None,
) -> ExportSummary:
    """Export a trained model, and its int8 form where wished.

    Args:
        run: output folder of ``kws train``.
        output: the file to write; None writes ``model.onnx`` into ``run``.
        chunk_ms: step of the device in milliseconds; None takes 80 ms, or what the encoder asks.
        int8: also write ``model.int8.onnx`` beside it.
        opset: version of ONNX's operators; None takes the oldest, which onnxruntime 1.14 and later read.
    Raises:
        CheckpointError, ConfigError, ExportMismatch: see :func:`export.to_onnx.export`.
    """
    from export.quantize import to_int8
    from export.to_onnx import OPSET, report_path
    from export.to_onnx import export as export_run

    def read(path: Path) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(report_path(path).read_text(encoding="utf-8"))
        return report

    if output is not None:
        check_free(output)
    path = export_run(run, output, chunk_ms, OPSET if opset is None else opset)
    if not int8:
        return ExportSummary(path, read(path))
    quantized, _ = to_int8(path)
    return ExportSummary(path, read(path), quantized, read(quantized))


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
            f"`output` {output}: is there and was not written by `kws export`; give another file"
        )
