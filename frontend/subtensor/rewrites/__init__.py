"""Rewrites: graphs that mean the same and cost less. Importing this package enters every built-in rule."""

from subtensor.rewrites import canonicalize, engine, increments, promises

__all__ = ["canonicalize", "engine", "increments", "promises"]
