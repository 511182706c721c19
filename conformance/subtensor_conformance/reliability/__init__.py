"""Tries to break what ``docs/reliability.md`` promises, at random: ``python -m subtensor_conformance.reliability``."""
