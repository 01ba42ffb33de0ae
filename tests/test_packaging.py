"""The wheel, as somebody else gets it: what it holds, and that it works alone where there is no torch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from kws import audio
from kws.audio import SAMPLE_RATE
from tests.support.onnx_models import silence, tone, write_tone_model

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[1]
PACKAGES = ("kws", "data_prep", "export")
MAX_WHEEL_BYTES = 20_000_000
"""The embedded encoder takes up to 8 MB of it."""

PROGRAM = """
import importlib.util, json, sys
import kws, kws.audio
detector = kws.Detector(sys.argv[1])
detections = detector.process(kws.audio.load(sys.argv[2]))
print(json.dumps({
    "home": kws.__file__,
    "version": kws.__version__,
    "detections": [[detection.keyword, detection.time_s] for detection in detections],
    "torch_loaded": "torch" in sys.modules,
    "torch_installed": importlib.util.find_spec("torch") is not None,
}))
"""


def clean_environment() -> dict[str, str]:
    """Return the environment without what would make the checkout importable."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def call(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command outside the checkout."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=200,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that no earlier build is mixed in and none is left behind."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for package in PACKAGES:
        shutil.copytree(REPOSITORY / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    built = call(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"),
        *("--wheel-dir", folder, source),
        folder=folder,
    )
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def device(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of commands of an environment that holds the wheel without extras.

    Its Python is the one that ``DEVICE_PYTHON`` names, without it that of the tests.
    Its requirements come from a package index. Without a network there is none, and the tests are skipped;
    where pip can fetch any of them, a wheel that cannot be installed fails.
    """
    folder = tmp_path_factory.mktemp("device")
    python = os.environ.get("DEVICE_PYTHON", sys.executable)
    made = call(python, "-m", "venv", folder / "venv", folder=folder)
    assert made.returncode == 0, made.stderr
    commands = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
    pip = (commands / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    constraints = ("--constraint", REPOSITORY / "constraints.txt")
    installed = call(*pip, "--only-binary", ":all:", *constraints, wheel, folder=folder)
    if installed.returncode:
        if call(*pip, "--retries", "1", "--dry-run", "numpy", folder=folder).returncode:
            pytest.skip(f"pip reaches no package index, not even for numpy: {installed.stderr[-300:]}")
        pytest.fail(f"the wheel cannot be installed: {installed.stderr}")
    return commands


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tone_model(tmp_path / "tone.onnx")


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Three seconds with a tone at 1 s."""
    path = tmp_path / "room.wav"
    audio.save(path, np.concatenate([silence(1), tone(1000, 0.5), silence(1.5)]))
    return path


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    information = {name for name in held if ".dist-info/" in name}
    expected = {
        path.relative_to(REPOSITORY).as_posix()
        for package in PACKAGES
        for path in (REPOSITORY / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".")
    }
    assert held - information == expected
    assert any(name.endswith("licenses/LICENSE") for name in information)
    assert wheel.stat().st_size < MAX_WHEEL_BYTES


def test_the_wheel_runs_on_any_system_and_states_its_license_and_few_requirements(wheel: Path):
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        lines = archive.read(name).decode().splitlines()
    assert "License-Expression: Apache-2.0" in lines
    needed = [
        line.split()[1] for line in lines if line.startswith("Requires-Dist: ") and "extra ==" not in line
    ]
    assert [requirement.split(">")[0] for requirement in needed] == ["numpy", "onnxruntime", "soundfile"]


def test_a_device_without_torch_hears_the_keyword(device: Path, model: Path, recording: Path, tmp_path: Path):
    ran = call(device / "python", "-c", PROGRAM, model, recording, folder=tmp_path)
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert Path(result["home"]).is_relative_to(device.parent), "the checkout was imported, not the wheel"
    assert not result["torch_loaded"] and not result["torch_installed"]
    ((keyword, time_s),) = result["detections"]
    assert keyword == "tone" and 1.0 < time_s < 1.15
    (version,) = device.parent.rglob("kws-*.dist-info")
    assert version.name == f"kws-{result['version']}.dist-info"


def test_kws_listen_works_where_only_the_device_part_is_installed(
    device: Path, model: Path, recording: Path, tmp_path: Path
):
    disc = tmp_path / "disc.wav"
    audio.save(disc, audio.resample(audio.load(recording), SAMPLE_RATE, 44_100), 44_100)
    for path in (recording, disc):
        ran = call(device / "kws", "listen", model, "--file", path, folder=tmp_path)
        assert ran.returncode == 0, ran.stderr
        assert [line.split("  ")[1] for line in ran.stdout.splitlines()] == ["tone"]
    assert call(device / "kws", "--help", folder=tmp_path).returncode == 0


def test_kws_web_works_where_only_the_device_part_is_installed(device: Path, model: Path, tmp_path: Path):
    ran = call(device / "kws", "web", model, "--output", tmp_path / "page", folder=tmp_path)
    if not (REPOSITORY / "kws" / "web" / "vendor").is_dir():
        assert ran.returncode == 2 and "make web" in ran.stderr
        return
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "page" / "index.html").is_file()
    assert (tmp_path / "page" / "onnxruntime" / "ort-wasm-simd-threaded.wasm").stat().st_size > 10_000_000
