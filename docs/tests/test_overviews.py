"""README.md, docs/architecture.md and the table of errors keep up with the code."""

import inspect
import re
import runpy
import tomllib
from pathlib import Path

import subtensor as st
import subtensor.plugin
from subtensor.graph.nodes import OPS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
SEMANTICS = (ROOT / "docs" / "semantics.md").read_text(encoding="utf-8")
PUBLIC = {
    "subtensor",
    *(f"subtensor.{name}" for name in ("curvature", "errors", "optimizers", "plugin", "plugins", "tensor", "theano")),
    "subtensor_conformance",
    "subtensor_conformance.case",
    "subtensor_jax",
    "subtensor_numpy",
}
"""What pages and plugins may import; everything else is free to move."""
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def first_cells(text, head):
    """The names in the first column of the table with a head."""
    table = text[text.index(f"| {head} |") :].split("\n\n")[0]
    return [re.findall(r"`(\w+)`", line.split("|")[1]) for line in table.splitlines()[2:]]


def test_the_readme_begins_with_the_two_commands():
    commands = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    assert commands[:2] == [
        'pip install -e ".[examples]" && python docs/examples/word_embeddings.py\n',
        'pip install -e ".[dev]" && python -m pytest -q -n 2\n',
    ]


def test_the_extras_that_the_readme_installs_exist():
    named = re.findall(r'"\.\[(\w+)\]"', README)
    assert set(named) <= set(PROJECT["project"]["optional-dependencies"])


def test_every_floor_is_on_the_page_in_the_order_that_is_checked():
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    [layers] = [c["layers"] for c in contracts if c.get("containers") == ["subtensor"]]
    height = {name: n for n, layer in enumerate(layers) for name in re.findall(r"\w+", layer)}
    listed = [name for cell in first_cells(ARCHITECTURE, "in `subtensor`") for name in cell]
    assert sorted(listed) == sorted(set(height) - {"__main__"})
    assert [height[name] for name in listed] == sorted(height[name] for name in listed)


def test_the_picture_of_the_floors_is_that_of_the_code():
    space = runpy.run_path(str(ROOT / "docs" / "floors.py"))
    assert space["PICTURE"].read_text(encoding="utf-8") == space["picture"](), "run python docs/floors.py"
    assert "images/floors.svg" in ARCHITECTURE


def test_what_a_plugin_imports_is_public():
    sources = [
        p.read_text(encoding="utf-8") for p in sorted((ROOT / "docs").glob("**/*.md")) if p.name != "architecture.md"
    ]
    sources.append((ROOT / "docs" / "examples" / "tiny_backend.py").read_text(encoding="utf-8"))
    paths = {
        path for text in sources for path in re.findall(r"^\s*(?:from|import) (subtensor[\w.]*)", text, re.MULTILINE)
    }
    assert paths <= PUBLIC, paths - PUBLIC
    named = {
        name
        for text in sources
        for line in re.findall(r"from subtensor\.plugin import ([^(\n]+|\([^)]+\))", text)
        for name in re.findall(r"\w+", line)
    }
    assert named <= set(st.plugin.__all__)


def test_the_number_of_core_ops_is_as_stated():
    core = [name for name, op in OPS.items() if op.expand is None and op.infer.__module__.startswith("subtensor.")]
    assert f"The core is {len(core)} ops" in ARCHITECTURE


def test_every_error_is_in_the_table_with_its_kin():
    errors = {n: c for n, c in vars(st.errors).items() if inspect.isclass(c) and n != "SubtensorError"}
    table = SEMANTICS[SEMANTICS.index("| class |") :].splitlines()[2:]
    rows = [re.findall(r"`(\w+)`", line) for line in table]
    assert {name for name, *_ in rows} == set(errors)
    for name, *others in rows:
        assert issubclass(errors[name], st.SubtensorError)
        kin = {c.__name__ for c in errors[name].__mro__}
        assert others[0] in kin
        assert set(others[1:]) & set(errors) <= kin, (name, others)


def test_the_changelog_has_the_version_of_the_project():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[([\w.]+)\]", text, re.MULTILINE)
    assert versions[0] == "Unreleased"
    assert versions[1] == PROJECT["project"]["version"]
