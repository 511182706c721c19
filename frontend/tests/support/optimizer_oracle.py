"""Update rules as plain loops in float64 over a whole table: every row takes part in every step.

Written from the papers, without the code under test. ``frozen`` runs the same rule on the rows of a batch alone.
"""

import numpy as np


def _sgd(w, g, s, t, rate):
    return w - rate * g


def _momentum(w, g, s, t, rate, momentum=0.9):
    s["u"] = momentum * s.get("u", 0 * w) + g
    return w - rate * s["u"]


def _nesterov(w, g, s, t, rate, momentum=0.9):
    s["u"] = momentum * s.get("u", 0 * w) + g
    return w - rate * (g + momentum * s["u"])


def _adagrad(w, g, s, t, rate, epsilon=1e-10, momentum=0.0):
    s["n"] = s.get("n", 0 * w) + g**2
    s["u"] = momentum * s.get("u", 0 * w) - rate * g / (np.sqrt(s["n"]) + epsilon)
    return w + s["u"]


def _rowwise_adagrad(w, g, s, t, rate, epsilon=1e-10):
    s["n"] = s.get("n", 0 * w[..., :1]) + np.mean(g**2, axis=-1, keepdims=True)
    return w - rate * g / (np.sqrt(s["n"]) + epsilon)


def _rmsprop(w, g, s, t, rate, rho=0.9, epsilon=1e-8):
    s["v"] = rho * s.get("v", 0 * w) + (1 - rho) * g**2
    return w - rate * g / (np.sqrt(s["v"]) + epsilon)


def _adadelta(w, g, s, t, rate, rho=0.95, epsilon=1e-3):
    s["v"] = rho * s.get("v", 0 * w) + (1 - rho) * g**2
    d = s.get("d", 0 * w)
    way = (np.sqrt(d) + epsilon) / (np.sqrt(s["v"]) + epsilon) * g
    s["d"] = rho * d + (1 - rho) * way**2
    return w - rate * way


def _adam_way(g, s, t, beta1=0.9, beta2=0.999, epsilon=1e-8):
    s["m"] = beta1 * s.get("m", 0 * g) + (1 - beta1) * g
    s["v"] = beta2 * s.get("v", 0 * g) + (1 - beta2) * g**2
    return s["m"] / (1 - beta1**t) / (np.sqrt(s["v"] / (1 - beta2**t)) + epsilon)


def _adam(w, g, s, t, rate, **constants):
    return w - rate * _adam_way(g, s, t, **constants)


def _adamax(w, g, s, t, rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    s["m"] = beta1 * s.get("m", 0 * w) + (1 - beta1) * g
    s["v"] = np.maximum(beta2 * s.get("v", 0 * w), abs(g))
    return w - rate / (1 - beta1**t) * s["m"] / (s["v"] + epsilon)


def _nadam(w, g, s, t, rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    s["m"] = beta1 * s.get("m", 0 * w) + (1 - beta1) * g
    s["v"] = beta2 * s.get("v", 0 * w) + (1 - beta2) * g**2
    ahead = beta1 * s["m"] / (1 - beta1 ** (t + 1)) + (1 - beta1) * g / (1 - beta1**t)
    return w - rate * ahead / (np.sqrt(s["v"] / (1 - beta2**t)) + epsilon)


def _lamb(w, g, s, t, rate, epsilon=1e-6, decay=0.0):
    way = _adam_way(g, s, t, epsilon=epsilon) + decay * w
    a, b = np.linalg.norm(w, axis=-1, keepdims=True), np.linalg.norm(way, axis=-1, keepdims=True)
    trust = np.where((a > 0) & (b > 0), a / np.where(b > 0, b, 1), 1)
    return w - rate * trust * way


def _ftrl(w, g, s, t, rate, beta=1.0, l1=0.0, l2=0.0):
    if "z" not in s:
        s["z"], s["n"] = -w * (beta / rate + l2) - np.sign(w) * l1, 0 * w
    n = s["n"] + g**2
    s["z"] = s["z"] + g - (np.sqrt(n) - np.sqrt(s["n"])) / rate * w
    s["n"] = n
    w = -(s["z"] - np.sign(s["z"]) * l1) / ((beta + np.sqrt(n)) / rate + l2)
    return np.where(abs(s["z"]) <= l1, 0, w)


def _lion(w, g, s, t, rate, beta1=0.9, beta2=0.99):
    m = s.get("m", 0 * w)
    s["m"] = beta2 * m + (1 - beta2) * g
    return w - rate * np.sign(beta1 * m + (1 - beta1) * g)


def _madgrad(w, g, s, t, rate, momentum=0.9, epsilon=1e-6):
    start = s.setdefault("start", w.copy())
    s["s"] = s.get("s", 0 * w) + rate * np.sqrt(t) * g
    s["v"] = s.get("v", 0 * w) + rate * np.sqrt(t) * g**2
    return momentum * w + (1 - momentum) * (start - s["s"] / (np.cbrt(s["v"]) + epsilon))


def _rowwise_adam(w, g, s, t, rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    s["m"] = beta1 * s.get("m", 0 * g) + (1 - beta1) * g
    s["v"] = beta2 * s.get("v", 0 * g[..., :1]) + (1 - beta2) * np.mean(g**2, axis=-1, keepdims=True)
    return w - rate * s["m"] / (1 - beta1**t) / (np.sqrt(s["v"] / (1 - beta2**t)) + epsilon)


RULES = {
    "sgd": _sgd,
    "momentum": _momentum,
    "nesterov": _nesterov,
    "adagrad": _adagrad,
    "rowwise_adagrad": _rowwise_adagrad,
    "rmsprop": _rmsprop,
    "adadelta": _adadelta,
    "adam": _adam,
    "adamw": _adam,
    "adamax": _adamax,
    "nadam": _nadam,
    "lamb": _lamb,
    "ftrl": _ftrl,
    "lion": _lion,
    "madgrad": _madgrad,
    "rowwise_adam": _rowwise_adam,
}


def summed(shape, ids, g):
    """The gradient of a table, occurrence by occurrence."""
    total = np.zeros(shape)
    for i, row in zip(np.ravel(ids), g.reshape(-1, *shape[1:]), strict=True):
        total[i] += row
    return total


def dense(name, table, gradient_of, batches, rate, decay=0.0, **constants):
    """The table after each batch; every row is stepped each time. gradient_of(table, batch): of the whole table."""
    w, state, seen = table.astype(float), {}, []
    for t, batch in enumerate(batches, 1):
        g = gradient_of(w, batch)
        step = RULES[name](w, g, state, t, rate, **constants)
        w = step if name == "lamb" else step - rate * decay * w
        seen.append(w)
    return seen


def frozen(name, table, gradient_of, batches, rows_of, rate, decay=0.0, count="row", **constants):
    """The same, where a row is stepped only in batches that name it, with a state and a step count of its own."""
    w, states, counts, seen = table.astype(float).copy(), [{} for _ in table], np.zeros(len(table), int), []
    for t, batch in enumerate(batches, 1):
        g = gradient_of(w, batch)
        for row in sorted({int(r) % len(table) for r in np.ravel(rows_of(batch))}):
            counts[row] += 1
            own = counts[row] if count == "row" else t
            step = RULES[name](w[row], g[row], states[row], own, rate, **constants)
            w[row] = step if name == "lamb" else step - rate * decay * w[row]
        seen.append(w.copy())
    return seen
