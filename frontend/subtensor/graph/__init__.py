"""Nodes, what they are made of and where values come from; indices; reverse accumulation; the invariants of graphs."""
