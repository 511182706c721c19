"""The site: README.md, CHANGELOG.md, CONTRIBUTING.md and every page of docs/, as they stand; ``build.py`` makes it.

The pages are plain Markdown, whose links a code host follows as well. What only the site has is here: the order of the
pages, which is no page's business, and a front page by the name that browsers ask for.
"""

import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))
from groups import GROUPS

ROOT = Path(__file__).parents[2]

NAVIGATION = {
    "Start": ["quick-start", "subsets", "recipes", "semantics"],
    "In depth": [
        "embeddings",
        "sequences",
        "optimizers",
        "random",
        "loops",
        "large-tables",
        "sharding",
        "looking",
        "errors",
    ],
    "Backends": ["backends", "jax", "benchmarks", "reliability", "versions"],
    "Coming from": ["from-*"],
    "Extending": ["writing-a-backend", "writing-*", "conformance", "rewrites", "architecture"],
    "Reference": ["reference", *(f"reference/{file}" for file, *_ in GROUPS)],
    "More": ["*"],
}
"""The parts of the navigation, and the pages of docs/ in each, by pattern; a page stands where it is named first."""

project = "subtensor"
copyright = "the subtensor developers"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "README"
include_patterns = ["*.md", "docs/*.md", "docs/reference/*.md"]
# Folders that are not even looked into.
exclude_patterns = [
    *(".*", "build", "dist", "frontend", "backends", "conformance"),
    *("docs/examples", "docs/site", "docs/tests"),
]
nitpicky = True

myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # a page may begin with its third level

html_theme = "furo"
html_title = "subtensor"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
# A redirection from the name that browsers ask for.
html_additional_pages = {"index": "index.html"}
templates_path = ["templates"]
pygments_style = "friendly"
pygments_dark_style = "github-dark"


def parts(pages: list[str]) -> dict[str, list[str]]:
    """The navigation: the names of pages by the part where they stand. Every page stands in one."""
    left = sorted(pages)
    found: dict[str, list[str]] = {}
    named = {p for patterns in NAVIGATION.values() for p in patterns if "*" not in p}
    for part, patterns in NAVIGATION.items():
        for pattern in patterns:
            here = [p for p in left if fnmatch(p, pattern) and (p == pattern or p not in named) and _deep(p, pattern)]
            found.setdefault(part, []).extend(here)
            left = [p for p in left if p not in here]
    return {part: listed for part, listed in found.items() if listed}


def _deep(page: str, pattern: str) -> bool:
    """Whether a pattern reaches a page: a star does not reach into folders."""
    return page.count("/") == pattern.count("/")


def _with_navigation(app: Sphinx, name: str, text: list[str]) -> None:
    """Gives the front page the tree of pages, which code hosts would show as text."""
    if name != root_doc:
        return
    pages = [p.removeprefix("docs/") for p in app.env.found_docs if p.startswith("docs/")]
    top = [p for p in ("CONTRIBUTING", "CHANGELOG") if p in app.env.found_docs]
    trees = [(part, [f"docs/{p}" for p in listed]) for part, listed in parts(pages).items()]
    for part, listed in [*trees, ("The project", top)]:
        text[0] += f"\n\n```{{toctree}}\n:hidden:\n:caption: {part}\n:titlesonly:\n\n" + "\n".join(listed) + "\n```\n"


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", _with_navigation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
