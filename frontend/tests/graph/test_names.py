"""Nodes do not change, and their names reach every output whole or not at all."""

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import subtensor as st
from subtensor.errors import DTypeError, GraphError, SettingError

NODES = [st.vector("x"), st.vector("x") * 2, st.constant([1.0, 2.0]), st.shared(np.ones(2), "s")]


@pytest.mark.parametrize("node", NODES, ids=["input", "result", "constant", "shared"])
def test_what_a_node_is_cannot_be_changed(node):
    before = node.type, node.op, node.inputs, dict(node.params)
    for key in ("type", "op", "inputs", "params", *(k for k in ("data", "cell") if hasattr(node, k))):
        with pytest.raises(SettingError, match=f"{key} cannot be assigned, for nodes are immutable"):
            setattr(node, key, None)
        with pytest.raises(AttributeError, match="cannot be deleted"):
            delattr(node, key)
    assert (node.type, node.op, node.inputs, dict(node.params)) == before


def test_params_cannot_be_changed():
    node = st.matrix("m").sum(axis=0)
    with pytest.raises(TypeError):
        node.params["axes"] = (1,)
    with pytest.raises(ValueError, match="read-only"):
        st.constant([1.0, 2.0]).data[0] = 5


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31mred", "a\x00", "a\x7f", "\ud800", "a\u2028b", "\u202eabc"])
def test_names_that_cannot_be_shown_are_refused(name):
    x = st.vector("x")
    for call in (
        lambda: st.vector(name),
        lambda: st.shared(1.0, name),
        lambda: st.constant(1.0, name),
        lambda: setattr(x, "name", name),
        lambda: st.function([x], x, name=name),
        lambda: st.In(x, name),
    ):
        with pytest.raises(GraphError, match=re.escape(repr(name))) as raised:
            call()
        assert str(raised.value).isprintable()
    assert x.name == "x"


@pytest.mark.parametrize("name", [5, b"x", 1.5, ("x",), object()])
def test_names_that_are_no_strings_are_refused(name):
    x = st.vector("x")
    for call in (
        lambda: st.shared(1.0, name),
        lambda: setattr(x, "name", name),
        lambda: st.function([x], x, name=name),
        lambda: st.In(x, name),
    ):
        with pytest.raises(DTypeError, match="expected a string"):
            call()


@pytest.mark.parametrize(
    "name", ["a\"b'c", "back\\slash\\", "<b>&amp;</b>", "]]>", "naïve \u200d 🎉", "{x}", "%s", "self"]
)
def test_names_of_other_characters_reach_every_output_whole(name):
    x, s = st.vector(name), st.shared(np.ones(3), name)
    f = st.function([x], (x * s).sum(), updates=[(s, s + x)], name=name)
    assert f(**{name: np.ones(3)}) == 3
    picture = ET.fromstring(f.draw(stage="both"))  # our own
    assert any(name in (text or "") for e in picture.iter() for text in (e.text, e.tail))
    dot = f.draw(format="dot", stage="both")
    strings = re.findall(r'"((?:[^"\\]|\\.)*)"', dot)
    assert '"' not in re.sub(r'"((?:[^"\\]|\\.)*)"', "", dot)
    assert any(name in re.sub(r"\\(.)", r"\1", text) for text in strings)
    assert name in st.dprint(f.graph[0][0], file="str")
    assert name in str(f.explain())
    with pytest.raises(st.SubtensorError, match=re.escape(name)):
        f(np.ones(4))


def test_an_input_may_be_called_self():
    x = st.vector("self")
    f = st.function([x], x * 2)
    assert f(self=[1.0]).tolist() == [2]
    assert x.eval({"self": [1.0]}).tolist() == [1]
