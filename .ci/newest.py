"""Tries the newest of everything, and says package by package what differs and what breaks.

`make newest` calls it. In an environment of its own, with a copy of the tree, it installs the newest versions

1. that pyproject.toml allows: what breaks here breaks today for whoever installs without constraints.txt;
2. for each upper bound of pyproject.toml, without that bound: what breaks here is the bound's reason;
3. without any of them.

Each is compared with constraints.txt and tested. Nothing stops it: where pip finds no versions, a module
cannot be imported, a test fails, hangs or ends the process by a signal, that is told and it goes on.
The same file is the plugin of pytest that writes down which test runs, so that a crash has a name.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "build", "dist", "runs", "work", "__pycache__", "*.egg-info", ".*_cache"
)
BOUND = re.compile(r'"([A-Za-z0-9][A-Za-z0-9._-]*)((?:[^";]*,)?<[^";]*)')
"""A requirement of pyproject.toml with an upper bound: its name, and what the version must be."""
SILENCE_S = 600
"""A test that says nothing for so long hangs where pytest-timeout cannot reach it."""
EVENTS = "NEWEST_EVENTS"
"""Environment variable with the file that the plugin writes to."""


# The plugin: one line of JSON an event, written at once.


def _tell(**event: object) -> None:
    if EVENTS in os.environ:
        with open(os.environ[EVENTS], "a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")


def pytest_collectstart(collector) -> None:
    """Tell which file is imported."""
    _tell(event="collect", test=collector.nodeid)


def pytest_collectreport(report) -> None:
    """Tell of a file that cannot be imported."""
    if report.failed:
        _tell(event="failed", test=report.nodeid, why=_last_line(str(report.longrepr)))


def pytest_runtest_logstart(nodeid, location) -> None:
    """Tell which test starts."""
    _tell(event="start", test=nodeid)


def pytest_runtest_logreport(report) -> None:
    """Tell how a test ended."""
    if report.failed:
        _tell(event="failed", test=report.nodeid, why=_why(report))
    elif report.when == "call" and report.passed:
        _tell(event="passed", test=report.nodeid)


def _why(report) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    return _last_line(crash.message if crash else str(report.longrepr))


def _last_line(text: str) -> str:
    lines = [line.removeprefix("E ").strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Warning|Failed)\b", line)]
    return (said[-1:] or lines or ["nothing said"])[0][:200]


# The tests


@dataclass
class Outcome:
    """What a run of the tests gave: how many passed, and what broke in which file."""

    passed: int = 0
    broken: dict[str, list[str]] = field(default_factory=dict)

    def add(self, test: str, why: str) -> None:
        """Note a failure under its file."""
        path, _, name = test.partition("::")
        whys = self.broken.setdefault(path or "pytest", [])
        why = f"{name or 'import'}: {why}"
        if why not in whys:  # a file that cannot be imported is told of again after each crash of another
            whys.append(why)

    def lines(self) -> list[str]:
        """Return a line for each file that breaks, with the first of its failures."""
        return [
            f"{path}: {len(whys)} broken, first {whys[0]}" if len(whys) > 1 else f"{path}: {whys[0]}"
            for path, whys in self.broken.items()
        ]


def run_tests(python: Path, folder: Path, files: Sequence[str]) -> Outcome:
    """Run files of tests; after a crash go on with the file behind the one that crashed.

    Args:
        python: the interpreter of the environment.
        folder: the tree that holds the tests.
        files: paths of test files, relative to it.
    """
    outcome, pending = Outcome(), list(files)
    while pending:
        events, end = _pytest(python, folder, pending)
        for event in events:
            outcome.passed += event["event"] == "passed"
            if event["event"] == "failed":
                outcome.add(event["test"], event["why"])
        if end is None:
            break
        at = next((event["test"] for event in reversed(events) if ".py" in event["test"]), "")
        path = at.partition("::")[0]
        if path not in pending:
            outcome.add("", end)
            break
        outcome.add(at, f"{end}; the rest of the file was not run")
        running = any(event["event"] == "start" for event in events)
        before, behind = pending[: pending.index(path)], pending[pending.index(path) + 1 :]
        pending = behind if running else before + behind
    return outcome


def _pytest(python: Path, folder: Path, files: Sequence[str]) -> tuple[list[dict[str, str]], str | None]:
    """Return what the plugin told, and how the process ended where pytest did not end it."""
    told, output = folder / "newest-events.jsonl", folder / "newest-pytest.txt"
    told.write_text("")
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        **{EVENTS: str(told), "PYTHONPATH": str(folder / ".ci"), "OMP_NUM_THREADS": "2"},
    }
    command = [
        *(str(python), "-m", "pytest", "-p", "newest", "-q", "--tb=short", "--continue-on-collection-errors"),
        *("-m", "not gpu and not network", *files),
    ]
    with output.open("w") as file:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
        end = _wait(process, told)
    events = [json.loads(line) for line in told.read_text("utf-8").splitlines()]
    if end is None and process.returncode not in (0, 1, 5):
        end = _name(process.returncode) + _reason(output.read_text("utf-8", "replace"))
    return events, end


def _wait(process: subprocess.Popen[bytes], told: Path) -> str | None:
    """Wait for the end; kill what tells nothing for :data:`SILENCE_S`, and say so."""
    size, since = -1, time.monotonic()
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
            return None
        if told.stat().st_size != size:
            size, since = told.stat().st_size, time.monotonic()
        elif time.monotonic() - since > SILENCE_S:
            process.kill()
            process.wait()
            return f"hangs: nothing for {SILENCE_S} s"


def _name(code: int) -> str:
    return f"crash, {signal.Signals(-code).name}" if code < 0 else f"pytest ended with {code}"


def _reason(output: str) -> str:
    """Return where a crash happened: the newest frame that faulthandler printed, or pytest's last line."""
    frame = re.search(r'most recent call first\):\n\s*(File "[^"]*", line \d+ in \S+)', output)
    if frame:
        return " in " + re.sub(r'"\S*/site-packages/', '"', frame[1])
    return ""


