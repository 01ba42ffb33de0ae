"""What ``kws bench`` times: our files and, where they are installed, detectors of others.

Importing this loads numpy alone. A process that measures the memory of one detector holds nothing of another.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from export import peers
from kws.pcm import SAMPLE_RATE

Kind = Literal["kws", "openwakeword-files", "openwakeword-package", "microwakeword", "pocketsphinx"]

PEER_CHUNK_MS = 80.0
"""What peers are given at a time: the step of openWakeWord."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One thing to time."""

    kind: Kind
    """How it is run."""
    path: Path = Path()
    """The ``.onnx`` file, or the folder of openWakeWord's files; nothing for a package with models inside."""
    label: str = ""
    """What tells a file of ours from the others; "" is its name."""
    chunk_ms: float = PEER_CHUNK_MS
    """Audio that one push takes, in milliseconds."""

    @property
    def name(self) -> str:
        """What it is called in the report."""
        if self.kind == "kws":
            return f"kws {self.label or self.path.name}"
        return {
            "openwakeword-files": "openWakeWord files",
            "openwakeword-package": "openWakeWord package",
            "microwakeword": "pymicro-wakeword",
            "pocketsphinx": "pocketsphinx",
        }[self.kind]

    @property
    def chunk_samples(self) -> int:
        """Samples of one push."""
        return round(self.chunk_ms * SAMPLE_RATE / 1000)

    @property
    def size_bytes(self) -> int:
        """Size of its model files."""
        files = {
            "kws": lambda: [self.path],
            "microwakeword": peers.microwakeword_files,
            "pocketsphinx": peers.pocketsphinx_files,
        }.get(self.kind, lambda: peers.find_files(self.path))()
        return sum(path.stat().st_size for path in files)

    def open(self, threads: int) -> peers.Push:
        """Load it and return what takes its next piece of audio, (``chunk_samples``,) int16.

        Raises:
            CheckpointError, ConfigError: its files are missing, or do not take ``chunk_ms``.
        """
        if self.kind == "kws":
            from kws.detector import Detector

            return Detector(self.path, num_threads=threads, chunk_ms=self.chunk_ms).process
        if self.kind == "openwakeword-files":
            return peers.OpenWakeWordFiles(self.path, threads).push
        if self.kind == "openwakeword-package":
            return peers.package_push(self.path)
        return peers.microwakeword_push() if self.kind == "microwakeword" else peers.pocketsphinx_push()


def installed_peers(openwakeword: Path | None) -> list[Contender]:
    """Return the detectors of others that can be timed here.

    Args:
        openwakeword: folder of openWakeWord's ONNX files, if they are wished.
    """
    found = []
    if openwakeword is not None:
        found.append(Contender("openwakeword-files", openwakeword))
        if peers.installed("openwakeword"):
            found.append(Contender("openwakeword-package", openwakeword))
    if peers.installed("pymicro_wakeword"):
        found.append(Contender("microwakeword"))
    if peers.installed("pocketsphinx"):
        found.append(Contender("pocketsphinx"))
    return found


def listen_and_measure(contender: Contender, threads: int) -> int:
    """Let this process hear ten seconds and return its peak memory in bytes; for a new process only."""
    push = contender.open(threads)
    generator = np.random.default_rng(0)
    for _ in range(10 * SAMPLE_RATE // contender.chunk_samples):
        push(generator.integers(-3000, 3000, contender.chunk_samples, np.int16))
    status = Path("/proc/self/status")
    if status.is_file():  # Linux: the peak of this program; getrusage there includes that of the parent
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
