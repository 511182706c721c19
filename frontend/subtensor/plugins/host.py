"""The plugin host: finds backends and extensions, loads each once, and says precisely who broke which rule.

A backend is imported when it is asked for by name, the extensions when the first function is compiled; a plugin that
fails is recorded and refused whole, and takes no other down. All that a plugin brings is collected when it loads, so
that no hook is called while a program is compiled or run.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import astuple, dataclass
from typing import Literal, TypeAlias, TypeVar

from subtensor.errors import BackendNotFoundError, PluginError, warn
from subtensor.graph import forks
from subtensor.graph.nodes import Op
from subtensor.plugins.contributions import Collector, Plugin, claim, did_you_mean
from subtensor.plugins.discovery import BACKENDS, BLOCK, EXTENSIONS, IN_PROCESS, Source, discover
from subtensor.program.contract import Backend, Lowering
from subtensor.rewrites.engine import Rewrite

_BUILT_IN = "subtensor itself"

Status: TypeAlias = Literal["loaded", "available", "blocked", "failed"]


class PluginWarning(UserWarning):
    """A plugin was left out because it is broken; the message is that of the error."""


@dataclass(frozen=True)
class PluginInfo:
    """What is known of a plugin.

    status: ``loaded``; ``available``, not imported yet; ``blocked`` by ``SUBTENSOR_BLOCK_PLUGINS``; or ``failed``.
    reason: why it is blocked or has failed; of others, what is installed in versions that it does not admit; or empty.
    """

    name: str
    distribution: str | None
    """``None`` for a plugin registered by hand."""
    version: str | None
    status: Status
    reason: str = ""


class BackendInfo(PluginInfo):
    """What is known of a plugin that offers a backend; ``name`` is what ``function(backend=...)`` takes."""


_Info = TypeVar("_Info", bound=PluginInfo)


class PluginTable(list[_Info]):
    """A list of plugins that prints as a table."""

    def __repr__(self) -> str:
        head = ("name", "distribution", "version", "status", "reason")
        cells = [[" ".join((value or "-").split()) for value in astuple(info)] for info in self]
        widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in (head, *cells)
        )

    __str__ = __repr__


class PluginHost:
    """All plugins of a process. The functions of this module act on one host; tests make others."""

    def __init__(self) -> None:
        self._lock = forks.lock(forks.HOST)
        self._collector = Collector()
        self._plugins: dict[tuple[str, str], Plugin] = {}
        self._backends: dict[str, Plugin] = {}
        self._claims: dict[str, str] = {}
        self._failures: dict[Source, str] = {}
        self._extensions_loaded = False

    # What plugins have brought

    def get_backend(self, name: str) -> Backend:
        """Give the backend of a name, loading its plugin, and no other, the first time."""
        plugin = self._backends.get(name)
        if plugin is None:
            with self._lock:
                plugin = self._backends.get(name) or self._load(self._offer(name))
        assert plugin.backend is not None
        return plugin.backend

    def ops(self) -> Mapping[str, Op]:
        """Give the ops of all loaded plugins, by name."""
        with self._lock:
            return {name: op for plugin in self._plugins.values() for name, op in plugin.ops.items()}

    def rewrites(self, backend: str) -> tuple[Rewrite, ...]:
        """Give the rewrites for programs of a backend: those of all extensions, then those of its own plugin."""
        with self._lock:
            general = [plugin for plugin in self._plugins.values() if plugin.backend is None]
            own = [self._backends[backend]] if backend in self._backends else []
            return tuple(rewrite for plugin in general + own for rewrite in plugin.rewrites.values())

    def lowerings(self, backend: str) -> Mapping[str, Lowering]:
        """Give the lowerings that loaded plugins brought for a backend, by op."""
        with self._lock:
            every = (item for plugin in self._plugins.values() for item in plugin.lowerings.items())
            return {op: lowering for (target, op), lowering in every if target == backend}

    def lowering_owners(self, backend: str) -> Mapping[str, str]:
        """Say which plugin brought each of those lowerings, by op."""
        with self._lock:
            every = ((key, str(plugin.source)) for plugin in self._plugins.values() for key in plugin.lowerings)
            return {op: source for (target, op), source in every if target == backend}

    # What there is

    def backends(self, *, load: bool = False) -> PluginTable[BackendInfo]:
        """List the backends, installed ones by name first, then those registered by hand. Never raises for a plugin."""
        with self._lock:
            sources = discover(BACKENDS)
            for source in sources if load else ():
                with suppress(PluginError):
                    self.get_backend(source.name)
            by_hand = [plugin.source for plugin in self._backends.values() if plugin.source.group == IN_PROCESS]
            return PluginTable(self._info(BackendInfo, source, sources) for source in [*sources, *by_hand])

    def loaded_backends(self) -> list[Backend]:
        """Give the backends that are loaded, and load none."""
        with self._lock:
            return [plugin.backend for plugin in self._backends.values() if plugin.backend is not None]

    def extensions(self) -> PluginTable[PluginInfo]:
        """List the plugins that bring no backend, in the same way."""
        with self._lock:
            sources = discover(EXTENSIONS)
            by_hand = [p.source for p in self._plugins.values() if p.backend is None and p.source.group == IN_PROCESS]
            return PluginTable(self._info(PluginInfo, source, sources) for source in [*sources, *by_hand])

    def _info(self, kind: type[_Info], source: Source, sources: Iterable[Source]) -> _Info:
        status: Status = "available"
        reason = ""
        loaded = self._plugins.get((source.group, source.name))
        owner = self._claims.get(claim("backend", source.name)) if source.group == BACKENDS else None
        setting = source.blocked_by()
        if loaded is not None and loaded.source == source:
            status = "loaded"
        elif setting is not None:
            status, reason = "blocked", f"{BLOCK}={setting!r}"
        elif owner is not None:
            status, reason = "failed", f"{claim('backend', source.name)} is already taken by {owner}"
        elif len(rivals := _rivals(source, sources)) > 1:
            status, reason = "failed", _offered_twice(rivals)
        elif source in self._failures:
            status, reason = "failed", self._failures[source]
        if status in ("loaded", "available"):
            reason = source.misfits()
        return kind(source.name, source.distribution, source.version, status, reason)

    # Loading

    def load_extensions(self) -> None:
        """Load all plugins that bring no backend, the first time; warn once of each that is broken."""
        with self._lock:
            if self._extensions_loaded:
                return
            self._extensions_loaded = True
            refused = []
            sources = discover(EXTENSIONS)
            for source in sources:
                if source.blocked_by() is not None:
                    continue
                rivals = _rivals(source, sources)
                if len(rivals) == 1:
                    try:
                        self._load(source)
                    except PluginError as error:
                        refused.append(str(error))
                elif source == rivals[0]:
                    refused.append(_offered_twice(rivals))
        for message in refused:
            warn(message, PluginWarning)

    def register(self, plugin: object, name: str | None = None) -> str:
        """Load a plugin that is at hand, and give the name under which it can be unregistered.

        name: by default the name of the backend that the plugin brings, else of the module, function or class.
        """
        label = getattr(plugin, "__name__", type(plugin).__name__)
        target = label if inspect.ismodule(plugin) or inspect.isclass(plugin) else f"a {type(plugin).__name__}"
        source = Source(name or label, IN_PROCESS, target, None, None, load=lambda: plugin)
        with self._lock:
            return self._adopt(source, plugin, own_name=name is None).source.name

    def unregister(self, name: str) -> object:
        """Forget a plugin that was registered by hand, and give it back. Functions compiled with it keep working."""
        with self._lock:
            plugin = self._plugins.pop((IN_PROCESS, name), None)
            if plugin is None:
                raise PluginError(
                    f"no plugin {name!r} was registered in this process;"
                    f" to leave out an installed one, name it in {BLOCK}"
                )
            self._collector.forget(plugin.plugin)
            for taken in plugin.claims():
                del self._claims[taken]
            if plugin.backend is not None:
                del self._backends[plugin.backend.name]
            return plugin.plugin

    def reserve(self, *, ops: Iterable[str] = (), rewrites: Iterable[str] = ()) -> None:
        """Take names for what is built in, so that a plugin that brings one of them is refused."""
        with self._lock:
            for taken in [*(claim("op", name) for name in ops), *(claim("rewrite", name) for name in rewrites)]:
                owner = self._claims.setdefault(taken, _BUILT_IN)
                if owner != _BUILT_IN:
                    raise PluginError(f"subtensor: {taken} is already taken by {owner}")

    def _offer(self, name: str) -> Source:
        """Find the one installed plugin that offers a backend of a name."""
        sources = discover(BACKENDS)
        offers = [source for source in sources if source.name == name]
        rivals = [source for source in offers if source.blocked_by() is None]
        if len(rivals) > 1:
            raise PluginError(_offered_twice(rivals))
        if rivals:
            return rivals[0]
        if offers:
            raise PluginError(
                f"{offers[0]} is blocked by {BLOCK}={offers[0].blocked_by()!r}; change that variable to use the backend"
            )
        known = sorted({source.name for source in sources if source.blocked_by() is None} | set(self._backends))
        raise BackendNotFoundError(
            f"no backend is named {name!r}; available: {', '.join(known) or 'none'}{did_you_mean(str(name), known)}"
        )

    def _load(self, source: Source) -> Plugin:
        try:
            with source.blamed_for("failed on import"):
                plugin = source.load()
            loaded = self._adopt(source, plugin)
        except PluginError as error:
            self._failures[source] = str(error)
            raise
        self._failures.pop(source, None)
        return loaded

    def _adopt(self, source: Source, plugin: object, *, own_name: bool = False) -> Plugin:
        """Collect what a plugin brings and take the names of all of it; on any error, leave nothing behind."""
        for other in self._plugins.values():
            if other.plugin is plugin:
                raise PluginError(f"{source} is already loaded, as {other.source}")
        loaded = self._collector.collect(source, plugin, own_name=own_name)
        try:
            self._check_names(loaded)
        except PluginError:
            self._collector.forget(plugin)
            raise
        self._plugins[loaded.source.group, loaded.source.name] = loaded
        self._claims.update(dict.fromkeys(loaded.claims(), str(loaded.source)))
        if loaded.backend is not None:
            self._backends[loaded.backend.name] = loaded
        return loaded

    def _check_names(self, loaded: Plugin) -> None:
        """Refuse a plugin that brings what another plugin has brought, or what is built in."""
        source = loaded.source
        owners = dict(self._claims)
        if source.group == IN_PROCESS and loaded.backend is not None:
            for offer in _rivals(source, discover(BACKENDS)):
                owners.setdefault(claim("backend", offer.name), str(offer))
        for taken in loaded.claims():
            if taken in owners:
                raise PluginError(
                    f"{source}: {taken} is already taken by {owners[taken]}; rename one, or block one by {BLOCK}"
                )
        other = self._plugins.get((source.group, source.name))
        if other is not None:
            raise PluginError(f"{source}: the name {source.name!r} is already taken by {other.source}; choose another")


def _rivals(source: Source, sources: Iterable[Source]) -> list[Source]:
    return [other for other in sources if other.name == source.name and other.blocked_by() is None]


def _offered_twice(rivals: Iterable[Source]) -> str:
    return (
        f"one name is offered by {' and by '.join(map(str, rivals))}; uninstall one of the distributions, or name "
        f"it in {BLOCK}"
    )


_HOST = PluginHost()


def get_backend(name: str) -> Backend:
    """Give the backend of a name, importing its plugin, and no other, the first time.

    Raises ``BackendNotFoundError`` if no plugin offers it, ``PluginError`` if the one that does is broken or blocked.
    """
    found = _HOST.get_backend(name)
    present = getattr(found, "present", None)
    return found if present is None else present()


def backends(*, load: bool = False) -> list[BackendInfo]:
    """List the backends that can be named, and those that cannot be used with the reason why.

    load: whether to import each, so as to find out which of them work. Never raises for a broken plugin.
    """
    return _HOST.backends(load=load)


def loaded_backends() -> list[Backend]:
    """Give the backends that this process has loaded so far."""
    return _HOST.loaded_backends()


def extensions() -> list[PluginInfo]:
    """List the plugins that bring ops, rewrites or lowerings, and no backend."""
    return _HOST.extensions()


def load_extensions() -> None:
    """Load the plugins that bring no backend, once in a process; a broken one gets a ``PluginWarning``."""
    _HOST.load_extensions()


def register(plugin: object, name: str | None = None) -> str:
    """Load a plugin that is not installed: a module or an object with hooks. Gives its name.

    Raises ``PluginError`` if it breaks a rule; nothing of it is kept then.
    """
    return _HOST.register(plugin, name)


def unregister(name: str) -> object:
    """Forget a plugin that was given to :func:`register`, and give it back."""
    return _HOST.unregister(name)


def ops() -> Mapping[str, Op]:
    """Give the ops of all loaded plugins, by name."""
    return _HOST.ops()


def rewrites(backend: str) -> tuple[Rewrite, ...]:
    """Give the rewrites that loaded plugins add to programs for a backend."""
    return _HOST.rewrites(backend)


def lowerings(backend: str) -> Mapping[str, Lowering]:
    """Give the lowerings that loaded plugins add to a backend, by op."""
    return _HOST.lowerings(backend)


def lowering_owners(backend: str) -> Mapping[str, str]:
    """Say which plugin brought each lowering of a backend, by op."""
    return _HOST.lowering_owners(backend)


def reserve(*, ops: Iterable[str] = (), rewrites: Iterable[str] = ()) -> None:
    """Take the names of built-in ops and rewrites, before any plugin can."""
    _HOST.reserve(ops=ops, rewrites=rewrites)