# The environment


class Environment:
    """A virtual environment with the package of a copied tree, whose versions are changed and put back."""

    def __init__(self, python: str, folder: Path) -> None:
        self.tree, self.pyproject = folder / "tree", (REPOSITORY / "pyproject.toml").read_text("utf-8")
        shutil.rmtree(self.tree, ignore_errors=True)  # of an earlier call
        shutil.copytree(REPOSITORY, self.tree, ignore=LEFT_OUT)
        subprocess.run([python, "-m", "venv", folder / "venv"], check=True)
        self.python = folder / "venv" / "bin" / "python"
        self._pip("install", "--upgrade", "pip", "setuptools")

    def newest(self, lifted: Sequence[str]) -> str | None:
        """Install the newest versions with some bounds lifted; return what pip says where it cannot."""
        (self.tree / "pyproject.toml").write_text(lift(self.pyproject, lifted), "utf-8")
        return self._pip(
            *("install", "--upgrade", "--upgrade-strategy", "eager", "--prefer-binary"),
            *("--editable", f"{self.tree}[all]"),
        )

    def put_back(self, versions: dict[str, str]) -> str | None:
        """Install exact versions of some packages, whatever others ask for."""
        pins = [f"{name}=={version}" for name, version in versions.items()]
        return self._pip("install", "--no-deps", "--prefer-binary", *pins) if pins else None

    def versions(self) -> dict[str, str]:
        """Return package -> version of what is installed, by the names that constraints.txt uses."""
        listed = subprocess.run(
            [self.python, "-m", "pip", "list", "--format", "json"], check=True, capture_output=True, text=True
        )
        found = {
            canonical(row["name"]): row["version"].partition("+")[0] for row in json.loads(listed.stdout)
        }
        return {name: version for name, version in found.items() if name != "kws"}

    def pinned(self) -> dict[str, str]:
        """Return package -> version of constraints.txt for this environment's Python and system."""
        program = (
            "import sys; from packaging.requirements import Requirement as R\n"
            "rows = [R(line.strip()) for line in open(sys.argv[1]) if line[0] != '#']\n"
            "print(*(f'{r.name}{r.specifier}' for r in rows if r.marker is None or r.marker.evaluate()))"
        )
        ran = subprocess.run(
            [self.python, "-c", program, self.tree / "constraints.txt"],
            check=True,
            capture_output=True,
            text=True,
        )
        return dict(pin.split("==") for pin in ran.stdout.split())

    def _pip(self, *words: str) -> str | None:
        ran = subprocess.run([self.python, "-m", "pip", *words], capture_output=True, text=True)
        said = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")]
        return "; ".join(said or ["pip failed"])[:400] if ran.returncode else None


