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


def test_everything_listed_is_there():
    for name, place in MODULES.items():
        parent = name.rpartition(".")[0]
        assert not parent or parent in MODULES, name
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
