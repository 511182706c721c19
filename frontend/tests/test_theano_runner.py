"""``python -m subtensor.theano``: programs of Theano's run as they are, and what is missing ends in one line."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap

import pytest

from subtensor.theano.missing import _INSTEAD, remedy
from subtensor.theano.names import MODULES

pytestmark = pytest.mark.filterwarnings("error")


def run(folder, source, *arguments, options=(), env=None):
    """A program run in a process of its own."""
    program = folder / "program.py"
    program.write_text(textwrap.dedent(source), encoding="utf-8")
    command = [sys.executable, "-m", "subtensor.theano", *options, str(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=300)


def answers(folder, source, *arguments, **settings):
    done = run(folder, source, *arguments, **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_program_runs_as_it_is(tmp_path):
    (tmp_path / "beside.py").write_text("import theano\nhalf = theano.shared(0.5)\n", encoding="utf-8")
    shown = answers(
        tmp_path,
        """
        import sys
        from collections import OrderedDict

        import numpy
        import theano
        import theano.tensor as T
        from theano import function, ifelse, pp, shared
        from theano.compile import SharedVariable
        from theano.sandbox.rng_mrg import MRG_RandomStreams
        from theano.tensor.nnet import conv2d
        from theano.tensor.shared_randomstreams import RandomStreams
        from theano.tensor.signal import pool
        from beside import half

        assert __name__ == "__main__" and sys.argv[1:] == ["--lr", "0.1"]
        x = T.tensor4("x", dtype=theano.config.floatX)
        w = theano.shared(numpy.ones((2, 1, 2, 2), theano.config.floatX), name="w", borrow=True)
        assert isinstance(w, SharedVariable)
        cost = pool.pool_2d(conv2d(x, w), (2, 2), ignore_border=True).sum() * half
        step = theano.function(
            inputs=[x], outputs=theano.Out(cost, borrow=True), updates=OrderedDict([(w, w - T.grad(cost, w))]),
            mode=theano.compile.get_default_mode(),
        )
        print(step(numpy.ones((1, 1, 3, 3))), w.get_value().sum())
        outputs, updates = theano.scan(lambda a, b: a + b, sequences=T.arange(4), outputs_info=[T.constant(0)])
        print(theano.function([], outputs[-1], updates=updates)())
        print(theano.function([], ifelse.ifelse(T.lt(1, 2), T.constant(3), T.constant(4)))())
        print(theano.function([], T.stack(1, 2, 3)[[slice(1, None)]].sum())())
        rng = RandomStreams(3)
        print(theano.function([], rng.uniform((5,)).sum() < 5)())
        """,
        "--lr",
        "0.1",
    )
    assert shown == ["4.0", "4.0", "6", "3", "5", "True"]


@pytest.mark.parametrize("root", ["theano", "aesara", "pytensor"])
def test_the_same_under_each_name(tmp_path, root):
    source = f"""
        import {root}
        import {root}.tensor as at
        from {root}.gradient import grad
        from {root} import config
        x = at.vector("x")
        f = {root}.function([x], grad((x ** 2).sum(), x))
        print(f([1.5]).tolist()[0], config.floatX)
    """
    assert answers(tmp_path, source, options=["--floatX", "float32"]) == ["3.0", "float32"]


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("import theano\nimport theano.sparse\n", 2, "theano.sparse is not here: there are no sparse matrices"),
        ("import theano\n\nfrom theano.tensor import mgrid\n", 3, "theano.tensor.mgrid is not here: use meshgrid"),
        ("import theano\ndef f():\n    return theano.OpFromGraph\nf()\n", 3, "theano.OpFromGraph is not here"),
        ("from pytensor.link.jax import JAXLinker\n", 1, "pytensor.link is not here: choose a backend"),
        ("import theano.tensor as T\nT.nnet.nothing_of_this_name\n", 2, "theano.tensor.nnet.nothing_of_this_name"),
    ],
)
def test_what_is_missing_is_one_line(tmp_path, source, line, said):
    done = run(tmp_path, source)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"{tmp_path / 'program.py'}:{line}: {said}"), done.stderr
    assert done.stderr.count("\n") == 1


def test_programs_that_ask_first_go_on(tmp_path):
    source = """
        import theano
        try:
            from theano.sandbox.cuda import dnn
        except ImportError:
            print("no")
        print(hasattr(theano, "OpFromGraph"), theano.sandbox.cuda.cuda_enabled)
    """
    assert answers(tmp_path, source) == ["no", "False", "False"]


def test_errors_and_exit_status_are_the_program_s_own(tmp_path):
    done = run(tmp_path, "import theano\nraise ValueError('mine')\n")
    assert done.returncode == 1
    assert "ValueError: mine" in done.stderr
    assert "runpy" not in done.stderr
    assert run(tmp_path, "import sys\nsys.exit(3)\n").returncode == 3
    old = run(tmp_path, "print 'two'\n")
    assert (old.returncode, old.stderr.count("\n")) == (1, 1)
    assert "Python 2" in old.stderr


def test_flags_of_the_environment(tmp_path):
    source = """
        import theano
        theano.config.exception_verbosity = "high"
        theano.config.blas.ldflags = ""
        with theano.config.change_flags(compute_test_value="ignore"):
            print(theano.config.floatX, theano.tensor.vector().dtype)
    """

    env = {**os.environ, "THEANO_FLAGS": "device=cpu, floatX=float32"}
    env.pop("SUBTENSOR_FLOATX", None)
    assert answers(tmp_path, source, env=env) == ["float32", "float32"]


def test_a_clone_that_shares_no_inputs_has_updates_of_its_own(tmp_path):
    source = """
        import theano, theano.tensor as T
        mean = theano.shared(1.0, "mean")
        running = theano.clone(mean, share_inputs=False)
        running.default_update = running * 0.5 + 2
        train = theano.function([], running * 0 + mean)
        look = theano.function([], mean)
        print(train(), look(), train(), mean.get_value())
    """
    assert answers(tmp_path, source) == ["1.0", "2.5", "2.5", "3.25"]


def test_a_vector_s_softmax_is_a_row_where_it_was(tmp_path):
    shown = answers(
        tmp_path,
        """
        import aesara.tensor as at
        import theano.tensor as T
        from theano.tensor.nnet import softmax

        v = T.dvector("v")
        for f in (T.nnet.softmax, softmax, T.nnet.nnet.softmax, T.nnet.logsoftmax):
            print(f(v).ndim)
        print(softmax(v[None]).ndim)
        print(at.nnet.softmax(v).ndim, T.nnet.softmax(v)[0, :].eval({v: [0.0, 0.0]})[1])
        """,
    )
    assert shown == ["2", "2", "2", "2", "2", "1", "0.5"]


def test_a_shared_variable_changes_its_shape(tmp_path):
    shown = answers(
        tmp_path,
        """
        import numpy, theano
        import theano.tensor as T

        rows, x = theano.shared(numpy.zeros((4, 2)), "rows", False, True, borrow=True), T.dvector("x")
        step = theano.function([x], rows.sum(), updates=[(rows, T.concatenate([rows, x[None, :]]))])
        step([1, 2])
        rows.set_value(rows.get_value(borrow=True)[2:])
        step([3, 4])
        print(rows.get_value().shape[0], float(step([0, 0])))
        row = theano.shared(numpy.ones((1, 3)), broadcastable=(True, False))
        print(row.broadcastable, row.type == T.TensorType("float64", (True, False)))
        """,
    )
    assert shown == ["4", "10.0", "(True,", "False)", "True"]


def test_bools_are_numbers_of_any_integer_type(tmp_path):
    source = """
        import numpy, theano
        import theano.tensor as T

        reset, n = T.bcol("reset"), T.iscalar("n")
        f = theano.function([reset, n], T.switch(reset, n, -1), allow_input_downcast=True)
        print(*f(numpy.array([[True], [False]]), 3).ravel())
    """
    assert answers(tmp_path, source) == ["3", "-1"]


def test_functions_take_all_that_they_took(tmp_path):
    source = """
        import theano
        import theano.tensor as T

        theano.config.floatX = "float32"
        x, w = T.fscalar("x"), theano.shared(T.constant(1.0).eval(), name="w")
        bounded = T.clip(w + x, 0, T.sqrt(9))  # which is float64 here
        f = theano.function([x], w, None, [(w, bounded)], [], False, False, "f", True, None, False, "ignore")
        g = theano.function([x], x, profile=False, accept_inplace=True, rebuild_strict=False, on_unused_input="warn")
        f(5)
        print(w.dtype, w.get_value(), g(2.0), f.name)
    """
    assert answers(tmp_path, source) == ["float32", "3.0", "2.0", "f"]


@pytest.mark.parametrize("backend", ["numpy", "numba", "jax"])
def test_print_shows_values_as_functions_run(tmp_path, backend):
    source = """
        import theano
        import theano.tensor as T
        from theano.printing import Print

        x = T.dvector("x")
        seen = Print("x is", attrs=("__str__", "shape"))(x)
        f = theano.function([x], [seen.sum(), T.grad((seen ** 2).sum(), x)])
        total, g = f([1.0, 2.0])
        assert total == 3 and g.tolist() == [2, 4]
        steps, _ = theano.scan(lambda e, s: Print("state")(s + e), x, T.constant(0.0))
        assert theano.function([x], steps[-1])([1.0, 2.0]) == 3
    """
    done = run(tmp_path, source, options=["--backend", backend])
    assert done.returncode == 0, done.stderr
    lines = ["x is __str__ = [1. 2.]", "x is shape = (2,)", "state __str__ = 1.0", "state __str__ = 3.0"]
    assert done.stdout.splitlines() == ([] if backend == "jax" else lines)


def test_models_are_pickled_whole(tmp_path):
    shown = answers(
        tmp_path,
        """
        import pickle, sys
        import numpy, theano
        import theano.tensor as T
        from theano.tensor.shared_randomstreams import RandomStreams

        class Model:
            pass

        m = Model()
        m.x, m.k = T.dmatrix("x"), T.ivector("k")
        m.W = theano.shared(numpy.eye(3) / 2, name="W", borrow=True)
        m.states, _ = theano.scan(lambda row, h: T.tanh(row + T.dot(h, m.W)), m.x, T.zeros(3))
        m.noisy = m.states[m.k, 1:] * RandomStreams(3).binomial((2, 2), p=0.5)
        with open(sys.argv[1], "wb") as file:
            pickle.dump(m, file)
        with open(sys.argv[1], "rb") as file:
            n = pickle.load(file)
        assert n.W is not m.W and n.x.name == "x" and n.W.name == "W"
        a, k = numpy.arange(6.0).reshape(2, 3), [1, 0]
        f, g = (theano.function([each.x, each.k], [each.states, each.noisy]) for each in (m, n))
        for _ in range(3):  # streams too: they go on from where they were
            for one, other in zip(f(a, k), g(a, k)):
                assert (one == other).all()
        n.W.set_value(numpy.zeros((3, 3)))
        print((f(a, k)[0] == g(a, k)[0]).all(), numpy.allclose(g(a, k)[0], numpy.tanh(a)))
        """,
        str(tmp_path / "model.pkl"),
    )
    assert shown == ["False", "True"]


def test_everything_listed_is_there():
    for name, place in MODULES.items():
        parent = name.rpartition(".")[0]
        assert not parent or parent in MODULES or f"theano.{parent.partition('.')[2]}" in MODULES, name
        for each in place.listed():
            place.find(each)
    for name in _INSTEAD:
        assert remedy(f"{name}.deeper") == _INSTEAD[name]
        assert name not in MODULES or name in (
            "theano.gpuarray",
            "theano.sandbox.cuda",
            "theano.sandbox.gpuarray",
            "theano.gof",
        )


def test_this_process_is_left_alone():
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("theano.tensor")


def test_a_new_axis_takes_the_place_of_those_of_length_1(tmp_path):
    source = """
        import {root}.tensor as T

        column, v = T.alloc(1.0, T.iscalar("n"), 1), T.dvector("v")
        for made in (column[:, None], column[None], v[:, None], T.dmatrix("m")[:, None], column[None, :, :]):
            print(made.ndim)
    """
    assert answers(tmp_path, source.format(root="theano")) == ["2", "3", "2", "3", "3"]
    assert answers(tmp_path, source.format(root="pytensor")) == ["3", "3", "2", "3", "3"]
