"""``dprint``: each node once, what stood before by its letter."""

import io

import numpy as np

import subtensor as st


def test_a_tree(capsys):
    x, y = st.dvector("x"), st.dvector("y")
    out = st.exp(x * y) + x * y
    assert st.dprint(out) is None
    assert capsys.readouterr().out == "add [A]\n exp [B]\n  multiply [C]\n   x [D]\n   y [E]\n multiply [C]\n"


def test_types_names_constants_indices_and_shared_variables():
    t, i = st.shared(np.zeros((5, 2)), name="t"), st.lvector("i")
    subset = t[i, 1:]
    subset.name = "subset"
    text = st.dprint((subset * 2).sum(), print_type=True, file="str")
    assert "subtensor{index=#0, 1:} 'subset' <float64[?, 1]>" in text
    assert "t (shared) <float64[5, 2]>" in text
    assert "i <int64[?]>" in text
    assert "2.0 <float64[]>" in text
    assert "unnamed input" in st.dprint(st.dvector() + 1, file="str")
    assert "unnamed (shared)" in st.dprint(st.shared(1.0) + 1, file="str")


def test_depth_and_names_stop_it():
    x = st.dvector("x")
    inner = x * 2
    inner.name = "inner"
    out = st.exp(st.sin(inner))
    assert st.dprint(out, depth=1, file="str") == "exp [A]\n"
    assert st.dprint(out, depth=2, file="str").splitlines() == ["exp [A]", " sin [B]"]
    assert "x [" not in st.dprint(out, stop_on_name=True, file="str")
    assert "x [" in st.dprint(out, file="str")


def test_a_function_is_printed_with_its_updates():
    t, i = st.shared(np.zeros(5), name="t"), st.lvector("i")
    f = st.function([i], t[i].sum(), updates=[(t, t[i].inc(1.0))])
    stream = io.StringIO()
    st.dprint(f, file=stream)
    text = stream.getvalue()
    assert text.startswith("output 0:\n")
    assert "update of t:\ninc_subtensor" in text


def test_many_indices_letters_and_deep_graphs():
    shape = (1,) * 12
    x = st.tensor("x", "float64", shape)
    scalars = [st.lscalar(f"k{n}") for n in range(12)]
    text = st.dprint(x[tuple(scalars)], file="str")
    assert "#0, #1" in text
    assert "#11" in text
    node = st.dvector("v")
    for n in range(3000):
        node = node + float(n)
    lines = st.dprint(node, file="str").splitlines()
    assert lines[26].endswith("[AA]")
    assert len(lines) > 3000


def test_lists_and_bodies():
    x = st.dvector("x")
    assert st.dprint([x, x + 1], file="str").count("x [A]") == 2
    text = st.dprint(st.jacobian(x**2, x), file="str")
    assert "scan{map_rows, stack}" in text
    assert "in the loop map_rows, one value:\n" in text
