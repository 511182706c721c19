"""Graphs of the patterns of rules about loops: see ``rewrite_cases``."""

import subtensor as st

LOOP_CASES = {}


def case(f):
    LOOP_CASES[f.__name__.rstrip("_")] = f
    return f


def finite(d, shape, known=None):
    return d.given(d.array(shape, d.dtype(), [0.0, 1.0, -1.0, 0.5, 2.0, -0.25]), known)


def steps(d):
    return d.number(0, 3)


@case
def last_of_loop(d):
    x, s = finite(d, (steps(d), 2)), finite(d, (2,))
    out, _ = st.scan(lambda e, s: s * 0.5 + e, x, s)
    other, _ = st.scan(lambda e, s: [s * 0.5 + e, e * 2], x, [s, None])
    stopped, _ = st.scan(lambda e, s: (s + 1, st.until(s[0] > 1)), x, s)
    backwards, _ = st.scan(lambda e, s: s * 0.5 + e, x, s, go_backwards=True)
    one = d.number(0, 1)
    return [out[-1], other[1][-1], out[-1, one], out[-1, ::-1], stopped[-1], backwards[-1], out[-2:]]


@case
def elements_of_loop(d):
    x, s = finite(d, (steps(d), 2)), finite(d, (2,))
    out, _ = st.scan(lambda e, s: [e, s + e], x, [None, s])
    stopped, _ = st.scan(lambda e: (e, st.until(e[0] > 0)), x)
    return [out[0], out[0] * out[1], stopped]


@case
def lengths_in_loop(d):
    n, b = steps(d), d.number(1, 3)
    x, w = finite(d, (n, b, 2)), finite(d, (2, 2))
    broad = finite(d, (1, 2), known=False)
    outs = []
    for start in (st.zeros((x.shape[1], 2), x.dtype), st.zeros_like(broad)):
        out, _ = st.scan(lambda e, h, w: (e + h.dot(w)) * 0.5, x, start, non_sequences=w)
        outs += [st.grad(out.sum(), v) for v in (x, w)]
    return outs


@case
def reads_before_loop(d):
    rows = d.number(1, 4)
    table, start = finite(d, (rows, 2)), finite(d, (2,))
    i = d.ids(rows, steps(d))
    out, _ = st.scan(lambda i, s: s * 0.5 + table[i], i, start)
    pair, _ = st.scan(lambda i, s: s + table[[i, i]].sum(0), i, start)
    changed, _ = st.scan(lambda i, t: t[i].inc(t[i]), i, table)
    stopped, _ = st.scan(lambda i, s: (s + table[i], st.until(s.sum() > 0)), i, start)
    square, _ = st.scan(lambda i: table[i] ** 2, i)
    return [out, pair, changed, stopped, square]


@case
def products_before_loop(d):
    n, b = steps(d), d.number(0, 2)
    x, y, w, h = finite(d, (n, b, 2)), finite(d, (n, 2)), finite(d, (2, 3)), finite(d, (b, 3))
    out, _ = st.scan(lambda e, h: h * 0.5 + e @ w + 1, x, h)
    vectors, _ = st.scan(lambda e, s: s + e @ w, y, st.zeros((3,), y.dtype))
    columns, _ = st.scan(lambda e, s: s + w.T @ e, y, st.zeros((3,), y.dtype))
    turned, _ = st.scan(lambda e, s: s + (w.T @ e.T).T, x, h)
    stopped, _ = st.scan(lambda e, s: (s + e @ w, st.until(s.sum() > 1)), x, h)
    return [out, vectors, columns, turned, stopped]


@case
def rows_after_loop(d):
    rows = d.number(1, 4)
    table, y = finite(d, (rows, 2)), finite(d, (steps(d), 2))
    i = d.ids(rows, y.type.shape[0] if y.type.shape[0] is not None else len(d.values[-1]))
    out, _ = st.scan(lambda e, i, t: t[i].inc(e), [y, i], table)
    both, _ = st.scan(lambda e, i, t: t[i].inc(e)[[i, i]].inc(e * 2), [y, i], table)
    seen, _ = st.scan(lambda e, i, t: t[i].inc(e + t[0]), [y, i], table)
    backwards, _ = st.scan(lambda e, i, t: t[i].inc(e), [y, i], table, go_backwards=True)
    return [final(o) for o in (out, both, seen, backwards)]


def final(stack):
    """The state after the loop, which is what a gradient asks for."""
    from subtensor.ops.loop import FINAL, call_of

    loop = stack.params["loop"]
    return call_of(stack).ask(FINAL, loop.states[loop.following.index(stack.params["output"])])


@case
def products_after_loop(d):
    n, b = steps(d), d.number(0, 2)
    x, y, a = finite(d, (n, b, 3)), finite(d, (n, b, 2)), finite(d, (3, 2))
    out, _ = st.scan(lambda e, f, a: a + e.T @ f, [x, y], a)
    more, _ = st.scan(lambda e, f, a: e.T @ f + a + e.T @ (2 * f), [x, y], a)
    seen, _ = st.scan(lambda e, f, a: a + e.T @ (f + a[0]), [x, y], a)
    sums, _ = st.scan(lambda e, s: s + e.sum(0), x, st.zeros((3,), x.dtype))
    w, h = finite(d, (2, 2)), finite(d, (b, 2))
    hidden, _ = st.scan(lambda f, h, w: (f + h.dot(w)) * 0.5, y, h, non_sequences=w)
    return [*(final(o) for o in (out, more, seen, sums)), st.grad(hidden.sum(), w)]


@case
def stacked_products(d):
    n, b = steps(d), d.number(0, 2)
    x, w, h = finite(d, (n, b, 2)), finite(d, (2, 3)), finite(d, (b, 2))
    (a, p), _ = st.scan(lambda e, h: [h * 0.5 + e, (h * 0.5 + e) @ w], x, [h, None])
    return [a.sum() + p.sum(), p]
