"""Reading the words of a command: what is mistyped is named first, before anything heavy is loaded."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from kws.cli.flags import with_flags
from kws.cli.known import KnownNames
from kws.counts import counted
from kws.errors import ConfigError

NUMBER = re.compile(r"-\d+$|-\d*\.\d+$")
"""What argparse takes for a negative number and not for an option."""
LISTED = 12
"""More allowed values than these are not listed in a message."""


class Input:
    """``type`` of an option that names a file or folder which must be there.

    Args:
        what: what to give, for the message.
        missing: what is said of a path where nothing is.
    """

    def __init__(self, what: str, missing: str = "no such file or folder") -> None:
        self.what, self.missing = what, missing

    def __call__(self, text: str) -> Path:
        """Return the path; :meth:`CommandParser.refuse_values` looks whether it is there."""
        return Path(text)

    def refuse_missing(self, path: Path) -> None:
        """Raise where nothing is.

        Raises:
            ConfigError: naming the nearest name beside it.
        """
        place = Path(os.path.expanduser(path))
        if place.exists():
            return
        beside = [entry.name for entry in place.parent.iterdir()] if place.parent.is_dir() else []
        raise ConfigError(f"{path}: {self.missing}; give {self.what}{nearest(place.name, beside)}")


RECORDINGS = Input("a folder of recordings, a manifest (.jsonl, .csv) or an audio file")
RUN = Input("the output folder of `kws train`")
PRETRAINED = Input("the output folder of `kws pretrain`, or weights that fit the encoder")
RECIPE = Input("a YAML recipe, such as those of kws/recipes")
MODEL = Input("an exported .onnx file or the folder of `kws train`")


class CommandParser(argparse.ArgumentParser):
    """An argument parser that names a mistyped word before a missing one, with the nearest that it knows."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.flags = {flag for action in self._actions for flag in action.option_strings}
        self.declared = list(self._actions)
        self.commands: dict[str, CommandParser] = {}
        self.renamed: dict[str, str] = {}
        self.moved_values: dict[str, str] = {}  # option that took a value -> which one takes it now
        self.set_defaults(parser=self)

    def add_argument(self, *flags: Any, **settings: Any) -> argparse.Action:
        """Declare an argument, and remember it."""
        action = super().add_argument(*flags, **settings)
        if hasattr(self, "declared"):  # argparse declares --help before
            self.declared.append(action)
            self.flags.update(action.option_strings)
        return action

    def rename_option(self, old: str, new: str) -> None:
        """Keep an option's earlier name: ``--help`` does not show it, and a note names the new one."""
        self.renamed[old] = new

    def in_flags(self, text: str) -> str:
        """Return a message of the library with the options of this command; see :mod:`kws.cli.flags`."""
        return with_flags(text, self.declared)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Read the words, and refuse unknown options and surplus words."""
        is_command = " " in self.prog
        words = self._with_new_names(list(args or ()))
        unknown = self._unknown_option(words if is_command else _before_command(words))
        if unknown is not None:
            self.error(f"unknown option {unknown}{nearest(unknown, self.flags)}")
        found, rest = super().parse_known_args(words, namespace)
        if rest and is_command:
            self.error(f"got {' '.join(rest)!r} too many; put what has spaces in quotes")
        return found, rest

    def refuse_values(self, found: argparse.Namespace) -> None:
        """Refuse names that an option does not know and paths where nothing is, in what was read.

        Raises:
            ConfigError: naming the option or the path.
        """
        for action in self.declared:
            _refuse_value(action, getattr(found, action.dest, None))

    def error(self, message: str) -> Any:
        """Say what is wrong and where help is; argparse's own listing of all options hides it."""
        self.exit(2, f"{self.prog}: {message}\n`{self.prog} --help` says what there is\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is none of an option's choices, with the nearest one."""
        if action.choices is not None and value not in action.choices:
            names = [str(choice) for choice in action.choices]
            what = "unknown command " if isinstance(action, argparse._SubParsersAction) else "got "
            told = f"{what}{value!r}, allowed: {', '.join(names)}{nearest(str(value), names)}"
            if action.option_strings:
                raise argparse.ArgumentError(action, told)
            self.error(told)

    def _with_new_names(self, words: list[str]) -> list[str]:
        """Return the words with options by their names of now; each earlier name is told once."""
        words = self._with_values_moved(words)
        end = words.index("--") if "--" in words else len(words)
        split = [word.partition("=") for word in words[:end]]
        for old in dict.fromkeys(name for name, _, _ in split if name in self.renamed):
            print(f"note: {old} is now {self.renamed[old]}", file=sys.stderr)
        return ["".join([self.renamed.get(name, name), *rest]) for name, *rest in split] + words[end:]

    def _with_values_moved(self, words: list[str]) -> list[str]:
        """Return the words with each value that another option takes now behind that one."""
        found: list[str] = []
        for place, word in enumerate(words):
            old, separator, value = word.partition("=")
            new = self.moved_values.get(old)
            follows = words[place + 1 : place + 2]
            if new is None or not (separator or (follows and not follows[0].startswith("-"))):
                found.append(word)
                continue
            print(f"note: {old} VALUE is now {old} {new} VALUE", file=sys.stderr)
            found += [old, f"{new}={value}"] if separator else [old, new]
        return found

    def _unknown_option(self, words: Sequence[str]) -> str | None:
        """Return the first word that looks like an option and is none, or the start of none."""
        for word in words:
            if word == "--":
                return None
            if not word.startswith("-") or word == "-" or " " in word or NUMBER.match(word):
                continue
            name = word.partition("=")[0]
            begins = word.startswith("--") and any(flag.startswith(name) for flag in self.flags)
            if name not in self.flags and not begins and word[:2] not in self.flags:
                return name
        return None


def nearest(name: str, known: Iterable[str]) -> str:
    """Return `; did you mean …?` with the name that is most like one, or nothing where none is."""
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=1)
    if not near and name.startswith("-"):
        near = [flag for flag in known if flag.startswith(f"-{name}")][:1]  # -output, -o
    return f"; did you mean {near[0]}?" if near else ""


def _before_command(words: Sequence[str]) -> list[str]:
    """Return the words before the first that is no option: those of `kws` itself."""
    first = next((index for index, word in enumerate(words) if not word.startswith("-")), len(words))
    return list(words[:first])


def _refuse_value(action: argparse.Action, value: Any) -> None:
    """Refuse values that are none of the known names, and paths where nothing is."""
    values = value if isinstance(value, list) else [value]
    if isinstance(action.type, Input):
        for path in values:
            if path is not None:
                action.type.refuse_missing(path)
    if isinstance(action.choices, KnownNames):
        names = tuple(action.choices)
        for name in values:
            if name is not None and name not in names:
                listed = ", ".join(names[:LISTED])
                more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
                near = nearest(name, names)
                flag = action.option_strings[0]
                raise ConfigError(f"{flag}: got {name!r}, allowed: {listed}{more}{near}")


def renamed_option(parser: argparse.ArgumentParser, old: str, new: str) -> None:
    """Keep the earlier name of an option; see :meth:`CommandParser.rename_option`."""
    if isinstance(parser, CommandParser):
        parser.rename_option(old, new)


def one_each(keywords: Sequence[str], positives: Sequence[Path]) -> None:
    """Refuse recordings that are not one source for each keyword; none at all is left to synthetic voices.

    Raises:
        ConfigError: the numbers differ.
    """
    if positives and len(positives) != len(keywords):
        raise ConfigError(
            f"got {counted(len(keywords), 'keyword')} and {len(positives)} --positives; give one for each, "
            "or none at all, which leaves it to synthetic voices"
        )
