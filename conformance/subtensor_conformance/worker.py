"""The process in which a backend is tried: reads a backend's name and case ids, writes results as lines of JSON."""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack
from typing import Any

from subtensor import plugins
from subtensor.errors import PluginError
from subtensor_conformance.declared import bounds, faults, lowering_faults
from subtensor_conformance.known_bad import PREFIX, installed
from subtensor_conformance.report import case_of
from subtensor_conformance.runner import checked, describe


def main() -> None:
    """Serve one request from standard input."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a backend prints must not mix with the results
    request = json.loads(sys.stdin.read())

    def send(message: dict[str, Any]) -> None:
        out.write(json.dumps(message) + "\n")
        out.flush()

    name = request["backend"]
    with ExitStack() as held:
        try:
            if name.startswith(PREFIX):
                held.enter_context(installed(name))
            backend = plugins.get_backend(name)
        except PluginError as error:
            send({"fault": str(error)})
            return
        factors, wrong = bounds(backend)
        send({"about": describe(backend), "declarations": [*wrong, *faults(backend)]})
        for case_id in request["ids"]:
            send({"start": case_id})
            send({"result": checked(case_of(case_id), name, factors).as_dict()})
        send({"end": True, "declarations": lowering_faults(backend)})


if __name__ == "__main__":
    main()
