"""``python -m subtensor.theano program.py ...``: run a program of Theano's, Aesara's or PyTensor's as it is.

What it asks for and is not here ends in one line on stderr, which names it, its place and what to do, and exit status
1. Otherwise output, arguments, errors and exit status are the program's own.
"""

from __future__ import annotations

import argparse
import os
import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from subtensor.graph.config import config
from subtensor.theano.finder import MissingModuleError, MissingNameError, install
from subtensor.theano.flags import from_environment

_PACKAGE = str(Path(__file__).resolve().parents[1]) + os.sep


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m subtensor.theano",
        description="Run a program written for Theano, Aesara or PyTensor, unchanged, on subtensor.",
    )
    parser.add_argument("--backend", help="the backend of its functions; SUBTENSOR_BACKEND, else numpy, if not given")
    parser.add_argument("--floatX", help="the dtype of what is made without one; THEANO_FLAGS is read too")
    parser.add_argument("-m", dest="module", action="store_true", help="program is the name of a module")
    parser.add_argument("program", help="a Python file, or with -m a module")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what the program gets in sys.argv")
    options = parser.parse_args(argv)
    if not options.module and not Path(options.program).exists():
        parser.error(f"there is no file {options.program}")

    from_environment()
    if options.backend is not None:
        config.backend = options.backend
    if options.floatX is not None:
        config.floatX = options.floatX
    install()
    sys.argv = [options.program, *options.arguments]
    sys.path[0] = "" if options.module else str(Path(options.program).resolve().parent)
    try:
        if options.module:
            runpy.run_module(options.program, run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(options.program, run_name="__main__")
    except (MissingModuleError, MissingNameError) as error:
        print(f"{_place(error.__traceback__)}: {error}", file=sys.stderr)
        return 1
    except SyntaxError as error:
        print(f"{error.filename}:{error.lineno}: {error.msg}: if this is Python 2, convert it first", file=sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001  # whatever the program raises, without the frames that run it
        traceback.print_exception(type(error), error, _within(error.__traceback__))
        return 1
    return 0


def _frames(trace: TracebackType | None) -> list[TracebackType]:
    found = []
    while trace is not None:
        found.append(trace)
        trace = trace.tb_next
    return found


def _foreign(trace: TracebackType) -> bool:
    """Whether a frame is neither this package's nor of the machinery of imports."""
    name = trace.tb_frame.f_code.co_filename
    return not name.startswith((_PACKAGE, "<frozen")) and name != runpy.__file__


def _place(trace: TracebackType | None) -> str:
    """The innermost line of the program's own code."""
    frames = [t for t in _frames(trace) if _foreign(t)]
    if not frames:
        return "the program"
    return f"{frames[-1].tb_frame.f_code.co_filename}:{frames[-1].tb_lineno}"


def _within(trace: TracebackType | None) -> TracebackType | None:
    """A traceback from the first frame of the program on."""
    return next((t for t in _frames(trace) if _foreign(t)), trace)


if __name__ == "__main__":
    sys.exit(main())
