"""constraints.txt pins what pyproject.toml asks for, on every supported Python, and names no address."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REPOSITORY = Path(__file__).parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))
TEXT = (REPOSITORY / "constraints.txt").read_text("utf-8")
PINS = [Requirement(line) for line in TEXT.splitlines() if not line.startswith("#")]
PIN_FORM = re.compile(r"[a-z0-9][a-z0-9-]*==[0-9][0-9a-z.]*( ; [\w .'*<>=!]+)?")
CLASSIFIER = "Programming Language :: Python :: 3."
PYTHONS = ["3." + line[len(CLASSIFIER) :] for line in PROJECT["project"]["classifiers"] if CLASSIFIER in line]
SYSTEMS = [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")]


def asked() -> Iterator[Requirement]:
    """What pyproject.toml names, apart from the package's own extras."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    for lines in (PROJECT["build-system"]["requires"], PROJECT["project"]["dependencies"], *extras):
        yield from (Requirement(line) for line in lines if not line.startswith("kws["))


def applies(requirement: Requirement, python: str, system: tuple[str, str]) -> bool:
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": system[0],
        "platform_machine": system[1],
        "os_name": "posix",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    return requirement.marker is None or requirement.marker.evaluate(environment)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("system", SYSTEMS, ids="-".join)
def test_each_requirement_has_one_pin_within_its_bounds(python: str, system: tuple[str, str]):
    pinned: dict[str, list[Version]] = {}
    for pin in (pin for pin in PINS if applies(pin, python, system)):
        (exact,) = pin.specifier
        pinned.setdefault(canonicalize_name(pin.name), []).append(Version(exact.version))
    assert {name: versions for name, versions in pinned.items() if len(versions) > 1} == {}
    wrong = {
        str(requirement): pinned.get(canonicalize_name(requirement.name), ["not pinned"])[0]
        for requirement in asked()
        if applies(requirement, python, system)
        and not any(
            version in requirement.specifier
            for version in pinned.get(canonicalize_name(requirement.name), [])
        )
    }
    assert not wrong, f"make constraints: {wrong}"


def brought() -> set[str]:
    """Names of the installed packages that the requirements bring, with what those bring in turn."""
    seen: set[tuple[str, str]] = set()
    todo = list(asked())
    found = set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        new = {(name, extra) for extra in ("", *requirement.extras)} - seen
        seen |= new
        try:
            lines = (metadata.requires(name) or []) if new else []
        except metadata.PackageNotFoundError:
            continue
        found.add(name)
        for below in map(Requirement, lines):
            if below.marker is None or any(below.marker.evaluate({"extra": extra}) for _, extra in new):
                todo.append(below)
    return found


def test_what_the_requirements_bring_is_pinned_too():
    assert brought() - {canonicalize_name(pin.name) for pin in PINS} == set()


def test_the_supported_pythons_are_those_of_the_bounds_and_of_the_file():
    allowed = Requirement(f"python{PROJECT['project']['requires-python']}").specifier
    assert [f"3.{minor}" for minor in range(30) if f"3.{minor}" in allowed] == PYTHONS
    assert f"for Python {' '.join(PYTHONS)}\n" in TEXT


def test_it_holds_names_and_versions_and_no_address_or_build_of_one_machine():
    lines = [line for line in TEXT.splitlines() if not line.startswith("#")]
    assert len(lines) > 100, "the whole environment, not only what pyproject.toml names"
    assert [line for line in lines if not PIN_FORM.fullmatch(line)] == []
    assert "://" not in TEXT and "file:" not in TEXT


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_every_install_of_make_is_held_to_it(tmp_path: Path):
    command = ["make", "--dry-run", f"VENV={tmp_path}", "lint"]
    planned = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    installs = [line for line in planned.splitlines() if "pip install" in line]
    assert installs and all("--constraint constraints.txt" in line for line in installs), planned
