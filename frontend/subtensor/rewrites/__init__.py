"""Rewrites: graphs that mean the same and cost less."""
