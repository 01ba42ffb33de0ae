"""Hooks of mkdocs.yml, for what a site shows otherwise than the repository.

Links to files that are no part of the site become their words, a page that names a notebook shows its cells,
and docstrings lose the roles of Sphinx, which the pages would print.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROLE = re.compile(r":(?:attr|class|data|exc|func|meth|mod|obj):(?=<code)")
NOTEBOOK = re.compile(r"<!-- notebook: (\S+) -->")
LINK = re.compile(r"\[([^\]]+)\]\((\.\./[^)\s]*)\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Return the text of a page; links out of the folder of the site are left as their words.

    Args:
        markdown: text of the page.
        page: the page, whose file says where it lies.
        config: settings of the site.
    """
    docs = Path(config["docs_dir"]).resolve()
    folder = Path(page.file.abs_src_path).parent

    def inside(match: re.Match[str]) -> str:
        target = (folder / match[2].partition("#")[0]).resolve()
        return match[0] if target.is_relative_to(docs) else match[1]

    markdown = NOTEBOOK.sub(lambda found: _cells(docs.parent / found[1]), markdown)
    return LINK.sub(inside, markdown)


def _cells(notebook: Path) -> str:
    """Return the cells of a notebook as the text of a page."""
    shown = []
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        source = "".join(cell["source"])
        shown.append(f"```python\n{source}\n```" if cell["cell_type"] == "code" else source)
    return "\n\n".join(shown)


def on_page_content(html: str, **_: Any) -> str:
    """Return the page without the roles before names in docstrings, such as ``:func:``."""
    return ROLE.sub("", html)
