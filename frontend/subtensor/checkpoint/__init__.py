"""Shared variables in a file: safetensors, written whole or not at all, and checked before anything is changed.

Tables go through in pieces, so that saving and loading take no memory to speak of, whatever their size.
"""

from subtensor.checkpoint.loading import load
from subtensor.checkpoint.saving import save
from subtensor.doors import door

load, save = door(load), door(save)

__all__ = ["load", "save"]
