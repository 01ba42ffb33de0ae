"""`kws serve`: a wake-word service in the Wyoming protocol, for Home Assistant and its satellites."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from typing import TypeVar

from kws.cli.options import add_option
from kws.cli.parser import Input

NAME = "serve"
HELP = "wake words for Home Assistant, over the network or a socket (Wyoming)"
DEFAULT_URI = "tcp://127.0.0.1:10400"
"""That of :mod:`kws.serve.settings`, which a test compares it with."""
MODELS = Input("an exported .onnx file, the folder of a run, or a folder that holds some")
Number = TypeVar("Number", int, float)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "models",
        nargs="*",
        type=MODELS,
        metavar="MODEL|FOLDER",
        help="exported .onnx file, folder of a run, or folder that holds some; what is added to a folder, "
        "replaced or removed there is taken up while the service runs",
    )
    parser.add_argument(
        "--uri",
        default=DEFAULT_URI,
        metavar="URI",
        help="where to listen: tcp://HOST:PORT, or unix:///PATH; 0.0.0.0 as HOST lets other machines connect",
    )
    add_option(parser, "--threshold", "without it, the thresholds in the files")
    add_option(
        parser,
        "--refractory",
        "KEYWORD=SECONDS sets it for one; may be repeated; without it, those in the files",
        action="append",
    )
    parser.add_argument(
        "--smoothing",
        dest="smoothing_frames",
        action="append",
        metavar="[KEYWORD=]FRAMES",
        help="frames that scores are averaged over (patience), for all or for one; may be repeated; "
        "without it, those in the files",
    )
    parser.add_argument(
        "--max-threads",
        dest="num_threads",
        type=int,
        metavar="N",
        help="models that run at once; without it, the number of processors, up to 4",
    )
    parser.add_argument(
        "--max-connections",
        type=int,
        default=64,
        metavar="N",
        help="clients at once; for one more, the one that is idle longest is closed",
    )
    parser.add_argument(
        "--idle",
        dest="idle_s",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="time without a message after which a client is closed",
    )
    parser.add_argument(
        "--zeroconf",
        nargs="?",
        const="",
        metavar="NAME",
        help="announce the service on the local network, under this name or that of the machine",
    )
    parser.add_argument(
        "--metrics",
        dest="metrics_port",
        type=int,
        metavar="PORT",
        help="tell numbers (/metrics, for Prometheus) and health (/health) by HTTP at this port of 127.0.0.1",
    )
    parser.add_argument(
        "--log-format", choices=("text", "json"), default="text", help="lines for people, or JSON lines"
    )
    parser.add_argument(
        "--check",
        metavar="URI",
        help="ask the service at this address whether it is well, and end: 0 if it is, else 1",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM, or check a service; returns 0, or 1 where the check fails."""
    from kws.errors import ConfigError, DependencyError

    try:
        import wyoming.event  # noqa: F401
    except ImportError as error:
        raise DependencyError('kws serve needs wyoming: `pip install "kws[serve]"`') from error
    if args.check is not None:
        return print_health(args.check)
    from kws.serve.service import ServeRequest, default_name, serve
    from kws.serve.settings import DecisionChoices, ServeLimits

    if not args.models:
        raise ConfigError("which models? Give exported files or a folder of them: `kws serve MODEL.onnx`")
    config = ServeRequest(
        models=tuple(args.models),
        uri=args.uri,
        choices=DecisionChoices(
            threshold=parse_choices("threshold", args.threshold, float),
            refractory_s=parse_choices("refractory", args.refractory_s, float),
            smoothing_frames=parse_choices("smoothing", args.smoothing_frames, int),
        ),
        limits=ServeLimits(max_connections=args.max_connections, idle_s=args.idle_s),
        num_threads=args.num_threads,
        zeroconf=default_name() if args.zeroconf == "" else args.zeroconf,
        metrics_port=args.metrics_port,
    )
    write_log_lines(args.log_format)
    serve(config)
    return 0


def print_health(uri: str) -> int:
    """Print what a service answers; returns 0 where it is well, else 1."""
    from kws.serve.health import check

    found = check(uri)
    if not found.ok:
        print(f"{uri}: {found.error}", file=sys.stderr)
        return 1
    print(f"{uri}: {', '.join(found.names)}")
    return 0


def write_log_lines(form: str) -> None:
    """Have the service's events written to standard error, whatever else is logged."""
    from kws.serve.logs import JsonFormatter, TextFormatter

    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    own = logging.getLogger("kws.serve")
    own.setLevel(min(own.getEffectiveLevel(), logging.INFO))


def parse_choices(option: str, texts: list[str] | None, number: Callable[[str], Number]) -> dict[str, Number]:
    """Turn ``["0.6", "hey computer=0.7"]`` into a mapping keyword -> value, "" for all others.

    Raises:
        ConfigError: no number, or two values for one keyword.
    """
    from kws.errors import ConfigError

    found: dict[str, Number] = {}
    for text in texts or ():
        keyword, _, value = text.rpartition("=")
        keyword = keyword.strip()
        try:
            parsed = number(value)
        except ValueError as error:
            raise ConfigError(f"--{option} {text}: expected a number, or keyword=number") from error
        if keyword in found:
            raise ConfigError(f"--{option} {text}: there is a value for {keyword or 'all keywords'} already")
        found[keyword] = parsed
    return found
