"""What runs the service on a machine: the image, the add-on of Home Assistant, the unit of systemd."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from kws.cli import build_parser
from kws.serve.addresses import parse_uri
from tests.support.onnx_models import write_tone_model
from tests.support.wyoming_clients import RunningService, free_port

try:
    import tomllib
except ImportError:  # Python 3.10
    from pip._vendor import tomli as tomllib

REPOSITORY = Path(__file__).parents[1]
DEPLOY = REPOSITORY / "deploy"
ADDON = DEPLOY / "home-assistant"
UNIT = DEPLOY / "systemd" / "kws-serve.service"
INSTRUCTIONS = {
    *("FROM", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "VOLUME", "STOPSIGNAL"),
    *("HEALTHCHECK", "ENTRYPOINT", "CMD"),
}
MOST_EXPOSED = 2.0
"""Of 10, as `systemd-analyze security` counts; a unit without any setting has 9.6."""


def instructions(path: Path) -> list[tuple[str, str]]:
    """Return each instruction of a Dockerfile with what follows it."""
    joined = path.read_text().replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def command_of(found: list[tuple[str, str]]) -> list[str]:
    """Return what a container runs: the entry point with the command."""
    last = dict(found)
    return json.loads(last.get("ENTRYPOINT", "[]")) + json.loads(last["CMD"])


def parsed(words: list[str]):
    """Read a command line of `kws serve`."""
    assert words[:2] == ["kws", "serve"]
    return build_parser("serve").parse_args(words[1:])


@pytest.mark.parametrize("path", [REPOSITORY / "Dockerfile", ADDON / "Dockerfile"], ids=["image", "add-on"])
def test_a_dockerfile_knows_its_instructions_and_copies_what_is_there(path: Path):
    found = instructions(path)
    assert {word for word, _ in found} <= INSTRUCTIONS
    for rest in (rest for word, rest in found if word == "COPY" and "--from=" not in rest):
        for source in rest.split()[:-1]:
            if source not in ("kws-*.whl", "constraints.txt"):  # those that `make addon` brings
                assert (path.parent / source).exists(), source
            else:
                assert (REPOSITORY / "constraints.txt").exists()
    for rest in (rest for word, rest in found if word == "RUN"):
        assert subprocess.run(["sh", "-n", "-c", rest], check=False).returncode == 0, rest
    assert all(rest.startswith("python:3.13-slim") for word, rest in found if word == "FROM")


def test_the_add_on_installs_what_the_image_does():
    steps = [
        [rest for word, rest in instructions(folder / "Dockerfile") if word == "RUN"][-1]
        for folder in (REPOSITORY, ADDON)
    ]
    assert steps[0] == steps[1] and "[serve]" in steps[0]


def test_the_image_runs_the_service_as_nobody_and_checks_its_health():
    found = instructions(REPOSITORY / "Dockerfile")
    arguments = parsed(command_of(found))
    assert [str(path) for path in arguments.models] == [dict(found)["VOLUME"]]
    assert parse_uri(arguments.uri).port == int(dict(found)["EXPOSE"])
    assert int(dict(found)["USER"].split(":")[0]) > 0
    check = parsed(json.loads(dict(found)["HEALTHCHECK"].partition(" CMD ")[2])).check
    assert parse_uri(check).port == int(dict(found)["EXPOSE"])


def test_the_context_of_the_image_is_what_it_copies():
    allowed = {
        line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")
    }
    copied = [
        source
        for word, rest in instructions(REPOSITORY / "Dockerfile")
        if word == "COPY" and "--from=" not in rest
        for source in rest.split()[:-1]
    ]
    assert allowed == set(copied)


@pytest.mark.network
def test_the_steps_of_the_image_make_an_environment_that_serves(tmp_path: Path):
    """There is no container here: each `COPY` and `RUN` is done in a folder, with the Python of the tests."""
    context, root = tmp_path / "context", tmp_path / "root"
    for name in ("pyproject.toml", "README.md", "LICENSE", "constraints.txt", "kws", "data_prep", "export"):
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, context / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            context.mkdir(exist_ok=True)
            shutil.copy(source, context)
    subprocess.run([sys.executable, "-m", "venv", root / "venv"], check=True)
    commands = root / "venv" / "bin"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment["PATH"] = f"{commands}{os.pathsep}{environment['PATH']}"
    environment["PYTHONPATH"] = ""
    place = root
    for word, rest in instructions(REPOSITORY / "Dockerfile"):
        if word == "FROM":
            place = root
        elif word == "WORKDIR":
            place = root / rest.lstrip("/")
            place.mkdir(parents=True)
        elif word == "COPY" and "--from=" not in rest:
            *sources, target = rest.split()
            target = root / target.lstrip("/") if target.startswith("/") else place / target
            for source in sources:
                if (context / source).is_dir():
                    shutil.copytree(context / source, target)
                else:
                    target.mkdir(parents=True, exist_ok=True)
                    shutil.copy(context / source, target)
        elif word == "RUN":
            script = re.sub(r"(?<![\w.])/wheels", str(root / "wheels"), rest)
            done = subprocess.run(  # what Docker makes of a RUN
                ["/bin/sh", "-c", script],
                cwd=place,
                env=environment,
                capture_output=True,
                text=True,
                timeout=220,
            )
            assert done.returncode == 0, f"{rest}\n{done.stderr}"
    assert not list(commands.parent.glob("lib/*/site-packages/torch")), "a device needs none"
    model = write_tone_model(tmp_path / "m.onnx", {"hey robot": 500.0})
    words = [
        str(commands / "kws"),
        "serve",
        str(model),
        "--uri",
        f"unix://{tmp_path}/s",
        "--log-format",
        "json",
    ]
    service = RunningService(command=words, environment=environment)
    try:
        uri = service.uri
        check = subprocess.run(
            [commands / "kws", "serve", "--check", uri], env=environment, capture_output=True, text=True
        )
        assert (check.returncode, check.stdout) == (0, f"{uri}: hey robot\n"), check.stderr
    finally:
        assert service.stop() == 0


def test_the_compose_file_starts_the_image_on_loopback_without_rights():
    (service,) = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].values()
    assert (DEPLOY / service["build"] / "Dockerfile").resolve() == REPOSITORY / "Dockerfile"
    assert service["ports"] == ["127.0.0.1:10400:10400"] and service["volumes"] == ["./models:/models:ro"]
    assert service["read_only"] and service["cap_drop"] == ["ALL"] and service["restart"] == "unless-stopped"


def unit() -> dict[str, list[str]]:
    """Return setting -> values of the unit."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def test_the_unit_restarts_whatever_happens_and_serves_on_loopback():
    found = unit()
    assert found["Restart"] == ["always"] and found["StartLimitIntervalSec"] == ["0"]
    assert found["Type"] == ["notify"] and int(found["WatchdogSec"][0]) >= 10
    words = shlex.split(found["ExecStart"][0])
    assert words[-1] == "$KWS_SERVE_OPTIONS"
    arguments = parsed(["kws", *words[1:-1]])
    assert arguments.log_format == "json" and parse_uri(arguments.uri).is_local


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here: apt-get install systemd"
)
def test_systemd_finds_nothing_wrong_with_the_unit_and_little_exposed(tmp_path: Path):
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/kws/bin/kws", shutil.which("true") or "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", copy], capture_output=True, text=True
    )
    if "--offline" in told.stderr:
        pytest.skip(f"systemd-analyze is older than 250: {told.stderr}")
    exposure = re.search(r"exposure level[^:]*: ([\d.]+)", told.stdout)
    assert exposure and float(exposure[1]) <= MOST_EXPOSED, told.stdout


