"""Tables that lie in files: a folder of ``.npy`` files, a manifest, and a journal that keeps them at one step."""

from subtensor.store.store import Store

__all__ = ["Store"]
