"""Every page is run: README.md, CONTRIBUTING.md and all of docs/*.md.

Each page's ```python blocks are run in order, in one namespace.

A block that begins with ``>>>`` is a doctest, whose output must be as printed; any other is executed, and says with
``assert`` what holds. No block can be left out: a fence in an unknown language, or with options, fails.
"""

import doctest
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import subtensor as st

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LANGUAGES = {"python", "sh", "toml", "text"}
FENCE = re.compile(r"^(?P<indent> *)(?P<marks>`{3,}|~{3,})(?P<info>.*)$")


class Block(NamedTuple):
    """What stands between two fences. line: the number of its first line in the page."""

    info: str
    line: int
    code: str


def blocks(text):
    """The fenced blocks of a page; raises ValueError for a fence that is not closed."""
    found, opened, lines = [], None, []
    for number, line in enumerate(text.splitlines(), 1):
        fence = FENCE.match(line)
        if opened is None:
            if fence:
                opened, lines = (fence["marks"], fence["info"].strip(), number + 1), []
        elif fence and fence["marks"] == opened[0] and not fence["info"].strip():
            found.append(Block(opened[1], opened[2], textwrap.dedent("\n".join(lines)) + "\n"))
            opened = None
        else:
            lines.append(line)
    if opened is not None:
        raise ValueError(f"the fence in line {opened[2] - 1} is not closed")
    return found


def run(block, page, namespace):
    """Execute a block; raises AssertionError, with the difference, where a doctest prints something else."""
    if not block.code.lstrip().startswith(">>>"):
        exec(compile("\n" * (block.line - 1) + block.code, page, "exec"), namespace)
        return
    test = doctest.DocTestParser().get_doctest(block.code, namespace, page, page, block.line - 1)
    test.globs = namespace  # the parser copies it
    report = []
    failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=report.append, clear_globs=False).failed
    assert not failed, "".join(report)


@pytest.fixture
def clean(monkeypatch, tmp_path):
    """What a page sets and registers is undone; what it writes goes into a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "docs" / "examples")
    with st.config.change_flags(floatX="float64", backend="numpy"), np.printoptions():
        yield
    by_hand = [info for info in [*st.plugins.backends(), *st.plugins.extensions()] if info.distribution is None]
    for info in by_hand:
        st.plugins.unregister(info.name)


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_python_block_does_what_the_page_says(page):
    namespace = {"__name__": "page"}
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.info == "python":
            run(block, str(page), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_block_escapes_the_tests_by_its_language(page):
    strange = [(b.line, b.info) for b in blocks(page.read_text(encoding="utf-8")) if b.info not in LANGUAGES]
    assert not strange


def test_blocks_are_found_with_their_lines():
    text = "a\n```python\nx = 1\n```\n\n  ~~~sh\n  ls\n  ```\n  ~~~\n"
    assert blocks(text) == [Block("python", 3, "x = 1\n"), Block("sh", 7, "ls\n```\n")]
    with pytest.raises(ValueError, match="line 2 is not closed"):
        blocks("a\n```python\nx = 1\n")


def test_a_wrong_claim_fails():
    namespace = {}
    run(Block("python", 1, "x = 2\n"), "page", namespace)
    run(Block("python", 2, ">>> y = x + 1\n>>> y\n3\n"), "page", namespace)
    run(Block("python", 2, "assert y == 3\n"), "page", namespace)
    with pytest.raises(AssertionError):
        run(Block("python", 2, "assert x == 1\n"), "page", namespace)
    with pytest.raises(AssertionError, match=r"Expected:\n *1\n *Got:\n *2"):
        run(Block("python", 2, ">>> x\n1\n"), "page", namespace)
    with pytest.raises(AssertionError, match="NameError"):
        run(Block("python", 2, ">>> nobody\n"), "page", namespace)


# --- links


def anchors(text):
    """The anchors that a page's headings make, by the rule that Git hosts share."""
    outside = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.+)$", outside, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        goal = (page.parent / path).resolve() if path else page
        if not goal.exists() or (anchor and anchor not in anchors(goal.read_text(encoding="utf-8"))):
            broken.append(target)
    assert not broken
