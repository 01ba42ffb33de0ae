"""What a detector costs on this machine, alone or beside openWakeWord in the same run: ``kws bench``.

The front end is part of the cost. On a shared machine processor time is what counts, and only ratios within
one run carry over to another machine.
"""

from __future__ import annotations

import dataclasses
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime

from export import peers, signals
from kws.audio import SAMPLE_RATE, to_int16
from kws.detector import Detector
from kws.errors import ConfigError, KwsError

CHUNK_SAMPLES = 1280
CHUNK_S = CHUNK_SAMPLES / SAMPLE_RATE  # 80 ms, what openWakeWord takes at a time
WARM_UP_PUSHES = 25  # 2 s: fills every buffer of either detector
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Contender:
    """One thing to time."""

    kind: Literal["kws", "openwakeword-files", "openwakeword-package"]
    """How it is run."""
    path: Path
    """The ``.onnx`` file, or the folder of openWakeWord's files."""
    label: str = ""
    """What tells the file from the others, see :func:`distinct_names`; "" is the name of the file."""

    @property
    def name(self) -> str:
        """What it is called in the report."""
        if self.kind == "kws":
            return f"kws {self.label or self.path.name}"
        return "openWakeWord files" if self.kind == "openwakeword-files" else "openWakeWord package"

    @property
    def size_bytes(self) -> int:
        """Size of its model files."""
        files = [self.path] if self.kind == "kws" else peers.find_files(self.path)
        return sum(path.stat().st_size for path in files)

    def open(self, threads: int) -> peers.Push:
        """Load it and return what takes its next 80 ms."""
        if self.kind == "kws":
            return Detector(self.path, num_threads=threads).process
        if self.kind == "openwakeword-files":
            return peers.OpenWakeWordFiles(self.path, threads).push
        return peers.package_push(self.path)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one contender costs."""

    name: str
    """See :class:`Contender`."""
    cpu_s_per_hour: float
    """Processor seconds of all threads for an hour of audio; median over rounds."""
    real_time_factor: float
    """Time on the clock as a share of the length of the audio; median over rounds."""
    push_p50_ms: float
    """Time on the clock of one push of 80 ms: median over all pushes."""
    push_p95_ms: float
    """95th percentile."""
    push_p99_ms: float
    """99th percentile."""
    size_bytes: int
    """Size of the model files."""
    peak_memory_bytes: int
    """Largest resident memory of a process that loads it and hears ten seconds, Python included."""


@dataclass(frozen=True, slots=True)
class BenchReport:
    """Costs side by side, and where they were measured."""

    costs: tuple[Cost, ...]
    """Our models first."""
    processor: str
    """Name of the processor."""
    num_cores: int
    """Logical cores of the machine."""
    load_before: float
    """Load average over a minute when the run began; NaN where the system has none."""
    threads: int
    """Threads that onnxruntime may use."""
    rounds: int
    """Interleaved rounds."""
    seconds: float
    """Audio per round and contender."""
    onnxruntime: str
    """Its version."""

    @property
    def ratios(self) -> dict[str, float]:
        """``ours / theirs`` -> ratio of processor time, for each of our models and each peer."""
        ours = [cost for cost in self.costs if cost.name.startswith("kws ")]
        theirs = [cost for cost in self.costs if not cost.name.startswith("kws ")]
        return {
            f"{mine.name} / {other.name}": mine.cpu_s_per_hour / other.cpu_s_per_hour
            for mine in ours
            for other in theirs
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            **dataclasses.asdict(self),
            "costs": [dataclasses.asdict(cost) for cost in self.costs],
            "ratios": self.ratios,
        }


def bench(
    models: Sequence[str | Path] = (),
    openwakeword: str | Path | None = None,
    seconds: float = 20.0,
    rounds: int = 5,
    threads: int = 1,
) -> BenchReport:
    """Time detectors on speech-like audio pushed 80 ms at a time.

    Args:
        models: exported files; none takes the default detector (embedded encoder, default depth, untrained
            default head).
        openwakeword: folder of openWakeWord's ONNX files, to be timed in the same run; where the package
            ``openwakeword`` is installed, it is timed as well.
        seconds: audio per round and contender.
        rounds: each times every contender once; the median counts.
        threads: of onnxruntime.
    Raises:
        ConfigError, CheckpointError: an argument is out of range, or a file is missing or no exported model.
    """
    for name, value, least in (("seconds", seconds, CHUNK_S), ("rounds", rounds, 1), ("threads", threads, 1)):
        if value < least:
            raise ConfigError(f"{name}: got {value:g}, allowed: {least:g} or more")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(model) for model in models] or [default_detector(Path(folder) / "default.onnx")]
        contenders = [
            Contender("kws", path, f"{name}, {precision(path)}")
            for path, name in zip(paths, distinct_names(paths), strict=True)
        ]
        if openwakeword is not None:
            contenders.append(Contender("openwakeword-files", Path(openwakeword)))
            if peers.package_installed():
                contenders.append(Contender("openwakeword-package", Path(openwakeword)))
        load = _load_average()
        costs = _time(contenders, seconds, rounds, threads)
    return BenchReport(
        costs=costs,
        processor=_processor(),
        num_cores=os.cpu_count() or 1,
        load_before=load,
        threads=threads,
        rounds=rounds,
        seconds=seconds,
        onnxruntime=onnxruntime.__version__,
    )


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each file: the end of its path that no other one has; the same file is numbered."""
    ends = [path.absolute().parts for path in paths]
    names = []
    for index, parts in enumerate(ends):
        others = [other for other in ends if other != parts]
        length = next(n for n in range(1, len(parts) + 1) if parts[-n:] not in [o[-n:] for o in others])
        before = ends[:index].count(parts)
        names.append("/".join(parts[-length:]) + (f" ({before + 1})" if before else ""))
    return names


