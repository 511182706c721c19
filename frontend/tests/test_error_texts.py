"""Errors as a set: every message that the frontend raises says what was expected, or what to do."""

import ast
import re
from pathlib import Path

import pytest

FRONTEND = Path(__file__).parents[1] / "subtensor"
WORDS = (
    "expected|; |: grow|[Uu]se |write|[Pp]ass |put |cast|list |remove|reduce|declare|apply|at most|asks for|takes"
    "|only|would|must|install|instead|available|it has |give "
)
PLAIN = (
    "does not depend on|has no dimensions|operands|is empty along|does not divide|has more axes than"
    "|twice|\\{wrong\\}|\\{error\\}|\\{spelled\\}"
)
"""First what has both sides in it; then what is for authors of the frontend, or is worded elsewhere."""
SAYS = re.compile(f"{WORDS}|{PLAIN}")
SAY_NO_MORE = {
    "checkpoint": "what is wrong with a file; another file is the remedy",
    "store": "what is wrong with a folder",
    "theano": "names that are not there; the words after the colon are the remedy's",
    "plugins": "whose fault it is, and what was given",
    "rewrites": "a fault of a rewrite, not of its user",
    "graph/verify.py": "a fault of a rewrite or an op",
    "tensor.py": "Python's words for a name that is not there",
    "__init__.py": "Python's words for a name that is not there",
}
"""Where a message names a fault for which its reader has no spelling to change, and why."""

pytestmark = pytest.mark.numpy_only("reads sources")


def texts():
    """(place, text) of each message that is written where it is raised; what is computed stands in braces."""
    for path in sorted(FRONTEND.rglob("*.py")):
        name = path.relative_to(FRONTEND).as_posix()
        if name in SAY_NO_MORE or name.split("/")[0] in SAY_NO_MORE:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args):
                continue
            [message, *_] = node.exc.args
            if isinstance(message, ast.JoinedStr):
                parts = [
                    v.value if isinstance(v, ast.Constant) else f"{{{ast.unparse(v.value)}}}" for v in message.values
                ]
                yield f"{name}:{node.lineno}", "".join(parts)
            elif isinstance(message, ast.Constant) and isinstance(message.value, str) and " " in message.value:
                yield f"{name}:{node.lineno}", message.value


def test_every_message_says_what_was_expected_or_what_to_do():
    found = list(texts())
    assert len(found) > 300
    assert not [f"{place}: {text}" for place, text in found if not SAYS.search(text)]


def test_what_is_exempt_is_there():
    assert not [name for name in SAY_NO_MORE if not (FRONTEND / name).exists()]


def test_a_message_without_a_remedy_is_found():
    assert not SAYS.search("sum: x is wrong")
    assert SAYS.search("sum: x is wrong; expected a vector")
