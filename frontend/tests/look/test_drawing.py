"""Pictures: what they show, what they fold, and where the boxes stand."""

import random
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import subtensor as st
from subtensor.look import layout as module
from subtensor.look.layout import layered, layout
from subtensor.look.picture import views

SVG = "{http://www.w3.org/2000/svg}"
ids, y = st.lmatrix("ids"), st.lvector("y")


def texts(svg):
    return [e.text for e in ET.fromstring(svg).iter(f"{SVG}text")]


def classifier(backend="numpy"):
    rng = np.random.default_rng(0)
    shapes = {"E": (20_000, 64), "W1": (64, 32), "b1": (32,), "W2": (32, 10), "b2": (10,)}
    E, W1, b1, W2, b2 = (st.shared(rng.normal(size=s).astype("float32"), name=n) for n, s in shapes.items())
    p = st.softmax(st.tanh(E[ids].mean(1) @ W1 + b1) @ W2 + b2)
    cost = -st.log(p)[st.arange(y.shape[0]), y].mean()
    updates = st.optimizers.adam(cost, [E[ids], W1, b1, W2, b2], learning_rate=1e-3)
    return st.function([ids, y], cost, updates=updates, name="classifier", backend=backend)


def small():
    t, i = st.shared(np.zeros((50, 3)), name="table <a>"), st.lvector("i")
    cost = (t[i] ** 2).sum()
    return st.function([i], cost, updates=[(t, t - 0.1 * st.grad(cost, t))], name="step <1>")


def test_a_small_step_is_shown_whole(tmp_path):
    path = tmp_path / "step.svg"
    svg = small().draw(path)
    assert path.read_text(encoding="utf-8") == svg
    shown = texts(svg)
    for text in ("step <1>, after rewriting", "table <a>", "i", "read [i]", "add at [i]", "new table <a>", "output 0"):
        assert text in shown
    assert small().draw(stage="both").count("rewriting</text>") == 2
    dot = small().draw(format="dot", stage="before")
    assert dot.startswith("digraph")
    assert dot.count("{") == dot.count("}")
    for option, text in [({"format": "png"}, "format='png'"), ({"stage": "now"}, "stage='now'")]:
        with pytest.raises(st.FunctionError, match=text):
            small().draw(**option)


def test_constants_and_lengths_stand_in_the_boxes_that_use_them():
    x = st.matrix("x")
    first, *others = views("f", [(x * 0.5).sum() / x.shape[0]], [])
    assert not others
    assert sorted(box.lines for box in first.boxes) == [
        ["cast length(x), dtype=float64", "float64[]"],
        ["x", "float64[?, ?]"],
        ["· × 0.5", "sum axes=(0, 1)", "float64[]"],
        ["· ÷ ·", "float64[]"],
    ]


def test_the_step_of_a_classifier_with_adam_fits_a_screen_and_opens(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)  # the same picture on every machine
    f = classifier()
    outputs, updates = f.graph
    first, *inner = views(f.name, outputs, updates)
    assert len(first.boxes) < 30
    titles = [view.title for view in inner]
    assert titles == ["update of E", "update of W1, W2", "update of b1, b2", "gradients", "from new values"]
    told = [line for box in first.boxes for line in box.lines]
    assert not [line for line in told if line.startswith("W1.adam")]
    assert [box.lines[0] for box in first.boxes if box.large] == ["E"]
    assert {box.opens for box in first.boxes if box.opens} == set(range(1, len(inner) + 1))
    svg = f.draw()
    root = ET.fromstring(svg)
    assert float(root.get("width")) <= 1440
    assert float(root.get("height")) <= 900
    links = [a.get("href")[1:] for a in root.iter(f"{SVG}a")]
    named = {g.get("id") for g in root.iter(f"{SVG}g")}
    assert set(links) <= named
    assert len(inner) < len(links)  # and each view leads back
    assert not [t for t in texts(svg) if t.endswith("...")]


