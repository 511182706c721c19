"""Makes the reference from the docstrings, and from the examples, which it runs: ``python docs/site/reference.py``.

Every public name has its place by the module where it is defined. What has none, or no example, is an error.
"""

import ast
import contextlib
import inspect
import io
import itertools
import re
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import numpy as np

import subtensor as st
import subtensor.plugin

sys.path.insert(0, str(Path(__file__).parent))
from groups import DESCRIBED, GROUPS
from reference_examples import EXAMPLES

DOCS = Path(__file__).parents[1]
NAMESPACES = {
    "st.": st,
    "st.optimizers.": st.optimizers,
    "st.optimizers.schedules.": st.optimizers.schedules,
    "st.optimizers.constraints.": st.optimizers.constraints,
    "st.random.": st.random,
    "st.curvature.": st.curvature,
    "subtensor.plugin.": subtensor.plugin,
}
_PLACED = {place for *_, sections in GROUPS for _, places in sections for place in places if place.startswith("st.")}
"""Among them the names that stand where they are named, whatever their module."""
_WIDTH = 96
_NOTE = "<!-- Made from the docstrings by `python docs/site/reference.py`; edit them, not this file. -->"
_START = """```python
import numpy as np
import subtensor as st

np.set_printoptions(precision=6, suppress=True)
```"""


@dataclass
class Entry:
    """A public object. names: what it is called, in full; the first is its own, the others are aliases."""

    names: list[str]
    value: Any
    module: str

    @property
    def anchor(self) -> str:
        """As code hosts, and the site, make it of the heading."""
        return re.sub(r"[^\w\- ]", "", self.heading.lower()).replace(" ", "-")

    @property
    def heading(self) -> str:
        return ", ".join(f"`{n.removeprefix('subtensor.plugin.')}`" for n in self.names)


def entries() -> list[Entry]:
    """Every public object once for each namespace, in the order of the namespaces."""
    found: list[Entry] = []
    for prefix, space in NAMESPACES.items():
        here: dict[Any, Entry] = {}
        for name in space.__all__:
            value = getattr(space, name)
            plain = prefix + name
            module = DESCRIBED[plain][0] if plain in DESCRIBED else getattr(value, "__module__", "")
            key = id(value) if callable(value) else plain
            if key in here:
                here[key].names.append(plain)
            else:
                here[key] = Entry([plain], value, module)
        found += here.values()
    return found


# --- text


def escaped(text: str) -> str:
    """Prose of a docstring as Markdown: code spans keep their signs, all else means itself."""
    parts = re.split(r"(``.+?``|`[^`]+`)", text, flags=re.DOTALL)
    done = []
    for n, part in enumerate(parts):
        if n % 2:
            done.append(part.replace("``", "`") if "`" not in part.strip("`") else part)
        else:
            done.append(re.sub(r"([*<\[\]_|])", r"\\\1", part))
    return "".join(done)


def prose(doc: str, names: frozenset[str] = frozenset()) -> str:
    """A docstring as Markdown. names: of arguments; a sentence that begins with some, and a colon, is an item."""
    done = []
    for paragraph in re.split(r"\n\s*\n", doc.strip()):
        if paragraph.lstrip().startswith(">>>"):
            done.append(f"```python\n{inspect.cleandoc(paragraph)}\n```")
        elif paragraph.startswith((" ", "\t")):
            done.append(f"```text\n{inspect.cleandoc(paragraph)}\n```")
        else:
            done += [_wrapped(part) for part in _parts(" ".join(paragraph.split()), names)]
    return re.sub(r"^(- .*(?:\n  .*)*)\n\n(?=- )", r"\1\n", "\n\n".join(done), flags=re.MULTILINE)


_ITEM = re.compile(r"(?:^|(?<=[.;] ))(?=(\*{0,2}`?\w+`?(?:(?:, | and )\*{0,2}`?\w+`?)*): )")
_RAISES = re.compile(r"(?:^|(?<=[.;] ))(?=Raises )")


