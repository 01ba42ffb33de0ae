"""What a project gives away: the model at the threshold that was picked, and the folder for a browser."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from pathlib import Path

from kws.audio import atomic_write
from kws.errors import ConfigError
from kws.workflows.project.folder import Project, safe_name

FOLDER = "export"


def export_project(project: Project) -> Path:
    """Write the model at the threshold that was picked into the folder ``export``, which `kws serve` takes.

    Returns:
        The file; it has the name of the keyword.
    Raises:
        ConfigError: there is no model yet.
    """
    model, settings, output = project.model, project.settings(), exported_model(project)
    if model is None:
        raise ConfigError("this project has no model yet; train it first")
    with atomic_write(output) as temporary:
        if settings.threshold is None:
            temporary.write_bytes(model.read_bytes())
        else:
            temporary.write_bytes(with_threshold(model, settings.keyword, settings.threshold))
    return output


def exported_model(project: Project) -> Path:
    """Return where :func:`export_project` writes the model; it need not be there yet."""
    name = safe_name(project.settings().keyword, "keyword")
    return project.folder / FOLDER / f"{name}.onnx"


def with_threshold(model: Path, keyword: str, threshold: float) -> bytes:
    """Return an exported model with another threshold in its metadata.

    Args:
        model: the file.
        keyword: whose threshold it is.
        threshold: within 0 to 1.
    """
    import onnx

    graph = onnx.load(str(model))
    for entry in graph.metadata_props:
        if entry.key == "thresholds":
            thresholds = {**json.loads(entry.value), keyword: threshold}
            entry.value = json.dumps(thresholds, ensure_ascii=False)
    found: bytes = graph.SerializeToString()
    return found


def can_export_browser() -> bool:
    """Tell whether the part that runs in a browser is installed."""
    from kws.workflows.web import RUNTIME, VENDOR

    return all((VENDOR / name).is_file() for name in RUNTIME)


def browser_zip(project: Project) -> Path:
    """Write the folder of `kws web` for the exported model as one file.

    Raises:
        KwsError: there is no model yet, or the browser's part is not installed.
    """
    from kws.workflows.web import web

    model = export_project(project)
    output = model.with_suffix(".browser.zip")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, model.stem)
        web(model, folder)
        with atomic_write(output) as path, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for place, _, files in os.walk(folder):
                for file in sorted(files):
                    packed.write(Path(place, file), Path(place, file).relative_to(folder.parent))
    return output
