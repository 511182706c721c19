"""Theano's ``tensor.nnet.abstract_conv``: the gradients of convolutions as functions of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import subtensor as st
from subtensor.graph.nodes import Variable
from subtensor.graph.operators import FUNCTIONS
from subtensor.graph.types import TensorType
from subtensor.ops.convolution import refuse_unshared


def _transposed(x: Variable, shape: list[Any], convolve: Callable[[Variable], Variable], g: Variable) -> Variable:
    """The pullback of a linear function of a tensor of lengths `shape`, at g."""
    zeros: Variable = FUNCTIONS["zeros"](shape, dtype=g.dtype)
    place = st.Input(TensorType(g.dtype, zeros.type.shape))
    pulled: Variable = st.Lop(convolve(place), place, g)
    at_zero: Variable = st.clone_replace(pulled, [(place, zeros)])  # the function is linear: only the shape matters
    return at_zero


def grad_wrt_inputs(name: str, filters: Any, topgrad: Any, shape: Any, **options: Any) -> Variable:
    """What convolving with `filters` (by the function `name`) sends back to its input, of spatial lengths `shape`."""
    w, g = st.as_tensor(filters), st.as_tensor(topgrad)
    dims = [g.shape[0], w.shape[1] * options.get("num_groups", 1), *shape]
    return _transposed(w, dims, lambda x: FUNCTIONS[name](x, w, **options), g)


def grad_wrt_weights(name: str, inputs: Any, topgrad: Any, shape: Any, **options: Any) -> Variable:
    """What convolving `inputs` (by the function `name`) sends back to its filters, of spatial lengths `shape`."""
    x, g = st.as_tensor(inputs), st.as_tensor(topgrad)
    dims = [g.shape[1], x.shape[1] // options.get("num_groups", 1), *shape]
    return _transposed(x, dims, lambda w: FUNCTIONS[name](x, w, **options), g)


def _spatial(shape: Any, given: Any, count: int) -> list[Any]:
    """The spatial lengths, of a symbolic vector, a sequence, or the full shape that was declared."""
    found = shape if shape is not None else given
    if isinstance(found, Variable):
        return [found[i] for i in range(count)]
    return list(found)[-count:]


class _Abstract:
    """One of Theano's ops of convolution: made with its options, and called with tensors."""

    name: str
    count: int

    def __init__(
        self,
        imshp: Any = None,
        kshp: Any = None,
        border_mode: Any = "valid",
        subsample: Any = None,
        filter_flip: bool = True,
        filter_dilation: Any = None,
        num_groups: int = 1,
        unshared: bool = False,
    ) -> None:
        refuse_unshared(self.name, unshared)
        self.imshp, self.kshp = imshp, kshp
        ones = (1,) * self.count
        self.options = {
            "border_mode": border_mode,
            "subsample": subsample or ones,
            "filter_flip": filter_flip,
            "filter_dilation": filter_dilation or ones,
            "num_groups": num_groups,
        }


class _Convolve(_Abstract):
    def __call__(self, img: Any, kern: Any) -> Variable:
        made: Variable = FUNCTIONS[self.name](img, kern, self.imshp, self.kshp, **self.options)
        return made


class _GradInputs(_Abstract):
    def __call__(self, kern: Any, topgrad: Any, shape: Any = None, **_: Any) -> Variable:
        return grad_wrt_inputs(self.name, kern, topgrad, _spatial(shape, self.imshp, self.count), **self.options)


class _GradWeights(_Abstract):
    def __call__(self, img: Any, topgrad: Any, shape: Any = None, **_: Any) -> Variable:
        return grad_wrt_weights(self.name, img, topgrad, _spatial(shape, self.kshp, self.count), **self.options)


def _functions(name: str, *kinds: Any) -> dict[str, Any]:
    def inputs(
        output_grad: Any, filters: Any, input_shape: Any, filter_shape: Any = None, border_mode: Any = "valid",
        subsample: Any = None, filter_flip: bool = True, filter_dilation: Any = None, num_groups: int = 1,
    ) -> Variable:  # fmt: skip
        op = kinds[0](input_shape, filter_shape, border_mode, subsample, filter_flip, filter_dilation, num_groups)
        made: Variable = op(filters, output_grad)
        return made

    def weights(
        input: Any, output_grad: Any, filter_shape: Any, input_shape: Any = None, border_mode: Any = "valid",
        subsample: Any = None, filter_flip: bool = True, filter_dilation: Any = None, num_groups: int = 1,
    ) -> Variable:  # fmt: skip
        op = kinds[1](input_shape, filter_shape, border_mode, subsample, filter_flip, filter_dilation, num_groups)
        made: Variable = op(input, output_grad)
        return made

    return {f"{name}_grad_wrt_inputs": inputs, f"{name}_grad_wrt_weights": weights}


_Convolve2d = type("AbstractConv2d", (_Convolve,), {"name": "conv2d", "count": 2})
_Convolve3d = type("AbstractConv3d", (_Convolve,), {"name": "conv3d", "count": 3})
_GradInputs2d = type("AbstractConv2d_gradInputs", (_GradInputs,), {"name": "conv2d", "count": 2})
_GradInputs3d = type("AbstractConv3d_gradInputs", (_GradInputs,), {"name": "conv3d", "count": 3})
_GradWeights2d = type("AbstractConv2d_gradWeights", (_GradWeights,), {"name": "conv2d", "count": 2})
_GradWeights3d = type("AbstractConv3d_gradWeights", (_GradWeights,), {"name": "conv3d", "count": 3})

ABSTRACT: dict[str, Any] = {
    **{
        each.__name__: each
        for each in (_Convolve2d, _Convolve3d, _GradInputs2d, _GradInputs3d, _GradWeights2d, _GradWeights3d)
    },
    **_functions("conv2d", _GradInputs2d, _GradWeights2d),
    **_functions("conv3d", _GradInputs3d, _GradWeights3d),
}
"""What stands in the module."""
