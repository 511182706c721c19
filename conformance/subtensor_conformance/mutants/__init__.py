"""Mutants of the backends in this tree, which the corpus must kill: ``python -m subtensor_conformance.mutants``.

A mutant is a function with one place changed. Its code object takes the place of the original's, so that whoever holds
the function runs the mutant; it is then tried on the cases that come by the changed line, until one fails.
"""
