"""The table of known-bad backends, for the documentation: ``python -m subtensor_conformance.known_bad.document FILE``."""

from __future__ import annotations

import sys
from pathlib import Path

from subtensor_conformance.known_bad import ALL

BEGIN = "<!-- known-bad backends: generated -->"
END = "<!-- end of known-bad backends -->"


def table() -> str:
    """One row for each, in Markdown."""
    rows = [
        "| name | what it does wrong | area | killed by a failure of kind | and only in cases about |",
        "|---|---|---|---|---|",
    ]
    for e in ALL.values():
        kinds = ", ".join(e.kinds)
        rows.append(f"| `{e.name}` | {e.fault} | `{e.area}` | {kinds} | {', '.join(e.tags) or 'anything'} |")
    return "\n".join(rows)


def main(path: Path) -> None:
    """Write the table between its marks."""
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    path.write_text(f"{head}{BEGIN}\n{table()}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
