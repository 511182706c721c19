"""Tables for people: as text for a terminal, and as HTML for a notebook."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Row:
    """A line. tail: what stands after the cells. notes: lines beneath."""

    label: str
    cells: tuple[str, ...] = ()
    tail: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """Lines under a heading; without one, they follow what is above."""

    title: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Table:
    """title: the first line. heads: over the cells. sections, and then lines of text."""

    title: str
    heads: tuple[str, ...]
    sections: Sequence[Section]
    after: Sequence[str] = field(default=())

    @property
    def rows(self) -> Iterator[Row]:
        for section in self.sections:
            yield from section.rows

    def text(self) -> str:
        """For a terminal."""
        columns = list(zip(self.heads, *(r.cells for r in self.rows if r.cells), strict=True))
        widths = [max(map(len, column)) for column in columns]
        label = min(_LABEL, max((len(r.label) for r in self.rows if r.cells), default=0)) + 2
        lines = [self.title, _line("", label, self.heads, widths)]
        for section in self.sections:
            lines += [section.title] if section.title else []
            for row in section.rows:
                tail = f"  {row.tail}" if row.tail else ""
                name = shortened(row.label, _LABEL) if row.cells else row.label
                lines.append(_line(f"  {name}", label, row.cells, widths) + tail)
                lines += [f"      {note}" for note in row.notes]
        return "\n".join([*(line.rstrip() for line in lines), *self.after])

    def html(self) -> str:
        """For a notebook."""
        span = len(self.heads) + 2
        heads = "".join(f"<th>{escaped(h)}</th>" for h in ("", *self.heads, ""))
        lines = [f"<table><caption>{escaped(self.title)}</caption><thead><tr>{heads}</tr></thead><tbody>"]
        for section in self.sections:
            if section.title:
                lines.append(f'<tr><th colspan="{span}" style="text-align:left">{escaped(section.title)}</th></tr>')
            for row in section.rows:
                notes = "".join(f"<br/><small>{escaped(n)}</small>" for n in row.notes)
                cells = "".join(f"<td>{escaped(c)}</td>" for c in (row.cells or ("",) * len(self.heads)))
                first = f'<td style="text-align:left">{escaped(row.label)}{notes}</td>'
                lines.append(f'<tr>{first}{cells}<td style="text-align:left">{escaped(row.tail)}</td></tr>')
        after = "".join(f"<div>{escaped(line)}</div>" for line in self.after)
        return "".join([*lines, "</tbody></table>", after])


_LABEL = 46
"""Characters of the longest label in a column."""


def _line(label: str, width: int, cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (c.rjust(w) for c, w in zip(cells, widths, strict=False))
    return "  ".join([label.ljust(width + 2) if cells else label, *padded])


def shortened(text: str, most: int) -> str:
    """A text that is not longer, with dots where something is missing."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def several(names: Sequence[str]) -> str:
    """Names of what is alike, not all where there are many."""
    if len(names) <= _SEVERAL:
        return ", ".join(names)
    return f"{names[0]}, {names[1]} ... {names[-1]} ({len(names)} alike)"


_SEVERAL = 3

_MARKUP = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})
"""Characters that mean something to XML; ``html.escape`` would do, but is slow to import."""


def escaped(text: str) -> str:
    """Text within HTML or XML."""
    return text.translate(_MARKUP)


__all__ = ["Row", "Section", "Table", "escaped", "several", "shortened"]
