"""``function``: from inputs, outputs, updates and givens to something that can be called."""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from functools import partial
from typing import Any

import numpy as np

from subtensor import plugins
from subtensor.errors import (
    BackendNotFoundError,
    CallError,
    FunctionError,
    NonFiniteError,
    Unsupported,
    UnusedInputError,
    UpdateError,
    UpdateTypeError,
    counted,
    warn,
)
from subtensor.graph.config import config
from subtensor.graph.constants import as_tensor, constant, is_weak
from subtensor.graph.indexing import Slice
from subtensor.graph.nodes import (
    Constant,
    Input,
    Variable,
    checked_name,
    describe,
    mentioned,
    replace,
    toposort,
)
from subtensor.graph.operators import public
from subtensor.graph.shared import SharedVariable, default_updates
from subtensor.graph.types import BFLOAT16, can_cast, is_integer
from subtensor.look.drawing import draw
from subtensor.look.explain import ABOVE, Explanation, explanation
from subtensor.look.profile import Profile, profile
from subtensor.look.whole import Step, refuse_whole_tables, warn_of_whole_tables
from subtensor.ops.elementwise import same_kind
from subtensor.ops.shape import fixed_shape, inverse_permutation, length, lengths
from subtensor.ops.subtensor import get_op, is_write
from subtensor.ops.views import VIEWS
from subtensor.program.arguments import REQUIRED, In, Parameter
from subtensor.program.building import build
from subtensor.program.calling import caller
from subtensor.program.contract import Backend, Executable, Timing
from subtensor.program.diagnosis import diagnose_at, unexpanded
from subtensor.program.finite import checked_choice, guarded, refuse
from subtensor.program.forms import Form, Forms
from subtensor.program.linear import Program
from subtensor.program.lowered import checked_lowerings
from subtensor.program.stepping import Ahead, Failed, Here, Runner, joined
from subtensor.program.stepping import batches as stacked_batches
from subtensor.progress import progress as progress_bar
from subtensor.rewrites.engine import Selection, rewrite
from subtensor.rewrites.judge import Judge, Lengths
from subtensor.rewrites.trial import Step as Rewriting

_AMBIGUOUS = -1


