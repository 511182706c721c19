"""Default updates of shared variables, inputs that a function remembers, and copies over other variables."""

import threading

import numpy as np
import pytest

import subtensor as st


def counter(name="n", start=0):
    n = st.shared(np.int64(start), name=name)
    n.default_update = n + 1
    return n


def test_a_default_update_is_made_by_each_function_that_reads_the_variable():
    n = counter()
    f = st.function([], n * 10)
    assert [int(f()) for _ in range(3)] == [0, 10, 20]
    g = st.function([], n, no_default_updates=True)
    assert (int(g()), int(g()), int(n.get_value())) == (3, 3, 3)


def test_an_explicit_update_takes_its_place():
    n = counter()
    f = st.function([], n, updates=[(n, n + 100)])
    f()
    assert int(n.get_value()) == 100


def test_a_list_of_variables_is_left_alone():
    a, b = counter("a"), counter("b")
    st.function([], a + b, no_default_updates=[a])()
    assert (int(a.get_value()), int(b.get_value())) == (0, 1)
    with pytest.raises(st.FunctionError, match="no_default_updates holds 3"):
        st.function([], a, no_default_updates=[3])


def test_default_updates_that_read_others_with_default_updates():
    a, b, c = counter("a"), counter("b", 10), counter("c", 100)
    b.default_update = b + a
    c.default_update = c + b
    f = st.function([], c)
    f(), f()
    assert [int(v.get_value()) for v in (a, b, c)] == [2, 11, 120]


def test_a_variable_that_only_an_update_reads():
    n, s = counter(), st.shared(np.int64(0), name="s")
    f = st.function([], updates=[(s, s + n)])
    f(), f(), f()
    assert (int(s.get_value()), int(n.get_value())) == (3, 3)


def test_numbers_none_and_misfits():
    n = st.shared(np.float32(2), name="n")
    n.default_update = 5
    assert n.default_update.dtype == "float32"
    st.function([], n)()
    assert n.get_value() == 5
    n.default_update = None
    st.function([], n)()
    n.default_update = st.constant([1.0, 2.0])
    with pytest.raises(st.UpdateTypeError, match=r"update of n: the new value .* has 1 axis, the variable 0"):
        st.function([], n)


def test_a_call_that_fails_makes_no_default_update():
    n, x, i = counter(), st.dvector("x"), st.lscalar("i")
    f = st.function([x, i], x[i] + n)
    with pytest.raises(st.BoundsError):
        f([1.0], 3)
    assert int(n.get_value()) == 0


def test_a_copy_of_a_variable_counts_for_itself():
    n = counter()
    m = n.__copy__()
    st.function([], m)()
    assert (int(n.get_value()), int(m.get_value())) == (0, 1)


# --- In(update=…)


def test_an_input_that_is_remembered():
    x, total = st.dscalar("x"), st.dscalar("total")
    f = st.function([x, st.In(total, value=10.0, update=total + x)], total * 1)
    assert [float(f(v)) for v in (1.0, 2.0, 3.0)] == [10.0, 11.0, 13.0]
    assert f[total] == f["total"] == 16.0
    assert float(f(1.0, 100.0)) == 100.0  # given: it counts for this call, and the update starts from it
    assert f[total] == 101.0
    f[total] = 7
    assert float(f(0.0, total=1.0)) == 1.0
    with pytest.raises(st.CallError, match="no input named 'y'"):
        f["y"]
    with pytest.raises(st.CallError, match="has no default value"):
        f["x"]
    with pytest.raises(st.FunctionError, match="has an update and no value"):
        st.In(x, update=x + 1)


def test_a_failing_call_remembers_nothing_new():
    x, i, n = st.dvector("x"), st.lscalar("i"), st.lscalar("n")
    f = st.function([x, i, st.In(n, value=0, update=n + 1)], x[i])
    with pytest.raises(st.BoundsError):
        f([1.0], 1)
    assert f[n] == 0


def test_a_shared_variable_as_the_value_of_an_input():
    n, s = st.lscalar("n"), st.shared(np.int64(5), name="s")
    f = st.function([st.In(n, value=s, update=n * 2)], n)
    assert [int(f()) for _ in range(3)] == [5, 10, 20]
    assert int(f.copy()()) == int(s.get_value()) // 2 == 40
    with pytest.raises(st.UpdateError, match="s is updated twice"):
        st.function([st.In(n, value=s, update=n * 2)], n, updates=[(s, s + 1)])


def test_threads_take_turns_over_what_is_remembered():
    n = st.lscalar("n")
    f = st.function([st.In(n, value=0, update=n + 1)], n)
    seen = []

    def work():
        seen.extend(int(f()) for _ in range(200))

    threads = [threading.Thread(target=work) for _ in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(seen) == list(range(800))


# --- copies


@pytest.mark.parametrize("backend", ["numpy", "jax"])
def test_a_copy_over_other_variables(backend):
    w, v = (st.shared(np.arange(3.0) + k, name=name) for k, name in ((0, "w"), (10, "v")))
    x = st.dvector("x")
    f = st.function([x], {"sum": (w * x).sum()}, updates=[(w, w + x)], backend=backend, name="f")
    g = f.copy(swap={w: v}, name="g")
    ones = np.ones(3)
    assert g(ones)["sum"] == 33.0
    assert f(ones)["sum"] == 3.0
    assert (w.get_value().tolist(), v.get_value().tolist()) == ([1.0, 2.0, 3.0], [11.0, 12.0, 13.0])
    still = f.copy(delete_updates=True)
    assert (still(ones)["sum"], still(ones)["sum"]) == (6.0, 6.0)
    assert (g.name, still.name) == ("g", "f")
    with pytest.raises(st.FunctionError, match="does not read or update"):
        f.copy(swap={v: w})
    with pytest.raises(st.UpdateTypeError, match="expected a shared variable of type"):
        f.copy(swap={w: st.shared(np.zeros(4))})


def test_a_copy_remembers_for_itself():
    n = st.lscalar("n")
    f = st.function([st.In(n, value=0, update=n + 1)], n)
    f(), f()
    g = f.copy()
    assert [int(g()), int(g()), int(f())] == [2, 3, 2]
