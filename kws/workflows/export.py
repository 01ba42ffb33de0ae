"""A trained model as one checked ``.onnx`` file; what ``kws export`` does."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kws.workflows.notices import quiet_libraries

if TYPE_CHECKING:
    from export.join import JoinedWords as JoinedWords


@dataclass(frozen=True)
class ExportSummary:
    """What an export wrote.

    Attributes:
        model: the float32 file.
        report: of its comparison with torch, and its metadata.
        int8: the int8 file; None where none was wished.
        int8_report: how far its scores differ from the float32 file's.
        joined: what the words of several runs share; None for one run.
    """

    model: Path
    report: dict[str, Any]
    int8: Path | None = None
    int8_report: dict[str, Any] | None = None
    joined: JoinedWords | None = None


@quiet_libraries()
def export(
    run: Path | Sequence[Path],
    output: Path | None = None,
    chunk_ms: float | None = None,
    *,
    int8: bool = False,
    opset: int | None = None,
) -> ExportSummary:
    """Export a trained model, or several as one file, and its int8 form where wished.

    Args:
        run: output folder of ``kws train``; several are joined without training, see :mod:`export.join`.
        output: the file to write; None writes ``model.onnx`` into ``run``, where that is one.
        chunk_ms: step of the device in milliseconds; None takes 80 ms, or what the encoder asks.
        int8: also write ``model.int8.onnx`` beside it.
        opset: version of ONNX's operators; None takes the oldest, which onnxruntime 1.14 and later read.
    Raises:
        CheckpointError, ConfigError, ExportMismatch: see :func:`export.to_onnx.export` and
            :func:`export.join.export_joined`.
    """
    from export.join import export_joined
    from export.quantize import to_int8
    from export.to_onnx import OPSET, report_path
    from export.to_onnx import export as export_run
    from kws.errors import ConfigError

    def read(path: Path) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(report_path(path).read_text(encoding="utf-8"))
        return report

    if output is not None:
        check_free(output)
    runs = [run] if isinstance(run, str | Path) else list(run)
    written_for, joined = OPSET if opset is None else opset, None
    if len(runs) == 1:
        path = export_run(runs[0], output, chunk_ms, written_for)
    elif not runs or output is None:
        raise ConfigError("`output`: several runs are joined in one file; say which, such as words.onnx")
    else:
        joined, path = export_joined(runs, output, chunk_ms, written_for), output
    if not int8:
        return ExportSummary(path, read(path), joined=joined)
    quantized, _ = to_int8(path)
    return ExportSummary(path, read(path), quantized, read(quantized), joined)


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
