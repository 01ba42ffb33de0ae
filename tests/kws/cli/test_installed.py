"""What ``kws`` says of packages: their versions, and all that are missing at once."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import kws
from kws.cli import installed, main
from kws.errors import DependencyError

REQUIRES = [
    "numpy>=1.26",
    'torch<2.12,>=2.11; extra == "train"',
    "pyyaml>=6.0.1; extra == 'train'",
    'lhotse>=1.31; extra == "train"',
    'pyroomacoustics>=0.8.4; (python_version >= "3.11" or os_name != "nt") and extra == "train"',
    'sounddevice>=0.5; extra == "mic"',
]
PREP = ["prep", str(Path(__file__).parent), "--output", "b"]


@pytest.fixture
def only_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make it an environment where only numpy is installed beside ``kws``."""

    def version(name: str) -> str:
        if name != "numpy":
            raise metadata.PackageNotFoundError(name)
        return "2.0"

    monkeypatch.setattr(installed.metadata, "requires", lambda name: REQUIRES)
    monkeypatch.setattr(installed.metadata, "version", version)


def test_the_version_is_told_without_importing_what_it_names():
    program = (
        "import sys; from kws.cli import main\n"
        "try: main(['--version'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "print(sorted({'numpy', 'onnxruntime', 'torch'} & set(sys.modules)))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    *told, imported = ran.stdout.splitlines()
    assert imported == "[]"
    assert told[0] == f"kws {kws.__version__}"
    for name in ("numpy", "onnxruntime", "torch"):
        assert f"{name} {metadata.version(name)}" in told


def test_packages_that_are_not_installed_have_no_line(only_numpy: None):
    assert installed.versions().splitlines()[2:] == ["numpy 2.0"]


@pytest.mark.parametrize(
    ("module", "named"),
    [
        ("torch", "torch, pyyaml, lhotse"),
        ("yaml", "torch, pyyaml, lhotse"),
        ("lhotse.cut", "torch, pyyaml, lhotse"),
        ("some_other", "some-other, torch, pyyaml, lhotse"),
    ],
)
def test_all_missing_packages_are_named_at_once(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    only_numpy: None,
    module: str,
    named: str,
):
    def fail(arguments: object) -> int:
        raise ModuleNotFoundError("x", name=module)

    monkeypatch.setattr("kws.cli.prep.run", fail)
    assert main(PREP) == 2
    assert capsys.readouterr().err == f'kws prep: needs {named}: pip install "kws[train]"\n'


def test_a_message_of_one_package_is_followed_by_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], only_numpy: None
):
    def fail(arguments: object) -> int:
        raise DependencyError("corpus recipes need lhotse")

    monkeypatch.setattr("kws.cli.prep.run", fail)
    monkeypatch.setattr("kws.cli.listen.run", fail)
    assert main(PREP) == 2
    said = 'corpus recipes need lhotse; torch, pyyaml missing too: pip install "kws[train]"\n'
    assert capsys.readouterr().err == f"kws prep: {said}"
    assert main(["listen", __file__]) == 2
    assert capsys.readouterr().err == "kws listen: corpus recipes need lhotse\n"
