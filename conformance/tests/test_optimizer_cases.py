"""Cases about optimizers: their scripts stand alone, and what they look at beyond values can fail."""

import subprocess
import sys
from dataclasses import replace

import pytest

from subtensor.optimizers import Updates
from subtensor_conformance import oracle
from subtensor_conformance.check import check
from subtensor_conformance.repro import script
from subtensor_conformance.runner import plan

pytestmark = pytest.mark.once


def case(name):
    return plan(ids=(f"optimizers/{name}",))[0]


def test_a_script_holds_the_state_of_the_optimizer(tmp_path):
    text = script(case("edges/adam"), "numpy")
    assert "own['t.adam.count']" in text
    path = tmp_path / "case.py"
    for source, status in ((text, 0), (text.replace(", 0.05)", ", 0.06)"), 1)):
        path.write_text(source)
        done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == status, done.stdout + done.stderr
    assert "WRONG call 0: the new t\n" in done.stdout


@pytest.mark.parametrize(
    ("name", "said", "left_out"),
    [
        ("resume/momentum", "a function built anew goes on from the state before the last call: t", "s.set_value"),
        ("lazy/rmsprop", "after the flush: t.rmsprop.last", "step.flush"),
        ("rate/set", "call 1: the new t", "rate.set_value"),
    ],
)
def test_a_script_makes_all_that_the_case_says(tmp_path, name, said, left_out):
    text = script(case(name), "numpy")
    path = tmp_path / "case.py"
    for source, status, mark in ((text, 0, "ok   "), (text.replace(left_out, "str"), 1, "WRONG")):
        path.write_text(source)
        done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == status, done.stdout + done.stderr
        assert f"{mark} {said}\n" in done.stdout


def test_a_function_that_remembers_state_does_not_resume(monkeypatch):
    from subtensor.graph.shared import SharedVariable

    good = SharedVariable.set_value
    monkeypatch.setattr(SharedVariable, "set_value", lambda s, v: None if s.name == "t" else good(s, v))
    found = check(case("resume/momentum"), "numpy")
    assert (found.kind, found.message) == (
        "resume", "t differs when the same function goes on from the state before the last call",
    )  # fmt: skip


def test_a_flush_that_does_nothing_is_seen(monkeypatch):
    monkeypatch.setattr(Updates, "flush", lambda u, backend: None)
    assert check(case("lazy/rmsprop"), "numpy").message == "the flush returned without running what 'numpy' compiled"


def test_every_option_of_a_case_matters():
    good = case("decay/momentum")
    assert check(good, "numpy").state == "pass"
    for old, new in (("=0.5", "=0.25"), ("0.05", "0.0625"), ("momentum", "nesterov"), ("r * r", "r * r * r")):
        other = good.step.replace(old, new)
        changed = replace(good, step=other, oracle=((other, good.oracle[0][1]),))
        assert check(changed, "numpy").kind == "state", new


def test_a_row_that_takes_no_part_keeps_its_bits(monkeypatch):
    from subtensor.optimizers.places import RowPlace

    good = RowPlace.written
    monkeypatch.setattr(
        RowPlace, "written", lambda p, x, v: good(p, x * (1 + 2**-52) if x.dtype == "float64" else x, v)
    )
    found = check(case("steps/rowwise_adagrad"), "numpy")
    assert (found.kind, found.message) == ("unused row", "call 0: row 0 of t takes no part in the step, and changed")


def test_state_has_the_names_that_are_due(monkeypatch):
    good = Updates.items
    monkeypatch.setattr(Updates, "items", lambda u: [u.state.pop(), good(u)][1])
    found = check(case("steps/adagrad"), "numpy")
    assert (found.kind, found.expected, found.got) == ("state", "['t.adagrad.accumulator']", "[]")


def test_four_equal_gradients_are_summed_and_then_squared():
    table, ids = oracle.Leaf("t"), oracle.constant([0, 0, 0, 0])
    step = oracle.st.optimizers.adagrad([oracle.constant([[1.0]] * 4)], [table[ids]], 1.0)
    start = oracle.Array("float64", (2, 1), (5.0, 7.0))
    first = {name: make({"t": start}) for name, make in step.first.items()}
    given = {table: start} | {step.leaves[name]: v for name, v in first.items()}
    assert oracle.evaluate(step.new["t.adagrad.accumulator"], given).data == (16.0, 0.0)
    assert oracle.evaluate(step.new["t"], given).data == (pytest.approx(4.0), 7.0)


def test_a_count_by_row_is_that_of_its_own_steps():
    table, ids = oracle.Leaf("t"), oracle.Leaf("i")
    step = oracle.st.optimizers.adam([oracle.constant([[0.25]])], [table[ids]], 0.125)
    start = oracle.Array("float64", (2, 1), (0.0, 0.0))
    values = {name: make({"t": start}) for name, make in step.first.items()} | {"t": start}
    leaves = {**step.leaves, "t": table}
    for row in (0, 0, 0, 1):
        given = {leaves[n]: v for n, v in values.items()} | {ids: oracle.Array("int64", (1,), (row,))}
        values = {name: oracle.evaluate(node, given) for name, node in step.new.items()}
    assert values["t.adam.count"].data == (3, 1)
    assert values["t"].data[1] == pytest.approx(-0.125, rel=1e-6)  # a first step of one rate, however late


def test_rows_that_wait_are_read_as_the_dense_rule_has_them():
    """The oracle's lazy rows against its own steps over the whole table."""
    table, ids = oracle.Leaf("t"), oracle.Leaf("i")
    rows = table[ids]
    kinds = {
        untouched: oracle.st.optimizers.nadam([rows * 2.0], [rows], 0.125, untouched=untouched, weight_decay=0.25)
        for untouched in ("catch_up", "dense")
    }
    start = oracle.Array("float64", (3, 1), (1.0, 2.0, -3.0))
    seen = {}
    for untouched, step in kinds.items():
        values = {name: make({"t": start}) for name, make in step.first.items()} | {"t": start}
        leaves = {**step.leaves, "t": table}
        for row in (0, 1, 1, 2, 0, 1):
            given = {leaves[n]: v for n, v in values.items()} | {ids: oracle.Array("int64", (2,), (row, row))}
            values = {name: oracle.evaluate(node, given) for name, node in step.new.items()}
        given = {leaves[n]: v for n, v in values.items()}
        seen[untouched] = oracle.evaluate(step.read(table), given).data
        waits = values["t"].data
    assert seen["catch_up"] == pytest.approx(seen["dense"], rel=1e-14)
    assert waits == seen["dense"]


def test_curvature_by_differences_is_what_it_is_by_hand():
    """cost = Σ over occurrences of w³: in coordinates of rows the Hessian is 6w times how often the row occurs."""
    table = oracle.Leaf("t")
    rows = table[oracle.constant([2, 0, 2])]
    space = oracle.st.curvature.row_space((rows * rows * rows).sum(), [rows], rows * rows)
    given = {table: oracle.Array("float64", (3, 1), (1.0, 5.0, -2.0))}

    def value(node):
        return oracle.evaluate(node, given).data

    assert value(space.rows[0]) == (0, 2)
    assert value(space.gradient()[0]) == pytest.approx((3.0, 24.0))
    assert value(space.hessian()) == pytest.approx((6.0, 0.0, 0.0, -24.0))
    assert value(space.squares()[0]) == pytest.approx((9.0, 2 * 12.0**2))


def test_unknown_optimizers_are_refused():
    with pytest.raises(AttributeError, match="the oracle has no optimizer 'adamm'"):
        _ = oracle.st.optimizers.adamm
