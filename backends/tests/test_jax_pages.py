"""Large tables in large pages, where the kernel has them."""

import re
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import subtensor as st
from subtensor_jax import pages
from subtensor_jax.pages import LARGE_FROM, advice, enlarge_pages

ROWS = LARGE_FROM // 256 + 16384  # of 64 float32


def in_large_pages(array):
    """Bytes of the mapping around an array that lie in large pages, as the kernel tells."""
    address, found = array.unsafe_buffer_pointer(), 0
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if borders := re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line):
            inside = int(borders[1], 16) <= address < int(borders[2], 16)
        elif inside and line.startswith("AnonHugePages:"):
            found = int(line.split()[1]) << 10
    return found


def test_a_large_table_lies_in_large_pages_and_stays_there():
    start = np.arange(ROWS * 64, dtype=np.float32).reshape(ROWS, 64)
    table, ids = st.shared(start, name="table"), st.lvector("ids")
    step = st.function([ids], table[ids].sum(), updates=[(table, st.inc_subtensor(table[ids], 1))], backend="jax")
    p = np.array([3, ROWS - 1, 3])
    assert step(p) == start[p].sum()
    start[3] += 2
    start[-1] += 1
    np.testing.assert_array_equal(table.get_value(), start)
    where = table.cell.data.unsafe_buffer_pointer()
    step(p)
    assert table.cell.data.unsafe_buffer_pointer() == where
    if not enlarge_pages(jnp.zeros((ROWS, 64), np.float32)):
        pytest.skip("this kernel does not put memory in large pages when asked to")
    assert in_large_pages(table.cell.data) >= LARGE_FROM


def test_small_tables_are_left_alone(monkeypatch):
    monkeypatch.setattr(pages, "advice", lambda: pytest.fail("asked for the kernel's advice"))
    assert not enlarge_pages(jnp.zeros(LARGE_FROM // 4 - 1, np.float32))


def test_the_administrator_is_obeyed(tmp_path):
    (tmp_path / "hpage_pmd_size").write_text("2097152\n")
    (tmp_path / "enabled").write_text("always madvise [never]\n")
    assert advice(tmp_path) is None
    (tmp_path / "enabled").write_text("always [madvise] never\n")
    found = advice(tmp_path)
    assert (found is not None) == (sys.platform == "linux")
    assert found is None or found[1] == 2 << 20
    assert advice(tmp_path / "of a kernel without large pages") is None


def test_a_kernel_that_refuses_changes_nothing(monkeypatch):
    asked = []
    monkeypatch.setattr(pages, "advice", lambda: (lambda *request: asked.append(request) or -1, 2 << 20))
    array = jnp.ones((ROWS, 64), np.float32)
    assert not enlarge_pages(array)
    ((begin, size, what),) = asked
    first = array.unsafe_buffer_pointer()
    assert what == 25
    assert begin % (2 << 20) == size % (2 << 20) == 0
    assert first <= begin < begin + size <= first + array.nbytes
    assert begin - first < 2 << 20
    assert array.nbytes - size < 4 << 20
