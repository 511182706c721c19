"""Programs written for Theano, Aesara or PyTensor, run as they are.

``python -m subtensor.theano program.py ...`` runs one; ``install()`` does the same for the process that calls it,
before it imports ``theano``: for a test suite's ``conftest.py``, say. The modules that then answer to ``theano``,
``aesara`` and ``pytensor`` hold functions of this library, under the names and in the places of theirs.
"""

from subtensor.theano.finder import MissingModuleError, MissingNameError, install

__all__ = ["MissingModuleError", "MissingNameError", "install"]
