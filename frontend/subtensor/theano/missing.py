"""What to do instead of what is not here."""

from __future__ import annotations

_INSTEAD = {
    "theano.sparse": "there are no sparse matrices; take rows with table[ids] and write them with inc_subtensor",
    "theano.gpuarray": "to run on a GPU, choose the JAX backend: SUBTENSOR_BACKEND=jax",
    "theano.sandbox.cuda": "to run on a GPU, choose the JAX backend: SUBTENSOR_BACKEND=jax",
    "theano.sandbox.gpuarray": "to run on a GPU, choose the JAX backend: SUBTENSOR_BACKEND=jax",
    "theano.tensor.nlinalg": "there are no decompositions or solvers; compute with numpy.linalg outside the graph",
    "theano.tensor.slinalg": "there are no decompositions or solvers; compute with scipy.linalg outside the graph",
    "theano.tensor.fft": "there are no Fourier transforms; compute with numpy.fft outside the graph",
    "theano.gof": "graphs are rewritten by rules of subtensor's own, and ops are values: see docs/writing-a-backend.md",
    "theano.Op": "a new op is a value with a type rule, a gradient and an expansion: see docs/writing-a-backend.md",
    "theano.Apply": "a node is its own application: node.op, node.inputs",
    "theano.OpFromGraph": "write a Python function that builds the graph",
    "theano.typed_list": "there are no lists in graphs; use a Python list of tensors, or a tensor with one axis more",
    "theano.tensor.mgrid": "use meshgrid",
    "theano.tensor.ogrid": "use meshgrid(..., sparse=True)",
    "theano.tensor.nnet.ctc": "nothing like it is in subtensor",
    "theano.tensor.nnet.conv2d_transpose": "use the gradient of conv2d, or abstract_conv.conv2d_grad_wrt_inputs",
    "theano.tensor.opt": "rewrites cannot be named one by one; function(..., rewrites=False) switches them off",
    "theano.tensor.raw_random": "use RandomStreams, or subtensor.random",
    "theano.printing.pydotprint": "use fn.draw()",
    "theano.d3viz": "use fn.draw()",
    "pytensor.link": "choose a backend: function(..., backend=...)",
    "pytensor.xtensor": "there are no named axes",
}


def remedy(spelled: str) -> str:
    """What to do about a name that is not here, by its full spelling under any of the libraries."""
    _, dot, rest = spelled.partition(".")
    for full in (spelled, f"theano{dot}{rest}"):
        parts = full.split(".")
        for n in range(len(parts), 0, -1):
            if (known := ".".join(parts[:n])) in _INSTEAD:
                return _INSTEAD[known]
    return "subtensor has nothing of this name; docs/from-theano.md lists what is there instead"