def test_the_add_on_has_the_version_of_the_package_and_options_that_are_explained():
    config = yaml.safe_load((ADDON / "config.yaml").read_text())
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert config["version"] == project["version"]
    assert config["options"].keys() == config["schema"].keys()
    texts = yaml.safe_load((ADDON / "translations" / "en.yaml").read_text())
    assert (
        texts["configuration"].keys() == config["options"].keys()
        and texts["network"].keys() == config["ports"].keys()
    )
    assert config["discovery"] == ["wyoming"] and config["ports"] == {"10400/tcp": None}
    assert config["map"] == [{"type": "addon_config", "read_only": True}], "the service writes nothing"


def test_the_makefile_puts_the_wheel_into_the_add_on():
    done = subprocess.run(
        ["make", "--dry-run", "addon"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "cp dist/kws-*.whl constraints.txt dist/kws-addon/" in done.stdout.splitlines()


@pytest.mark.slow
def test_the_add_on_starts_the_service_with_its_options_and_tells_home_assistant(tmp_path: Path):
    told: list[tuple[str, str, dict]] = []

    class Supervisor(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            told.append((self.path, self.headers["Authorization"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep the output of the tests clean."""

    options = {"thresholds": ["0.7", "stop=0.9"], "refractory": ["2"], "smoothing": [], "log_format": "json"}
    (tmp_path / "options.json").write_text(json.dumps(options))
    (tmp_path / "models").mkdir()
    write_tone_model(tmp_path / "models" / "m.onnx", {"hey robot": 500.0, "stop": 900.0})
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kws").write_text(f'#!/bin/sh\nexec {sys.executable} -m kws "$@"\n')
    (tmp_path / "bin" / "kws").chmod(0o755)
    with HTTPServer(("127.0.0.1", 0), Supervisor) as supervisor:
        port = free_port()
        threading.Thread(target=supervisor.handle_request, daemon=True).start()
        environment = {
            "KWS_OPTIONS": str(tmp_path / "options.json"),
            "KWS_MODELS": str(tmp_path / "models"),
            "KWS_PORT": str(port),
            "KWS_SUPERVISOR": f"http://127.0.0.1:{supervisor.server_port}",
            "SUPERVISOR_TOKEN": "secret",
            "PATH": f"{tmp_path}/bin{os.pathsep}{os.environ['PATH']}",
        }
        service = RunningService(command=[sys.executable, str(ADDON / "run.py")], environment=environment)
        try:
            assert service.uri == f"tcp://0.0.0.0:{port}"
            thresholds = service.events("model added")[0]["thresholds"]
            assert thresholds == {"hey robot": 0.7, "stop": 0.9}
            service.wait_for("client connected")  # the one that waits until it answers
            for _ in range(500):
                if told:
                    break
                threading.Event().wait(0.02)
            ((path, authorization, body),) = told
            assert (path, authorization) == ("/discovery", "Bearer secret")
            assert body["service"] == "wyoming" and body["config"]["uri"].endswith(f":{port}")
            held = Path(f"/proc/{service.process.pid}/environ").read_bytes()
            assert b"secret" not in held, "the service does not get the token"
        finally:
            assert service.stop() == 0
