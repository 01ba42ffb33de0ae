"""Real browsers without a window: Debian's Chromium through selenium, Firefox through WebDriver BiDi.

Each context manager skips the test where something is lacking, and says how to get it. Nothing is fetched:
selenium is given the driver that is installed.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

NPM_PACKAGES = Path(__file__).parents[2] / "web" / "node_modules"
"""Where `make web` puts what npm brings."""

AXE = NPM_PACKAGES / "axe-core" / "axe.min.js"
HOSTS = "MAP insecure.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
"""Names that Chromium knows: this machine alone. ``insecure.test`` is an address of it without https."""
START_S = 60.0
"""Longest wait for a browser to start, in seconds: two of them may share one core."""


@contextmanager
def chromium(
    microphone: Path | None = None,
    *,
    loop: bool = False,
    dark: bool = False,
    size: tuple[int, int] = (1280, 900),
    net_log: Path | None = None,
    flags: tuple[str, ...] = (),
) -> Iterator[Chrome]:
    """Give a Chromium of its own profile, which logs every request and what pages write to the console.

    Args:
        microphone: WAV that plays, from its start, each time that a page opens the microphone, which is
            permitted without a question. None leaves the microphone of the machine, and questions are
            answered by nobody.
        loop: play the recording again and again; else silence follows it.
        dark: pages see ``prefers-color-scheme: dark``.
        size: width and height of the window in pixels; see :func:`shown_on` for a phone.
        net_log: file for :func:`requested_by_scripts`, complete once the browser is closed.
        flags: more options of the command line.
    """
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="no selenium: pip install selenium", exc_type=ImportError
    )
    browser = _program("chromium", "chromium", "chromium-browser", "google-chrome")
    driver_path = _program("chromium-driver", "chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    given = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", *flags]
    given += ["--no-first-run", "--disable-background-networking", "--disable-component-update"]
    given += [f"--host-resolver-rules={HOSTS}", f"--window-size={size[0]},{size[1]}"]
    if net_log is not None:
        given += [f"--log-net-log={net_log.resolve()}"]
    if microphone is not None:
        once = "" if loop else "%noloop"
        given += ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
        given += [f"--use-file-for-fake-audio-capture={microphone.resolve()}{once}"]
    for flag in given:
        options.add_argument(flag)
    service = webdriver.ChromeService(executable_path=driver_path, log_output=subprocess.DEVNULL)
    driver: Chrome = webdriver.Chrome(options=options, service=service)
    try:
        driver.set_page_load_timeout(START_S)
        driver.set_script_timeout(START_S)
        if dark:
            shown_on(driver, dark=True)
        yield driver
    finally:
        driver.quit()


def shown_on(driver: Chrome, *, dark: bool = False, width: int | None = None, height: int = 800) -> None:
    """Show the page in light or dark, and as wide as a phone where ``width`` (pixels) is given."""
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    if width is None:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        return
    phone = {"width": width, "height": height, "deviceScaleFactor": 2, "mobile": True}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)


def requested(driver: Chrome) -> list[str]:
    """Return every address that the page asked for since the last call, in order.

    Addresses within the browser (``data:``, ``blob:``, ``chrome:``) are left out. What a service worker asks
    for is in :func:`requested_by_scripts`.
    """
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    urls = [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]
    return [url for url in urls if not url.startswith(("data:", "blob:", "chrome:", "about:"))]


def requested_by_scripts(net_log: Path) -> list[str]:
    """Return every address that a page or a worker asked for, from the log of a Chromium that is closed.

    What the browser asks for on its own behalf, such as its updates, is left out.
    """
    log = json.loads(net_log.read_text(encoding="utf-8"))
    begins = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [event.get("params", {}) for event in log["events"] if event["type"] == begins]
    return [each["url"] for each in asked if each.get("initiator", "").startswith("http")]


def complaints(driver: Chrome) -> list[str]:
    """Return the warnings and errors that the console got since the last call."""
    told = driver.get_log("browser")
    return [entry["message"] for entry in told if entry["level"] in ("WARNING", "SEVERE")]


def axe(driver: Chrome, impacts: tuple[str, ...] = ("serious", "critical")) -> list[str]:
    """Return what axe-core finds wrong with the page as it is shown now, one line a violation.

    Args:
        driver: with the page.
        impacts: weights that count; others are "moderate" and "minor".
    """
    if not AXE.is_file():
        pytest.skip(f"no axe-core in {NPM_PACKAGES}: `make web`, which needs npm (apt-get install npm)")
    driver.execute_script(AXE.read_text(encoding="utf-8"))
    found = driver.execute_async_script(
        "const done = arguments[arguments.length - 1];"
        "axe.run(document).then((result) => done(result.violations), (error) => done(String(error)));"
    )
    assert isinstance(found, list), found
    return [
        f"{each['impact']} {each['id']}: {each['help']}: {[node['target'] for node in each['nodes']]}"
        for each in found
        if each["impact"] in impacts
    ]


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the files of a folder on this machine alone; gives the address, which ends with ``/``."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Firefox:
    """One tab of a Firefox, driven through WebDriver BiDi.

    Args:
        socket: connection to the browser.
    """

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._call("session.new", capabilities={})
        self._tab = self._call("browsingContext.getTree")["contexts"][0]["context"]

    def get(self, url: str) -> None:
        """Open a page and wait until it is loaded."""
        self._call("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, once it is settled where it is a promise.

        Args:
            expression: its value is anything that JSON can hold.
        Raises:
            RuntimeError: it throws.
        """
        answer = self._call(
            "script.evaluate",
            expression=f"(async () => JSON.stringify((await ({expression})) ?? null))()",
            target={"context": self._tab},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    def _call(self, method: str, **parameters: Any) -> Any:
        """Send one command and return its result; events between are passed over."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=START_S))
            if answer.get("id") == number:
                break
        if answer["type"] == "error":
            raise RuntimeError(f"{method}: {answer['error']}: {answer['message']}")
        return answer["result"]


@contextmanager
def firefox(environment: Mapping[str, str] | None = None) -> Iterator[Firefox]:
    """Give a Firefox of its own profile, to which every microphone is permitted without a question.

    Args:
        environment: of the process, such as that of :func:`tests.support.rooms.room`, where its microphone
            listens. None takes the environment of this one; pages then have no device that plays or records,
            and no ``AudioContext`` of theirs runs.
    """
    client = pytest.importorskip("websockets.sync.client", reason="no websockets: pip install websockets")
    browser = _program("firefox-esr", "firefox-esr", "firefox")
    wanted = {
        "app.update.auto": False,
        "browser.shell.checkDefaultBrowser": False,
        "datareporting.policy.dataSubmissionEnabled": False,
        "media.navigator.permission.disabled": True,
        "network.captive-portal-service.enabled": False,
        "network.connectivity-service.enabled": False,
        "remote.active-protocols": 1,
    }
    with TemporaryDirectory(prefix="firefox-", ignore_cleanup_errors=True) as profile:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in wanted.items()]
        Path(profile, "user.js").write_text("".join(lines), encoding="utf-8")
        command = [browser, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"]
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**(environment or os.environ), "HOME": profile},
        )
        try:
            address = _listening_at(process)
            with client.connect(f"{address}/session", max_size=None, open_timeout=START_S) as socket:
                yield Firefox(socket)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listening_at(process: subprocess.Popen[str]) -> str:
    """Return the address that a Firefox says it listens at; what it says later is read and dropped."""
    said: list[str] = []
    found: list[str] = []

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            said.append(line)
            match = re.search(r"WebDriver BiDi listening on (ws://\S+)", line)
            found.extend([match[1]] if match else [])

    threading.Thread(target=read, daemon=True).start()
    until = time.monotonic() + START_S
    while not found and process.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    assert found, f"Firefox did not start: {''.join(said)[-2000:]}"
    return found[0]


def _program(package: str, *names: str) -> str:
    """Return the path of the first program that is here, or skip the test."""
    for name in names:
        found = shutil.which(name)
        if found:
            return found
    pytest.skip(f"no {names[0]} here: apt-get install {package}")
