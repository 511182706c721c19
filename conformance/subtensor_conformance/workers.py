"""Worker processes: a backend that crashes the interpreter or hangs fails the case that it did so in, and no more."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from subtensor_conformance.outside import outside
from subtensor_conformance.report import Run
from subtensor_conformance.result import Result

MOST_RESTARTS = 5
"""How many cases may end a worker before the rest is given up."""

MOST_WORKERS = 2
"""Processes at once, where there are as many processors."""

FEWEST_CASES = 100
"""For each process: importing a backend takes as long as some dozens of cases."""

START_LIMIT = 120.0
"""Seconds for importing a backend."""


class _Worker:
    """A process and the lines that it writes."""

    def __init__(self, backend: str, ids: Sequence[str]) -> None:
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop()
        command = [sys.executable, "-m", "subtensor_conformance.worker"]
        self.process = subprocess.Popen(  # noqa: S603  # our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, start_new_session=True
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps({"backend": backend, "ids": list(ids)}).encode())
            self.process.stdin.close()
        self.stream = self.process.stdout
        self.buffer = b""

    def line(self, limit: float) -> dict[str, Any] | str | None:
        """The next message; None at the end; ``"late"`` where it takes more than `limit` seconds."""
        deadline = time.monotonic() + limit
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.stream], [], [], left)[0]:
                return "late"
            chunk = os.read(self.stream.fileno(), 1 << 16)
            if not chunk:
                return None
            self.buffer += chunk
        text, _, self.buffer = self.buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(text)
        return message

    def stop(self) -> str:
        """End the process; gives what it wrote to standard error, and how it ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(0.5)
        ended = self.process.poll()
        if ended is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.stream.close()
        self.errors.seek(0)
        tail = self.errors.read().decode(errors="replace").strip().splitlines()[-8:]
        self.errors.close()
        how = "" if ended is None else f"signal {signal.Signals(-ended).name}" if ended < 0 else f"exit status {ended}"
        return "\n".join([how, *tail]).strip()


def execute(
    run: Run, ids: Sequence[str], limit: float, seen: Callable[[Result], None], most: int = MOST_WORKERS
) -> None:
    """Run cases of the corpus on a backend, given by name, into `run`: in up to `most` processes at once."""
    count = max(1, min(most, os.cpu_count() or 1, len(ids) // FEWEST_CASES))
    lock = threading.Lock()

    def recorded(r: Result) -> None:
        with lock:
            seen(r)

    parts = [Run(run.backend, run.results) for _ in range(count)]
    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(_serve, parts[k], ids[k::count], limit, recorded) for k in range(count)]:
            done.result()
    run.about = parts[0].about
    run.fault = next((p.fault for p in parts if p.fault), "")
    run.declarations += dict.fromkeys(d for p in parts for d in p.declarations)
    if not run.fault:
        for failure in outside(run):
            seen(failure)


def _serve(run: Run, ids: Sequence[str], limit: float, seen: Callable[[Result], None]) -> None:
    rest = list(ids)
    for _ in range(MOST_RESTARTS + 1):
        worker = _Worker(run.backend, rest)
        message = worker.line(START_LIMIT)
        if not isinstance(message, dict) or "fault" in message:
            how = worker.stop()
            if isinstance(message, dict):
                run.fault = message["fault"]
            elif message is None:
                run.fault = f"the interpreter ended while the backend was loaded: {how}"
            else:
                run.fault = f"loading the backend took more than {START_LIMIT:.0f} s"
            return
        run.about, run.declarations = message["about"], message["declarations"]
        current = ""
        while True:
            message = worker.line(limit)
            if isinstance(message, dict) and "start" in message:
                current = message["start"]
            elif isinstance(message, dict) and "result" in message:
                seen(Result.from_dict(message["result"]))
                current = ""
            else:
                break
        how = worker.stop()
        if isinstance(message, dict):  # "end"
            run.declarations += message["declarations"]
            return
        if not current:  # it ended between cases: what is left was not run
            if all(i in run.results for i in ids):
                run.declarations.append(f"the process ended while lowerings were tried: {how}")
            return
        if message == "late":
            text, kind = f"no result after {limit:.0f} s; the process was ended", "hang"
        else:
            text, kind = f"the interpreter ended: {how.splitlines()[0] if how else 'without a word'}", "crash"
        seen(Result(current, "fail", kind, text, got=how))
        rest = [i for i in rest if i not in run.results]
        if not rest:
            return
