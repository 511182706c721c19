"""What a plugin brings: its hooks are checked and called here, through pluggy, once."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pluggy

from subtensor.errors import PluginError
from subtensor.graph.cost import fault as cost_fault
from subtensor.graph.nodes import Op
from subtensor.plugins import hooks
from subtensor.plugins.discovery import BACKENDS, EXTENSIONS, Source
from subtensor.program.contract import Backend, Lowering, backend_fault
from subtensor.rewrites.engine import Rewrite


@dataclass(frozen=True)
class Plugin:
    """A loaded plugin and all that it brought."""

    source: Source
    plugin: object
    backend: Backend | None = None
    ops: Mapping[str, Op] = field(default_factory=dict)
    rewrites: Mapping[str, Rewrite] = field(default_factory=dict)
    lowerings: Mapping[tuple[str, str], Lowering] = field(default_factory=dict)

    def claims(self) -> Iterator[str]:
        """Name everything that no other plugin may bring too."""
        if self.backend is not None:
            yield claim("backend", self.backend.name)
        for op in self.ops:
            yield claim("op", op)
        for rewrite in self.rewrites:
            yield claim("rewrite", rewrite)
        for backend, op in self.lowerings:
            yield f"lowering of op {op!r} for backend {backend!r}"


def claim(kind: str, name: str) -> str:
    """Spell something that only one plugin may bring: ``op 'add'``."""
    return f"{kind} {name!r}"


class Collector:
    """A pluggy manager that takes in one plugin at a time, whole or not at all."""

    def __init__(self) -> None:
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(hooks)

    def collect(self, source: Source, plugin: object, *, own_name: bool = False) -> Plugin:
        """Register a plugin, check its hooks, and call each.

        own_name: whether a backend in the plugin may choose the plugin's name.
        Raises ``PluginError``, after which nothing of the plugin is left.
        """
        if plugin is None:
            raise PluginError(f"{source} is None, expected a module or an object with hooks")
        key = str(id(plugin))
        try:
            with source.blamed_for("could not be registered"):
                self._manager.register(plugin, name=key)
            self._check_hooks(source, plugin)
            return self._collect(source, plugin, own_name=own_name)
        except BaseException:
            if self._manager.get_plugin(key) is plugin:
                self._manager.unregister(plugin)
            raise

    def forget(self, plugin: object) -> None:
        """Unregister a plugin that was collected."""
        self._manager.unregister(plugin)

    def _implemented(self, plugin: object) -> list[str]:
        return [caller.name for caller in self._manager.get_hookcallers(plugin) or ()]

    def _check_hooks(self, source: Source, plugin: object) -> None:
        """Refuse a plugin with hooks that would never be called, or that do not fit its group."""
        implemented = self._implemented(plugin)
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            unknown = next(name for name in implemented if name not in hooks.HOOKS)
            hint = did_you_mean(unknown, hooks.HOOKS)
            raise PluginError(f"{source} implements an unknown hook {unknown!r}{hint}") from error
        for hook in hooks.HOOKS:
            if hook not in implemented and callable(inspect.getattr_static(plugin, hook, None)):
                raise PluginError(f"{source} defines {hook!r} without the marker; put @subtensor.hookimpl above it")
        if not implemented:
            raise PluginError(f"{source} implements no hook; the hooks are {', '.join(hooks.HOOKS)}")
        if source.group == BACKENDS and "subtensor_backend" not in implemented:
            raise PluginError(
                f"{source} implements no hook 'subtensor_backend'; a plugin without a backend belongs in the entry "
                f"point group {EXTENSIONS!r}"
            )
        if source.group == EXTENSIONS and "subtensor_backend" in implemented:
            raise PluginError(
                f"{source} implements the hook 'subtensor_backend'; a plugin with a backend belongs in the entry "
                f"point group {BACKENDS!r}"
            )

    def _collect(self, source: Source, plugin: object, *, own_name: bool) -> Plugin:
        """Call every hook of a plugin, and check what each gives."""
        backend = None
        if "subtensor_backend" in self._implemented(plugin):
            found = self._call(source, plugin, "subtensor_backend")
            if len(found) != 1:
                raise PluginError(f"{source}: 'subtensor_backend' gave {len(found)} backends, expected one")
            backend = found[0]
            with source.blamed_for("has a backend that cannot be looked at"):
                fault = backend_fault(backend)
            if fault:
                raise PluginError(f"{source}: {fault}")
            if own_name:
                source = replace(source, name=backend.name)
            if backend.name != source.name:
                raise PluginError(
                    f"{source}: the backend is named {backend.name!r}, expected the plugin's name {source.name!r}; "
                    "make the two equal"
                )
        lowerings = {}
        for given in self._call(source, plugin, "subtensor_lowerings"):
            for target, op, lowering in _flat(source, given):
                if (target, op) in lowerings:
                    raise PluginError(f"{source}: 'subtensor_lowerings' gave op {op!r} for {target!r} twice")
                lowerings[target, op] = lowering
        ops = self._named(source, plugin, "subtensor_ops", Op)
        for op in ops.values():
            if op.cost is not None and (wrong := cost_fault(op.cost, op.infer)) is not None:
                raise PluginError(f"{source}: 'subtensor_ops' gave the op {op.name!r}, which is refused: {wrong}")
        return Plugin(
            source,
            plugin,
            backend,
            ops,
            self._named(source, plugin, "subtensor_rewrites", object),
            lowerings,
        )

    def _call(self, source: Source, plugin: object, hook: str) -> list[Any]:
        """Call one hook of one plugin; give what its implementations gave."""
        with source.blamed_for(f"failed in {hook!r}"):
            others = [other for other in self._manager.get_plugins() if other is not plugin]
            results = list(self._manager.subset_hook_caller(hook, others)())
        if not results and hook in self._implemented(plugin):
            raise PluginError(f"{source}: {hook!r} gave None")
        return results

    def _named(self, source: Source, plugin: object, hook: str, kind: type) -> dict[str, Any]:
        """Call a hook that gives things of a kind, each with a name; key them by it."""
        found: dict[str, Any] = {}
        for given in self._call(source, plugin, hook):
            with source.blamed_for(f"failed in {hook!r}"):
                items = list(given)
                names = [getattr(item, "name", None) for item in items]
            for name, item in zip(names, items, strict=True):
                if not isinstance(item, kind) or not isinstance(name, str) or not name:
                    wanted = "one" if kind is object else f"one of type {kind.__name__!r}"
                    raise PluginError(f"{source}: {hook!r} gave {item!r}, expected {wanted} with a string 'name'")
                if name in found:
                    raise PluginError(f"{source}: {hook!r} gave the name {name!r} twice")
                found[name] = item
        return found


def _flat(source: Source, given: object) -> Iterator[tuple[str, str, Lowering]]:
    """Walk ``{backend: {op: lowering}}``, refusing anything else."""
    shape = "expected {backend name: {op name: lowering}}"
    if not isinstance(given, Mapping):
        raise PluginError(f"{source}: 'subtensor_lowerings' gave {given!r}, {shape}")
    for backend, table in given.items():
        if not isinstance(backend, str) or not isinstance(table, Mapping):
            raise PluginError(f"{source}: 'subtensor_lowerings' gave {backend!r}: {table!r}, {shape}")
        for op, lowering in table.items():
            if not isinstance(op, str) or not callable(lowering):
                raise PluginError(f"{source}: 'subtensor_lowerings' gave {op!r}: {lowering!r} for {backend!r}, {shape}")
            yield backend, op, lowering


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Word the end of a message about an unknown name."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
