"""A room of sound in software: a private PulseAudio whose microphone hears what is played in it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def room(folder: Path) -> Iterator[dict[str, str]]:
    """Start a sound server with one virtual room (a null sink); gives the environment of its clients.

    It needs system packages, which pip does not bring and a newcomer need not have: without them the test is
    skipped. Where they are, nothing is.

    Args:
        folder: for its files; made if it is missing.
    """
    absent = [name for name in ("pulseaudio", "paplay", "pactl") if shutil.which(name) is None]
    if absent:
        pytest.skip(f"PulseAudio, a system package, is not installed: no {', '.join(absent)}")
    folder.mkdir(mode=0o700, exist_ok=True)
    asound = folder / "asound.conf"
    asound.write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
    environment = {
        **os.environ,
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "PULSE_SERVER": f"unix:{folder}/native",
        "PULSE_SINK": "room",
        "PULSE_SOURCE": "room.monitor",
        "ALSA_CONFIG_PATH": str(asound),
    }
    with sound_server(folder, environment):
        plug(environment)
        yield environment


@contextmanager
def sound_server(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Run PulseAudio without any device; a second one may follow in the same folder.

    Args:
        folder: for its socket and its log.
        environment: of a client.
    """
    arguments = [
        "--daemonize=no",
        "--exit-idle-time=-1",
        "--system=false",
        "--use-pid-file=no",
        "--disable-shm=yes",
        "-n",
        "--load",
        f"module-native-protocol-unix auth-anonymous=1 socket={folder}/native",
    ]
    with (folder / "log").open("a") as log:
        server = subprocess.Popen(["pulseaudio", *arguments], env=environment, stdout=log, stderr=log)
    try:
        started = wait_for(lambda: "native-protocol" in _listed(environment, "modules"), 30)
        assert started, f"PulseAudio did not start: {(folder / 'log').read_text()[-300:]}"
        yield
    finally:
        server.terminate()
        server.wait(10)


def plug(
    environment: Mapping[str, str], rate_hz: int = 48_000, num_channels: int = 2, form: str = "s16le"
) -> None:
    """Plug the microphone in: its samples are of a rate, a number of channels and a format of PulseAudio."""
    device = ["sink_name=room", f"rate={rate_hz}", f"channels={num_channels}", f"format={form}"]
    _pactl(environment, "load-module", "module-null-sink", *device)
    assert wait_for(lambda: "room.monitor" in _listed(environment, "sources"), 30)


def unplug(environment: Mapping[str, str]) -> None:
    """Pull the microphone out; who listens to it is cut off."""
    _pactl(environment, "unload-module", "module-null-sink")


def _pactl(environment: Mapping[str, str], *words: str) -> None:
    subprocess.run(["pactl", *words], env=environment, check=True, capture_output=True, timeout=30)


def microphone_is_open(environment: Mapping[str, str]) -> bool:
    """Tell whether somebody listens in the room."""
    return bool(_listed(environment, "source-outputs").strip())


def _listed(environment: Mapping[str, str], kind: str) -> str:
    return subprocess.run(
        ["pactl", "list", "short", kind], env=environment, capture_output=True, text=True
    ).stdout


def wait_for(condition: Callable[[], bool], limit_s: float) -> bool:
    """Return whether a condition holds at last within so many seconds."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False
