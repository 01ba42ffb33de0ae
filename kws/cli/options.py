"""Options that several commands have: each has one name, one metavar and one meaning.

What a command adds to the meaning of an option stands after it, in the help of that command.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from kws.cli.known import ENCODERS
from kws.cli.parser import PRETRAINED, RECORDINGS, Input

SOURCES: dict[str, Any] = {"action": "append", "type": RECORDINGS, "default": [], "metavar": "PATH"}

SHARED: dict[str, tuple[str, dict[str, Any]]] = {
    "--keyword": ("what the device shall wake on, in quotes where it has spaces", {"metavar": "KEYWORD"}),
    "--positives": ("recordings of the keyword", SOURCES),
    "--negatives": ("speech and other sound without the keyword; may be repeated", SOURCES),
    "--noise": ("recordings of noise; may be repeated", SOURCES),
    "--rooms": (
        "recorded room impulse responses in place of simulated rooms: a folder of WAVs, or a manifest such "
        "as that of the corpus rirs_noises; may be repeated",
        SOURCES,
    ),
    "--output": ("where the result goes", {"type": Path, "metavar": "FOLDER"}),
    "--overwrite": ("replace what an earlier call has left in the folder", {"action": "store_true"}),
    "--seed": ("seed of all that is drawn", {"type": int, "default": 0, "metavar": "N"}),
    "--workers": (
        "processes or threads that read audio",
        {"dest": "num_workers", "type": int, "default": 2, "metavar": "N"},
    ),
    "--cache": (
        "folder for decoded audio, shared by runs over the same files",
        {"type": Path, "metavar": "FOLDER"},
    ),
    "--set": (
        "override one key; may be repeated",
        {"dest": "overrides", "action": "append", "default": [], "metavar": "KEY=VALUE"},
    ),
    "--config": ("YAML file of settings", {"type": Input("a YAML file"), "metavar": "FILE"}),
    "--root": (
        "folder that relative paths of the recipe start from (default: that of the recipe)",
        {"type": Input("a folder"), "metavar": "FOLDER"},
    ),
    "--split": ("train, dev or test", {}),
    "--language": ("eSpeak language of the keyword; `en` is every accent of English", {"default": "en"}),
    "--voices": (
        "who speaks: espeak, flite, kokoro, piper, or one voice as `kws voices` lists it; may be repeated",
        {"action": "append", "metavar": "NAME"},
    ),
    "--threshold": (
        "score within 0..1 from which a keyword counts, for all or for one; may be repeated",
        {"action": "append", "metavar": "[KEYWORD=]VALUE"},
    ),
    "--refractory": (
        "shortest time between two detections of a keyword",
        {"dest": "refractory_s", "metavar": "SECONDS"},
    ),
    "--patience": (
        "frames in a row whose smoothed scores must reach the threshold before a keyword counts",
        {"type": int, "default": 1, "metavar": "FRAMES"},
    ),
    "--speaker": ("who speaks", {"metavar": "NAME"}),
    "--file": (
        "read this recording instead of the microphone; - for what is piped in, or the name of a pipe: WAV, "
        "also without an end",
        {"metavar": "AUDIO"},
    ),
    "--channel": (
        "listen to this channel, from 1, or to the average of all; without it, to the average, or to the "
        "loudest where channels cancel each other",
        {"metavar": "NUMBER|mix"},
    ),
    "--device": (
        "microphone: its number or a part of its name; without it, the system's default",
        {"metavar": "MICROPHONE"},
    ),
    "--encoder": ("name of the pretrained encoder", {"choices": ENCODERS, "metavar": "NAME"}),
    "--weights": ("local weights of the encoder", {"type": PRETRAINED, "metavar": "PATH"}),
    "--chunk-ms": (
        "audio that the detector takes at a time, in milliseconds",
        {"type": float, "metavar": "MS"},
    ),
    "--int8": ("the int8 form as well", {"action": "store_true"}),
    "--json": ("print JSON instead", {"action": "store_true"}),
    "--jobs": ("processes at once", {"type": int, "metavar": "N"}),
    "--dask": ("run on the workers of this Dask scheduler", {"metavar": "ADDRESS"}),
    "--false-accepts-per-hour": (
        "how often a keyword may be heard where nobody said it, per hour of audio",
        {"type": float, "metavar": "RATE"},
    ),
}
"""Option -> what it means in every command, and how it is read."""


def add_option(parser: argparse._ActionsContainer, name: str, more: str = "", **changes: Any) -> None:
    """Declare an option of :data:`SHARED`.

    Args:
        parser: of a command.
        name: of the option.
        more: what the command adds to its meaning.
        changes: of how it is read, such as ``required``.
    """
    meaning, settings = SHARED[name]
    joint = "" if not more else " " if more.startswith("(") else "; "
    parser.add_argument(name, **{"help": f"{meaning}{joint}{more}", **settings, **changes})
