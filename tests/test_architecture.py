"""Who may import whom, read from the source: the rooms of the project and the doors between them.

A module belongs to the room with the longest name that fits. What it imports of the project, wherever that
stands in the file, must be in a room that its own room may use.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from kws.cli import COMMANDS

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("kws", "data_prep", "export")

ROOMS = {
    "facade": ["kws"],
    "ground": [
        "kws.errors",
        "kws.structs",
        "kws.audio",
        "kws.pcm",
        "kws.json_text",
        "kws.decoding",
        "kws.resampling",
        "kws.channels",
        "kws.config",
        "kws.weights",
        "kws.manifest",
        "kws.decoded_audio",
        "kws.speech_span",
        "kws.phone_table",
        "kws.phones",
        "kws.phone_attributes",
        "kws.text",
        "kws.counts",
        "kws.version",
    ],
    "model": ["kws.frontend", "kws.encoders", "kws.heads", "kws.model", "kws.checkpoint"],
    "rules": ["kws.transfer", "kws.losses", "kws.regularizers", "kws.loss_weighting", "kws.enrollment"],
    "decisions": ["kws.decisions"],
    "pages": ["kws.pages"],
    "device": [
        "kws.exported",
        "kws.graph_stream",
        "kws.onnx_metadata",
        "kws.detection_program",
        "kws.detector",
        "kws.micro_detector",
        "kws.one_thread",
        "kws.pool",
        "kws.model_manifest",
        "kws.listening",
        "kws.live_microphone",
        "kws.microphone",
        "kws.pipe",
    ],
    "compat": ["kws.compat"],
    "serve": ["kws.serve"],
    "evaluation": ["kws.audio_store", "kws.data", "kws.evaluation"],
    "study": ["kws.studies"],
    "training": ["kws.training"],
    "pretraining": ["kws.pretraining"],
    "student": ["kws.student"],
    "recipes": ["kws.recipes"],
    "studio": ["kws.studio"],
    "workflows": ["kws.workflows"],
    "command": ["kws.cli", "kws.__main__"],
    "data_prep": ["data_prep"],
    "export": ["export"],
}
"""Room -> names of its modules and packages."""

DOORS = {
    "facade": {"ground", "decisions", "device", "model", "workflows"},
    "ground": {"ground"},
    "model": {"ground", "decisions", "model"},  # a checkpoint holds how its scores become detections
    "rules": {"ground", "model", "rules", "decisions"},
    "decisions": {"ground"},
    "device": {
        "kws.errors",
        "kws.audio",
        "kws.channels",
        "kws.counts",
        "kws.decoding",
        "kws.json_text",
        "kws.pcm",
        "kws.resampling",
        "decisions",
        "device",
    },
    "compat": {"kws.errors", "device", "compat"},
    "serve": {
        "kws.audio",
        "kws.channels",
        "kws.errors",
        "kws.resampling",
        "kws.version",
        "decisions",
        "device",
        "serve",
    },
    "pages": {"kws.errors", "pages"},
    "evaluation": {"ground", "model", "rules", "decisions", "device", "evaluation", "pages"},
    "study": {"ground", "rules", "decisions", "device", "evaluation", "study", "pages"},
    "training": {"ground", "model", "rules", "decisions", "evaluation", "training"},
    "pretraining": {
        "ground",
        "model",
        "rules",
        "decisions",
        "evaluation",
        "training",
        "pretraining",
    },
    "student": {"ground", "student"},
    "recipes": set(),
    "studio": {"ground", "pages", "studio", "workflows"},
    "workflows": set(ROOMS) - {"command", "facade", "studio"},
    "command": {
        "device",
        "serve",
        "studio",
        "recipes",
        "workflows",
        "command",
        "kws.channels",
        "kws.counts",
        "kws.errors",
        "kws.evaluation.result",
        "kws.version",
    },
    "data_prep": {
        "kws.errors",
        "kws.audio",
        "kws.config",
        "kws.manifest",
        "kws.decoded_audio",
        "kws.phone_table",
        "kws.text",
        "kws.counts",
        "data_prep",
    },
    "export": {
        "ground",
        "model",
        "rules",
        "decisions",
        "device",
        "evaluation",
        "student",
        "export",
    },
}
"""Room -> rooms or single modules that it may import."""

DEVICE_PACKAGES = {"numpy", "onnxruntime", "soundfile"}
"""What `pip install kws` brings: all that importing a device module or starting the command line may load."""

ONLY_IN = {
    "flatbuffers": ("export.tflite_file",),
    "lightning": ("kws.training", "kws.pretraining"),
    "lhotse": ("kws.data", "data_prep"),
    "pymicro_features": ("kws.student.features",),
    "pymicro_wakeword": ("kws.micro_detector", "export.peers"),
    "sounddevice": ("kws.microphone",),
    "tflite": ("export.tflite_file",),
    "wyoming": ("kws.serve", "kws.cli.serve"),
    "zeroconf": ("kws.serve.announcement",),
}
"""Package -> the only modules that may import it."""


@dataclass(frozen=True)
class Import:
    """One imported name, with where it stands."""

    name: str
    line: int
    on_load: bool
    """Done when the module is imported: not inside a function, nor for the type checker only."""


@cache
def sources() -> dict[str, Path]:
    """Return every module of the project by its dotted name."""
    found = {}
    for package in PACKAGES:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            parts = path.relative_to(REPOSITORY).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree_of(module: str) -> ast.Module:
    """Return the parsed source of a module."""
    return ast.parse(sources()[module].read_text(encoding="utf-8"))


@cache
def imports_of(module: str) -> tuple[Import, ...]:
    """Return what a module imports, each name as deep as it is a module of the project."""
    is_package = sources()[module].name == "__init__.py"
    return tuple(_imports(tree_of(module).body, module if is_package else module.rpartition(".")[0], True))


def _imports(body: list[ast.stmt], package: str, on_load: bool) -> Iterator[Import]:
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, on_load)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield Import(inner if inner in sources() else base, node.lineno, on_load)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield from _imports(node.body, package, False)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from _imports(node.body, package, False)
            yield from _imports(node.orelse, package, on_load)
        else:
            for name in ("body", "orelse", "finalbody"):
                yield from _imports(getattr(node, name, []), package, on_load)
            for part in (*getattr(node, "handlers", []), *getattr(node, "cases", [])):
                yield from _imports(part.body, package, on_load)


def is_within(module: str, names: tuple[str, ...] | set[str]) -> bool:
    """Tell whether ``module`` is one of ``names`` or inside one."""
    return any(module == name or module.startswith(f"{name}.") for name in names)


def room_of(module: str) -> str | None:
    """Return the room with the longest name that fits; the facade is `kws` alone."""
    fits = [
        (name, room)
        for room, names in ROOMS.items()
        for name in names
        if module == name or (name != "kws" and module.startswith(f"{name}."))
    ]
    return max(fits)[1] if fits else None


def loaded_by(module: str) -> dict[str, str]:
    """Return the packages from outside that importing ``module`` loads, each with the place that does it."""
    outside: dict[str, str] = {}
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        parts = name.split(".")
        for current in (
            ".".join(parts[: end + 1]) for end in range(len(parts))
        ):  # packages run before modules
            if current in seen or current not in sources():
                continue
            seen.add(current)
            for item in imports_of(current):
                if not item.on_load:
                    continue
                top = item.name.split(".")[0]
                if top in PACKAGES:
                    waiting.append(item.name)
                elif top not in sys.stdlib_module_names:
                    outside.setdefault(top, f"{current}, line {item.line}")
    return outside


MODULES = sorted(sources())


@pytest.mark.parametrize("module", MODULES)
def test_every_module_has_a_room_and_imports_through_its_doors(module: str):
    room = room_of(module)
    assert room is not None, f"{module} has no room: say in ROOMS of {Path(__file__).name} where it belongs"
    wrong = []
    for item in imports_of(module):
        if item.name.split(".")[0] in PACKAGES and not (
            room_of(item.name) in DOORS[room] or is_within(item.name, DOORS[room])
        ):
            wrong.append(f"line {item.line}: {item.name} ({room_of(item.name)})")
    assert not wrong, f"{module} ({room}) may import {sorted(DOORS[room])}, but imports {wrong}"


@pytest.mark.parametrize("module", MODULES)
def test_packages_kept_in_one_place_are_not_imported_elsewhere(module: str):
    for item in imports_of(module):
        allowed = ONLY_IN.get(item.name.split(".")[0])
        assert allowed is None or is_within(module, allowed), (
            f"{module}, line {item.line}: {item.name} may be imported only in {allowed}"
        )


@pytest.mark.parametrize(
    "module",
    [
        *(name for name in MODULES if room_of(name) in ("facade", "decisions", "device")),
        *("kws.__main__", "kws.cli"),
        *(f"kws.cli.{command}" for command in COMMANDS),
    ],
)
def test_what_a_device_imports_loads_no_training_package(module: str):
    heavy = {name: place for name, place in loaded_by(module).items() if name not in DEVICE_PACKAGES}
    assert not heavy, f"importing {module} loads {heavy}; a device has only {sorted(DEVICE_PACKAGES)}"


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name) == "serve"])
def test_the_service_loads_no_more_than_a_device_and_the_protocol(module: str):
    heavy = {name: place for name, place in loaded_by(module).items() if name not in DEVICE_PACKAGES}
    assert set(heavy) <= {"wyoming"}, f"importing {module} loads {heavy}"


@pytest.mark.parametrize("module", MODULES)
def test_only_the_command_line_prints_and_only_its_start_exits(module: str):
    calls = [ast.unparse(node.func) for node in ast.walk(tree_of(module)) if isinstance(node, ast.Call)]
    if not is_within(module, ("kws.cli",)):
        assert "print" not in calls, f"{module} prints; use logging, or return the text to kws.cli"
    if module != "kws.__main__":
        assert not {"sys.exit", "exit", "quit", "SystemExit"} & set(calls), (
            f"{module} ends the process; raise"
        )


@pytest.mark.parametrize("module", [name for name in MODULES if is_within(name, ("kws.workflows",))])
def test_a_workflow_knows_nothing_of_the_command_line(module: str):
    """Its process may be a notebook: what is called belongs to the caller."""
    assert "argparse" not in {item.name for item in imports_of(module)}, f"{module} parses arguments"
    assert "sys.argv" not in ast.unparse(tree_of(module)), f"{module} reads the command line"


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_unpickled(module: str):
    """What a file holds must not run: weights are safetensors, and torch reads tensors alone."""
    for call in (node for node in ast.walk(tree_of(module)) if isinstance(node, ast.Call)):
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        called = ast.unparse(call.func)
        assert not called.endswith(("pickle.load", "pickle.loads", "Unpickler", "joblib.load")), called
        assert options.get("allow_pickle", "False") == "False", f"{module}, line {call.lineno}"
        if called == "torch.load" or "ckpt_path" in options:
            assert options.get("weights_only") == "True", f"{module}, line {call.lineno}"


def test_no_module_takes_the_place_of_a_public_function():
    import kws

    assert not [name for name in kws.__all__ if f"kws.{name}" in sources()]


@pytest.mark.slow
@pytest.mark.parametrize("module", [name for name in MODULES if not name.endswith("__main__")])
def test_every_module_can_be_imported(module: str):
    importlib.import_module(module)


def test_the_reader_of_imports_sees_every_form(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    source = tmp_path / "layers.py"
    source.write_text(
        "from typing import TYPE_CHECKING\nimport torch\nfrom . import base\nfrom ..model import X\n"
        "from kws import audio\nif TYPE_CHECKING:\n    import lightning\n"
        "class A:\n    import scipy\n    def f(self):\n        from data_prep import splits\n"
        "try:\n    import yaml\nexcept ImportError:\n    import json\nwith x:\n    import onnx\n"
    )
    known = dict(sources()) | {"kws.encoders.imagined": source}
    monkeypatch.setattr(sys.modules[__name__], "sources", lambda: known)
    read = {(item.name, item.on_load) for item in imports_of("kws.encoders.imagined")}
    assert read == {
        ("typing", True),
        ("torch", True),
        ("kws.encoders.base", True),
        ("kws.model", True),
        ("kws.audio", True),
        ("lightning", False),
        ("scipy", True),
        ("data_prep.splits", False),
        ("yaml", True),
        ("json", True),
        ("onnx", True),
    }
