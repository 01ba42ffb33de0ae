"""A page that hears the keyword in a browser, as a folder of files; what ``kws web`` does."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from string import Template

from kws.audio import SAMPLE_RATE, atomic_write
from kws.detector import Detector
from kws.errors import ConfigError, DependencyError
from kws.exported import ModelInfo, model_file, read_info
from kws.pages import style
from kws.version import __version__
from kws.workflows import folders
from kws.workflows.written_files import WEB

SOURCES = Path(__file__).parents[1] / "web"
"""Files that are copied as they are, and templates of three that say what the model is."""

VENDOR = SOURCES / "vendor"
"""What `make web` makes of npm's onnxruntime-web."""

RUNTIME = {
    "ort.wasm.bundle.min.mjs": "onnxruntime/ort.js",  # servers know the type of .js
    "ort-wasm-simd-threaded.wasm": "onnxruntime/ort-wasm-simd-threaded.wasm",
    "LICENSE.txt": "onnxruntime/LICENSE.txt",
}
"""File in :data:`VENDOR` -> its name in the folder."""

FORMAT = 1
"""Of ``model.json``."""


@dataclass(frozen=True)
class WebFolder:
    """What was written.

    Attributes:
        folder: with ``index.html`` for a person and ``index.js`` for other pages.
        files: names of all files, relative to it.
        thresholds: keyword -> score from which it counts.
        license: of the model.
        size_mb: of all files, in megabytes.
        version: changes with any byte of them.
    """

    folder: Path
    files: tuple[str, ...]
    thresholds: dict[str, float]
    license: str
    size_mb: float
    version: str


@folders.leaves_nothing(WEB)
def web(model: Path, output: Path, *, overwrite: bool = False) -> WebFolder:
    """Write a page that runs an exported model on the microphone of whoever opens it.

    Args:
        model: exported .onnx file, or the folder of a run that holds it.
        output: folder to write; any server of files can serve it.
        overwrite: replace the page that an earlier call has written there.
    Raises:
        CheckpointError: the model is missing or damaged.
        ConfigError: the folder holds something else, or a page and no ``overwrite``.
        DependencyError: onnxruntime for browsers is not installed.
    """
    path = model_file(model)
    detector = Detector(path)
    info = read_info(detector.metadata, path)
    runtime = _runtime()
    folders.keep_apart(output, {"model": (path,)}, above=False)
    folders.claim(output, WEB)
    if (output / "index.html").exists() and not overwrite:
        raise ConfigError(f"`output` {output}: holds a page already; give `overwrite=True` to replace it")
    if (output / "onnxruntime").is_symlink():
        raise ConfigError(f"`output` {output}: its `onnxruntime` is a link to elsewhere; remove it")
    contents = {
        **{path.name: path.read_bytes() for path in sorted(SOURCES.iterdir()) if path.is_file()},
        **runtime,
        "style.css": style().encode(),
        "model.onnx": path.read_bytes(),
        "model.json": _json(_metadata(info, detector.metadata)),
        "package.json": _json(_package(info)),
        "app.webmanifest": _json(_application(info)),
    }
    contents["README.md"] = _readme(contents["README.md"].decode(), info)
    version = _version(contents)
    contents["sw.js"] = _worker(contents["sw.js"].decode(), version, contents)
    folders.clear(output)
    for name in sorted(contents, key=lambda name: (name == "index.html", name)):  # which comes last
        with atomic_write(output / name) as temporary:
            temporary.write_bytes(contents[name])
    size_mb = sum(map(len, contents.values())) / 1e6
    return WebFolder(output, tuple(sorted(contents)), detector.thresholds, info.license, size_mb, version)


def _runtime() -> dict[str, bytes]:
    """Return the files of onnxruntime for browsers by their names in the folder.

    Raises:
        DependencyError: they are not there.
    """
    if not all((VENDOR / name).is_file() for name in RUNTIME):
        raise DependencyError(
            "onnxruntime for browsers is not in this installation: run `make web` in a checkout of kws, "
            "which needs npm (Debian, Ubuntu: `apt-get install npm`), or install a wheel that was built "
            "with it"
        )
    return {target: (VENDOR / name).read_bytes() for name, target in RUNTIME.items()}


