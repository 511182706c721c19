"""The command ``subtensor``: what is installed, and why what does not work does not.

Exit status: 0 if what was asked for could be shown and, where backends were named, each of them loads; 1 if one of them
does not; 2 for a malformed command.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from subtensor import plugins
from subtensor.errors import PluginError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    parser = argparse.ArgumentParser(prog="subtensor", description="Show what is installed.")
    commands = parser.add_subparsers(dest="command", required=True)
    backends = commands.add_parser("backends", help="list the backends, and why those that fail do")
    backends.add_argument("names", nargs="*", metavar="NAME", help="only these; exit with 1 if one cannot be loaded")
    backends.add_argument("--no-load", action="store_true", help="do not import backends to find out whether they work")
    backends.add_argument("--json", action="store_true", help="print a list of objects")
    extensions = commands.add_parser("plugins", help="list the plugins that bring ops, rewrites or lowerings only")
    extensions.add_argument("--json", action="store_true", help="print a list of objects")
    options = parser.parse_args(argv)

    if options.command == "plugins":
        plugins.load_extensions()
        _show(plugins.extensions(), as_json=options.json)
        return 0
    faults = []
    for name in options.names:
        try:
            plugins.get_backend(name)
        except PluginError as error:
            faults.append(str(error))
    shown = plugins.backends(load=not options.no_load and not options.names)
    if options.names:
        shown = plugins.PluginTable(info for info in shown if info.name in options.names)
    _show(shown, as_json=options.json)
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


def _show(table: Sequence[plugins.PluginInfo], *, as_json: bool) -> None:
    print(json.dumps([asdict(info) for info in table], indent=2) if as_json else table)


if __name__ == "__main__":
    sys.exit(main())
