"""What is wrong with what a backend says of itself, beside what cases show."""

from __future__ import annotations

from typing import Any

import numpy as np

import subtensor as st
from subtensor.errors import PluginError
from subtensor.graph.nodes import OPS, Op
from subtensor.plugins.contributions import did_you_mean
from subtensor.program.building import build
from subtensor_conformance.cases import corpus

SPECIAL = frozenset(
    {"erf", "erfc", "erfcx", "erfinv", "ndtri", "gammaln", "digamma", "polygamma", "gammainc", "gammaincc", "betainc"}
    | {"i0e", "i1e"}
)
"""Ops that stand for the capability ``special_functions`` where a backend leaves them out of its operations."""

LOOSEN_CAP = 8
"""By how much at most a backend may loosen the bound of a case, with an attribute ``conformance_bounds``."""


def faults(backend: Any) -> list[str]:
    """Wrong names in ``operations``, and core ops that it lacks. Runs nothing of the backend's."""
    core = {name for name, op in OPS.items() if op.expand is None and op.infer.__module__.startswith("subtensor.")}
    if "special_functions" not in backend.capabilities:
        core -= SPECIAL
    found = []
    if missing := sorted(core - backend.operations):
        found.append(f"operations lacks {len(missing)} core ops: {', '.join(missing)}; lower them, and add their names")
    found += [
        f"operations names {n!r}, which is no op{did_you_mean(n, OPS)}" for n in sorted(backend.operations - set(OPS))
    ]
    return found


def lowering_faults(backend: Any) -> list[str]:
    """Whether it takes the lowerings of plugins: one that gives its argument back is brought for an op that nobody
    knows, and for one that the backend lowers itself.
    """
    if "add" not in backend.operations:
        return []  # told by ``faults``
    called = []

    def lowering(x: Any, *_: Any, **__: Any) -> Any:
        called.append(x)
        return x

    probe = Op(name="conformance_probe", infer=lambda x: x.type, vjp=lambda g, _out, _x: [g], fresh=False)
    x, data = st.dvector("x"), np.array([1.0, 2.0])
    program = build("lowerings", [x], [probe(x) + 1], [], {*backend.operations, probe.name}, backend.name)
    found = []
    try:
        with np.errstate():
            (got,) = backend.compile(program, lowerings={probe.name: lowering})((data,), ())
        wrong = not called or got.tolist() != [2.0, 3.0]
        why = "it was not called" if not called else f"expected [2. 3.], got {got}"
    except Exception as error:  # noqa: BLE001  # whatever a backend raises is its failure
        wrong, why = True, f"{type(error).__name__}: {error}"
    if wrong:
        found.append(f"compile does not use the lowering of an op that a plugin brings in `lowerings`: {why}")
    program = build("lowerings", [x], [x + 1], [], backend.operations, backend.name)
    try:
        backend.compile(program, lowerings={"add": lowering})
        found.append("compile takes a plugin's lowering of 'add', which is among its operations; raise PluginError")
    except PluginError:
        pass
    except Exception as error:  # noqa: BLE001
        found.append(f"compile raises {type(error).__name__} for a plugin's lowering of 'add'; raise PluginError")
    return found


def bounds(backend: Any) -> tuple[dict[str, float], list[str]]:
    """The factors by which a backend loosens bounds, and what is wrong with them."""
    known = {c.id: c for c in corpus()}
    factors, wrong = {}, []
    for i, factor in dict(getattr(backend, "conformance_bounds", {})).items():
        if i not in known:
            wrong.append(f"conformance_bounds names {i!r}, which is no case{did_you_mean(str(i), known)}")
        elif not 1 < factor <= LOOSEN_CAP:
            wrong.append(f"conformance_bounds loosens {i!r} by {factor}; expected more than 1 and at most {LOOSEN_CAP}")
        elif known[i].ulps == 0 and known[i].absolute == 0:
            wrong.append(f"conformance_bounds loosens {i!r}, which is exact")
        else:
            factors[i] = float(factor)
    return factors, wrong
