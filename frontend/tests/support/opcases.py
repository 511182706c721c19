"""Cases for public functions: what to call, and what NumPy says that it gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import subtensor as st
from subtensor.graph.nodes import Input, Variable, toposort
from subtensor.graph.operators import FUNCTIONS
from subtensor.graph.types import TensorType

OTHER_BACKENDS = 16
"""By how many units in the last place floats may differ where ``config.backend`` is not NumPy, which the oracle is."""


@dataclass(frozen=True)
class Case:
    """A call. Arrays among the arguments become inputs of the graph, also within lists; the rest is passed as it is.

    oracle: the same call on arrays. ulps: by how many units in the last place floats may differ; 0 compares bits, the
    sign of zero included. grad: whether the result is differentiable at the values given. fixed: inputs have the static
    shape of their values; with unknown lengths the call would not be defined.
    """

    name: str
    args: tuple[Any, ...]
    oracle: Callable[..., Any]
    kwargs: dict[str, Any] = field(default_factory=dict)
    ulps: float = 0
    grad: bool = False
    fixed: bool = False
    function: Callable[..., Any] | None = None

    def call(self, *args: Any) -> Any:
        return (self.function or FUNCTIONS[self.name])(*args, **self.kwargs)

    def __str__(self) -> str:
        return f"{self.name}({', '.join([*map(_spell, self.args), *(f'{k}={v}' for k, v in self.kwargs.items())])})"


def _spell(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype}{list(value.shape)}".replace(" ", "")
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_spell, value))}]"
    return str(value)


def arrays(value: Any) -> list[np.ndarray]:
    """The arrays in an argument, in order."""
    if isinstance(value, np.ndarray):
        return [value]
    return [a for v in value for a in arrays(v)] if isinstance(value, list | tuple) else []


def symbolic(value: Any, make: Callable[[np.ndarray], Any]) -> Any:
    """An argument with its arrays replaced."""
    if isinstance(value, np.ndarray):
        return make(value)
    return type(value)(symbolic(v, make) for v in value) if isinstance(value, list | tuple) else value


def flat_results(result: Any) -> list[Any]:
    return list(result) if isinstance(result, list | tuple) else [result]


def build(case: Case, *, static: bool) -> tuple[list[Variable], list[Variable]]:
    """Inputs and outputs of the case's graph; lengths other than 1 are unknown unless `static`."""
    inputs: list[Variable] = []

    def make(a: np.ndarray) -> Variable:
        shape = a.shape if static or case.fixed else (None,) * a.ndim
        inputs.append(Input(TensorType(a.dtype.name, shape), name=f"x{len(inputs)}"))
        return inputs[-1]

    return inputs, flat_results(case.call(*symbolic(case.args, make)))


def expected(case: Case) -> list[np.ndarray]:
    with np.errstate(all="ignore"):
        return [np.asarray(v) for v in flat_results(case.oracle(*case.args, **case.kwargs))]


def agree(case: Case, got: Any, want: np.ndarray) -> None:
    """Raises AssertionError where value, sign of zero, dtype or shape differ."""
    got = np.asarray(got)
    assert got.dtype == want.dtype, f"{case}: dtype {got.dtype}, expected {want.dtype}"
    assert got.shape == want.shape, f"{case}: shape {got.shape}, expected {want.shape}"
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want, err_msg=str(case))
        return
    ulps = case.ulps if st.config.backend == "numpy" else max(case.ulps, OTHER_BACKENDS)
    if ulps == 0:
        np.testing.assert_array_equal(got, want, err_msg=str(case))
        zero = want == 0
        np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]), err_msg=f"{case}: signs of zeros")
        return
    eps = float(np.finfo(want.dtype).eps) * ulps
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(
            got.astype(np.float64), want.astype(np.float64), rtol=eps, atol=eps, equal_nan=True, err_msg=str(case)
        )


def check_values(cases: Sequence[Case], *, static: bool) -> None:
    """The cases' results against the oracle's, with their arrays as inputs, and what the graphs say of their types.

    They are one function, for the sake of backends that compile. With unknown lengths the graph runs as it stands; with
    known ones rewritten.
    """
    graphs = [build(case, static=static) for case in cases]
    inputs = [i for given, _ in graphs for i in given]
    outputs = [o for _, made in graphs for o in made]
    run = st.function(inputs, outputs, on_unused_input="ignore", rewrites=static)
    results = iter(run(*(a for case in cases for v in case.args for a in arrays(v))))
    for case, (_, made) in zip(cases, graphs, strict=True):
        wanted = expected(case)
        assert len(made) == len(wanted), f"{case}: {len(made)} results, expected {len(wanted)}"
        for node, want in zip(made, wanted, strict=True):
            agree(case, next(results), want)
            fits = zip(node.type.shape, want.shape, strict=True)
            assert node.dtype == want.dtype.name, f"{case}: the graph says {node.type}"
            assert all(d is None or d == n for d, n in fits), f"{case}: the graph says {node.type}, got {want.shape}"


def check_constants(cases: Sequence[Case]) -> None:
    """The cases on constants."""
    made = [flat_results(case.call(*case.args)) for case in cases]
    results = iter(st.function([], [o for outputs in made for o in outputs])())
    for case, outputs in zip(cases, made, strict=True):
        for _, want in zip(outputs, expected(case), strict=True):
            agree(case, next(results), want)


def ops_of(nodes: list[Variable]) -> set[str]:
    return {n.op.name for n in toposort(nodes) if n.op is not None}