def canonical(name: str) -> str:
    """Return a package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def bounded(pyproject: str) -> list[str]:
    """Return the packages for which pyproject.toml has an upper bound."""
    return list(dict.fromkeys(found[1] for found in BOUND.finditer(pyproject)))


def lift(pyproject: str, names: Sequence[str]) -> str:
    """Return pyproject.toml without the upper bounds of some packages."""

    def without(found: re.Match[str]) -> str:
        name, asked = found.groups()
        parts = asked.split(",") if name in names else [asked]
        return f'"{name}' + ",".join(part for part in parts if name not in names or "<" not in part)

    return BOUND.sub(without, pyproject)


# The report


def tried(environment: Environment, lifted: Sequence[str], files: Sequence[str]) -> bool:
    """Try the newest versions with some bounds lifted, print what is found; return whether all is well."""
    print(f"\n## {' and '.join(lifted)} without upper bound" if lifted else "\n## Within the bounds")
    failed = environment.newest(lifted)
    if failed:
        print(f"pip cannot: {failed}")
        return False
    newest, pinned = environment.versions(), environment.pinned()
    differing = sorted(name for name, version in newest.items() if pinned.get(name) != version)
    print(f"{len(differing)} of {len(newest)} packages differ from constraints.txt")
    for name in differing:
        print(f"- {name} {pinned.get(name, 'not there')} -> {newest[name]}")
    outcome = run_tests(environment.python, environment.tree, files)
    print(f"{outcome.passed} tests pass; {len(outcome.broken)} of {len(files)} files break")
    for line in outcome.lines():
        print(f"- {line}")
    again = [path for path in outcome.broken if path in files]
    known = {name: pinned[name] for name in differing if name in pinned}
    if again and known:
        print(culprit(environment, known, newest, again))
    return not outcome.broken


def tried_to_the_end(environment: Environment, lifted: Sequence[str], files: Sequence[str]) -> bool:
    """Do as :func:`tried`; what it cannot do is told, so that the next trial comes."""
    try:
        return tried(environment, lifted, files)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or ""
        print(f"this trial ends here: {error} {said[-400:]}")
        return False


def culprit(
    environment: Environment, pinned: dict[str, str], newest: dict[str, str], files: Sequence[str]
) -> str:
    """Say with which package the broken files pass again, halving what is put back to constraints.txt.

    Args:
        environment: the environment with the newest versions, as it is left too.
        pinned: package -> version of constraints.txt, of those that differ.
        newest: package -> version that is installed.
        files: those that break.
    """

    def mends(names: Sequence[str]) -> bool:
        environment.put_back({name: pinned[name] for name in names})
        mended = not run_tests(environment.python, environment.tree, files).broken
        environment.put_back({name: newest[name] for name in names})
        return mended

    names = sorted(pinned)
    if not mends(names):
        return "They break with the versions of constraints.txt too"
    while len(names) > 1:
        half = names[: len(names) // 2]
        names = half if mends(half) else names[len(half) :]
        if len(names) > 1 and not mends(names):
            return (
                f"They pass with constraints.txt, for more than one of its packages ({', '.join(names)}, ...)"
            )
    (name,) = names
    return f"They pass with {name} {pinned[name]} instead of {newest[name]}"


def test_files(folder: Path, asked: Sequence[str]) -> list[str]:
    """Return the test files below some paths, in order."""
    paths = [folder / path for path in asked]
    found = [
        file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("test_*.py")))
    ]
    return list(dict.fromkeys(file.relative_to(folder).as_posix() for file in found))


def main() -> int:
    """Return 1 where something breaks that pyproject.toml allows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "tests", nargs="*", default=["tests"], help="files or folders of tests (default: all)"
    )
    parser.add_argument("--python", default=sys.executable, help="the Python to try (default: this one)")
    parser.add_argument(
        "--lift", nargs="*", metavar="PACKAGE", help="bounds to lift (default: each alone, then all)"
    )
    parser.add_argument(
        "--folder", type=Path, help="where environment and tree are kept (default: a temporary one)"
    )
    arguments = parser.parse_args()
    bounds = bounded((REPOSITORY / "pyproject.toml").read_text("utf-8"))
    lifts = [[name] for name in (bounds if arguments.lift is None else arguments.lift)]
    trials = [[], *lifts, *([bounds] if arguments.lift is None else [])]
    files = test_files(REPOSITORY, arguments.tests)
    with tempfile.TemporaryDirectory() as temporary:
        environment = Environment(arguments.python, arguments.folder or Path(temporary))
        print(f"# The newest of everything, {time.strftime('%Y-%m-%d')}, {platform.platform(terse=True)}")
        well = [tried_to_the_end(environment, lifted, files) for lifted in trials]
    return 0 if well[0] else 1


if __name__ == "__main__":
    sys.exit(main())
