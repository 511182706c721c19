"""``function``: from inputs, outputs, updates and givens to something that can be called."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from subtensor import plugins
from subtensor.errors import (
    BackendNotFoundError,
    CallError,
    FunctionError,
    Unsupported,
    UnusedInputError,
    UpdateError,
    UpdateTypeError,
    counted,
)
from subtensor.graph.config import config
from subtensor.graph.constants import as_tensor, constant, is_weak
from subtensor.graph.indexing import Slice
from subtensor.graph.nodes import Input, Variable, describe, replace, toposort
from subtensor.graph.operators import public
from subtensor.graph.shared import SharedVariable
from subtensor.graph.types import can_cast
from subtensor.look.drawing import draw
from subtensor.look.explain import Explanation, explanation, warn_of_whole_tables
from subtensor.ops.elementwise import same_kind
from subtensor.ops.shape import fixed_shape, inverse_permutation
from subtensor.ops.subtensor import get_op, is_write
from subtensor.ops.views import VIEWS
from subtensor.program.arguments import REQUIRED, In, Parameter
from subtensor.program.calling import caller
from subtensor.program.contract import Backend, Executable
from subtensor.program.diagnosis import diagnose
from subtensor.program.linear import Program, build
from subtensor.rewrites.engine import Selection, rewrite

_AMBIGUOUS = -1


class Function:
    """A compiled function. Call it with positional arguments in the order of the inputs, or by keyword.

    A call is a transaction: outputs are computed from the values of shared variables before it, then all updates are
    applied, or, on any error, none. Calls that share a variable take turns.
    """

    def __init__(
        self,
        name: str,
        parameters: Sequence[Parameter],
        program: Program,
        executable: Executable,
        backend: Backend,
        pack: Callable[[tuple[Any, ...]], Any],
        graph: tuple[list[Variable], list[tuple[SharedVariable, Variable]]],
        source: tuple[list[Variable], list[tuple[SharedVariable, Variable]]],
        selection: Selection,
    ) -> None:
        self.name = name
        self.program = program
        self.backend = backend
        self._parameters = tuple(parameters)
        self._by_name: dict[str, int] = {}
        for i, p in enumerate(parameters):
            if p.name is not None:
                self._by_name[p.name] = _AMBIGUOUS if p.name in self._by_name else i
        self._execute = executable
        self._shapes: tuple[tuple[int, ...], ...] | None = None
        self._checked_call = caller(
            [(p.dtype, p.ndim) if p.free else None for p in parameters],
            self._convert,
            [s.cell for s in program.shared],
            backend,
            executable,
            self._diagnose,
        )
        self._call: Callable[..., tuple[Any, ...]] = self._first_call
        self._pack = pack
        self.graph = graph
        self.source = source
        self.selection = selection
        self.__name__ = name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != len(self._parameters):
            args = self._bind(args, kwargs)
        return self._pack(self._call(*args))

    def __copy__(self) -> Function:
        return self  # it runs on the variables that it was built over, whoever holds it

    def __deepcopy__(self, memo: Any) -> Function:
        return self

    def _first_call(self, *args: Any) -> tuple[Any, ...]:
        """A call that notes the shapes of its arguments, for ``explain``; later ones do not come by here."""
        result = self._checked_call(*args)
        self._shapes = tuple(np.shape(a) for a in args)
        self._call = self._checked_call
        return result

    def _convert(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(p.convert(v) for p, v in zip(self._parameters, args, strict=True))

    def _diagnose(self, args: tuple[Any, ...]) -> None:
        """Raise the error that the frontend defines for what a backend noticed."""
        try:
            reference: Any = plugins.get_backend("numpy")
        except BackendNotFoundError:
            return
        outputs, updates = self.source  # as the user wrote it: rewrites change neither errors nor their texts
        inputs = [p.variable for p in self._parameters]
        operations = {*reference.operations, *plugins.lowerings("numpy")}
        try:
            program = build(self.name, inputs, outputs, updates, operations, "numpy")
        except Unsupported:  # an op that only another backend runs
            return
        state = [s.cell.read() for s in program.shared]
        diagnose(program, [np.asarray(a) for a in args], state, reference.evaluate)

    def _bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...]:
        parameters = self._parameters
        names = ", ".join(p.name or f"<{p.variable.type}>" for p in parameters)
        if len(args) > len(parameters):
            raise CallError(f"{self.name}: got {len(args)} arguments; expected at most {len(parameters)} ({names})")
        values: list[Any] = [p.default for p in parameters]
        values[: len(args)] = args
        for key, value in kwargs.items():
            position = self._by_name.get(key)
            if position is None:
                raise CallError(f"{self.name}: there is no input named {key!r}; the inputs are: {names}")
            if position == _AMBIGUOUS:
                raise CallError(f"{self.name}: several inputs are named {key!r}; pass them by position")
            if position < len(args):
                raise CallError(f"{self.name}: input {key!r} is given twice, by position and by name")
            values[position] = value
        missing = [p.name or p.variable.label for p, v in zip(parameters, values, strict=True) if v is REQUIRED]
        if missing:
            raise CallError(f"{self.name}: missing {', '.join(missing)}; the inputs are: {names}")
        return tuple(values)

    def explain(self, *, rewrites: bool = False) -> Explanation:
        """What each update touches, and why: in place or not, rows or the whole table, bytes as a formula in the shapes
        and, once the function was called, as the number of the first call. rewrites: also list every rewrite.
        """
        outputs, updates = self.graph
        backend, shapes = self.backend.name, self._shapes
        return explanation(
            self.program, backend, self.source, updates, outputs, self.selection, shapes, rewrites=rewrites
        )

    def draw(self, path: Any = None, *, format: str = "svg", stage: str = "after") -> str:
        """A picture of the graph as text, ``svg`` or ``dot``; also written to `path` if given.

        stage: ``after`` rewriting, ``before`` it, or ``both``. Raises FunctionError for other words.
        """
        known = {"before": self.source, "after": self.graph}
        if stage != "both" and stage not in known:
            raise FunctionError(f"draw: stage={stage!r}; expected 'before', 'after' or 'both'")
        stages = [
            (f"{self.name}, {each} rewriting", *known[each])
            for each in (("before", "after") if stage == "both" else (stage,))
        ]
        return draw(stages, path, format)

    def get_shared(self) -> list[SharedVariable]:
        """The shared variables that the function reads or updates."""
        return list(self.program.shared)

    def __repr__(self) -> str:
        names = ", ".join(p.name or str(p.variable.type) for p in self._parameters)
        return f"<function {self.name}({names}) on {self.backend.name}>"


# --- building


def function(
    inputs: Sequence[Any] = (),
    outputs: Any = None,
    updates: Any = None,
    givens: Any = None,
    *,
    backend: str | None = None,
    name: str | None = None,
    on_unused_input: str | None = None,
    allow_input_downcast: bool | None = None,
    rewrites: Any = True,
    mode: Any = None,
    no_default_updates: bool = False,
    accept_inplace: bool = False,
) -> Function:
    """Compile a graph.

    inputs: input nodes or ``In`` objects, in the order of the arguments. outputs: None, a node, a list or tuple, or a
    dict of nodes: the call returns the like. updates: pairs (shared variable, new value), or a dict; all are applied at
    once after the outputs are computed. givens: pairs (node, replacement), or a dict: replaced in the graph first, all
    at once, intermediate nodes included. backend: its name; ``config.backend`` by default. on_unused_input: ``raise``
    (default), ``warn`` or ``ignore``. allow_input_downcast: True lets arguments lose precision, False not even Python
    floats. rewrites: True, False, or names and tags of rewrites to use (see ``docs/rewrites.md``). mode,
    no_default_updates and accept_inplace are accepted for programs written for the peers and have no effect.

    Raises FunctionError and its kin while building: MissingInputError, UnusedInputError, UpdateError.
    """
    label = name or "function"
    specs = _input_specs(inputs, label)
    nodes, pack = _output_form(outputs)
    pairs = _update_pairs(updates, label)
    replacements = _given_pairs(givens, label)
    if replacements:
        replaced = replace([*nodes, *(e for _, e in pairs)], replacements)
        nodes = replaced[: len(nodes)]
        pairs = [(s, e) for (s, _), e in zip(pairs, replaced[len(nodes) :], strict=True)]
    pairs = [(s, _checked_update(s, e, label)) for s, e in pairs]
    _check_unused(specs, [*nodes, *(e for _, e in pairs)], on_unused_input or "raise", label)

    plugins.load_extensions()
    target = plugins.get_backend(backend or config.backend)
    selection = Selection.of(rewrites, plugins.rewrites(target.name))
    graph = rewrite([*nodes, *(e for _, e in pairs)], selection)
    outs = graph[: len(nodes)]
    changed = [(s, e) for (s, _), e in zip(pairs, graph[len(nodes) :], strict=True)]
    lowerings = plugins.lowerings(target.name)
    program = build(label, [s.variable for s in specs], outs, changed, {*target.operations, *lowerings}, target.name)
    executable = target.compile(program, lowerings=lowerings)
    warn_of_whole_tables(program, pairs, changed, outs)
    parameters = [Parameter(s, allow_input_downcast, label) for s in specs]
    return Function(label, parameters, program, executable, target, pack, (outs, changed), (nodes, pairs), selection)


def _input_specs(inputs: Any, label: str) -> list[In]:
    if isinstance(inputs, Variable | In):
        raise FunctionError(f"{label}: inputs must be a list; write [{inputs!r}]")
    specs = [i if isinstance(i, In) else In(i) for i in inputs]
    seen: set[Variable] = set()
    for s in specs:
        if isinstance(s.variable, SharedVariable):
            raise FunctionError(
                f"{label}: {s.variable!r} is shared and cannot be an input; its value is read at each call. "
                "To replace it, use givens"
            )
        if not isinstance(s.variable, Input):
            raise FunctionError(f"{label}: {s.variable!r} is not an input; expected st.vector() and its like")
        if s.variable in seen:
            raise FunctionError(f"{label}: the input {s.variable.label} is listed twice")
        seen.add(s.variable)
    return specs


def _output_form(outputs: Any) -> tuple[list[Variable], Callable[[tuple[Any, ...]], Any]]:
    if outputs is None:
        return [], _nothing
    if isinstance(outputs, dict):
        keys = list(outputs)
        return [as_tensor(v) for v in outputs.values()], lambda results: dict(zip(keys, results, strict=True))
    if isinstance(outputs, list | tuple):
        return [as_tensor(v) for v in outputs], list
    return [as_tensor(outputs)], _only


def _nothing(results: tuple[Any, ...]) -> list[Any]:
    return []


def _only(results: tuple[Any, ...]) -> Any:
    return results[0]


def _pairs(given: Any, label: str, what: str) -> list[tuple[Any, Any]]:
    if given is None:
        return []
    items = list(given.items()) if isinstance(given, Mapping) else list(given)
    for item in items:
        if not isinstance(item, list | tuple) or len(item) != 2:
            raise FunctionError(f"{label}: {what} holds {item!r}; expected pairs (variable, expression), or a dict")
    return [(k, v) for k, v in items]


def _update_pairs(updates: Any, label: str) -> list[tuple[SharedVariable, Variable]]:
    pairs: list[tuple[SharedVariable, Variable]] = []
    seen: set[Variable] = set()
    for s, e in _pairs(updates, label, "updates"):
        if not isinstance(s, SharedVariable):
            raise UpdateError(f"{label}: {s!r} is not a shared variable; only shared variables can be updated")
        if s in seen:
            raise UpdateError(
                f"{label}: {s.label} is updated twice; expected one update for each shared variable: write both "
                "changes as one expression, such as st.inc_subtensor(st.inc_subtensor(t[i], a)[j], b)"
            )
        seen.add(s)
        pairs.append((s, _scalar_like(s, e) if is_weak(e) else as_tensor(e)))
    return pairs


def _scalar_like(like: Variable, value: Any) -> Variable:
    """A Python scalar in the dtype of the variable that it is for, if that is of its kind or a wider one."""
    kind = {bool: "bool", int: "int8", float: "float16"}[type(value)]
    return constant(value, dtype=like.dtype) if can_cast(kind, like.dtype) else as_tensor(value)


def _given_pairs(givens: Any, label: str) -> dict[Variable, Variable]:
    replacements: dict[Variable, Variable] = {}
    for old, new in _pairs(givens, label, "givens"):
        if not isinstance(old, Variable):
            raise FunctionError(f"{label}: givens replaces {old!r}; expected a symbolic variable")
        if old in replacements:
            raise FunctionError(f"{label}: givens replaces {old.label} twice")
        value = _scalar_like(old, new) if is_weak(new) else as_tensor(new)
        if value.ndim != old.ndim:
            raise UpdateTypeError(f"{label}: givens replaces {old!r} with {value!r}; expected {old.ndim} axes")
        if value.dtype != old.dtype:
            value = same_kind(value, old, f"{label}: givens for {old.label}")
        for axis, (have, got) in enumerate(zip(old.type.shape, value.type.shape, strict=True)):
            if None not in (have, got) and have != got:
                raise UpdateTypeError(
                    f"{label}: givens replaces {old!r} with {value!r}; expected length {have} along axis {axis}"
                )
        # the graph was built on the lengths of what is replaced
        replacements[old] = _of_static_shape(value, old)
    return replacements


def _checked_update(s: SharedVariable, e: Variable, label: str) -> Variable:
    where = f"{label}: update of {s.label}"
    _refuse_view_write(s, e, where)
    if e.ndim != s.ndim:
        raise UpdateTypeError(
            f"{where}: the new value {describe(e)} has {counted(e.ndim, 'axis')}, the variable {s.ndim}; expected equal"
        )
    if e.dtype != s.dtype:
        raise UpdateTypeError(
            f"{where}: the new value {describe(e)} is {e.dtype}, the variable {s.dtype}; "
            f"write .astype('{s.dtype}') if that is meant"
        )
    for axis, (have, new) in enumerate(zip(s.type.shape, e.type.shape, strict=True)):
        if have is not None and new is not None and have != new:
            raise UpdateTypeError(
                f"{where}: axis {axis} of the new value {describe(e)} is {new}, of the variable {have}; "
                "expected equal, or declare the variable with shape=(None, …)"
            )
    return _of_static_shape(e, s)


def _of_static_shape(value: Variable, like: Variable) -> Variable:
    """`value` with a promise, checked at run time, that it has the lengths known of `like`."""
    if any(d is not None and v is None for d, v in zip(like.type.shape, value.type.shape, strict=True)):
        return fixed_shape(value, shape=like.type.shape)
    return value


_PARTS = VIEWS | {"virtual_axis", "virtual_flat"}


def _takes_all(node: Variable) -> bool:
    """Whether a node is ``x[:]``: all of x."""
    index = node.params.get("index")
    return index is not None and all(isinstance(p, Slice) and p.is_full for p in index.parts)


def _remedy(part: Variable, s: SharedVariable) -> str:
    """How to spell what was probably meant by a write into `part`, which was made from `s`."""
    written = f"v = {describe(part)}[…].inc(…)"
    if part.op is get_op and part.inputs[0] is s:
        return f"write it back, st.set_subtensor({describe(part)}, v) with {written}, or index {s.label} directly"
    if part.op is not None and part.op.name == "transpose" and part.inputs[0] is s:
        axes = inverse_permutation(part.params["axes"])
        back = "v.T" if s.ndim == 2 else f"v.transpose{axes}"
        return f"turn it back, {back} with {written}, or index {s.label} directly: {s.label}[:, …]"
    return f"index {s.label} directly, or bring the written value into {s.label}'s form"


def _refuse_view_write(s: SharedVariable, e: Variable, where: str) -> None:
    """Raises UpdateError where the new value is a write into a part or a rearrangement of the variable."""
    node = e
    while is_write(node):
        node = node.inputs[0]
    if node is e or node is s:
        return
    path = node
    while path.op is not None and path.op.name in _PARTS and not _takes_all(path):
        path = path.inputs[0]
        if path is s:
            raise UpdateError(
                f"{where}: {describe(e)} writes into {describe(node)}, which is a part or a rearrangement of "
                f"{s.label}, so the new value would not be {s.label} with some elements changed; {_remedy(node, s)}"
            )


def _check_unused(specs: Sequence[In], outputs: Sequence[Variable], action: str, label: str) -> None:
    if action not in ("raise", "warn", "ignore"):
        raise FunctionError(f"{label}: on_unused_input={action!r}; expected 'raise', 'warn' or 'ignore'")
    if action == "ignore":
        return
    used = set(toposort(outputs))
    unused = [s.variable.label for s in specs if s.variable not in used]
    if not unused:
        return
    message = (
        f"{label}: no output or update uses the input {', '.join(unused)}; remove it, or pass on_unused_input='ignore'"
    )
    if action == "raise":
        raise UnusedInputError(message)
    warnings.warn(message, stacklevel=3)


def _replaced(nodes: list[Variable], replacements: Any, label: str) -> list[Variable]:
    return replace(nodes, _given_pairs(replacements, label))


@public(aliases=("clone_replace",))
def clone(output: Any, replace: Any = None) -> Any:
    """A node, or a list of nodes, with others replaced in it, all at once: as ``givens`` of ``function`` does.

    replace: pairs (node, replacement), or a dict. Raises UpdateTypeError where a replacement has another rank or
    length, DTypeError where its dtype does not go into that of what it replaces.
    """
    if isinstance(output, list | tuple):
        return _replaced([as_tensor(v) for v in output], replace, "clone")
    return _replaced([as_tensor(output)], replace, "clone")[0]


@public
def eval_(variable: Variable, inputs_to_values: Mapping[Variable, Any] | None = None, **options: Any) -> Any:
    """The value of a node, given those of its inputs; compiled anew at each call."""
    given = dict(inputs_to_values or {})
    by_name: dict[Any, Variable] = {v.name: v for v in toposort([variable]) if v.op is None and v.name is not None}
    nodes = [by_name.get(k, k) for k in given]
    run = function(nodes, variable, **{"on_unused_input": "ignore", "allow_input_downcast": None, **options})
    return run(*given.values())
