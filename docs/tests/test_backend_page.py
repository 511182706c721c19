"""docs/writing-a-backend.md says all that a backend's author needs, and nothing that is not so."""

import dataclasses
import importlib
import inspect
import re
import shutil
import textwrap
import tomllib
from pathlib import Path

import numpy as np
import pytest

import subtensor as st
from subtensor.graph.nodes import OPS
from subtensor.ops.views import VIEWS
from subtensor.plugins import PluginHost, hooks
from subtensor.program.contract import CAPABILITIES, OPTIONAL, Backend
from subtensor.program.linear import Commit, Instruction, Program, Write

DOCS = Path(__file__).parents[1]
PAGE = (DOCS / "writing-a-backend.md").read_text(encoding="utf-8")
TINY = DOCS / "examples" / "tiny_backend.py"


def names(text):
    return re.findall(r"`([^`]+)`", text)


def section(heading):
    """The text under a heading, up to the next one of its level or above."""
    marks = heading.split()[0]
    start = PAGE.index(f"\n{heading}\n")
    end = re.search(rf"\n#{{1,{len(marks)}}} ", PAGE[start + 1 :])
    return PAGE[start : start + 1 + end.start()] if end else PAGE[start:]


def rows(text):
    """The rows of the tables of a text, as lists of cells, without the heads."""
    found = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    heads = {i - 1 for i, cells in enumerate(found) if set(cells[0]) <= set("-")}
    return [cells for i, cells in enumerate(found) if i not in heads and not set(cells[0]) <= set("-")]


OP_TABLE = {name: cells[1:] for cells in rows(section("## Ops")) for name in names(cells[0])}


def test_each_core_op_is_listed_once_with_its_meaning():
    core = {name for name, op in OPS.items() if op.expand is None and op.infer.__module__.startswith("subtensor.")}
    listed = [name for cells in rows(section("## Ops")) for name in names(cells[0])]
    assert sorted(listed) == sorted(core)
    assert all(result for _, _, result in OP_TABLE.values())


@pytest.mark.parametrize("name", OP_TABLE)
def test_arguments_and_params_are_those_of_the_op(name):
    arguments, params, _ = OP_TABLE[name]
    listed = [a.strip() for a in arguments.split(",")] + [p for p in params.split(", ") if p]
    rule = inspect.signature(OPS[name].infer)
    if list(rule.parameters) == ["args"]:  # elementwise: the type rule takes any number
        inputs = [st.vector() for _ in arguments.split(",")]
        assert OPS[name](*inputs).ndim == 1
        assert not params
    else:
        assert listed == [str(p).split(":")[0] for p in rule.parameters.values()]


@pytest.mark.parametrize("hook", hooks.HOOKS)
def test_each_hook_has_its_heading(hook):
    assert f"\n### `{hook}`\n" in section("## Hooks")


def test_the_hooks_are_all_that_are_specified():
    assert set(hooks.HOOKS) == {n for n in vars(hooks) if n.startswith("subtensor_")}
    assert re.findall(r"^### `(\w+)`", section("## Hooks"), re.MULTILINE) == list(hooks.HOOKS)


def test_what_a_backend_may_have_besides_is_listed():
    listed = [names(cells[0])[0].split("(")[0] for cells in rows(section("## Large tables"))]
    assert listed == list(OPTIONAL)


def test_the_attributes_of_a_backend_are_listed():
    listed = [names(cells[0])[0].split("(")[0] for cells in rows(section("## The backend object"))]
    assert listed == [n for n in vars(Backend) if not n.startswith("_")]


@pytest.mark.parametrize("record", [Program, Instruction, Commit, Write])
def test_the_fields_of_programs_are_listed(record):
    table = PAGE[PAGE.index(f"| field of `{record.__name__}` |") :].split("\n\n")[0]
    listed = {name.split("(")[0] for cells in rows(table) for name in names(cells[0])}
    fields = {f.name for f in dataclasses.fields(record)}
    public = {n for n in vars(record) if not n.startswith("_")}
    assert listed == fields | public


def test_the_capabilities_are_listed():
    section_rows = rows(section("## What a backend may lack"))
    assert {names(cells[0])[0] for cells in section_rows} == CAPABILITIES


def test_the_ops_that_may_share_memory_are_listed():
    text = section("## Programs")
    listed = names(text[text.index("let only") : text.index("share memory")])
    assert set(listed) == VIEWS


def test_the_code_that_is_quoted_is_that_of_the_file():
    source = TINY.read_text(encoding="utf-8")
    [quoted] = re.findall(r"^```text\n(def .*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert textwrap.indent(quoted, " " * 8) in source
    assert f"in {len(source.splitlines()) // 10 * 10} lines" in PAGE


def test_a_distribution_made_as_the_page_says_is_found(tmp_path, monkeypatch):
    project = tomllib.loads(re.search(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1])["project"]
    [(group, points)] = project["entry-points"].items()
    name = project["name"].replace("-", "_")
    info = tmp_path / f"{name}-{project['version']}.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [f"{key} = {value}\n" for key, value in points.items()]
    info.joinpath("entry_points.txt").write_text(f"[{group}]\n{''.join(lines)}")
    shutil.copy(TINY, tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    host = PluginHost()
    [found] = [b for b in host.backends() if b.name == "tiny"]
    assert (found.distribution, found.version, found.status) == (project["name"], project["version"], "available")
    x = st.vector()
    program = st.function([x], x * 2).program
    (result,) = host.get_backend("tiny").compile(program)((np.array([1.0, 2.0]),), ())
    assert result.tolist() == [2, 4]
