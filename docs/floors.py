"""Draws `docs/images/floors.svg`: the floors of the frontend, as `pyproject.toml` states and import-linter checks them.

python docs/floors.py
"""

import re
import sys
import textwrap
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "floors.svg"
WIDTH, NAMES, LINE, PAD = 860, 640, 18, 10
HUES = ("#eef3fb", "#f6f1e7")


def floors() -> list[list[str]]:
    """The floors from the top, each a list of modules or folders side by side."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    [layers] = [c["layers"] for c in contracts if c.get("containers") == ["subtensor"]]
    return [re.findall(r"\w+", layer) for layer in layers]


def modules(name: str) -> list[str]:
    """What lies in a folder of the frontend; nothing for a module."""
    return sorted(p.stem for p in (ROOT / "frontend" / "subtensor" / name).glob("*.py") if p.stem != "__init__")


def picture() -> str:
    """The picture as SVG: a band for each floor, and in it its folders with the modules that they hold."""
    bands, y = [], PAD
    for number, floor in enumerate(floors()):
        lines = []
        for name in floor:
            inside = modules(name)
            text = textwrap.wrap(" · ".join(inside), 92) or [""]
            lines += [(f"{name}/" if inside else name, text[0]), *(("", more) for more in text[1:])]
        height = LINE * len(lines) + PAD
        bands.append(
            f'<rect x="{PAD}" y="{y}" width="{WIDTH - 2 * PAD}" height="{height}" rx="5" fill="{HUES[number % 2]}"/>'
        )
        for n, (head, text) in enumerate(lines):
            at = y + PAD / 2 + LINE * n + 13
            if head:
                bands.append(f'<text x="{2 * PAD}" y="{at}" font-weight="bold">{escape(head)}</text>')
            if text:
                bands.append(f'<text x="{WIDTH - NAMES - PAD}" y="{at}" fill="#444">{escape(text)}</text>')
        y += height + 4
    size = f'width="{WIDTH}" height="{y + PAD}" viewBox="0 0 {WIDTH} {y + PAD}"'
    font = 'font-family="DejaVu Sans, Verdana, sans-serif" font-size="12" fill="#111"'
    start = f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>'
    return "\n".join([start, '<rect width="100%" height="100%" fill="#fff"/>', *bands, "</svg>", ""])


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)}\n")
