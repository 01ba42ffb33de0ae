"""What a detector costs on this machine, alone or beside detectors of others in the same run: ``kws bench``.

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
from typing import Any

import numpy as np
import onnxruntime

from export import signals
from export.contenders import PEER_CHUNK_MS, Contender, installed_peers
from export.limits import Limit, find_limit
from kws.audio import SAMPLE_RATE, to_int16
from kws.errors import ConfigError, KwsError

CHUNK_MS = PEER_CHUNK_MS
WARM_UP_PUSHES = 25  # 2 s or more: fills every buffer of each detector
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Cost:
    """What one contender costs."""

    name: str
    """See :class:`Contender`."""
    chunk_ms: float
    """Audio of one push, in milliseconds."""
    cpu_s_per_hour: float
    """Processor seconds of all threads for an hour of audio; median over rounds."""
    cpu_s_per_hour_of_rounds: tuple[float, ...]
    """The same of each round; what is compared is compared within a round."""
    real_time_factor: float
    """Time on the clock as a share of the length of the audio; median over rounds."""
    push_p50_ms: float
    """Time on the clock of one push: median over all pushes."""
    push_p95_ms: float
    """95th percentile."""
    push_p99_ms: float
    """99th percentile."""
    size_bytes: int
    """Size of the model files."""
    peak_memory_bytes: int
    """Largest resident memory of a process that loads it and hears ten seconds, Python included."""
    limit: Limit | None
    """What the processor could not do faster; of a file of ours alone."""


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
        """``ours / theirs`` -> ratio of processor time within a round, the median, for each pair."""
        ours = [cost for cost in self.costs if cost.name.startswith("kws ")]
        theirs = [cost for cost in self.costs if not cost.name.startswith("kws ")]
        return {
            f"{mine.name} / {other.name}": float(
                np.median(np.divide(mine.cpu_s_per_hour_of_rounds, other.cpu_s_per_hour_of_rounds))
            )
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
    *,
    int8: bool = False,
    chunk_ms: Sequence[float] = (CHUNK_MS,),
    peers: bool = True,
) -> BenchReport:
    """Time detectors on speech-like audio, a chunk at a time; what peers are installed is timed beside them.

    Args:
        models: exported files; none takes the default detector (embedded encoder, default depth, untrained
            default head).
        openwakeword: folder of openWakeWord's ONNX files, to be timed in the same run; where the package
            ``openwakeword`` is installed, it is timed as well.
        seconds: audio per round and contender.
        rounds: each times every contender once; the median counts.
        threads: of onnxruntime.
        int8: also time the int8 form of each float32 model.
        chunk_ms: lengths of a push of ours, in milliseconds; peers take 80 ms.
        peers: also time those that are installed.
    Raises:
        ConfigError, CheckpointError: an argument is out of range, or a file is missing or no exported model.
    """
    least_s = max(chunk_ms, default=CHUNK_MS) / 1000
    for name, value, least in (("seconds", seconds, least_s), ("rounds", rounds, 1), ("threads", threads, 1)):
        if value < least:
            raise ConfigError(f"{name}: got {value:g}, allowed: {least:g} or more")
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(model) for model in models] or [default_detector(Path(folder) / "default.onnx")]
        contenders = _ours(paths, chunk_ms, Path(folder) if int8 else None)
        if peers:
            contenders += installed_peers(None if openwakeword is None else Path(openwakeword))
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


def _ours(paths: Sequence[Path], chunk_ms: Sequence[float], folder: Path | None) -> list[Contender]:
    """Return each file, and its int8 form where a folder is there for it, at each length of a push."""
    said = len(set(chunk_ms)) > 1 or tuple(chunk_ms) != (CHUNK_MS,)
    found = []
    for number, (path, name) in enumerate(zip(paths, distinct_names(paths), strict=True)):
        for length in chunk_ms:
            label = f"{name}, {precision(path)}"
            found.append(Contender("kws", path, f"{label}, {length:g} ms" if said else label, length))
        if folder is None or precision(path) == "int8":
            continue
        from export.quantize import to_int8

        for length in chunk_ms:
            small, _ = to_int8(path, folder / f"{number}.{length:g}.int8.onnx", length)
            label = f"{name}, int8"
            found.append(Contender("kws", small, f"{label}, {length:g} ms" if said else label, length))
    return found


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
    """Export the default model with an untrained head: it costs what a trained one costs.

    Its scores lie about 0.5. The threshold is one that they do not reach, as speech seldom reaches another.
    """
    from export.to_onnx import export_model
    from kws.checkpoint import OperatingPoint
    from kws.decisions import DecisionSettings
    from kws.model import ModelConfig, build_model

    keyword = "keyword"
    model = build_model(ModelConfig(keywords=(keyword,))).eval()
    export_model(model, OperatingPoint({keyword: 0.9}, DecisionSettings(), dev_hours=0.0), path)
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
    found: list[list[float]] = [[] for _ in contenders]
    for number in range(rounds):
        for index in np.roll(range(len(contenders)), -number):
            push = contenders[index].open(threads)
            chunks = _chunks(seconds, contenders[index].chunk_samples)
            for chunk in chunks[:WARM_UP_PUSHES]:
                push(chunk)
            cpu_s, _ = _time_pushes(push, chunks)
            found[index].append(1000 * cpu_s / len(chunks))
    return found


def _time(contenders: list[Contender], seconds: float, rounds: int, threads: int) -> tuple[Cost, ...]:
    """Time each contender once per round, one after the other."""
    pushes = [contender.open(threads) for contender in contenders]
    audio = {contender.chunk_samples: _chunks(seconds, contender.chunk_samples) for contender in contenders}
    cpu_s: list[list[float]] = [[] for _ in contenders]
    wall_s: list[list[float]] = [[] for _ in contenders]
    latency_s: list[list[float]] = [[] for _ in contenders]
    for number in range(rounds):
        for index in np.roll(range(len(contenders)), -number):
            push, chunks = pushes[index], audio[contenders[index].chunk_samples]
            for chunk in chunks[:WARM_UP_PUSHES]:
                push(chunk)
            cpu, latencies = _time_pushes(push, chunks)
            cpu_s[index].append(cpu)
            wall_s[index].append(sum(latencies))
            latency_s[index] += latencies
    costs = []
    for index, contender in enumerate(contenders):
        audio_s = len(audio[contender.chunk_samples]) * contender.chunk_ms / 1000
        p50, p95, p99 = 1000 * np.percentile(latency_s[index], [50, 95, 99])
        per_hour = np.array(cpu_s[index]) / audio_s * SECONDS_PER_HOUR
        costs.append(
            Cost(
                name=contender.name,
                chunk_ms=contender.chunk_ms,
                cpu_s_per_hour=float(np.median(per_hour)),
                cpu_s_per_hour_of_rounds=tuple(per_hour.tolist()),
                real_time_factor=float(np.median(wall_s[index])) / audio_s,
                push_p50_ms=float(p50),
                push_p95_ms=float(p95),
                push_p99_ms=float(p99),
                size_bytes=contender.size_bytes,
                peak_memory_bytes=_peak_memory_bytes(contender, threads),
                limit=find_limit(contender.path, contender.chunk_samples)
                if contender.kind == "kws"
                else None,
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


def _chunks(seconds: float, chunk_samples: int) -> list[np.ndarray]:
    """Return (``chunk_samples``,) int16 chunks, as a microphone gives them."""
    pcm = to_int16(signals.speech_like(max(seconds, chunk_samples / SAMPLE_RATE)))
    whole = len(pcm) // chunk_samples * chunk_samples
    return [pcm[start : start + chunk_samples] for start in range(0, whole, chunk_samples)]


def _peak_memory_bytes(contender: Contender, threads: int) -> int:
    """Measure in a new process, so that nothing loaded here counts."""
    code = (
        "import sys; from pathlib import Path; from export.contenders import Contender, listen_and_measure; "
        "kind, path, chunk_ms, threads = sys.argv[1:]; "
        "print(listen_and_measure(Contender(kind, Path(path), '', float(chunk_ms)), int(threads)))"
    )
    given = [contender.kind, str(contender.path), str(contender.chunk_ms), str(threads)]
    paths = os.pathsep.join(path for path in sys.path if path) or os.curdir
    done = subprocess.run(
        [sys.executable, "-c", code, *given],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": paths},
    )
    if done.returncode:
        raise KwsError(
            f"{contender.name}: cannot be run in a process of its own: {done.stderr.strip()[-500:]}"
        )
    return int(done.stdout.split()[-1])


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
