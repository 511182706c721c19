"""docs/from-theano.md: the names that it promises exist, and those that it says are missing are."""

import inspect
import re
from operator import attrgetter
from pathlib import Path

import pytest

import subtensor as st
import subtensor.tensor as T

PAGE = (Path(__file__).parents[1] / "from-theano.md").read_text(encoding="utf-8")
PROSE = re.sub(r"^```.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)
MISSING = PROSE[PROSE.index("## What is not here") :]
TABLES = [[c.strip() for c in line.strip("|").split("|")] for line in PROSE.splitlines() if line.startswith("| `")]
LEFT = [name for left, _ in TABLES for name in re.findall(r"`(?:theano|T)\.[\w.]+", left)]


def exists(name):
    module, _, path = name.strip("`").partition(".")
    try:
        attrgetter(path)({"st": st, "theano": st, "T": T}[module])
    except AttributeError:
        return False
    return True


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`(?:st|T)\.[\w.]*\w", "".join(r for _, r in TABLES)))))
def test_what_is_named_as_the_replacement_exists(name):
    assert exists(name)


@pytest.mark.parametrize("name", LEFT)
def test_a_name_is_in_a_table_because_it_differs(name):
    same = {"`theano.config.floatX", "`theano.tensor.nnet", "`T.TensorType", "`theano.Op"}
    assert exists(name) is (name in same)


@pytest.mark.parametrize("name", re.findall(r"`([\w.]+)(?:\(|`)", PROSE[: PROSE.index("## Names")]))
def test_what_the_page_says_is_there_is_there(name):
    head, _, path = name.partition(".")
    if path:
        assert callable(attrgetter(path)({"T": T, "x": st.matrix()}[head]))
    else:
        options = inspect.signature(st.function).parameters
        assert hasattr(st, head) or hasattr(st.SharedVariable, head) or head in options


def test_every_row_of_what_is_missing_has_an_answer():
    rows = [cells for cells in TABLES if f"| {cells[0]} |" in MISSING]
    assert len(rows) > 5
    assert all(answer for _, answer in rows)


def test_the_module_tensor_does_not_hide_the_function_of_the_same_name():
    for make in (st.tensor, T.tensor):
        assert make("m", "bool", (None, 2)).type == st.TensorType("bool", (None, 2))
