# ruff: noqa: E501  # mutants are named by their source
"""Mutants of the NumPy backend's code for subsets: an operator swapped, a cast dropped, a number off by one.

Each must be killed by the index areas. Mutants that mean the same are listed, with the reason.
"""

import ast
import contextlib
import copy
import faulthandler
import inspect
import os
import random
import signal
import textwrap
from collections import Counter

import pytest

import subtensor_numpy.emit
import subtensor_numpy.scatter
from subtensor_conformance.check import check
from subtensor_conformance.expectation import expected
from subtensor_conformance.runner import plan

# Another test of this process may have loaded JAX, which warns of forks: the children here run NumPy alone.
pytestmark = [
    pytest.mark.filterwarnings(r"ignore:os\.fork\(\) was called:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

FUNCTIONS = (
    "prepare", "set_rows", "_leading_arrays", "_linear", "_row_numbers", "signed", "check_range", "_result_shape",
    "_check_fits", "_key", "_positions", "_write", "written",
)  # fmt: skip
"""Of the modules below: what decides which elements are read and written, and what is written."""

MODULES = (subtensor_numpy.scatter, subtensor_numpy.emit)

SWAPS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.And: ast.Or, ast.Or: ast.And, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


def sites(tree):
    """Each place to mutate: the node's number, and what to do there."""
    for number, node in enumerate(ast.walk(tree)):
        if (
            (isinstance(node, ast.BinOp) and type(node.op) in SWAPS)
            or isinstance(node, ast.BoolOp)
            or (isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS)
        ):
            yield number, "operator"
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "astype":
            yield number, "cast"
        elif isinstance(node, ast.Constant) and type(node.value) is int:
            yield number, "number"


def spelled(node):
    """A node as source, with one kind of quotes: Python 3.12 writes those within f-strings otherwise than 3.11."""
    return ast.unparse(node).replace('"', "'")


def mutated(tree, number, what):
    """A copy of the tree with one place changed, and the change in words."""
    tree = copy.deepcopy(tree)
    node = list(ast.walk(tree))[number]
    before = spelled(node)
    if what == "cast":
        target = node.func.value
        node.func = ast.Name("_same", ast.Load())
        node.args, node.keywords = [target], []
    elif what == "number":
        node.value += 1
    elif isinstance(node, ast.Compare):
        node.ops[0] = SWAPS[type(node.ops[0])]()
    else:
        node.op = SWAPS[type(node.op)]()
    return ast.fix_missing_locations(tree), f"{before}  ->  {spelled(node)}"


def statement(tree, number):
    """The first line of the innermost statement around a node."""
    wanted = list(ast.walk(tree))[number]
    around = [s for s in ast.walk(tree) if isinstance(s, ast.stmt) and any(n is wanted for n in ast.walk(s))]
    return spelled(around[-1]).splitlines()[0]


def mutants():
    labels = Counter()
    for module in MODULES:
        for name in FUNCTIONS:
            function = getattr(module, name, None)
            if function is None or function.__module__ != module.__name__:
                continue
            tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
            for number, what in sites(tree):
                changed, words = mutated(tree, number, what)
                label = f"{name}: {words}, in {statement(tree, number)}"
                labels[label] += 1
                again = f" ({labels[label]})" if labels[label] > 1 else ""
                yield pytest.param(module, name, changed, id=label + again)


@pytest.fixture(scope="module")
def cases():
    """The cases of the subtensor areas, in an order in which most mutants die early."""
    found = plan(areas=("get", "set", "inc", "update", "errors", "transaction", "ownership"), profile="full")
    random.Random(1).shuffle(found)
    for case in found:
        if case.raises is None:
            expected(case)  # once, for all children
    return found


EQUIVALENT: dict[str, str] = {
    "prepare: value.shape == inputs[0].shape + table.shape[1:]  ->  value.shape != inputs[0].shape + table.shape[1:], in if leading == 1 and value.shape == inputs[0].shape + table.shape[1:]:": "whole rows go by the general way, and set_rows looks again",
    "prepare: 1  ->  2, in if leading == 1 and value.shape == inputs[0].shape + table.shape[1:]: (2)": "whole rows go by the general way",
    "prepare: 1  ->  2, in if leading > 1 and table.flags.c_contiguous:": "two leading arrays go by the general way",
    "set_rows: 1  ->  2, in width = table.itemsize * (table.size // len(table)) if table.ndim > 1 and table.size else 0": "rows of matrices go by the general way",
    "set_rows: 1  ->  2, in if not width or value.shape != ids.shape + table.shape[1:] or (not value.flags.c_contiguous):": "rows go by the general way",
    "_row_numbers: ids.dtype is not _INT64 and ids.dtype != _INT64  ->  ids.dtype is not _INT64 or ids.dtype != _INT64, in if ids.dtype is not _INT64 and ids.dtype != _INT64:": "int64 of another byte order or object is cast to itself",
    "_row_numbers: 0  ->  1, in if low < 0:": "wraps negative ids where there are none",
    "signed: positions.astype(_INT64)  ->  _same(positions), in return positions.astype(_INT64)": "NumPy casts what was found to fit",
    "_positions: type.dtype == 'uint64' and type.ndim  ->  type.dtype == 'uint64' or type.ndim, in return f'{e.bind('signed', signed)}({e.slot(slot)})' if type.dtype == 'uint64' and type.ndim else e.scalar(slot)": "other integers are looked at in vain",
    "_write: 0  ->  1, in if i.overwrites == 0:": "copies where it need not",
}
"""Mutants that mean the same as the original and only cost more, with the reason."""


def killed_in_a_child(cases) -> bool:
    """Whether a case fails, the interpreter crashes or the time is up: in a child, for mutants write out of bounds."""
    child = os.fork()
    if child == 0:
        faulthandler.disable()
        signal.alarm(60)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        status = 1
        with contextlib.suppress(BaseException):
            status = 1 if any(not check(c, "numpy").good for c in cases) else 0
        os._exit(status)
    return os.waitpid(child, 0)[1] != 0


@pytest.mark.parametrize(("module", "name", "tree"), list(mutants()))
def test_a_mutant_is_killed(module, name, tree, cases, monkeypatch, request):
    space = module.__dict__ | {"_same": lambda x: x}
    exec(compile(tree, f"<mutant of {name}>", "exec"), space)
    original = getattr(module, name)
    for target in MODULES:
        if name in target.__dict__:
            monkeypatch.setattr(target, name, space[name])
    for op, form in subtensor_numpy.emit._FORMS.items():
        if form is original:
            monkeypatch.setitem(subtensor_numpy.emit._FORMS, op, space[name])
    killed = killed_in_a_child(cases)
    label = request.node.callspec.id
    assert killed != (label in EQUIVALENT), f"{label}: {'killed, but listed as equivalent' if killed else 'survives'}"


def test_what_is_listed_as_equivalent_is_a_mutant():
    assert not set(EQUIVALENT) - {m.id for m in mutants()}


def test_the_original_lives(cases):
    assert not killed_in_a_child(cases)
