"""The script that tries the newest versions: which bounds it lifts, and that no crash of a test stops it."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / ".ci" / "newest.py"
PYPROJECT = """\
requires-python = ">=3.10,<3.15"
a = [
    "torch>=2.11,<2.12",
    "librosa>=0.11,<1",  # with a reason
    "numba<0.68",
    "lhotse>=1.31",
    "pyroomacoustics>=0.8.4; python_version < '3.11'",
    "torch>=2.11,<2.12",
]
"""
BREAKING = {
    "test_a.py": "def test_passes(): pass\ndef test_fails(): raise ValueError('no such key')\n",
    "test_b.py": "import os\ndef test_passes(): pass\ndef test_crashes(): os.kill(os.getpid(), 11)\n",
    "test_c.py": "import no_such_module\n",
    "test_d.py": "def test_passes(): pass\n",
    "test_e.py": "import os\nos.kill(os.getpid(), 6)\n",
}


@pytest.fixture(scope="module")
def newest():
    specification = importlib.util.spec_from_file_location("newest", SCRIPT)
    module = importlib.util.module_from_spec(specification)
    sys.modules["newest"] = module
    specification.loader.exec_module(module)
    yield module
    del sys.modules["newest"]


def test_only_upper_bounds_are_lifted_and_only_those_asked_for(newest):
    assert newest.bounded(PYPROJECT) == ["torch", "librosa", "numba"]
    lifted = newest.lift(PYPROJECT, ["numba", "librosa"])
    assert lifted == PYPROJECT.replace("librosa>=0.11,<1", "librosa>=0.11").replace("numba<0.68", "numba")
    assert newest.lift(PYPROJECT, []) == PYPROJECT


def test_every_bound_of_the_project_is_found(newest):
    text = SCRIPT.parents[1].joinpath("pyproject.toml").read_text("utf-8")
    assert {"torch", "torchaudio"} <= set(newest.bounded(text))
    assert "<" not in "".join(
        line.partition("#")[0].partition(";")[0]
        for line in newest.lift(text, newest.bounded(text)).splitlines()
        if "requires-python" not in line
    )


@pytest.mark.slow
def test_failures_crashes_and_what_cannot_be_imported_are_told_by_file(newest, tmp_path: Path):
    (tmp_path / ".ci").mkdir()
    shutil.copy(SCRIPT, tmp_path / ".ci")
    for name, text in BREAKING.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\nmarkers = ["gpu", "network"]\n')
    outcome = newest.run_tests(Path(sys.executable), tmp_path, newest.test_files(tmp_path, ["."]))
    assert {path: len(whys) for path, whys in outcome.broken.items()} == dict.fromkeys(
        ["test_a.py", "test_b.py", "test_c.py", "test_e.py"], 1
    )
    told = "\n".join(outcome.lines())
    for said in (
        "test_a.py: test_fails: ValueError: no such key",
        "test_b.py: test_crashes: crash, SIGSEGV in File",
        "test_c.py: import: ModuleNotFoundError: No module named 'no_such_module'",
        "test_e.py: import: crash, SIGABRT in File",
    ):
        assert said in told
    assert outcome.passed == 3


def test_the_package_to_blame_is_found_by_halves(newest, monkeypatch: pytest.MonkeyPatch):
    installed = {name: "2" for name in "abcdefg"}

    class Fake:
        python = tree = None

        def put_back(self, versions: dict[str, str]) -> None:
            installed.update(versions)

    def run_tests(python: object, tree: object, files: object) -> object:
        return newest.Outcome(broken={} if installed["e"] == "1" else {"test_a.py": ["x: no"]})

    monkeypatch.setattr(newest, "run_tests", run_tests)
    pinned = {name: "1" for name in installed}
    assert newest.culprit(Fake(), pinned, dict(installed), ["test_a.py"]) == "They pass with e 1 instead of 2"
    assert set(installed.values()) == {"2"}
    del pinned["e"]
    said = newest.culprit(Fake(), pinned, dict(installed), ["test_a.py"])
    assert said == "They break with the versions of constraints.txt too"


def test_the_pins_are_those_of_the_environments_python(newest):
    environment = object.__new__(newest.Environment)
    environment.python, environment.tree = Path(sys.executable), SCRIPT.parents[1]
    pinned = environment.pinned()
    constraints = SCRIPT.parents[1].joinpath("constraints.txt").read_text("utf-8").splitlines()
    for name in ("torch", "lhotse"):
        assert f"{name}=={pinned[name]}" in constraints
    assert f"numpy=={pinned['numpy']}" in {line.partition(" ;")[0] for line in constraints}


def test_a_trial_that_cannot_be_finished_is_told(newest, capsys: pytest.CaptureFixture[str]):
    class Fake:
        def newest(self, lifted: object) -> None:
            raise subprocess.CalledProcessError(1, "pip", stderr="no space left")

    assert not newest.tried_to_the_end(Fake(), ["numba"], [])
    assert "numba without upper bound" in (told := capsys.readouterr().out) and "no space left" in told
