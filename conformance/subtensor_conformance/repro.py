"""A stand-alone script for a case: it needs the frontend and the backend, and not this suite."""

from __future__ import annotations

import math
from collections.abc import Sequence

from subtensor_conformance.case import Case, Given, Value
from subtensor_conformance.compare import Array, Bound
from subtensor_conformance.expectation import Expectation
from subtensor_conformance.oracle.sequences import Pattern

HEAD = '''\
"""{id}

{about}
Exit status: 0 if the backend does what is due, 1 if not.
"""

import sys
import threading

import numpy as np

import subtensor as st

nan, inf = float("nan"), float("inf")
BACKEND = sys.argv[1] if len(sys.argv) > 1 else {backend!r}
faults = []


def compare(what, expected, got, allowed):
    """allowed: the largest error, for each element; None where all bits must agree."""
    ok = type(got) is np.ndarray and got.dtype == expected.dtype and got.shape == expected.shape
    if ok and allowed is None:
        same = (expected == got) | ((expected != expected) & (got != got))
        if expected.dtype.kind == "f":
            same &= (expected != 0) | (np.signbit(expected) == np.signbit(got))
        ok = bool(np.all(same))
    elif ok:
        with np.errstate(invalid="ignore"):
            near = (expected == got) | (np.isnan(expected) & np.isnan(got)) | (abs(expected - got) <= allowed)
        ok = bool(np.all(near))
    print(("ok   " if ok else "WRONG"), what)
    if not ok:
        faults.append(what)
        print("expected:", repr(expected))
        print("got:     ", repr(got), getattr(got, "dtype", ""))


def owned(what, outputs, others):
    for k, o in enumerate(outputs):
        others = [*others, *outputs[:k]]
        ok = type(o) is np.ndarray and o.flags.writeable and not any(np.shares_memory(o, a) for a in others)
        print(("ok   " if ok else "WRONG"), f"{what}: output {k} belongs to the caller")
        if not ok:
            faults.append(what)


def strided(a):
    """The same values, not side by side, columns first, backwards along the first axis, and read-only."""
    wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]) if a.ndim else (2,), a.dtype, order="F")
    view = wide[..., ::2][::-1] if a.ndim else wide[0, ...]
    view[...] = a
    view.flags.writeable = False
    return view


def due(what, name, text, action):
    try:
        action()
    except Exception as error:
        ok = type(error).__name__ == name and text in str(error)
        print(("ok   " if ok else "WRONG"), what, "raised", type(error).__name__ + ":", error)
    else:
        ok = False
        print("WRONG", what, "raised nothing")
    if not ok:
        faults.append(what)
        print("expected:", name + ":", text)

'''


def script(case: Case, backend: str) -> str:
    """Source that builds the case's program, makes its calls, and compares with what the oracle says."""
    within = f"{case.ulps:g} ulp x {case.addends} addends + {case.absolute:g}"
    about = f"Bound: {'exact' if not case.ulps and not case.absolute else within}."
    lines = [HEAD.replace("{id}", case.id).replace("{about}", about).replace("{backend!r}", repr(backend))]
    lines += [_declared(g) for g in case.inputs]
    shared = []
    for g in case.shared:
        assert g.value is not None
        shared.append(f"{g.name} = st.shared({_array(g.value)}, name={g.name!r}, shape={g.shape})")
    lines += shared
    body = [f"{name} = {source}" for name, source in case.lets]
    if case.step:
        body.append(f"step = {case.step}")
    inputs = ", ".join(g.name for g in case.inputs)
    updates = ", ".join(f"({name}, {source})" for name, source in case.updates)
    if case.step:
        updates += ", *step.items()" if updates else "*step.items()"
    body.append(
        f"f = st.function([{inputs}], [{', '.join(case.outputs)}], updates=[{updates}], backend=BACKEND, "
        "on_unused_input='ignore')"
    )
    if case.step:
        body.append("own = {s.name: s for s in step.state}")
    if case.then:
        other = "'numpy'" if case.elsewhere else "BACKEND"
        then = ", ".join(f"({name}, {source})" for name, source in case.then)
        body.append(
            f"second = st.function([{inputs}], [], updates=[{then}], backend={other}, on_unused_input='ignore')"
        )
    if case.raises is not None:
        lines += ["\ndef build():", *(f"    {line}" for line in body), "\n"]
        lines.append(f"due('building', {case.raises[0]!r}, {case.raises[1]!r}, build)")
    else:
        lines += body
        lines += _calls(case)
    if case.resume:
        lines += ["resumed('the same function', f, held)", *shared, *body, _held(case)]
        lines.append("resumed('a function built anew', f, held)")
    lines.append("sys.exit(1 if faults else 0)\n")
    return "\n".join(lines)


def _declared(g: Given) -> str:
    return f"{g.name} = st.tensor({g.name!r}, {g.dtype!r}, {g.shape})"


def _held(case: Case) -> str:
    names = ", ".join(f"{g.name!r}: {g.name}" for g in case.shared)
    return f"held = {{{names}{', **own' if case.step else ''}}}"


RESUMED = """\
after = {name: s.get_value() for name, s in held.items()}


def resumed(who, f, held):
    for name, s in held.items():
        s.set_value(saved[name])
    f(*kept)
    for name, s in held.items():
        compare(f"{who} goes on from the state before the last call: {name}", after[name], s.get_value(), None)

"""


TOGETHER = """\
alone = [[o.tobytes() for o in f(*arguments)] for arguments in calls]
differ = []
start = threading.Barrier(4)


def work(first):
    start.wait()
    for k in range(first, first + 100):
        n = k % len(calls)
        try:
            got = [o.tobytes() for o in f(*calls[n])]
        except Exception as error:
            got = repr(error)
        if got != alone[n]:
            differ.append(f"call {n}")


sys.setswitchinterval(1e-6)
threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(("WRONG" if differ else "ok   "), "calls from four threads give what each gives alone", *differ[:5])
faults += differ
"""

