"""Time a detector on this machine, front end included, alone or beside those of others in the same run."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from kws.cli.options import add_option
from kws.cli.parser import Input
from kws.counts import counted
from kws.errors import ConfigError

if TYPE_CHECKING:
    from kws.workflows.bench import OperatorTime

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
        "timed in the same run; pymicro-wakeword and pocketsphinx are timed where they are installed",
    )
    add_option(parser, "--int8", "of each float32 model is timed")
    add_option(parser, "--chunk-ms", "(default: 80); give it twice to compare", action="append")
    parser.add_argument(
        "--operators", action="store_true", help="say instead in which operators the time of a chunk goes"
    )
    parser.add_argument(
        "--streams", type=int, metavar="N", help="say instead what N streams of one pool take of a core"
    )
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="seconds of audio per round and contender"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="interleaved rounds, of which the median counts"
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of onnxruntime")
    add_option(parser, "--json")


def run(arguments: argparse.Namespace) -> int:
    """Call :func:`bench` and print the table."""
    from kws.workflows.bench import bench, operator_times, streams_cost

    if arguments.operators:
        if not arguments.model:
            raise ConfigError("`operators` looks into a model: give its .onnx file")
        chunk_ms = arguments.chunk_ms[0] if arguments.chunk_ms else None
        return _print_operators({path: operator_times(path, chunk_ms) for path in arguments.model})
    if arguments.streams is not None:
        if not arguments.model:
            raise ConfigError("`streams` are heard by a model: give its .onnx file")
        for path in arguments.model:
            pool = streams_cost(path, arguments.streams, arguments.seconds, arguments.rounds)
            print(
                f"{path}: {counted(pool.streams, 'stream')} take {pool.share:.1%} of one core "
                f"({min(pool.shares):.1%} to {max(pool.shares):.1%}), {pool.streams_a_core} streams a core"
            )
        return 0
    report = bench(
        arguments.model,
        arguments.openwakeword,
        arguments.seconds,
        arguments.rounds,
        arguments.threads,
        int8=arguments.int8,
        chunk_ms=arguments.chunk_ms or [80.0],
    )
    if arguments.json:
        print(json.dumps(report.to_dict(), indent=2))
        return 0
    print(
        f"{report.processor}, {report.num_cores} logical cores, load {report.load_before:.1f}; "
        f"onnxruntime {report.onnxruntime}, threads: {report.threads}"
    )
    print(f"{report.seconds:g} s of audio a round, median of {report.rounds} interleaved rounds")
    width = max(len(cost.name) for cost in report.costs)
    print(
        f"{'':{width}}  CPU s per hour   lowest to highest  of real time  "
        "push p50   p95   p99 ms  least ms  files MB  peak MB"
    )
    for cost in report.costs:
        rounds = cost.cpu_s_per_hour_of_rounds
        least = f"{cost.limit.least_ms:8.2f}" if cost.limit else f"{'':8}"
        print(
            f"{cost.name:{width}}  {cost.cpu_s_per_hour:14.1f}  {min(rounds):7.1f} to {max(rounds):7.1f}  "
            f"{cost.real_time_factor:12.4f}  {cost.push_p50_ms:8.2f}  {cost.push_p95_ms:4.2f}  "
            f"{cost.push_p99_ms:7.2f}  {least}  {cost.size_bytes / 1e6:8.2f}  "
            f"{cost.peak_memory_bytes / 1e6:7.0f}"
        )
    for pair, ratio in report.ratios.items():
        print(f"{pair}: {ratio:.3f} of the processor time")
    return 0


def _print_operators(times: dict[Path, tuple[OperatorTime, ...]]) -> int:
    for path, rows in times.items():
        print(f"{path}: {sum(row.us_per_run for row in rows):.0f} us a chunk, watched")
        for row in rows:
            print(f"  {row.operator:26} {row.nodes:4} nodes  {row.us_per_run:7.1f} us  {row.share:6.1%}")
    return 0
