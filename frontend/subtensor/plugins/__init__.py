"""Who brings backends, ops, rewrites and lowerings: what is installed, and what was registered in this process."""

from subtensor.plugins.host import (
    BackendInfo,
    PluginHost,
    PluginInfo,
    PluginTable,
    PluginWarning,
    Status,
    backends,
    extensions,
    get_backend,
    load_extensions,
    lowerings,
    ops,
    register,
    reserve,
    rewrites,
    unregister,
)

__all__ = [
    "BackendInfo",
    "PluginHost",
    "PluginInfo",
    "PluginTable",
    "PluginWarning",
    "Status",
    "backends",
    "extensions",
    "get_backend",
    "load_extensions",
    "lowerings",
    "ops",
    "register",
    "reserve",
    "rewrites",
    "unregister",
]
