"""Node.js for tests of the scripts that browsers run: a module gets values, and gives values back."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

LIMIT_S = 100


def node(program: str, folder: Path, given: Any = None) -> Any:
    """Run a program and return what it hands to ``give``, as JSON holds it.

    Args:
        program: body of an ES module. ``given`` is the value, ``folder`` the address of the folder, which
            ends with ``/``, and ``give(value)`` hands on the result.
        folder: of the modules that it imports: ``await import(folder + "decisions.js")``.
        given: what JSON can hold.
    """
    path = shutil.which("node")
    if path is None:
        pytest.skip("no node here: apt-get install nodejs")
    header = (
        'import { readFileSync, writeFileSync } from "node:fs";\n'
        "const { given, folder } = JSON.parse(readFileSync(0));\n"
        "const give = (value) => writeFileSync(1, JSON.stringify(value));\n"
    )
    ran = subprocess.run(
        [path, "--input-type=module", "--eval", header + program],
        input=json.dumps({"given": given, "folder": f"{folder.resolve().as_uri()}/"}),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout)


def typescript(folder: Path, *names: str) -> list[str]:
    """Return what TypeScript finds wrong with files of a folder, which holds a ``tsconfig.json``.

    Args:
        folder: where the files are.
        names: of packages of npm that must be there.
    """
    packages = Path(__file__).parents[2] / "web" / "node_modules"
    path = shutil.which("node")
    if path is None or not all((packages / name).is_dir() for name in ("typescript", *names)):
        pytest.skip(f"no typescript in {packages}: `make web`, which needs npm (apt-get install npm)")
    compiler = packages / "typescript" / "bin" / "tsc"
    ran = subprocess.run([path, compiler, "-p", folder], capture_output=True, text=True, timeout=LIMIT_S)
    return ran.stdout.splitlines()
