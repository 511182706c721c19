"""What CONTRIBUTING.md, the hooks for commits and the citation say is so."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_files_and_folders_that_are_named_exist():
    named = set(re.findall(r"`([\w.*/-]+)`", CONTRIBUTING)) | set(
        re.findall(r"^(\.ci/\w+)", CONTRIBUTING, re.MULTILINE)
    )
    paths = {n for n in named if "/" in n or n.endswith((".py", ".md", ".yaml"))}
    assert {"frontend/subtensor/ops", ".ci/release", "docs/site/conf.py"} <= paths
    assert not [p for p in paths if not list(ROOT.glob(p))]


def test_the_hooks_run_tools_that_developers_have():
    hooks = re.findall(
        r"^        entry: ([\w-]+)", (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert hooks == ["ruff", "ruff", "mypy", "lint-imports", "python"]
    dev = {re.split("[>=\\[]", r)[0] for r in PROJECT["optional-dependencies"]["dev"]}
    assert {"ruff", "mypy", "import-linter", "pre-commit"} <= dev


def test_the_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {PROJECT['version']}\n" in citation
    assert f"\nlicense: {PROJECT['license']}\n" in citation
