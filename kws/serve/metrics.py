"""What the service counts, as the text that Prometheus reads; all of it is counted in the event loop."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Upper ends of the bins that times are counted in, in seconds."""

HELP = {
    "kws_connections": "clients that are connected",
    "kws_models": "keywords that can be detected",
    "process_resident_memory_bytes": "memory of the process",
    "kws_connections_total": "clients that have connected",
    "kws_refused_total": "clients that were refused or closed, by reason",
    "kws_messages_total": "messages that were read",
    "kws_audio_seconds_total": "audio that was heard, in seconds",
    "kws_detections_total": "detections, by name",
    "kws_not_detected_total": "streams that ended without a detection",
    "kws_model_refusals_total": "model files that could not be used",
}
"""Name of a number -> what it is."""

JOB = "kws_hearing_seconds"


class Metrics:
    """Counters, and the times from a piece of audio to its answer."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self._bins = [0] * len(BUCKETS_S)
        self._num_times = 0
        self._sum_s = 0.0

    def add(self, counter: str, amount: float = 1, **label: str) -> None:
        """Add to a counter, which may have one label."""
        key, value = next(iter(label.items()), ("", ""))
        self._counts[counter, key, value] += amount  # type: ignore[assignment]

    def set(self, name: str, value: float) -> None:
        """Set a gauge."""
        self._counts[name, "", ""] = value  # type: ignore[assignment]

    def time(self, seconds: float) -> None:
        """Count how long a piece of audio took from its arrival to its answer."""
        self._num_times += 1
        self._sum_s += seconds
        for index, end_s in enumerate(BUCKETS_S):
            self._bins[index] += seconds <= end_s

    def text(self) -> str:
        """Return all numbers in Prometheus's text format 0.0.4."""
        self.set("process_resident_memory_bytes", resident_bytes())
        lines = []
        for name, help_text in HELP.items():
            kind = "counter" if name.endswith("_total") else "gauge"
            lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
            found = sorted(item for item in self._counts.items() if item[0][0] == name)
            lines += [f"{name}{_label(key, value)} {amount:g}" for (_, key, value), amount in found]
        lines += [f"# HELP {JOB} time from a piece of audio to its answer", f"# TYPE {JOB} histogram"]
        ends = zip(BUCKETS_S, self._bins, strict=True)
        lines += [f'{JOB}_bucket{{le="{end_s:g}"}} {count}' for end_s, count in ends]
        lines += [f'{JOB}_bucket{{le="+Inf"}} {self._num_times}']
        lines += [f"{JOB}_sum {self._sum_s:.6f}", f"{JOB}_count {self._num_times}"]
        return "\n".join(lines) + "\n"


def _label(key: str, value: str) -> str:
    if not key:
        return ""
    escaped = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return f'{{{key}="{escaped}"}}'


def resident_bytes() -> int:
    """Return the memory of this process, 0 where the system does not tell."""
    with suppress(OSError, ValueError, IndexError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0