def _metadata(info: ModelInfo, said: dict[str, str]) -> dict[str, object]:
    """Return what ``index.d.ts`` describes as ``ModelMetadata``."""
    try:
        rate = float(said["false_accepts_per_hour"])
    except (KeyError, ValueError):
        rate = None
    return {
        "format": FORMAT,
        "keywords": info.keywords,
        "thresholds": dict(zip(info.keywords, info.thresholds, strict=True)),
        "falseAcceptsPerHour": rate,
        "sampleRate": SAMPLE_RATE,
        "chunkSamples": info.chunk_samples,
        "chunkDynamic": info.chunk_dynamic,
        "hopSamples": info.hop_samples,
        "lookaheadSamples": info.lookahead_samples,
        "smoothingFrames": info.smoothing_frames,
        "refractoryS": info.refractory_s,
        "competeS": info.compete_s,
        "license": info.license,
    }


def _package(info: ModelInfo) -> dict[str, object]:
    """Return the package.json with which npm takes the folder as a package."""
    return {
        "name": _package_name(info.keywords[0]),
        "version": __version__,
        "description": f"Hears {', '.join(info.keywords)} in a browser; nothing is sent",
        "type": "module",
        "license": "SEE LICENSE IN README.md",
        "main": "./index.js",
        "types": "./index.d.ts",
        "exports": {
            ".": {"types": "./index.d.ts", "default": "./index.js"},
            "./model.onnx": "./model.onnx",
            "./model.json": "./model.json",
            "./package.json": "./package.json",
        },
        "files": [
            *("index.js", "index.d.ts", "detector.js", "decisions.js", "resampler.js"),
            *(
                "microphone.js",
                "microphone-worklet.js",
                "pieces.js",
                "model.onnx",
                "model.json",
                "onnxruntime",
            ),
        ],
        "sideEffects": False,
    }


def _package_name(name: str) -> str:
    """Return a name that npm takes, such as ``kws-hey-computer``."""
    words = re.findall(r"[a-z0-9]+", name.lower())
    return "-".join(["kws", *words])[:100] if words else "kws-detector"


def _application(info: ModelInfo) -> dict[str, object]:
    """Return the manifest with which a phone keeps the page as an application."""
    name = ", ".join(info.keywords)
    return {
        "name": name,
        "short_name": name[:30],
        "start_url": "./",
        "scope": "./",
        "display": "standalone",
        "icons": [{"src": "icon.svg", "sizes": "any", "type": "image/svg+xml"}],
    }


def _readme(template: str, info: ModelInfo) -> bytes:
    """Fill in what the model is."""
    keywords = ", ".join(" ".join(keyword.split()) for keyword in info.keywords)
    return Template(template).substitute(keywords=keywords, license=" ".join(info.license.split())).encode()


def _version(contents: dict[str, bytes]) -> str:
    """Return 16 letters that change with any byte of any file."""
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(f"{name} {hashlib.sha256(contents[name]).hexdigest()}\n".encode())
    return digest.hexdigest()[:16]


def _worker(source: str, version: str, contents: dict[str, bytes]) -> bytes:
    """Write the version, and the names and checksums of all other files, into the service worker."""
    files = {
        name: f"sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}"
        for name, content in sorted(contents.items())
        if name != "sw.js"
    }
    values: dict[str, object] = {'const VERSION = "";': version, "const FILES = {};": files}
    for line, value in values.items():
        assert source.count(line) == 1, line
        source = source.replace(line, f"{line.partition('=')[0]}= {json.dumps(value, indent=4)};")
    return source.encode()


def _json(values: dict[str, object]) -> bytes:
    return f"{json.dumps(values, indent=2, ensure_ascii=False)}\n".encode()
