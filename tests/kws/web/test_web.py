"""`kws web`: what it writes, what it refuses, and what it leaves alone; and the folder in Node."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import signal
import subprocess
import threading
from http.client import HTTPConnection
from pathlib import Path
from socket import socket
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

import kws.workflows.web as workflow
from kws import Detector
from kws.cli import main
from kws.errors import CheckpointError, ConfigError, DependencyError
from kws.workflows.web import RUNTIME, SOURCES, VENDOR, web
from kws.workflows.written_files import LIST, WEB
from tests.support.node import node
from tests.support.onnx_models import silence, tone, write_tone_model
from tests.tolerances import BROWSER

IN_NODE = """
const { createDetector } = await import(folder + "index.js");
const read = (name) => readFileSync(new URL(name, folder));
const model = { onnx: read("model.onnx"), metadata: JSON.parse(read("model.json")) };
const detector = await createDetector(model, { wasm: read("onnxruntime/ort-wasm-simd-threaded.wasm") });
const sound = new Float32Array(new Uint8Array(Buffer.from(given.sound, "base64")).buffer);
const told = [];
detector.on("detection", (detection) => told.push(detection));
const heard = async (length, gain = 1) => {
    const scores = [];
    const detections = [];
    for (let start = 0; start < sound.length; start += length) {
        const pcm = sound.subarray(start, start + length).map((sample) => gain * sample);
        const heard = await detector.push(pcm);
        scores.push(...heard.scores);
        detections.push(...heard.detections);
    }
    detections.push(...(await detector.finish()));
    return { scores, detections };
};
const refused = await Promise.all([[1, 2], new Float32Array([NaN]), new Float32Array([1000])].map(
    (wrong) => detector.push(wrong).then(() => "taken", (error) => error.message),
));
const runs = [await heard(sound.length), await heard(777)];
const quiet = [(await heard(4000, 0.24)).detections.length];
detector.setThreshold({ low: 0.99 });
quiet.push((await heard(4000, 0.24)).detections.length);
give({ runs, told: told.slice(0, 6), refused, quiet, zero: [...detector.scores] });
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_tone_model(tmp_path / "tone.onnx", {"low": 500.0, "high": 2000.0}, smoothing_frames=2)


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Something in the place of onnxruntime for browsers, so that no npm is needed."""
    folder = tmp_path / "vendor"
    folder.mkdir()
    for name in RUNTIME:
        (folder / name).write_text(name)
    monkeypatch.setattr(workflow, "VENDOR", folder)
    return folder


def files_of(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.usefixtures("runtime")
def test_the_folder_holds_the_model_its_settings_and_every_file_that_another_names(
    model: Path, tmp_path: Path
):
    made = web(model, tmp_path / "page")
    assert files_of(made.folder) == {*made.files, LIST} == set(WEB.files)
    assert (made.folder / "model.onnx").read_bytes() == model.read_bytes()
    assert json.loads((made.folder / "model.json").read_text()) == {
        "format": 1,
        "keywords": ["low", "high"],
        "thresholds": {"low": 0.5, "high": 0.5},
        "falseAcceptsPerHour": 0.5,
        "sampleRate": 16000,
        "chunkSamples": 1280,
        "chunkDynamic": True,
        "hopSamples": 640,
        "lookaheadSamples": 0,
        "smoothingFrames": 2,
        "refractoryS": 1.0,
        "competeS": 0.5,
        "license": "CC0-1.0",
    }
    for name in made.files:
        if name.endswith((".html", ".js", ".css", ".webmanifest")) and "/" not in name:
            text = (made.folder / name).read_text("utf-8")
            named = re.findall(r'(?:from|href=|src=|URL\(|"src":) ?"(?:\./)?([\w/-]+\.[\w.-]+)"', text)
            assert set(named) <= set(made.files), name
    assert "{" not in (made.folder / "README.md").read_text().partition("```")[0]


@pytest.mark.usefixtures("runtime")
def test_the_service_worker_keeps_exactly_the_other_files_under_a_version_of_their_content(
    model: Path, tmp_path: Path
):
    made = web(model, tmp_path / "page")
    worker = (made.folder / "sw.js").read_text()
    (version,) = re.findall(r"^const VERSION = (.*);$", worker, re.M)
    (kept,) = re.findall(r"^const FILES = (.*?);$", worker, re.M | re.S)
    assert json.loads(version) == made.version
    sums = {name: hashlib.sha256((made.folder / name).read_bytes()).digest() for name in made.files}
    assert json.loads(kept) == {
        name: f"sha256-{base64.b64encode(checksum).decode()}"
        for name, checksum in sums.items()
        if name != "sw.js"
    }
    assert web(model, tmp_path / "same").version == made.version
    other = write_tone_model(tmp_path / "other.onnx", {"low": 500.0, "high": 2000.0}, smoothing_frames=3)
    assert web(other, tmp_path / "other").version != made.version


@pytest.mark.usefixtures("runtime")
def test_no_file_of_the_project_names_an_address_of_others(model: Path, tmp_path: Path):
    made = web(model, tmp_path / "page")
    for name in made.files:
        content = (made.folder / name).read_bytes()
        found = re.findall(rb"https?://[\w.-]+", content) if name != "model.onnx" else []
        assert set(found) <= {b"http://www.w3.org"}, name  # the name space of pictures


def test_the_page_allows_itself_scripts_and_addresses_of_its_own_place_alone():
    page = (SOURCES / "index.html").read_text("utf-8")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    allowed = {rule.split()[0]: rule.split()[1:] for rule in policy.split(";")}
    assert allowed.pop("script-src") == ["'self'", "'wasm-unsafe-eval'"]
    assert allowed.pop("default-src") == allowed.pop("base-uri") == allowed.pop("form-action") == ["'none'"]
    assert {source for sources in allowed.values() for source in sources} == {"'self'"}
    assert page.index("Content-Security-Policy") < page.index("<link") < page.index("<script")
    assert not re.search(r"<style|\bstyle=|\bon\w+=|<script(?! type=\"module\" src=)", page)


@pytest.mark.usefixtures("runtime")
def test_open_serves_the_folder_to_this_machine_alone_until_it_is_stopped(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    seen: dict[str, Any] = {}

    def look(address: str) -> None:
        place = urlsplit(address)
        try:
            for path in ("/", "/index.js", "/app.webmanifest", "/../tones.onnx", "/%2e%2e/tone.onnx"):
                connection = HTTPConnection(place.hostname or "", place.port, timeout=10)
                connection.request("GET", path)
                answer = connection.getresponse()
                seen[path] = answer.status, answer.headers["Content-Type"]
                connection.close()
        finally:
            signal.raise_signal(signal.SIGINT)

    def browser(address: str) -> None:
        seen["address"] = address
        threading.Thread(target=look, args=(address,)).start()

    monkeypatch.setattr("webbrowser.open", browser)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
    try:
        assert main(["web", str(model), "--output", str(tmp_path / "page"), "--open", "0"]) == 0
    finally:
        signal.signal(signal.SIGINT, before)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", seen.pop("address"))
    assert [status for status, _ in seen.values()] == [200, 200, 200, 404, 404]
    assert [kind.split(";")[0] for _, kind in seen.values()][:3] == [
        "text/html",
        "text/javascript",
        "application/manifest+json",
    ]
    assert "Ctrl-C ends" in capsys.readouterr().out
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        again = ["web", str(model), "--output", str(tmp_path / "page"), "--overwrite", "--open", port]
        assert main(again) == 2
    assert "cannot listen there" in capsys.readouterr().err


@pytest.mark.usefixtures("runtime")
def test_a_page_is_replaced_only_when_that_is_wished_and_files_of_others_stay(model: Path, tmp_path: Path):
    page = tmp_path / "page"
    web(model, page)
    (page / "mine.txt").write_text("mine")
    (page / "onnxruntime" / "mine.txt").write_text("mine too")
    with pytest.raises(ConfigError, match="holds a page already; give `overwrite=True`"):
        web(model, page)
    other = write_tone_model(tmp_path / "other.onnx", {"other": 1000.0})
    made = web(other, page, overwrite=True)
    assert json.loads((page / "model.json").read_text())["keywords"] == ["other"]
    assert files_of(page) == {*made.files, LIST, "mine.txt", "onnxruntime/mine.txt"}


@pytest.mark.usefixtures("runtime")
def test_folders_of_others_and_links_to_elsewhere_are_refused(model: Path, tmp_path: Path):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "index.html").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(ConfigError, match="holds something else than a page of `kws web`"):
            web(model, foreign, overwrite=overwrite)
    assert files_of(foreign) == {"index.html"}
    with pytest.raises(ConfigError, match="nothing was touched"):
        web(model, model.parent)

    page = tmp_path / "page"
    web(model, page)
    shutil.rmtree(page / "onnxruntime")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "ort.js").write_text("mine")
    (page / "onnxruntime").symlink_to(elsewhere)
    (page / "index.html").unlink()
    (page / "index.html").symlink_to(elsewhere / "ort.js")
    with pytest.raises(ConfigError, match="`onnxruntime` is a link to elsewhere"):
        web(model, page, overwrite=True)
    (page / "onnxruntime").unlink()
    web(model, page, overwrite=True)
    assert (elsewhere / "ort.js").read_text() == "mine" and not (page / "index.html").is_symlink()


def test_what_is_no_model_leaves_no_folder(tmp_path: Path):
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(CheckpointError, match="cannot open it as an ONNX model"):
        web(tmp_path / "text.onnx", tmp_path / "page")
    assert not (tmp_path / "page").exists()


def test_without_onnxruntime_for_browsers_one_error_says_how_to_get_it(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(workflow, "VENDOR", tmp_path / "nothing")
    with pytest.raises(DependencyError, match="run `make web` in a checkout"):
        web(model, tmp_path / "page")
    assert main(["web", str(model), "--output", str(tmp_path / "page")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "make web" in said
    assert not (tmp_path / "page").exists()


@pytest.mark.usefixtures("runtime")
def test_the_command_says_what_it_wrote_and_how_to_look_at_it(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    page = tmp_path / "a page"
    assert main(["web", str(model), "--output", str(page)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(
        f"{page}/index.html  low (from 0.50), high (from 0.50), {len(WEB.files) - 1} files"
    )
    assert lines[1] == f"  look at it: python -m http.server --bind 127.0.0.1 -d '{page}'"
    assert main(["web", str(model), "--output", str(page)]) == 2
    assert "give --overwrite to replace it" in capsys.readouterr().err


@pytest.mark.usefixtures("runtime")
def test_names_of_the_package_are_those_that_npm_takes(model: Path, tmp_path: Path):
    for number, (keyword, name) in enumerate(
        {"Hey, Computer!": "kws-hey-computer", "../../x": "kws-x", "你好": "kws-detector"}.items()
    ):
        made = web(write_tone_model(tmp_path / "named.onnx", {keyword: 1000.0}), tmp_path / str(number))
        package = json.loads((made.folder / "package.json").read_text("utf-8"))
        assert package["name"] == name
        assert all((made.folder / file).exists() for file in package["files"])
        assert all((made.folder / place).exists() for place in package["exports"]["."].values())


@pytest.mark.slow
@pytest.mark.skipif(not VENDOR.is_dir(), reason="no onnxruntime for browsers: `make web`, which needs npm")
def test_the_module_hears_in_node_what_python_hears(model: Path, tmp_path: Path):
    made = web(model, tmp_path / "page")
    sound = np.concatenate([silence(0.5), tone(500, 0.4), silence(1), tone(2000, 0.5), silence(0.2)])
    sound = np.concatenate([sound, tone(500, 0.045)])  # in the middle of the last frame
    detector = Detector(model)
    expected, detections = detector.push(sound)
    detections += detector.finish()
    assert [detection.keyword for detection in detections] == ["low", "high", "low"]
    found = node(IN_NODE, made.folder, {"sound": base64.b64encode(sound.tobytes()).decode()})
    for run in found["runs"]:
        scores = np.array(run["scores"]).reshape(-1, 2)
        np.testing.assert_allclose(scores, expected, atol=BROWSER)
        assert [(each["keyword"], each["frame"]) for each in run["detections"]] == [
            (detection.keyword, detection.frame) for detection in detections
        ]
        times = [detection.time_s for detection in detections]
        np.testing.assert_allclose([each["timeS"] for each in run["detections"]], times)
    assert found["told"] == [each for run in found["runs"] for each in run["detections"]]
    assert [said.split(":")[0].split(",")[0] for said in found["refused"]] == [
        "audio",
        "audio holds NaN or infinite values",
        "float audio reaches 1000",
    ]
    assert found["quiet"] == [2, 1] and found["zero"] == [0, 0]


@pytest.mark.slow
@pytest.mark.skipif(not VENDOR.is_dir(), reason="no onnxruntime for browsers: `make web`, which needs npm")
def test_npm_packs_what_the_module_needs(model: Path, tmp_path: Path):
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("no npm here: apt-get install npm")
    made = web(model, tmp_path / "page")
    command = [npm, "pack", "--dry-run", "--json", "--offline", "--cache", str(tmp_path / "cache")]
    packed = subprocess.run(command, cwd=made.folder, capture_output=True, text=True, timeout=60)
    assert packed.returncode == 0, packed.stderr
    names = {file["path"] for file in json.loads(packed.stdout)[0]["files"]}
    page = {name for name in made.files if name.startswith(("page.", "sw.", "app.", "icon", "index.html"))}
    assert names == set(made.files) - page - {"style.css", "curve.js", "recent.js", "texts.js", "offline.js"}


@pytest.mark.skipif(not VENDOR.is_dir(), reason="no onnxruntime for browsers: `make web`, which needs npm")
def test_what_npm_brought_is_what_this_commit_names():
    named = (SOURCES.parents[1] / "web" / "vendor.mjs").read_text("utf-8")
    wasm = hashlib.sha256((VENDOR / "ort-wasm-simd-threaded.wasm").read_bytes()).hexdigest()
    assert f'"{wasm}"' in named
    version = json.loads((SOURCES.parents[1] / "web" / "package.json").read_text())["dependencies"]
    assert (
        f"ONNX Runtime Web v{version['onnxruntime-web']}" in (VENDOR / "ort.wasm.bundle.min.mjs").read_text()
    )
