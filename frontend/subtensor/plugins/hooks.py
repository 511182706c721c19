"""The hooks through which a plugin adds to subtensor.

A plugin is a module or an object. Its functions carry the marker :data:`hookimpl` and the names below, and it is found
through an entry point of its distribution:

- in the group ``subtensor.backends``, under the backend's name, if it brings a backend. It is imported when that
  backend is first asked for, and not before.
- in the group ``subtensor.plugins`` if it brings only ops, rewrites or lowerings. It is imported when the first
  function is compiled.

Every hook is called once, when its plugin loads, and never after. A plugin whose hook raises, or returns what the hook
does not allow, is refused whole with a ``PluginError`` that names the plugin, its distribution and version.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pluggy

from subtensor.graph.nodes import Op
from subtensor.program.contract import Backend, Lowering
from subtensor.rewrites.engine import Rewrite

PROJECT = "subtensor"

hookimpl = pluggy.HookimplMarker(PROJECT)
"""The marker of a plugin's hooks: ``@subtensor.hookimpl``."""

hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def subtensor_backend() -> Backend:
    """Give the plugin's backend: one object with the attributes of ``subtensor.plugin.Backend``.

    Called when the backend is first asked for by name. Required of a plugin in ``subtensor.backends``, refused in
    ``subtensor.plugins``.

    Refused: a ``spec_version`` other than ``SPEC_VERSION``; a missing attribute or one of the wrong type; a capability
    outside ``CAPABILITIES``; a name that differs from the entry point's, or that another plugin has taken.
    """
    raise NotImplementedError


@hookspec
def subtensor_ops() -> Iterable[Op]:
    """Give the ops that the plugin adds, each with a ``name`` of its own.

    An op needs a lowering (``subtensor_lowerings``) on each backend that is to run it, unless it expands into ops that
    have one.

    Refused: anything but an ``Op``; a name that a built-in op or another plugin has taken; a ``cost`` that may be
    negative, or in lengths of what is no argument of the op.
    """
    raise NotImplementedError


@hookspec
def subtensor_rewrites() -> Iterable[Rewrite]:
    """Give the rewrites that the plugin adds, in the order in which they are to be tried, each with a ``name``.

    Those of a plugin that brings a backend apply to programs for that backend only, those of any other to all programs;
    so what a program becomes never depends on which other backends happen to be loaded.

    Refused: an object without a name; a name that a built-in rewrite or another plugin has taken.
    """
    raise NotImplementedError


@hookspec
def subtensor_lowerings() -> Mapping[str, Mapping[str, Lowering]]:
    """Give lowerings: ``{backend name: {op name: lowering}}``.

    What a lowering takes and returns is said by the backend that it is for. The backend gets it with each program, as
    ``compile(program, lowerings={op name: lowering})``. A backend that is not installed may be named.

    Refused: anything but such a mapping; a lowering that cannot be called; a pair of backend and op that another plugin
    has taken.
    """
    raise NotImplementedError


HOOKS = ("subtensor_backend", "subtensor_ops", "subtensor_rewrites", "subtensor_lowerings")
