"""Which steps threads share: those that gather much from a large table, or compute large arrays."""

import numpy as np
import pytest

import subtensor as st
from subtensor_jax.jitting import HAND_OVER, UNDIVIDED_TO, Work

TABLE = np.zeros(UNDIVIDED_TO // 4 + 1, np.float32)


def rows(size):
    return np.zeros(size, np.uint8)


def test_each_gather_from_a_large_table_must_be_worth_its_hand_over():
    work = Work()
    work.gather(TABLE, rows(HAND_OVER))
    assert not work.divided
    work.gather(TABLE, rows(HAND_OVER + 1))
    assert work.divided
    work.gather(TABLE, rows(1))  # one more to hand over
    assert not work.divided
    work.gather(TABLE[:-1], rows(10 * HAND_OVER))  # from a table that XLA does not divide for
    assert not work.divided


def test_large_arrays_are_divided_whatever_is_gathered():
    work = Work()
    work.touch(rows(UNDIVIDED_TO))
    assert not work.divided
    work.touch(rows(3), rows(UNDIVIDED_TO + 1))
    work.gather(TABLE, rows(1))
    assert work.divided


@pytest.mark.parametrize(("ids", "divided"), [(1024, False), (2048, True)])
def test_a_row_update_is_compiled_as_its_rows_suggest(ids, divided):
    table, i = st.shared(np.zeros((5000, 64), np.float32), name="table"), st.lvector("i")
    subset = table[i]
    cost = (subset * subset).sum()
    step = st.function([i], cost, updates=[(table, st.inc_subtensor(subset, -st.grad(cost, subset)))], backend="jax")
    step(np.arange(ids))
    (work,) = step._execute.last.jitted.works.values()
    assert work.divided == divided