def test_a_new_value_that_is_read_again_is_no_circle():
    t, i = st.shared(np.zeros((50, 3)), name="t"), st.lvector("i")
    u = st.shared(np.zeros(3), name="u")
    new = t[i].inc(st.exp(t[i]))
    others = [st.tanh(new[i].sum(0) + k) * (u + k) for k in range(20)]
    total = others[0]
    for o in others[1:]:
        total = total + o
    svg = st.function([i], new.sum(), updates=[(t, new), (u, total)], rewrites=False).draw()
    assert "new u" in " ".join(texts(svg))


def random_graph(seed):
    rng = random.Random(seed)
    n = rng.randrange(1, 40)
    sizes = [(rng.uniform(20, 200), rng.uniform(15, 60)) for _ in range(n)]
    edges = [(rng.randrange(b), b) for b in range(1, n) for _ in range(rng.randrange(3))]
    return sizes, list(dict.fromkeys(edges))


def check(sizes, edges, placed, tolerance=0.1):
    assert len(placed.centres) == len(sizes)
    assert len(placed.paths) == len(edges)
    corners = []
    for (x, y), (w, h) in zip(placed.centres, sizes, strict=True):
        corners.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    for k, (left, top, right, bottom) in enumerate(corners):
        assert left >= -tolerance
        assert top >= -tolerance
        assert right <= placed.size[0] + tolerance
        assert bottom <= placed.size[1] + tolerance
        for other in corners[:k]:
            apart = left >= other[2] - tolerance or right <= other[0] + tolerance
            assert apart or top >= other[3] - tolerance or bottom <= other[1] + tolerance
    for a, b in edges:
        assert placed.centres[a][1] < placed.centres[b][1]


@pytest.mark.parametrize("seed", range(30))
def test_boxes_do_not_overlap_and_edges_lead_down(seed):
    sizes, edges = random_graph(seed)
    placed = layered(sizes, edges)
    check(sizes, edges, placed)
    for (a, b), path in zip(edges, placed.paths, strict=True):
        numbers = [float(t) for t in re.findall(r"-?[\d.]+", path)]
        (x, top), (end, bottom) = placed.centres[a], placed.centres[b]
        assert numbers[:2] == pytest.approx([x, top + sizes[a][1] / 2], abs=0.06)
        assert numbers[-2:] == pytest.approx([end, bottom - sizes[b][1] / 2], abs=0.06)


def test_crossings_that_need_not_be_are_undone():
    sizes = [(30.0, 20.0)] * 6
    edges = [(0, 5), (1, 4), (2, 3)]
    placed = layered(sizes, edges)
    order = sorted(range(3), key=lambda n: placed.centres[n][0])
    ends = [placed.centres[dict(edges)[n]][0] for n in order]
    assert ends == sorted(ends)


PLAIN = """graph 1 3 2
node n0 1 1.75 0.5 0.5 n0 solid box black lightgrey
node n1 2 0.25 0.5 0.5 n1 solid box black lightgrey
edge n0 n1 4 1 1.5 1 1 2 1 2 0.5 solid black
stop
"""


def test_graphviz_places_the_boxes_where_it_is_installed(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: f"/bin/{name}")
    answer = subprocess.CompletedProcess([], 0, stdout=PLAIN)
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: answer)
    placed = layout([(36.0, 36.0)] * 2, [(0, 1)])
    assert placed.centres == [(72.0, 18.0), (144.0, 126.0)]
    assert placed.paths == ["M72.0 36.0 C72.0 72.0 144.0 72.0 144.0 108.0"]
    assert placed.size == (216.0, 144.0)


def test_a_graphviz_that_fails_is_as_good_as_none(monkeypatch):
    def fails(*args, **kwargs):
        raise subprocess.CalledProcessError(1, "dot")

    monkeypatch.setattr(module.shutil, "which", lambda name: name)
    monkeypatch.setattr(module.subprocess, "run", fails)
    sizes, edges = random_graph(3)
    check(sizes, edges, layout(sizes, edges))