def _parts(text: str, names: frozenset[str]) -> list[str]:
    """The sentences of a paragraph, apart where one is about arguments or errors."""
    cuts = [m.start() for m in _ITEM.finditer(text) if set(re.findall(r"\w+", m[1])) - {"and"} <= names]
    items = set(cuts)
    cuts = sorted({0, *cuts, *(m.start() for m in _RAISES.finditer(text))})
    spans = itertools.pairwise([*cuts, len(text)])
    return [_item(text[a:b]) if a in items else text[a:b].strip() for a, b in spans if text[a:b].strip()]


def _item(text: str) -> str:
    """An item of a list, with its names as code."""
    head, colon, rest = text.strip().partition(":")
    return "- " + re.sub(r"`?(\*{0,2}\w+)`?", lambda m: m[0] if m[1] == "and" else f"`{m[1]}`", head) + colon + rest


def _wrapped(text: str) -> str:
    item = text.startswith("- ")
    return textwrap.fill(
        escaped(text[2:] if item else text), 120, initial_indent="- " * item, subsequent_indent="  " * item,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def arguments(value: Any) -> frozenset[str]:
    """What the docstring of a function or a class may speak of by name."""
    fields = set(getattr(value, "__annotations__", ())) if isinstance(value, type) else set()
    with contextlib.suppress(TypeError, ValueError):
        fields |= set(inspect.signature(value).parameters)
    return frozenset(fields)


def signature(name: str, value: Any) -> str:
    """``name(x, axis=None)``, broken into lines that fit."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return name
    words, starred = [], False
    for p in parameters:
        if p.kind is p.KEYWORD_ONLY and not starred:
            words.append("*")
        starred = starred or p.kind in (p.KEYWORD_ONLY, p.VAR_POSITIONAL)
        star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        default = "" if p.default is p.empty else f"={p.default!r}" if _plain(p.default) else "=…"
        words.append(star + p.name + default)
    line, lines = f"{name}(", []
    for n, word in enumerate(words):
        piece = word + (", " if n < len(words) - 1 else "")
        if len(line) + len(piece) > _WIDTH:
            lines.append(line.rstrip())
            line = "    "
        line += piece
    return "\n".join([*lines, line + ")"])


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str | tuple)


def members(value: type) -> Iterator[str]:
    """The public methods and properties of a class, with the first paragraph about each."""
    for name, member in inspect.getmembers(value):
        if name[0] == "_" or not _defined_here(value, name):
            continue
        inner = member.fget if isinstance(member, property) else member
        doc = inspect.getdoc(inner) or ""
        if not (callable(inner) and doc) or isinstance(inner, type):
            continue
        shown = f"`.{name}`" if isinstance(member, property) else f"`.{_short(signature(name, inner))}`"
        yield f"- {shown}: {escaped(' '.join(doc.split(chr(10) + chr(10))[0].split()))}"


def _short(text: str) -> str:
    return " ".join(text.split()).replace("(self, ", "(").replace("(self)", "()")


def _defined_here(value: type, name: str) -> bool:
    """Whether a member is the class's own, or that of a base which has no entry of its own."""
    owner = next((c for c in value.__mro__ if name in vars(c)), object)
    known = {st.Variable, st.In} - {value}
    return owner.__module__.split(".")[0] == "subtensor" and not any(
        owner in c.__mro__ for c in known if c in value.__mro__
    )


# --- examples


def ran(source: str) -> str:
    """An example as a doctest, with what it gives."""
    space: dict[str, Any] = {"np": np, "st": st}
    lines: list[str] = []
    for statement in ast.parse(source).body:
        text = ast.get_source_segment(source, statement) or ""
        if not isinstance(statement, ast.Expr):
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(text, space)
            lines += [_prompted(text), out.getvalue().rstrip()]
            continue
        with contextlib.redirect_stdout(io.StringIO()) as out:
            value = eval(text, space)
        if isinstance(value, st.Variable) and not isinstance(value, st.SharedVariable):
            plain = isinstance(statement.value, ast.Call | ast.Name | ast.Subscript | ast.Attribute)
            text, value = f"{text}.eval()" if plain else f"({text}).eval()", value.eval()
        elif isinstance(value, list | tuple) and value and all(isinstance(v, st.Variable) for v in value):
            listed = f"({text})" if isinstance(statement.value, ast.Tuple) else text
            text, value = f"[v.eval() for v in {listed}]", [v.eval() for v in value]
        lines += [_prompted(text), out.getvalue().rstrip(), "" if value is None else repr(value)]
    return "```python\n" + "\n".join(line for line in lines if line) + "\n```"


def _prompted(text: str) -> str:
    first, *rest = text.splitlines()
    return "\n".join(
        [f">>> {first}", *(f"... {line}" for line in rest)] + (["..."] if rest and rest[-1][:1] == " " else [])
    )


def example(entry: Entry) -> str | None:
    for name in entry.names:
        plain = name.removeprefix("st.").removeprefix("subtensor.")
        for key in (plain, plain.rstrip("_")):
            if key in EXAMPLES:
                return ran(EXAMPLES[key])
    return None


# --- pages


def described(entry: Entry) -> str:
    """The entry of an object on its page."""
    name, value = entry.names[0], entry.value
    parts = [f"### {entry.heading}"]
    if name in DESCRIBED:
        return "\n\n".join([*parts, DESCRIBED[name][1]])
    if inspect.isfunction(value) or (isinstance(value, type) and _made_by_users(value)):
        parts.append(f"```text\n{signature(name, value)}\n```")
    parts.append(prose(inspect.getdoc(value) or "", arguments(value)))
    if isinstance(value, type):
        parts += filter(None, ["\n".join(members(value))])
    if value is st.Variable:
        same = [n for n in dir(value) if n[0] != "_" and callable(getattr(st, n, None)) and callable(getattr(value, n))]
        parts.append("Methods that are the functions of the same names: " + ", ".join(f"`.{n}`" for n in same) + ".")
        parts.append(
            "Also `.T`, `.mT`, `.dtype`, `.ndim`, `.size`; operators, `@` included; and NumPy's functions of a node."
        )
    shown = example(entry)
    if shown:
        parts.append(shown)
    elif inspect.isfunction(value) and not name.startswith("subtensor.plugin.") and ">>>" not in (value.__doc__ or ""):
        raise SystemExit(f"{name} has no example: give it a line in docs/site/reference_examples.py")
    return "\n\n".join(parts)


def _made_by_users(value: type) -> bool:
    return not (issubclass(value, BaseException | st.Variable | st.Function) or getattr(value, "_is_protocol", False))


def leaves(listed: Iterable[Entry]) -> str:
    """The table of the makers of inputs: a row for each rank."""
    names = {n for e in listed for n in e.names}
    kinds = [("0", "scalar"), ("1", "vector"), ("2", "matrix"), ("2: 1, n", "row"), ("2: n, 1", "col"),
             *((str(n), f"tensor{n}") for n in (3, 4, 5))]  # fmt: skip
    rows = ['| axes | one: `st.vector("x")` | several: `x, y = st.vectors("x", "y")` |', "|---|---|---|"]
    for axes, kind in kinds:
        cells = []
        for word in (kind, "matrices" if kind == "matrix" else f"{kind}s"):
            made = [f"st.{letter}{word}" for letter in ("", *"bwilfd")]
            names -= set(made)
            cells.append(", ".join(f"`{n}`" for n in made))
        rows.append(f"| {axes} | " + " | ".join(cells) + " |")
    if names:
        raise SystemExit(f"not in the table of leaves of docs/site/reference.py: {', '.join(sorted(names))}")
    letters = "`b` int8, `w` int16, `i` int32, `l` int64, `f` float32, `d` float64; without a letter `config.floatX`."
    return f"A letter is a dtype: {letters}\n\n" + "\n".join(rows)


def table_of_errors(listed: list[Entry]) -> str:
    rows = ["| class | is also | raised |", "|---|---|---|"]
    for e in sorted(listed, key=lambda e: e.names[0]):
        also = [
            b.__name__
            for b in e.value.__mro__[1:]
            if b.__module__ == "builtins" and b not in (object, BaseException, Exception)
        ]
        ours = [b.__name__ for b in e.value.__bases__ if b.__module__.startswith("subtensor")]
        doc = " ".join((inspect.getdoc(e.value) or "").split("\n\n")[0].split())
        rows.append(f"| `{e.names[0]}` | {', '.join(f'`{n}`' for n in [*ours, *also])} | {escaped(doc)} |")
    return "\n".join(rows)


def pages() -> dict[str, str]:
    """The text of each page by its path in docs/; raises SystemExit for a name without a place or an example."""
    left = entries()
    index: list[tuple[str, str]] = []
    listing, texts = [], {}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder), np.printoptions(precision=6, suppress=True):
        for file, title, intro, sections in GROUPS:
            text = [f"# {title}", _NOTE, intro, _START]
            for head, places in sections:
                here = [e for p in places for e in left if _fits(e, p)]
                here = list({id(e): e for e in here}.values())
                left = [e for e in left if e not in here]
                if not here:
                    continue
                whole = [e for e in here if e.module == "subtensor.graph.leaves" and e.names[0] != "st.tensor"]
                errors = [
                    e
                    for e in here
                    if isinstance(e.value, type) and issubclass(e.value, BaseException) and e.names[0][:3] == "st."
                ]
                text.append(f"## {head}")
                if whole:
                    text.append(leaves(whole))
                if errors:
                    text.append(table_of_errors(errors))
                apart = [e for e in here if e not in whole and e not in errors]
                text += [described(e) for e in apart]
                slug = re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-")
                index += [(n, f"reference/{file}.md#{e.anchor if e in apart else slug}") for e in here for n in e.names]
            texts[f"reference/{file}.md"] = "\n\n".join(text) + "\n"
            listing.append(f"| [{title}](reference/{file}.md) | {intro.replace('](../', '](')} |")
    if left:
        lost = ", ".join(f"{e.names[0]} (of {e.module})" for e in left)
        raise SystemExit(f"no place in docs/site/groups.py for {lost}")
    texts["reference.md"] = front(listing, index)
    return texts


