"""Builds the site in build/site, with warnings as errors, and follows every link: ``python docs/site/build.py``."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from shutil import rmtree
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).parents[2]
SITE = ROOT / "build" / "site"


class _Page(HTMLParser):
    """The links of a page, and the places in it that links can lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        for key, value in attrs:
            if key in ("href", "src") and value:
                self.links.append(value)
            if key == "id" and value:
                self.anchors.add(value)


def dead_links(site: Path) -> list[str]:
    """What leads nowhere, as ``page: link``. Links to other sites are not followed: a build needs no network."""
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            goal = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            gone = bool(parts.fragment) and goal in pages and unquote(parts.fragment) not in pages[goal].anchors
            if gone or not goal.is_file():
                dead.append(f"{path.relative_to(site)}: {link}")
    return dead


def main() -> int:
    # Here, for the checks above need no Sphinx.
    from sphinx.cmd.build import build_main  # noqa: PLC0415

    rmtree(SITE, ignore_errors=True)  # a page that is gone leaves nothing behind
    options = ["-q", "-W", "--keep-going", "-b", "html", "-c", str(Path(__file__).parent)]
    if failed := build_main([*options, str(ROOT), str(SITE)]):
        return int(failed)
    dead = dead_links(SITE.resolve())
    print(*(f"dead link in {line}" for line in dead), sep="\n", file=sys.stderr, end="")
    if not dead:
        print(f"{SITE / 'index.html'}")
    return int(bool(dead))


if __name__ == "__main__":
    sys.exit(main())
