"""Where plugins come from: entry points of installed distributions, read without importing any plugin."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from subtensor.errors import PluginError
from subtensor.plugins.requirements import misfits, normalise

BACKENDS = "subtensor.backends"
"""The entry point group of plugins that bring a backend."""

EXTENSIONS = "subtensor.plugins"
"""The entry point group of plugins that bring only ops, rewrites or lowerings."""

IN_PROCESS = "this process"
"""The group of plugins registered by hand."""

BLOCK = "SUBTENSOR_BLOCK_PLUGINS"
"""The environment variable that blocks plugins: names of plugins or distributions; ``*`` is every third-party one."""

OWN_DISTRIBUTION = "subtensor"


@dataclass(frozen=True)
class Source:
    """A plugin that may not have been imported yet, and whom to blame for it."""

    name: str
    group: str
    target: str
    """``module`` or ``module:attribute``."""
    distribution: str | None
    version: str | None
    load: Callable[[], object] = field(compare=False, repr=False)
    extras: frozenset[str] = frozenset()
    """Names of the distribution's extras, normalised."""
    requires: tuple[str, ...] = ()
    """What the distribution asks for, as its metadata say it."""

    def __str__(self) -> str:
        if self.distribution is None:
            return f"plugin {self.name!r} ({self.target}) registered in this process"
        return f"plugin {self.name!r} ({self.target}) of {self.distribution} {self.version}"

    def blocked_by(self) -> str | None:
        """Give the value of the environment variable that blocks this plugin; ``None`` if it is not blocked."""
        setting = os.environ.get(BLOCK, "")
        names = {normalise(name) for name in setting.split(",") if name.strip()}
        own = self.distribution is None or normalise(self.distribution) == OWN_DISTRIBUTION
        mine = {normalise(self.name), normalise(self.distribution or self.name)}
        return setting if names & mine or ("*" in names and not own) else None

    def misfits(self) -> str:
        """Say what is installed in versions that do not fit this plugin; empty where all do."""
        return misfits(self.distribution or self.name, self.requires, normalise(self.name), _installed)

    @contextmanager
    def blamed_for(self, what: str) -> Iterator[None]:
        """Run the plugin's own code; whatever it raises becomes a ``PluginError`` that says whose code it was.

        ``SystemExit`` counts, since a plugin has no business ending the process; ``KeyboardInterrupt`` passes.
        """
        try:
            yield
        except (Exception, SystemExit) as error:
            message = f"{self} {what}: {type(error).__name__}: {error}"
            remedy = self._remedy(error) if isinstance(error, ModuleNotFoundError) else self.misfits()
            raise PluginError("; ".join(filter(None, (message, remedy)))) from error

    def _remedy(self, error: ModuleNotFoundError) -> str | None:
        """Say what to install, where a module is missing."""
        if error.name is None or self.distribution is None:
            return None
        if error.name.split(".")[0] == re.split(r"[.:]", self.target)[0]:
            return f"the installation of {self.distribution} is incomplete: reinstall it"
        if normalise(self.name) in self.extras:
            return f"to install what it needs: pip install '{self.distribution}[{self.name}]'"
        return f"to install what it needs, see the documentation of {self.distribution}"


def discover(group: str) -> list[Source]:
    """List the plugins that installed distributions offer in a group, by name and then by distribution.

    Nothing is cached, so that what is installed while a session runs is found.
    """
    from importlib import metadata  # noqa: PLC0415  # slow to import, and only needed when a plugin is looked for

    sources = []
    for point in metadata.entry_points(group=group):
        about = point.dist.metadata if point.dist else None
        name, version, extras = (
            (about.get_all(key) if about else None) or [] for key in ("Name", "Version", "Provides-Extra")
        )
        sources.append(
            Source(
                name=point.name,
                group=group,
                target=point.value,
                distribution=name[0] if name else "an unnamed distribution",
                version=version[0] if version else "(unknown version)",
                load=point.load,
                extras=frozenset(map(normalise, extras)),
                requires=tuple((point.dist.requires if point.dist else None) or ()),
            )
        )
    return sorted(sources, key=lambda source: (source.name, source.distribution or "", source.target))


def _installed(name: str) -> tuple[str, Iterable[str]] | None:
    """The version of a distribution, and what it asks for; None where it is not installed."""
    from importlib import metadata  # noqa: PLC0415  # as above

    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    return found.version, found.requires or ()