def _fits(entry: Entry, place: str) -> bool:
    """place: a module; or a prefix and a module; or a full name."""
    prefix, _, module = place.rpartition(" ")
    if place in entry.names or entry.names[0] in _PLACED:
        return place in entry.names
    space = prefix or "st."
    return fnmatch(entry.module, module) and entry.names[0].rpartition(".")[0] + "." == space


def front(listing: list[str], index: list[tuple[str, str]]) -> str:
    """The page that leads to the others: tasks, then every name in the order of the alphabet."""
    text = [
        "# Reference",
        _NOTE,
        "Every public name, by task; below, by name. `st` is `subtensor`; `subtensor.tensor` has the names of `st`.",
    ]
    text.append("\n".join(["| page | about |", "|---|---|", *listing]))
    for prefix in NAMESPACES:
        names = sorted((n.removeprefix(prefix), to) for n, to in index if n.rpartition(".")[0] + "." == prefix)
        names.sort(key=lambda pair: pair[0].lower())
        text.append(f"## Names of `{prefix.rstrip('.')}`")
        for _, group in itertools.groupby(names, key=lambda pair: pair[0][0].lower()):
            text.append(" ·\n".join(f"[`{n}`]({to})" for n, to in group))
    return "\n\n".join(text) + "\n"


def main() -> None:
    for path, text in pages().items():
        goal = DOCS / path
        goal.parent.mkdir(exist_ok=True)
        goal.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
