"""What README.md, README.zh.md and the pages of docs/ hold: commands, names, links, sentences."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
GUIDES = sorted((REPOSITORY / "docs" / "guide").glob("*.md"))
RESULTS = sorted((REPOSITORY / "docs" / "results").glob("*.md"))
LOG = sorted((REPOSITORY / "docs" / "log").glob("20*.md"))
"""Dated history, never edited: its commands and files are those of its time."""
SUMMARY = REPOSITORY / "RESULTS.md"
TEXTS = [
    README,
    REPOSITORY / "README.zh.md",
    SUMMARY,
    *sorted(set((REPOSITORY / "docs").rglob("*.md")) - set(LOG)),
]
"""Every text that a reader of the project is led to, apart from the log and what is for contributors."""

FENCE = re.compile(r"^ *```[^\n]*\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
PROGRAM = re.compile(r"^(?:\$ )?(?:\S*/)?(?:kws|python3? -m kws)\s+(.*)$")
LINK = re.compile(r"!?\[([^\]]*)\]\(([^)\s]*)\)")


def name_of(path: Path) -> str:
    """Return the path as seen from the top of the repository, for the names of tests."""
    return path.relative_to(REPOSITORY).as_posix()


def python_blocks(text: str) -> list[str]:
    """Code blocks of Python."""
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def shell_lines(text: str) -> list[str]:
    """Commands in code blocks, continued lines joined, one for each side of ``&&``, ``;`` and ``|``."""
    blocks = "\n".join(FENCE.findall(text)).replace("\\\n", " ")
    return [part.strip() for line in blocks.splitlines() for part in re.split(r"&&|;|\|", line)]


def inline(text: str) -> list[str]:
    """What stands between back ticks outside code blocks, line breaks as spaces."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", FENCE.sub("", text))]


def kws_calls(text: str) -> list[list[str]]:
    """The words after ``kws`` of every call, in code blocks and between back ticks."""
    found = [PROGRAM.match(part) for part in (*shell_lines(text), *inline(text))]
    return [shlex.split(match[1], comments=True) for match in found if match]


def links(text: str) -> list[str]:
    """Targets of links and pictures outside code blocks."""
    return [target for _, target in LINK.findall(FENCE.sub("", text))]


def sentences(text: str) -> list[str]:
    """Sentences of the running text: code blocks, tables, headings, links and pictures are left out."""
    text = LINK.sub("", FENCE.sub("\n\n", text))
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        stripped = line.strip()
        begins_anew = re.match(r"([-*]|\d+\.|#+|\||>) ?", stripped)
        if not stripped or begins_anew:
            blocks.append([])
        if stripped and not re.match(r"[#|]", stripped):
            blocks[-1].append(re.sub(r"^([-*]|\d+\.|>) ", "", stripped))
    joined = (" ".join(block) for block in blocks)
    return [part for block in joined for part in re.split(r"(?<=[.!?])\s+", block) if part]
