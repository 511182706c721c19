"""Every public function, with a table of wrong arguments: an error of this library that says where, and no hang."""

import contextlib
import inspect
import re
import signal
import warnings

import numpy as np
import pytest

import subtensor as st
from subtensor.errors import SubtensorError

WRONG = {
    "None": lambda: None,
    "object": object,
    "str": lambda: "abc",
    "bytes": lambda: b"a",
    "dict": dict,
    "set": lambda: {1},
    "a list of None": lambda: [None],
    "a ragged list": lambda: [[1], [2, 3]],
    "ints": lambda: [-1, 5, 2],
    "nothing": list,
    "a generator": lambda: (k for k in [1]),
    "float": lambda: 1.5,
    "int": lambda: -1,
    "a large int": lambda: 10**60,
    "nan": lambda: float("nan"),
    "complex": lambda: 1j,
    "function": lambda: lambda: 0,
    "class": lambda: int,
    "masked array": lambda: np.ma.masked_array([1.0, 2], [False, True]),
    "array of objects": lambda: np.array([object()]),
    "dates": lambda: np.array(["2020-01-01"], "datetime64[D]"),
}

LEFT_OUT = {"backends": "takes no argument that could be wrong", "hookimpl": "is pluggy's own"}


def public():
    for name in st.__all__:
        f = getattr(st, name)
        if inspect.isroutine(f) and name not in LEFT_OUT:
            yield name, f
    for name in st.optimizers.__all__:
        f = getattr(st.optimizers, name)
        if inspect.isroutine(f):
            yield f"optimizers.{name}", f


FUNCTIONS = dict(public())
X, TABLE = st.dmatrix("x"), st.shared(np.ones((3, 3)), "table")


def good(name, parameter):
    if name.startswith("optimizers."):
        return {"cost_or_grads": (TABLE**2).sum(), "params": [TABLE]}.get(parameter.name, 0.1)
    return X


