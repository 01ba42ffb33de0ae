"""Time a detector on this machine, front end included, alone or beside openWakeWord in the same run."""

from __future__ import annotations

import argparse
import json

from kws.cli.parser import Input

HELP = "processor time, latency and memory of a detector"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``kws bench``."""
    parser.add_argument(
        "model",
        nargs="*",
        type=Input("exported .onnx files"),
        help="exported .onnx files; without any, the default detector, untrained",
    )
    parser.add_argument(
        "--openwakeword",
        type=Input("the folder of openWakeWord's files"),
        metavar="FOLDER",
        help="folder of openWakeWord's melspectrogram.onnx, embedding_model.onnx and a keyword model, "
        "timed in the same run",
    )
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="seconds of audio per round and contender"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="interleaved rounds, of which the median counts"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of onnxruntime")
    parser.add_argument("--json", action="store_true", help="print the report as JSON instead")


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`bench` and print the table."""
    from kws.workflows.bench import bench

    report = bench(
        arguments.model, arguments.openwakeword, arguments.seconds, arguments.rounds, arguments.threads
    )
    if arguments.json:
        print(json.dumps(report.to_dict(), indent=2))
        return 0
    print(
        f"{report.processor}, {report.num_cores} logical cores, load {report.load_before:.1f}; "
        f"onnxruntime {report.onnxruntime}, threads: {report.threads}"
    )
    print(
        f"80 ms a push, {report.seconds:g} s of audio a round, median of {report.rounds} interleaved rounds"
    )
    width = max(len(cost.name) for cost in report.costs)
    print(f"{'':{width}}  CPU s per hour  real-time factor  push p50   p95   p99 ms  files MB  peak MB")
    for cost in report.costs:
        print(
            f"{cost.name:{width}}  {cost.cpu_s_per_hour:14.1f}  {cost.real_time_factor:16.4f}  "
            f"{cost.push_p50_ms:8.2f}  {cost.push_p95_ms:4.2f}  {cost.push_p99_ms:7.2f}  "
            f"{cost.size_bytes / 1e6:8.2f}  {cost.peak_memory_bytes / 1e6:7.0f}"
        )
    for pair, ratio in report.ratios.items():
        print(f"{pair}: {ratio:.2f} of the processor time")
    return 0
