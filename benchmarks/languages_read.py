"""Counts how many phrases of how many are read in every language of eSpeak NG: numbers, and everyday phrases.

    python -m benchmarks.languages_read [--step 1] [--all]

A phrase is read when it gets phones. A crash counts for everything in its language. Languages in which all is
read are summed up.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1]))
from benchmarks.everyday_phrases import PHRASES, numbers
from data_prep.synthesis import espeak
from data_prep.synthesis.phones import texts_to_phones
from kws.errors import KwsError


def count(texts: list[str], language: str) -> int:
    """Return how many texts have phones."""
    # what crashes is tried together, which starts one process and not one for each
    crashing = espeak.crashing(texts, language) if hasattr(espeak, "crashing") else set()
    tried = [text for text in texts if text not in crashing]
    try:
        return sum(map(bool, texts_to_phones(tried, language)))
    except KwsError:
        return sum(map(count_one, tried, [language] * len(tried)))


def count_one(text: str, language: str) -> int:
    """Return 1 for a text that has phones."""
    try:
        return int(bool(texts_to_phones([text], language)[0]))
    except KwsError:
        return 0


def count_apart(asked: dict[str, list[list[str]]]) -> Iterator[tuple[str, list[int] | None]]:
    """Yield language and counts of each of its lists of texts; None where the process crashed."""
    left = dict(asked)
    while left:
        command = [sys.executable, __file__, "--child"]
        done = subprocess.run(command, input=json.dumps(left), capture_output=True, text=True, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        yield from lines
        left = dict(list(left.items())[len(lines) :])
        if left:
            language = next(iter(left))
            yield language, None
            del left[language]


def main() -> None:
    """Count, and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--step", type=int, default=1, help="of the numbers above 20 each so many-th")
    parser.add_argument("--all", action="store_true", help="show languages of which all is read, too")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        for language, lists in json.load(sys.stdin).items():
            print(json.dumps([language, [count(texts, language) for texts in lists]]), flush=True)
        return
    asked = {code: [numbers(arguments.step), list(PHRASES.get(code, ()))] for code in espeak.languages()}
    complete, read, given = 0, 0, 0
    print("| language | numbers read | phrases read |\n|---|---|---|")
    for language, found in count_apart(asked):
        sizes = [len(texts) for texts in asked[language]]
        complete += found == sizes
        read, given = read + sum(found or ()), given + sum(sizes)
        if found is None:
            print(f"| {language} | the process crashes | |")
        elif found != sizes or arguments.all:
            cells = [
                f"{number} of {size}" if size else "–" for number, size in zip(found, sizes, strict=True)
            ]
            print(f"| {language} | {' | '.join(cells)} |")
    print(
        f"\n{complete} of {len(asked)} languages are read completely, {read} of {given} numbers and phrases."
    )


if __name__ == "__main__":
    main()