def attempts(name, f):
    """Calls with one wrong argument, and how they are spelled."""
    parameters = list(inspect.signature(f).parameters.values())
    needed = [p for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    for label, make in WRONG.items():
        for k, _ in enumerate(needed):
            args = [good(name, p) for p in needed]
            args[k] = make()
            yield f"{needed[k].name} is {label}", args, {}
        for p in parameters:
            if p.kind is p.VAR_POSITIONAL:
                yield f"*{p.name} is {label}", [*(good(name, q) for q in needed), make()], {}
            elif p.default is not p.empty:
                yield f"{p.name} is {label}", [good(name, q) for q in needed], {p.name: make()}
    yield "nothing", [], {}
    yield "too much", [X] * 30, {}
    yield "unknown", [good(name, p) for p in needed], {"no_such_argument": 1}


def failure(call):
    """The error of a call, or None."""

    def ring(*_):
        raise TimeoutError("the call hangs")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(10)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is looked at
        return error
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return None


def complaints(where, error):
    """What is wrong with an error, by the rules of this library."""
    text = str(error)
    if not isinstance(error, SubtensorError):
        yield f"{where}: {type(error).__name__}: {text[:100]}"
    elif re.search(r"\d{41,}", text) or "object has no attribute" in text or "not iterable" in text or len(text) < 15:
        yield f"{where}: {text[:200]}"


@pytest.mark.numpy_only("graphs are built without a backend")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_wrong_arguments_get_an_error_of_this_library(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wrong = []
    for how, args, kwargs in attempts(name, FUNCTIONS[name]):
        error = failure(lambda args=args, kwargs=kwargs: FUNCTIONS[name](*args, **kwargs))
        if error is not None and not (name.startswith(("load", "save")) and isinstance(error, OSError)):
            wrong += complaints(how, error)
    assert not wrong, "\n".join(wrong)


METHODS = [n for n in dir(st.Variable) if n[0] != "_" and callable(getattr(st.Variable, n))]


@pytest.mark.numpy_only("graphs are built without a backend")
@pytest.mark.parametrize("name", METHODS)
def test_wrong_arguments_of_methods(name):
    wrong = []
    for label, make in WRONG.items():
        error = failure(lambda make=make: getattr(X[0], name)(make()))
        if error is not None and not isinstance(error, TypeError | SubtensorError):
            wrong += complaints(label, error)
    assert not wrong, "\n".join(wrong)


@pytest.mark.numpy_only("names its backends itself")
@pytest.mark.parametrize("dtype", ["float64", "int64", "bool"])
def test_wrong_arguments_of_a_call_are_the_same_on_both_backends(dtype):
    x = st.tensor("x", dtype, (None,))
    on = [st.function([x], st.cumsum(x), backend=b, name="f") for b in ("numpy", "jax")]
    for label, make in WRONG.items():
        errors = [failure(lambda f=f, make=make: f(make())) for f in on]
        kinds = [type(e) for e in errors]
        assert kinds[0] is kinds[1], label
        texts = [re.sub(r"0x[0-9a-f]+", "", str(e)) for e in errors]
        assert texts[0] == texts[1], label
        for error in errors:
            if error is not None:
                assert not list(complaints(label, error))
                assert "argument x" in str(error)


def test_errors_name_what_was_called():
    v = st.vector("v")
    for call, begins in (
        (lambda: st.zeros((-1,)), "zeros: the length -1"),
        (lambda: st.dimshuffle(st.ones((2, 2)), 0), "dimshuffle: axis 1"),
        (lambda: v + object(), "add: cannot make a tensor"),
        (lambda: st.split(v, None), "split: cannot make a tensor of None"),
        (lambda: v.sum("a"), "sum: axis 'a'"),
        (lambda: st.add(1), "add: missing a required argument: 'y'"),
        (lambda: st.optimizers.adam(TABLE.sum(), [TABLE], betas=3), "adam: "),
    ):
        with pytest.raises(SubtensorError) as raised:
            call()
        assert str(raised.value).startswith(begins)


# --- what was accepted in silence


def test_settings_that_there_are_not():
    for set_it in (lambda: setattr(st.config, "floatx", "float32"), lambda: setattr(st.config, "backends", "jax")):
        with pytest.raises(st.SettingError, match="there is no such setting; expected one of floatX"):
            set_it()
    with pytest.raises(st.SettingError), st.config.change_flags(floatx="float32"):
        pass
    for name, value in (("floatX", ["float32"]), ("backend", 3), ("check_promises", "yes")):
        with pytest.raises(st.DTypeError, match=f"config.{name}: got"):
            setattr(st.config, name, value)


def test_a_mask_is_no_list_of_ids():
    ids = st.lvector("ids")
    f = st.function([ids], TABLE[ids])
    for mask in (np.array([True, False, True]), [True, False, True]):
        with pytest.raises(st.DTypeError, match=r"ids takes int64, got a mask: bool of shape \(3,\); give positions"):
            f(mask)
    n = st.lscalar("n")
    assert st.function([n], n + 1)(True) == 2


def test_masked_arrays_are_refused():
    masked = np.ma.masked_array([1.0, 2.0], [False, True])
    v, s = st.vector("v"), st.shared(np.ones(2))
    for call in (
        lambda: st.constant(masked),
        lambda: st.shared(masked),
        lambda: v + masked,
        lambda: st.function([v], v)(masked),
        lambda: s.set_value(masked),
    ):
        with pytest.raises(st.DTypeError, match=r"masked array, whose mask would be lost; expected an array"):
            call()


@pytest.mark.parametrize("make", [st.constant, st.shared])
@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (np.array([300]), "uint8"),
        (np.array([-1]), "uint64"),
        (np.array([2**40]), "int32"),
        (np.array([np.nan, 1.0]), "int64"),
        (np.array([np.inf]), "int32"),
        (np.array([1e30]), "int64"),
        (np.float64("nan"), "int8"),
        ([300], "uint8"),
        (300, "uint8"),
        (float("nan"), "int64"),
        (float("inf"), "int64"),
    ],
)
def test_numbers_that_do_not_fit_a_dtype_are_refused(make, value, dtype):
    with contextlib.suppress(RuntimeWarning), pytest.raises(st.DTypeError, match=r"fit|out of bounds|cannot make"):
        make(value, dtype=dtype)
    assert make(np.array([7.0]), dtype=dtype).dtype == dtype


def test_options_of_a_wrong_type():
    v = st.vector("v")
    for options in (
        {"rewrites": None},
        {"rewrites": 3},
        {"allow_input_downcast": "no"},
        {"allow_input_downcast": 1.0},
        {"on_unused_input": 3},
        {"name": 5},
        {"backend": 5},
    ):
        with pytest.raises(SubtensorError):
            st.function([v], v, **options)
