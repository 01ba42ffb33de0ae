"""How README.md and the pages of docs/ are written: short, with sources, and with links that lead on."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.texts import (
    GUIDES,
    LOG,
    README,
    REPOSITORY,
    RESULTS,
    SUMMARY,
    TEXTS,
    links,
    name_of,
    python_blocks,
    sentences,
)

MOST_WORDS = 35
FIRST_LINES = 8
"""Lines of a page of results that say what its figures are of."""
PAGES_OF_RESULTS = [path for path in RESULTS if path.name != "README.md"]


def test_the_readme_has_at_most_120_lines():
    assert len(README.read_text("utf-8").splitlines()) <= 120


@pytest.mark.parametrize("path", [README, SUMMARY, *GUIDES, *RESULTS], ids=name_of)
def test_no_sentence_has_more_words_than_one_can_keep_in_mind(path: Path):
    long = [said for said in sentences(path.read_text("utf-8")) if len(said.split()) > MOST_WORDS]
    assert long == []


def test_the_reader_of_sentences_sees_those_of_paragraphs_and_lists_alone():
    text = (
        "# A title. Of two.\n\nOne of\ntwo lines. Two [with a link](x.md) in it!\n\n"
        "- an item\n  that goes on\n- another: `a.b` c\n\n| a table. | b |\n|---|---|\n\n"
        "```sh\ncode. more\n```\nLast"
    )
    assert sentences(text) == [
        "One of two lines.",
        "Two  in it!",
        "an item that goes on",
        "another: `a.b` c",
        "Last",
    ]


@pytest.mark.parametrize("path", PAGES_OF_RESULTS, ids=name_of)
def test_each_page_of_results_first_says_encoder_date_and_command(path: Path):
    first = "\n".join(path.read_text("utf-8").splitlines()[:FIRST_LINES])
    assert re.search(r"^Encoder: \S", first, re.MULTILINE)
    assert re.search(r"^Date: 20\d\d-\d\d-\d\d", first, re.MULTILINE)
    assert re.search(r"^Command: `(python -m benchmarks\.|kws )", first, re.MULTILINE)


@pytest.mark.parametrize("path", [*TEXTS, *LOG], ids=name_of)
def test_each_relative_link_leads_to_a_file(path: Path):
    targets = [target for target in links(path.read_text("utf-8")) if "://" not in target]
    files = [target.partition("#")[0] for target in targets]
    assert [file for file in files if file and not (path.parent / file).exists()] == []


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_each_python_example_imports_what_there_is(path: Path):
    for block in python_blocks(path.read_text("utf-8")):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                found = [getattr(importlib.import_module(node.module), alias.name) for alias in node.names]
                assert all(map(callable, found)), f"{ast.unparse(node)} gives a module"


def test_the_reference_names_modules_that_there_are():
    pages = (REPOSITORY / "docs" / "reference").glob("*.md")
    named = [
        name for page in pages for name in re.findall(r"^::: (\S+)", page.read_text("utf-8"), re.MULTILINE)
    ]
    modules = [name.rpartition(".")[0] if name.split(".")[-1][0].isupper() else name for name in named]
    assert modules and [name for name in modules if importlib.util.find_spec(name) is None] == []


def test_the_pages_of_results_are_listed():
    listed = links((REPOSITORY / "docs" / "results" / "README.md").read_text("utf-8"))
    assert {path.name for path in PAGES_OF_RESULTS} <= set(listed)


def test_the_summary_of_results_is_one_page_that_leads_to_each():
    text = SUMMARY.read_text("utf-8")
    assert len(text.splitlines()) <= 60
    assert {f"docs/results/{path.name}" for path in PAGES_OF_RESULTS} <= set(links(text))


@pytest.mark.parametrize("path", LOG, ids=name_of)
def test_a_page_of_the_log_has_a_date_and_is_listed(path: Path):
    title = path.read_text("utf-8").splitlines()[0]
    assert title.startswith("# ") and title.endswith(path.name[:10])
    assert path.name in links((path.parent / "README.md").read_text("utf-8"))


def test_every_page_has_its_place_in_the_site():
    settings = (REPOSITORY / "mkdocs.yml").read_text("utf-8")
    pages = {path.relative_to(REPOSITORY / "docs").as_posix() for path in (REPOSITORY / "docs").rglob("*.md")}
    assert {
        page for page in pages if not re.search(rf"[ :]{re.escape(page)}$", settings, re.MULTILINE)
    } == set()


def test_a_reader_of_the_site_needs_no_network():
    settings = (REPOSITORY / "mkdocs.yml").read_text("utf-8")
    assert "font: false" in settings and "://" not in settings


def test_pages_of_the_site_have_no_links_out_of_it_and_no_roles():
    spec = importlib.util.spec_from_file_location("site_hook", REPOSITORY / ".ci" / "site.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    docs = REPOSITORY / "docs"
    page = SimpleNamespace(file=SimpleNamespace(abs_src_path=str(docs / "guide" / "train.md")))
    text = "[all](../../RESULTS.md#a), [b](../results/typed.md), [c](enroll.md)"
    made = hook.on_page_markdown(text, page=page, config={"docs_dir": str(docs)}, files=None)
    assert made == "all, [b](../results/typed.md), [c](enroll.md)"
    assert (
        hook.on_page_content("as :func:<code>decide</code>, at 12:30") == "as <code>decide</code>, at 12:30"
    )
