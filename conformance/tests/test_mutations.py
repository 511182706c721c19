"""Mutants of the NumPy backend's code for subsets: an operator swapped, a cast dropped, a number off by one.

Each must be killed by the index areas. Mutants that mean the same are listed, with the reason.
"""

import ast
import copy
import inspect
import random
import textwrap

import pytest

import subtensor_numpy.emit
import subtensor_numpy.scatter
from subtensor_conformance.check import check
from subtensor_conformance.runner import plan

MUTATED = {
    subtensor_numpy.scatter: (
        "prepare", "_leading_arrays", "_linear", "_prepare_rows", "_row_numbers", "check_range", "_result_shape", "_check_fits",
    ),
    subtensor_numpy.emit: ("_key", "_write", "written"),
}  # fmt: skip

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


def mutated(tree, number, what):
    """A copy of the tree with one place changed, and the change in words."""
    tree = copy.deepcopy(tree)
    node = list(ast.walk(tree))[number]
    before = ast.unparse(node)
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
    return ast.fix_missing_locations(tree), f"{before}  ->  {ast.unparse(node)}"


def mutants():
    for module, names in MUTATED.items():
        for name in names:
            tree = ast.parse(textwrap.dedent(inspect.getsource(getattr(module, name))))
            for number, what in sites(tree):
                changed, words = mutated(tree, number, what)
                yield pytest.param(module, name, changed, id=f"{name}: {words}")


@pytest.fixture(scope="module")
def cases():
    """The quick cases of the subtensor areas, in an order in which most mutants die early."""
    found = plan(areas=("get", "set", "inc", "update", "errors", "transaction"))
    random.Random(1).shuffle(found)
    return found


EQUIVALENT = {}


@pytest.mark.parametrize(("module", "name", "tree"), list(mutants()))
def test_a_mutant_is_killed(module, name, tree, cases, monkeypatch, request):
    space = module.__dict__ | {"_same": lambda x: x}
    exec(compile(tree, f"<mutant of {name}>", "exec"), space)
    for target in (subtensor_numpy.scatter, subtensor_numpy.emit):
        if name in target.__dict__:
            monkeypatch.setattr(target, name, space[name])
    killed = next((c.id for c in cases if not check(c, "numpy").good), None)
    label = request.node.callspec.id
    if label in EQUIVALENT:
        assert killed is None, f"listed as equivalent, but {killed} kills it"
    else:
        assert killed is not None
