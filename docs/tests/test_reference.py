"""The reference is that of the docstrings, holds every public name, and what pages say of names is so."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import subtensor as st
import subtensor.plugin

DOCS = Path(__file__).parents[1]
SPACES = {
    "st": st,
    "st.optimizers": st.optimizers,
    "st.optimizers.schedules": st.optimizers.schedules,
    "st.optimizers.constraints": st.optimizers.constraints,
    "st.random": st.random,
    "st.curvature": st.curvature,
    "subtensor.plugin": subtensor.plugin,
}
AGAIN = "run python docs/site/reference.py"


@pytest.fixture(scope="module")
def reference():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(DOCS / "site")
        yield importlib.import_module("reference")
        for name in ("reference", "reference_examples", "groups"):
            sys.modules.pop(name, None)


def test_the_pages_are_those_of_the_docstrings():
    """In a process of its own: ops and nodes that other tests made would show."""
    script = "import json, reference; print(json.dumps(reference.pages()))"
    run = subprocess.run([sys.executable, "-c", script], cwd=DOCS / "site", capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    made = json.loads(run.stdout)
    there = {p.relative_to(DOCS).as_posix() for p in [DOCS / "reference.md", *DOCS.glob("reference/*.md")]}
    assert there == set(made), AGAIN
    stale = [path for path, text in made.items() if (DOCS / path).read_text(encoding="utf-8") != text]
    assert not stale, AGAIN


@pytest.mark.parametrize("space", SPACES)
def test_every_public_name_is_in_the_reference(space):
    text = "\n".join(p.read_text(encoding="utf-8") for p in DOCS.glob("reference/*.md"))
    index = (DOCS / "reference.md").read_text(encoding="utf-8").split(f"## Names of `{space}`\n")[1].split("\n## ")[0]
    named = {n for found in re.findall(r"`([\w.]+)`", text) for n in (found, found.removeprefix("subtensor.plugin."))}
    for name in SPACES[space].__all__:
        full = name if space == "subtensor.plugin" else f"{space}.{name}"
        assert full in named, f"{space}.{name}: {AGAIN}"
        assert f"[`{name}`](" in index, f"{space}.{name}: {AGAIN}"


def names(text):
    """What inline code calls `st.…`, without calls and indices; tables and prose alike."""
    prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)
    return {m for code in re.findall(r"`([^`\n]+)`", prose) for m in re.findall(r"\bst((?:\.[A-Za-z_]\w*)+)", code)}


@pytest.mark.parametrize("page", ["quick-start", "subsets", "recipes", "from-torch"])
def test_the_names_on_a_page_exist(page):
    for dotted in names((DOCS / f"{page}.md").read_text(encoding="utf-8")):
        value = st
        for part in dotted[1:].split("."):
            if isinstance(value, type | st.Variable):
                break
            value = getattr(value, part)


def test_names_are_found_in_prose_only():
    assert names("`st.a(st.b.c)` x\n```python\nst.d\n```\n") == {".a", ".b.c"}


def test_arguments_become_items_and_errors_a_paragraph(reference):
    doc = "First.\n\nx: (n,) floats. y, axis: ints: really. Raises ShapeError\nfor *such*. note: no argument."
    assert reference.prose(doc, frozenset({"x", "y", "axis"})) == (
        "First.\n\n- `x`: (n,) floats.\n- `y`, `axis`: ints: really.\n\n"
        "Raises ShapeError for \\*such\\*. note: no argument."
    )


def test_an_example_shows_what_it_gives(reference):
    assert reference.ran("x = st.constant([1, 2])\nx * 2") == (
        "```python\n>>> x = st.constant([1, 2])\n>>> (x * 2).eval()\narray([2, 4])\n```"
    )


def test_a_name_without_a_place_or_an_example_is_an_error(reference, monkeypatch):
    monkeypatch.setitem(reference.EXAMPLES, "sort", "1 / 0")
    with pytest.raises(ZeroDivisionError):
        reference.described(next(e for e in reference.entries() if "st.sort" in e.names))
    monkeypatch.delitem(reference.EXAMPLES, "sort")
    with pytest.raises(SystemExit, match=r"st\.sort has no example"):
        reference.described(next(e for e in reference.entries() if "st.sort" in e.names))
    monkeypatch.setattr(reference, "GROUPS", [])
    with pytest.raises(SystemExit, match=r"no place in docs/site/groups\.py for st\."):
        reference.pages()