INTERRUPTED = """\
own_code = type(st.plugins.get_backend(BACKEND)).__module__.partition(".")[0]


def state():
    return {name: s.get_value().tobytes() for name, s in held.items()}


def interrupted(at):
    \"\"\"The last call again, ended at an instruction of the backend's own Python code; gives how many it passed.\"\"\"
    for name, s in held.items():
        s.set_value(saved[name])
    passed = 0

    def each(frame, event, arg):
        nonlocal passed
        if event == "opcode":
            passed += 1
            if passed - 1 == at:
                raise KeyboardInterrupt
        return each

    def enter(frame, event, arg):
        module = frame.f_globals.get("__name__") or ""
        generated = not module and frame.f_code.co_filename != "<subtensor call>"
        if module.partition(".")[0] == own_code or generated:
            frame.f_trace = each
            frame.f_trace_opcodes = True
            return each

    sys._getframe().f_trace_opcodes = True
    sys.settrace(enter)
    try:
        f(*kept)
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(None)
    return passed


count = interrupted(-1)
whole = [{name: v.tobytes() for name, v in saved.items()}, state()]
torn, reached = [], 0
for at in range(count):
    reached += interrupted(at) == at + 1
    if state() not in whole:
        torn.append(at)
print(("WRONG" if torn else "ok   "), f"a KeyboardInterrupt at {reached} moments never divides the step", *torn[:5])
faults += torn
if not reached or reached < 0.9 * count:
    print("WRONG: of", count, "moments", reached, "were reached, which proves nothing")
    faults.append("moments")
"""


def _calls(case: Case) -> list[str]:
    lines: list[str] = []
    expectation = Expectation(case)
    for n, call in enumerate(case.calls):
        if call.raises is None:
            expectation.set(call)
        lines += [f"{name}.set_value({_array(v)})" for name, v in call.sets]
        if (case.resume or case.interrupted) and n == len(case.calls) - 1:
            lines += [_held(case), "saved = {name: s.get_value() for name, s in held.items()}"]
        arguments = ", ".join(_array(v) for v in call.arguments)
        if call.raises is not None:
            lines.append(f"due('call {n}', {call.raises[0]!r}, {call.raises[1]!r}, lambda: f({arguments}))")
        else:
            lines.append(f"arguments = [{arguments}]")
            lines.append("kept = [a.copy() for a in arguments]")
            lines.append("outputs = f(*arguments)")
            results = expectation.call(call)
            compared = [
                f"{case.outputs[i]!r}, {_spelled(e)}, outputs[{i}], {_allowed(case, e)})" for i, e in enumerate(results)
            ]
            lines += [f"compare('call {n}: ' + {c}" for c in compared]
            held = ", ".join(f"{g.name}.get_value(borrow=True)" for g in case.shared)
            if case.step:
                held += ", *(s.get_value(borrow=True) for s in own.values())"
            lines.append(f"owned('call {n}', outputs, [*arguments, {held}])")
            lines += [
                "for k, (before, after) in enumerate(zip(kept, arguments)):",
                f"    compare(f'call {n}: argument {{k}} is unchanged', before, after, None)",
            ]
            if not case.updates and not case.step:
                lines.append("outputs = f(*map(strided, kept))")
                lines += [f"compare('call {n} with read-only strided arguments: ' + {c}" for c in compared]
        lines += _state(case, f"call {n}: the new ", expectation)
        if case.then and call.raises is None:
            expectation.second(call)
            lines.append(f"second({arguments})")
            lines += _state(case, f"call {n}: after the second function, ", expectation)
    if case.resume:
        lines.append(RESUMED)
    if case.interrupted:
        lines.append(INTERRUPTED)
    if case.together:
        calls = (", ".join(map(_array, call.arguments)) for call in case.calls)
        lines += [f"calls = [{', '.join(f'[{c}]' for c in calls)}]", TOGETHER]
    if case.flush:
        expectation.flush()
        lines += ["step.flush(BACKEND)", *_state(case, "after the flush: ", expectation)]
    return lines


def _state(case: Case, what: str, expectation: Expectation) -> list[str]:
    lines = []
    for name, v in expectation.values().items():
        held = f"own[{name!r}]" if "." in name else name
        lines.append(f"compare('{what}{name}', {_spelled(v)}, {held}.get_value(), {_allowed(case, v)})")
    return lines


def _allowed(case: Case, expected: Array) -> str:
    bound = Bound.of(case)
    if bound.exact or expected.dtype.kind != "f":
        return "None"
    _, allowed = bound.sizes(expected)
    return f"np.array({_numbers(allowed.ravel().tolist())}).reshape({expected.shape})"


def _array(v: Value) -> str:
    if isinstance(v.data, Pattern):
        p, k = v.data, f"np.arange({v.data.length})"
        whole = f"({k} * {p.step} + {k} ** 2 // 7) % {p.modulus} - {p.shift}"
        return f"(({whole}) / {p.divisor}).astype({v.dtype!r}).reshape({v.shape})"
    return f"np.array({_numbers(v.data)}, dtype={v.dtype!r}).reshape({v.shape})"


def _spelled(a: Array) -> str:
    return f"np.array({_numbers(a.ravel().tolist())}, dtype={a.dtype.name!r}).reshape({a.shape})"


def _numbers(data: Sequence[object]) -> str:
    return "[" + ", ".join("nan" if isinstance(v, float) and math.isnan(v) else repr(v) for v in data) + "]"
