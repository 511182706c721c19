"""Shared variables in a file: safetensors, written whole or not at all, and checked before anything is changed.

Tables go through in pieces, so that saving and loading take no memory to speak of, whatever their size.
"""

from subtensor.checkpoint.loading import load
from subtensor.checkpoint.saving import save
from subtensor.checkpoint.word2vec import load_word2vec, save_word2vec
from subtensor.doors import door

load, save = door(load), door(save)
load_word2vec, save_word2vec = door(load_word2vec), door(save_word2vec)

__all__ = ["load", "load_word2vec", "save", "save_word2vec"]