def precision(path: Path) -> str:
    """Return ``int8`` or ``fp32``: an int8 graph quantizes what it multiplies, and says so by this operator.

    A path that is no readable file is called fp32; opening it then says what is wrong.
    """
    try:
        return "int8" if b"DynamicQuantizeLinear" in path.read_bytes() else "fp32"
    except OSError:
        return "fp32"


def default_detector(path: Path) -> Path:
    """Export the default model with an untrained head: it costs what a trained one costs."""
    from export.to_onnx import export_model
    from kws.checkpoint import OperatingPoint
    from kws.decisions import DecisionSettings
    from kws.model import ModelConfig, build_model

    keyword = "keyword"
    model = build_model(ModelConfig(keywords=(keyword,))).eval()
    export_model(model, OperatingPoint({keyword: 0.5}, DecisionSettings(), dev_hours=0.0), path)
    return path


def cpu_ms_per_push(
    contenders: Sequence[Contender], seconds: float = 2.0, rounds: int = 50, threads: int = 1
) -> list[list[float]]:
    """Time small differences: processor time of a push of 80 ms, in milliseconds.

    Every round opens each contender anew and starts with the next one. Where its weights come to lie in
    memory makes a model some percent faster or slower for as long as it is open: the same file twice, opened
    once each, differed by 7 %.

    Args:
        contenders: what is timed.
        seconds: audio per round and contender.
        rounds: how often each is timed.
        threads: of onnxruntime.
    Returns:
        For each contender its times, in the order of the rounds; their ratio within a round is what carries
        over to another machine.
    """
    chunks = _chunks(seconds)
    found: list[list[float]] = [[] for _ in contenders]
    for number in range(rounds):
        for index in np.roll(range(len(contenders)), -number):
            push = contenders[index].open(threads)
            for chunk in chunks[:WARM_UP_PUSHES]:
                push(chunk)
            cpu_s, _ = _time_pushes(push, chunks)
            found[index].append(1000 * cpu_s / len(chunks))
    return found


def _time(contenders: list[Contender], seconds: float, rounds: int, threads: int) -> tuple[Cost, ...]:
    """Time each contender once per round, one after the other."""
    pushes = [contender.open(threads) for contender in contenders]
    chunks = _chunks(seconds)
    audio_s = len(chunks) * CHUNK_S
    cpu_s: list[list[float]] = [[] for _ in contenders]
    wall_s: list[list[float]] = [[] for _ in contenders]
    latency_s: list[list[float]] = [[] for _ in contenders]
    for _ in range(rounds):
        for index, push in enumerate(pushes):
            for chunk in chunks[:WARM_UP_PUSHES]:
                push(chunk)
            cpu, latencies = _time_pushes(push, chunks)
            cpu_s[index].append(cpu)
            wall_s[index].append(sum(latencies))
            latency_s[index] += latencies
    costs = []
    for index, contender in enumerate(contenders):
        p50, p95, p99 = 1000 * np.percentile(latency_s[index], [50, 95, 99])
        costs.append(
            Cost(
                name=contender.name,
                cpu_s_per_hour=float(np.median(cpu_s[index])) / audio_s * SECONDS_PER_HOUR,
                real_time_factor=float(np.median(wall_s[index])) / audio_s,
                push_p50_ms=float(p50),
                push_p95_ms=float(p95),
                push_p99_ms=float(p99),
                size_bytes=contender.size_bytes,
                peak_memory_bytes=_peak_memory_bytes(contender, threads),
            )
        )
    return tuple(costs)


def _time_pushes(push: Callable[[np.ndarray], object], chunks: list[np.ndarray]) -> tuple[float, list[float]]:
    """Return the processor seconds of all pushes and the seconds on the clock of each."""
    latencies = []
    cpu = time.process_time()
    for chunk in chunks:
        began = time.perf_counter()
        push(chunk)
        latencies.append(time.perf_counter() - began)
    return time.process_time() - cpu, latencies


def _chunks(seconds: float) -> list[np.ndarray]:
    """Return (1280,) int16 chunks, as a microphone gives them."""
    pcm = to_int16(signals.speech_like(max(seconds, CHUNK_S)))
    whole = len(pcm) // CHUNK_SAMPLES * CHUNK_SAMPLES
    return [pcm[start : start + CHUNK_SAMPLES] for start in range(0, whole, CHUNK_SAMPLES)]


def _peak_memory_bytes(contender: Contender, threads: int) -> int:
    """Measure in a new process, so that nothing loaded here counts."""
    code = "import sys; from export import benchmark; print(benchmark.listen_and_measure(*sys.argv[1:]))"
    command = [sys.executable, "-c", code, contender.kind, str(contender.path), str(threads)]
    paths = os.pathsep.join(path for path in sys.path if path) or os.curdir
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": paths})
    if done.returncode:
        raise KwsError(
            f"{contender.name}: cannot be run in a process of its own: {done.stderr.strip()[-500:]}"
        )
    return int(done.stdout.split()[-1])


def listen_and_measure(kind: Any, path: str, threads: str) -> int:
    """Let this process hear ten seconds and return its peak memory in bytes; called in a new process only."""
    push = Contender(kind, Path(path)).open(int(threads))
    for chunk in _chunks(10.0):
        push(chunk)
    status = Path("/proc/self/status")
    if status.is_file():  # Linux: the peak of this program; getrusage there includes that of the parent
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.partition(":")[2].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        if names:
            return names[0]
    return platform.processor() or platform.machine()


def _load_average() -> float:
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):  # not on Windows
        return float("nan")