class Function:
    """A compiled function. Call it with positional arguments in the order of the inputs, or by keyword.

    A call is a transaction: outputs are computed from the values of shared variables before it, then all updates are
    applied, or, on any error, none. Calls that share a variable take turns. skipped: with ``on_nonfinite="skip"``, how
    many calls made no update because something was not finite.
    """

    def __init__(
        self,
        name: str,
        parameters: Sequence[Parameter],
        form: Form,
        forms: Forms | None,
        backend: Backend,
        pack: Callable[[tuple[Any, ...]], Any],
        source: tuple[list[Variable], list[tuple[SharedVariable, Variable]]],
        selection: Selection,
        remake: Callable[..., Function],
        on_nonfinite: str | None = None,
    ) -> None:
        self.name = name
        self.on_nonfinite = on_nonfinite
        self.skipped = 0
        self._form = form
        self._forms = forms
        self.backend = backend
        self._parameters = tuple(parameters)
        self._states = [p.state.cell.lock for p in parameters if p.state is not None]
        self._by_name: dict[str, int] = {}
        for i, p in enumerate(parameters):
            if p.name is not None:
                self._by_name[p.name] = _AMBIGUOUS if p.name in self._by_name else i
        executable: Executable = form.executable if forms is None else forms
        self._execute = executable
        self._shapes: tuple[tuple[int, ...], ...] | None = None
        self._numbers: dict[Variable, int] = {}
        self._checked_call = caller(
            [(p.dtype, p.ndim) if p.free else None for p in parameters],
            self._convert,
            [s.cell for s in form.program.shared],
            backend,
            executable,
            self._diagnose,
        )
        self._call: Callable[..., tuple[Any, ...]] = self._first_call
        self._pack = pack if on_nonfinite != "skip" else partial(self._counted, pack)
        self.source = source
        self.selection = selection
        self._remake = remake
        self.__name__ = name

    def _counted(self, pack: Callable[[tuple[Any, ...]], Any], results: tuple[Any, ...]) -> Any:
        """The outputs of a call, or of many, that were made or skipped, as the last result says."""
        *outputs, made = results
        self.skipped += np.size(made) - int(np.count_nonzero(made))
        return pack(tuple(outputs))

    @property
    def program(self) -> Program:
        """What runs: where it depends on the lengths of arguments, what ran last."""
        return self._form.program if self._forms is None else self._forms.current.program

    @property
    def graph(self) -> tuple[list[Variable], list[tuple[SharedVariable, Variable]]]:
        """Outputs and updates as rewritten, for `program`."""
        return self._form.graph if self._forms is None else self._forms.current.graph

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != len(self._parameters):
            if self._states:
                return self._remembering(args, kwargs)
            args = self._bind(args, kwargs)
        return self._pack(self._call(*args))

    def _remembering(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A call in which what was not given is remembered: nobody else may change it in between."""
        with ExitStack() as held:
            for lock in self._states:
                held.enter_context(lock)
            return self._pack(self._call(*self._bind(args, kwargs)))

    def __getitem__(self, key: Variable | str) -> Any:
        """The default value of an input, given as a node or by its name: a copy."""
        value = self._parameter(key).default
        if value is REQUIRED:
            raise CallError(f"{self.name}: the input {self._parameter(key).name!r} has no default value")
        return np.array(value)

    def __setitem__(self, key: Variable | str, value: Any) -> None:
        """Another default value for an input that has one; converted as an argument is."""
        self[key]
        self._parameter(key).default = value

    def _parameter(self, key: Variable | str) -> Parameter:
        found = [p for p in self._parameters if p.variable is key or (isinstance(key, str) and p.name == key)]
        if len(found) != 1:
            names = ", ".join(p.name or f"<{p.variable.type}>" for p in self._parameters)
            many = "several inputs are" if found else "there is no input"
            raise CallError(f"{self.name}: {many} named {key!r}; the inputs are: {names}")
        return found[0]

    def copy(
        self,
        share_memory: bool = False,  # noqa: ARG002  # accepted, without effect
        swap: Mapping[SharedVariable, Any] | None = None,
        delete_updates: bool = False,
        name: str | None = None,
        profile: Any = None,  # noqa: ARG002  # as above
    ) -> Function:
        """The same function over other shared variables.

        swap: for each shared variable that is to be replaced, another of its dtype and static shape. delete_updates:
        leave all updates out. What an ``In`` remembers is copied, other shared variables are shared. share_memory and
        profile are accepted for programs written for the peers. Raises FunctionError for a variable that the function
        has not, UpdateTypeError for one that does not fit.
        """
        swapped: dict[Variable, Variable] = {}
        for old, new in (swap or {}).items():
            if old not in self.program.shared:
                raise FunctionError(
                    f"{self.name}: copy: it does not read or update {old!r}, which swap names; "
                    "expected its shared variables"
                )
            if not isinstance(new, SharedVariable) or new.type != old.type:
                raise UpdateTypeError(
                    f"{self.name}: copy: swap replaces {old!r} with {new!r}; expected a shared variable of type "
                    f"{old.type}"
                )
            swapped[old] = new
        swapped.update({p.state: p.state.__copy__() for p in self._parameters if p.state is not None and p.remembers})
        outputs, updates = self.source
        pairs = [] if delete_updates else updates
        made = replace([*outputs, *(e for _, e in pairs)], swapped)
        targets = [swapped.get(s, s) for s, _ in pairs]
        changed = list(zip(targets, made[len(outputs) :], strict=True))
        return self._remake(name or self.name, made[: len(outputs)], changed, swapped)

    def __copy__(self) -> Function:
        return self  # it runs on the variables that it was built over, whoever holds it

    def __deepcopy__(self, memo: Any) -> Function:
        return self

    def steps(self, /, *batches: Any, progress: bool | None = None, prefetch: int = 64, **named: Any) -> Any:
        """Call the function many times, and give the outputs stacked: as calls one by one do, in less time.

        batches, named: for each input an array of arguments, with one more axis in front, of one length for all: the
        number of steps. Inputs with a default may be left out. Or one iterator (of a generator, a data loader), which
        gives the arguments of one step at a time: a tuple, a dict by names, or, for a function of one input, the
        argument. Another thread takes from it, up to `prefetch` steps ahead; 0 takes each when its step is due.

        Each step is a transaction as a call is. Where one fails, all earlier ones are applied, and it and the later
        ones are not; the error names it by its number from 0, which ``error.step`` holds, as ``error.outputs`` does
        the outputs until then. progress: a bar; None: where it takes more than seconds and a terminal looks on.

        Returns the outputs in the function's form, each with one entry for each step along a first axis; a list of
        arrays where their shapes differ.
        """
        if type(prefetch) is not int or prefetch < 0:
            raise CallError(f"{self.name}: prefetch={prefetch!r}; expected a number of steps, 0 or more")
        runner = Runner(self._call, [s.cell for s in self.program.shared], self.backend, self._execute)
        if len(batches) == 1 and not named and _is_stream(batches[0]):
            return self._stream(runner, batches[0], progress, prefetch)
        return self._stacked(runner, batches, named, progress)

    def _stacked(self, runner: Runner, batches: tuple[Any, ...], named: Mapping[str, Any], shown: bool | None) -> Any:
        values = self._bind_steps(batches, named)
        count = len(values[0])
        size = runner.largest(values)
        parts = (tuple(v[low : low + size] for v in values) for low in range(0, count, size))
        return self._run_steps(runner, parts, count, shown)

    def _bind_steps(self, batches: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[Any, ...]:
        """For each input its arguments, stacked."""
        parameters = self._parameters
        given = self._bind(batches, named)
        arrays = [
            None if v is p.default and p.default is not REQUIRED else p.stacked(v)
            for p, v in zip(parameters, given, strict=True)
        ]
        counts = {p.name or p.variable.label: len(a) for p, a in zip(parameters, arrays, strict=True) if a is not None}
        if not counts:
            raise CallError(f"{self.name}: steps needs an argument for each step; expected arrays, or an iterator")
        if len(set(counts.values())) > 1:
            spelled = ", ".join(f"{n} for {name}" for name, n in counts.items())
            raise CallError(f"{self.name}: steps got arguments for unequal numbers of steps: {spelled}; expected equal")
        count = next(iter(counts.values()))
        return tuple(
            np.broadcast_to(default := np.asarray(p.default), (count, *default.shape)) if a is None else a
            for p, a in zip(parameters, arrays, strict=True)
        )

    def _stream(self, runner: Runner, items: Iterable[Any], shown: bool | None, prefetch: int) -> Any:
        parameters = self._parameters

        def ready(item: Any) -> tuple[Any, ...]:
            if isinstance(item, Mapping):
                args = self._bind((), item)
            elif isinstance(item, tuple) or (isinstance(item, list) and len(parameters) != 1):
                args = self._bind(tuple(item), {})
            else:
                args = self._bind((item,), {})
            return tuple(np.array(v) for v in self._convert(args))  # a copy: the iterator may use its array again

        source: Ahead | Here = Ahead(items, ready, prefetch) if prefetch else Here(items, ready)
        total = len(items) if isinstance(items, Sized) else None
        try:
            return self._run_steps(runner, stacked_batches(source, runner.largest), total, shown)
        finally:
            source.close()

    def _run_steps(
        self, runner: Runner, parts: Iterable[tuple[Any, ...]], total: int | None, shown: bool | None
    ) -> Any:
        found: list[tuple[Any, ...]] = []
        done, outputs = 0, len(self.program.outputs)
        with progress_bar(self.name, total, "step", shown) as bar:
            try:
                for part in parts:
                    found += runner.run(part)
                    done += len(part[0])
                    self._shapes = self._shapes or tuple(x.shape[1:] for x in part)
                    bar.update(len(part[0]))
            except Failed as failed:
                step, error = done + failed.made, failed.error
                outputs_until = self._pack(joined([*found, *failed.outputs], outputs))
                raise _numbered(error, step, outputs_until) from None
        return self._pack(joined(found, outputs))

    def _first_call(self, *args: Any) -> tuple[Any, ...]:
        """A call that notes the shapes of its arguments, for ``explain``; later ones do not come by here."""
        result = self._checked_call(*args)
        self._shapes = tuple(np.shape(a) for a in args)
        inputs = zip(self.program.inputs, args, strict=True)
        self._numbers = {v: int(a) for v, a in inputs if not v.ndim and is_integer(v.dtype)}
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
            program = unexpanded(self.name, inputs, outputs, updates)
        except Unsupported:  # an op that only another backend runs
            return
        cells = [s.cell for s in program.shared]
        slots = diagnose_at(program, [np.asarray(a) for a in args], cells, reference.evaluate, operations)
        if slots is not None and self.on_nonfinite == "raise":
            refuse(program, slots, self.name)
            if not isinstance(sys.exception(), MemoryError):
                raise NonFiniteError(
                    f"{self.name}: an output or what would be written is not finite on the backend "
                    f"{self.backend.name!r}; on NumPy it is: they may differ near the ends of what a dtype holds"
                )

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

    def compile(self, shapes: Sequence[tuple[int, ...]] | None = None) -> Function:
        """Compile now what the first call would compile, and return the function itself.

        shapes: of the arguments, in the order of the inputs, for backends to which they matter. A backend that compiles
        nothing, or only when it sees values, leaves it to the first call. Raises CallError for a wrong number of them.
        """
        if shapes is not None and len(shapes) != len(self._parameters):
            raise CallError(
                f"{self.name}: compile: {len(shapes)} shapes for {len(self._parameters)} inputs; expected equal"
            )
        prepare = getattr(self._execute, "prepare", None)
        if prepare is not None:
            prepare(shapes)
        return self

    def explain(
        self, *, rewrites: bool = False, above: int = ABOVE, shapes: Sequence[tuple[int, ...]] | None = None
    ) -> Explanation:
        """What the step does and what that takes: each update, in place or not, rows or the whole table, and why; each
        output; what is made on the way; bytes and operations as formulas in lengths and, once the function was called,
        as numbers, which are those of the first call.

        rewrites: also list every rewrite. above: bytes of the smallest intermediate that is told. shapes: those of the
        arguments, for numbers without a call. Raises CallError for a wrong number of them.
        """
        if shapes is not None and len(shapes) != len(self._parameters):
            raise CallError(
                f"{self.name}: explain: {len(shapes)} shapes for {len(self._parameters)} inputs; expected equal"
            )
        steps: list[Rewriting] | None = None
        if rewrites:
            outputs, updates = self.source
            steps = []
            rewrite([*outputs, *(e for _, e in updates)], self.selection, steps, [s for s, _ in updates])
        return explanation(
            self._step(),
            self.backend.name,
            self._shapes if shapes is None else shapes,
            self._numbers if shapes is None else {},
            above=above,
            steps=steps,
            notes=getattr(self._execute, "notes", tuple)(),
        )

    def profile(self, /, *args: Any, rounds: int = 5, **named: Any) -> Profile:
        """Where the time of a call goes, beside what it costs by the model: by instruction on NumPy, by loop on Numba,
        by stage on JAX, with what XLA says of each.

        args, named: as for a call. rounds: how many calls the medians are of. Nothing is updated: the calls are made on
        copies of what the function updates, for which there must be memory. Raises what a call raises, and CallError
        for wrong `rounds`.
        """
        if type(rounds) is not int or rounds < 1:
            raise CallError(f"{self.name}: profile: rounds={rounds!r}; expected a number of calls, 1 or more")
        values = tuple(np.asarray(v) for v in self._convert(self._bind(args, named)))
        shared = self.program.shared
        updated = {self.program.shared[c.shared] for c in self.program.commits}
        with ExitStack() as held:
            for s in sorted(shared, key=lambda s: s.cell.number):
                held.enter_context(s.cell.lock)
            cells = tuple(s.cell.copy() if s in updated else s.cell for s in shared)
            call = caller([None] * len(values), lambda args: args, cells, self.backend, self._execute, self._diagnose)
            began = time.perf_counter()
            call(*values)
            first = time.perf_counter() - began
            took = []
            for _ in range(rounds):
                began = time.perf_counter()
                call(*values)
                took.append(time.perf_counter() - began)
            executable = self._execute if self._forms is None else self._forms.current.executable
            seconds = float(np.median(took))
            measured = getattr(executable, "profile", None)
            timings = [Timing("the whole call", (), seconds)] if measured is None else measured(values, cells, rounds)
            known: dict[Variable, tuple[int, ...]] = {}
            known |= {s: tuple(map(int, np.shape(c.data))) for s, c in zip(shared, cells, strict=True)}
        inputs = self.program.inputs
        known.update((v, a.shape) for v, a in zip(inputs, values, strict=True))
        numbers = {v: int(a) for v, a in zip(inputs, values, strict=True) if not v.ndim and is_integer(v.dtype)}
        return profile(
            self._step(), self.backend.name, timings, known, numbers, seconds=seconds, first=first, calls=rounds,
            notes=getattr(self._execute, "notes", tuple)(),
        )  # fmt: skip

    def _step(self) -> Step:
        """What ran last, for reports."""
        return Step(self.program, self.source, *self.graph, self.selection, _reads_fuse(self.backend))

    def all_steps(self) -> list[Step]:
        """What was compiled so far, for reports: a form for each choice that depends on the lengths of arguments."""
        forms = [self._form] if self._forms is None else self._forms.all
        return [Step(f.program, self.source, *f.graph, self.selection, _reads_fuse(self.backend)) for f in forms]

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


def assert_rows_only(fn: Function, *tables: SharedVariable) -> None:
    """For tests: raise AssertionError, with the reasons, unless a step touches rows of its tables only.

    Nothing of the size of a table may be read, written or allocated, intermediates and optimizer state included; so its
    time and memory do not grow with the table. tables: shared variables of the function; without any, all of which it
    selects rows at positions that are not constant. It looks at what was compiled, and calls nothing.
    """
    if not isinstance(fn, Function):
        raise FunctionError(f"assert_rows_only: got {fn!r}; expected a compiled function, and perhaps tables")
    for t in tables:
        if t not in fn.program.shared:
            raise FunctionError(
                f"assert_rows_only: {fn.name} does not read or update {t!r}; expected its shared variables"
            )
    for step in fn.all_steps():
        if not tables and not step.tables():
            raise AssertionError(f"{fn.name} selects rows of no shared variable; name what is a table to you")
        found = refuse_whole_tables(step, tables)
        if found:
            listed = "".join(f"\n  - {line}" for line in found)
            raise AssertionError(f"{fn.name} on {fn.backend.name} does not touch rows only:{listed}")


def _reads_fuse(backend: Backend) -> bool:
    return bool(getattr(backend, "reads_fuse", False))


def _is_stream(value: Any) -> bool:
    """Whether a value gives the arguments of one step after the other, and is not all of them."""
    array_like = hasattr(value, "__array__") or hasattr(value, "__dlpack__") or isinstance(value, Sequence | Variable)
    return isinstance(value, Iterable) and not array_like


def _numbered(error: BaseException, step: int, outputs: Any) -> BaseException:
    """An error of a step, with its number."""
    if error.args and isinstance(error.args[0], str):
        error.args = (f"step {step}: {error.args[0]}", *error.args[1:])
    else:
        error.add_note(f"in step {step}")
    error.step, error.outputs = step, outputs  # type: ignore[attr-defined]  # for those who want to go on
    return error


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
    no_default_updates: bool | Sequence[SharedVariable] = False,
    accept_inplace: bool = False,
    on_nonfinite: str | None = None,
) -> Function:
    """Compile a graph.

    inputs: input nodes or ``In`` objects, in the order of the arguments; also nodes computed from others, such as a
    subset ``table[ids]``: what is given takes their place, and what they were computed from is not needed. outputs:
    None, a node, a list or tuple, or a dict of nodes: the call returns the like. updates: pairs (shared variable, new
    value), or a dict; all are applied at once after the outputs are computed. givens: pairs (node, replacement), or a
    dict: replaced in the graph first, all at once, intermediate nodes included. backend: its name; ``config.backend``
    by default. on_unused_input: ``raise`` (default), ``warn`` or ``ignore``. allow_input_downcast: True lets arguments
    lose precision, False not even Python floats. rewrites: True, False, or names and tags of rewrites to use (see
    ``docs/rewrites.md``). no_default_updates: True, or a list of the shared variables whose ``default_update`` is not
    to be made; all others that the function reads are, unless `updates` has another one for them. on_nonfinite: what
    becomes of a call of which an output, or what it would write (rows, increments, new values), holds NaN or infinity:
    ``raise`` NonFiniteError, which says where that arose, or ``skip`` its updates, all of them, and return the outputs;
    ``fn.skipped`` counts such calls. None: nothing is looked at. mode and accept_inplace are accepted for programs
    written for the peers and have no effect.

    Raises FunctionError and its kin while building: MissingInputError, UnusedInputError, UpdateError.
    """
    label = "function" if name is None else checked_name(name, "function: name")
    if allow_input_downcast not in (None, True, False) or isinstance(allow_input_downcast, float):
        raise FunctionError(f"{label}: allow_input_downcast={allow_input_downcast!r}; expected None, True or False")
    specs = _input_specs(inputs, label)
    nodes, pack = _output_form(outputs)
    pairs = _update_pairs(updates, label)
    replacements = _given_pairs(givens, label)
    specs, cuts = _cut(specs)
    if cuts:
        given = list(replacements.values())
        replaced = replace([*nodes, *(e for _, e in pairs), *given], cuts)
        nodes, rest = replaced[: len(nodes)], replaced[len(nodes) :]
        pairs = [(s, e) for (s, _), e in zip(pairs, rest[: len(pairs)], strict=True)]
        replacements = dict(zip(replacements, rest[len(pairs) :], strict=True))
    if replacements:
        replaced = replace([*nodes, *(e for _, e in pairs)], replacements)
        nodes = replaced[: len(nodes)]
        pairs = [(s, e) for (s, _), e in zip(pairs, replaced[len(nodes) :], strict=True)]
    parameters = [Parameter(s, allow_input_downcast, label) for s in specs]
    pairs += _remembered(parameters, pairs, label)
    pairs += _defaults([*nodes, *(e for _, e in pairs)], [s for s, _ in pairs], no_default_updates, label)
    pairs = [(s, _checked_update(s, e, label)) for s, e in pairs]
    _check_unused(specs, [*nodes, *(e for _, e in pairs)], on_unused_input or "raise", label)

    plugins.load_extensions()
    target = plugins.get_backend(backend or config.backend)
    selection = Selection.of(rewrites, plugins.rewrites(target.name))
    choice = checked_choice(on_nonfinite, label)
    return _compiled(parameters, target, pack, selection, choice, label, nodes, pairs)


def _compiled(
    parameters: Sequence[Parameter],
    target: Backend,
    pack: Callable[[tuple[Any, ...]], Any],
    selection: Selection,
    on_nonfinite: str | None,
    label: str,
    nodes: list[Variable],
    pairs: list[tuple[SharedVariable, Variable]],
    swapped: Mapping[Variable, Variable] | None = None,
) -> Function:
    """A function of checked outputs and updates. swapped: other shared variables for what parameters remember."""
    lowerings = plugins.lowerings(target.name)
    owners = plugins.lowering_owners(target.name)
    operations = {*target.operations, *lowerings}
    roots = [*nodes, *(e for _, e in pairs)]

    def make(lengths: Lengths | None = None, *, again: bool = False) -> Form:
        judge = Judge(lengths)
        graph = rewrite(roots, selection, commits=[s for s, _ in pairs], judge=judge)
        outs, new = graph[: len(nodes)], graph[len(nodes) :]
        changed = [(s, e) for (s, _), e in zip(pairs, new, strict=True)]
        # all forms have the variables of the graph as written, in one order
        shared = [v for v in toposort(roots) if isinstance(v, SharedVariable)] if judge.asked or again else []
        inputs = [p.variable for p in parameters]
        program = build(label, inputs, *guarded(outs, changed, on_nonfinite), operations, target.name, shared=shared)
        if BFLOAT16 not in target.capabilities and any(t.dtype == BFLOAT16 for t in program.types):
            raise Unsupported(BFLOAT16)
        executable = target.compile(program, lowerings=checked_lowerings(program, lowerings, owners))
        return Form((outs, changed), program, executable, tuple(judge.asked))

    first = make()
    forms = Forms(first, partial(make, again=True)) if first.asked else None
    warn_of_whole_tables(Step(first.program, (nodes, pairs), *first.graph, selection, _reads_fuse(target)))
    own = [p.over(swapped or {}) for p in parameters]
    remake = partial(_compiled, own, target, pack, selection, on_nonfinite)
    return Function(label, own, first, forms, target, pack, (nodes, pairs), selection, remake, on_nonfinite)


def _remembered(
    parameters: Sequence[Parameter], pairs: Sequence[tuple[SharedVariable, Variable]], label: str
) -> list[tuple[SharedVariable, Variable]]:
    """The updates of what inputs remember."""
    found = []
    for p in parameters:
        if p.update is None or p.state is None:
            continue
        if any(s is p.state for s, _ in pairs):
            raise UpdateError(
                f"{label}: {p.state.label} is updated twice, in updates and by In(update=…); expected one of them"
            )
        value = _scalar_like(p.state, p.update) if is_weak(p.update) else as_tensor(p.update)
        found.append((p.state, value))
    return found


def _defaults(
    expressions: Sequence[Variable],
    updated: Sequence[SharedVariable],
    excepted: bool | Sequence[SharedVariable],
    label: str,
) -> list[tuple[SharedVariable, Variable]]:
    """The default updates that a function makes."""
    if isinstance(excepted, bool):
        return [] if excepted else default_updates(expressions, updated)
    for s in excepted:
        if not isinstance(s, SharedVariable):
            raise FunctionError(f"{label}: no_default_updates holds {s!r}; expected True, False or shared variables")
    return default_updates(expressions, {*updated, *excepted})


def _input_specs(inputs: Any, label: str) -> list[In]:
    if isinstance(inputs, Variable | In):
        raise FunctionError(f"{label}: inputs must be a list; write [{inputs!r}]")
    if isinstance(inputs, AbstractSet | Mapping):
        raise FunctionError(f"{label}: inputs are a {type(inputs).__name__}; expected a list, which has an order")
    specs = [i if isinstance(i, In) else In(i) for i in inputs]
    seen: set[Variable] = set()
    for s in specs:
        if isinstance(s.variable, SharedVariable):
            raise FunctionError(
                f"{label}: {s.variable!r} is shared and cannot be an input; its value is read at each call. "
                "To replace it, use givens"
            )
        if isinstance(s.variable, Constant) or not isinstance(s.variable, Variable):
            raise FunctionError(f"{label}: {s.variable!r} is not an input; expected st.vector() and its like")
        if s.variable in seen:
            raise FunctionError(f"{label}: the input {s.variable.label} is listed twice")
        seen.add(s.variable)
    return specs


def _cut(specs: list[In]) -> tuple[list[In], dict[Variable, Variable]]:
    """The specs over inputs alone, and what stands for the computed nodes among them, and for their lengths."""
    listed = {s.variable for s in specs}
    cuts: dict[Variable, Variable] = {}
    result = []
    for spec in specs:
        node = spec.variable
        if not isinstance(node, Input):
            place = Input(node.type, name=node.label)
            cuts[node] = place
            for axis, d in enumerate(lengths(node)):
                if d.op is not None and d.op.name == "length" and d.inputs[0] not in listed:
                    cuts[d] = length(place, axis)
            spec = copy.copy(spec)  # noqa: PLW2901  # what the caller made stays as it is
            spec.variable = place
        result.append(spec)
    return result, cuts


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
            raise UpdateError(
                f"{label}: {s!r} is not a shared variable; only shared variables can be updated: {_instead(s)}"
            )
        if s in seen:
            raise UpdateError(
                f"{label}: {s.label} is updated twice; expected one update for each shared variable: write both "
                "changes as one expression, such as st.inc_subtensor(st.inc_subtensor(t[i], a)[j], b)"
            )
        seen.add(s)
        pairs.append((s, _scalar_like(s, e) if is_weak(e) else as_tensor(e)))
    return pairs


def _instead(given: Any) -> str:
    """What to write in place of an update of something that is no shared variable."""
    if isinstance(given, Variable) and given.op is not None and given.op.name == "subtensor":
        table, part = given.inputs[0].label, given.label
        return f"({table}, {part}.set(value)), or ({table}, {part}.inc(change)), writes this part of {table}"
    return "make one with st.shared(value)"


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
            raise FunctionError(f"{label}: givens replaces {old.label} twice; expected one replacement")
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
    used |= mentioned(used)
    unused = [s.variable.label for s in specs if s.variable not in used]
    if not unused:
        return
    message = (
        f"{label}: no output or update uses the input {', '.join(unused)}; remove it, or pass on_unused_input='ignore'"
    )
    if action == "raise":
        raise UnusedInputError(message)
    warn(message)


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
    """The value of a node, given those of its inputs, by node or by name; compiled anew at each call.

    Also given may be shared variables, instead of whose values others are taken, and computed nodes.
    """
    given = dict(inputs_to_values or {})
    by_name: dict[Any, Variable] = {v.name: v for v in toposort([variable]) if v.op is None and v.name is not None}
    nodes = [by_name.get(k, k) for k in given]
    instead: dict[Variable, Variable] = {v: Input(v.type, name=v.label) for v in nodes if isinstance(v, SharedVariable)}
    settings = {"on_unused_input": "ignore", "allow_input_downcast": None, "givens": instead, **options}
    run = function([instead.get(v, v) for v in nodes], variable, **settings)
    return run(*given.values())
