"""Functions of Theano's that NumPy has under no name, or with other arguments."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from subtensor.errors import ShapeError, counted
from subtensor.graph.constants import as_tensor
from subtensor.graph.nodes import Variable, call
from subtensor.graph.operators import public
from subtensor.graph.types import INDEX, normalize_axis
from subtensor.ops.joining import concatenate, stack
from subtensor.ops.selection import one_hot
from subtensor.ops.shape import broadcast_arrays, expand_dims, specify_shape


def _matrices(where: str, arrays: Iterable[Any]) -> list[Variable]:
    nodes = [as_tensor(a) for a in arrays]
    for n in nodes:
        if n.ndim != 2:
            raise ShapeError(f"{where}: {n.label} has {counted(n.ndim, 'axis')}; expected matrices")
    return nodes


@public
def horizontal_stack(*arrays: Any) -> Variable:
    """Matrices side by side: (n, a), (n, b), … give (n, a + b + …). Raises ShapeError for other than matrices."""
    return concatenate(_matrices("horizontal_stack", arrays), 1)


@public
def vertical_stack(*arrays: Any) -> Variable:
    """Matrices one below the other: (a, n), (b, n), … give (a + b + …, n). Raises ShapeError for all but matrices."""
    return concatenate(_matrices("vertical_stack", arrays), 0)


@public
def stacklists(arg: Any) -> Variable:
    """Lists of lists (of any depth) of tensors of one shape, as one tensor with an axis for each depth."""
    return stack([stacklists(a) for a in arg]) if isinstance(arg, list | tuple) else as_tensor(arg)


@public
def shape_padaxis(x: Any, axis: int) -> Variable:
    """x with an axis of length 1 put in at the position `axis` of the result."""
    return expand_dims(x, axis)


@public
def addbroadcast(x: Any, *axes: int) -> Variable:
    """x, of which `axes` are declared to have length 1; checked at run time. Not needed to broadcast."""
    x = as_tensor(x)
    ones = {normalize_axis(a, x.ndim, "addbroadcast") for a in axes}
    return specify_shape(x, [1 if i in ones else None for i in range(x.ndim)])


@public
def patternbroadcast(x: Any, broadcastable: Sequence[bool]) -> Variable:
    """x, of which the axes marked True are declared to have length 1; checked at run time."""
    return specify_shape(x, [1 if b else None for b in broadcastable])


@public
def unbroadcast(x: Any, *axes: int) -> Variable:
    """x itself: whether an axis broadcasts is decided by its length at run time. Raises ShapeError for no such axis."""
    node = as_tensor(x)
    for a in axes:
        normalize_axis(a, node.ndim, "unbroadcast")
    return node


@public(aliases=("second",))
def fill(a: Any, b: Any) -> Variable:
    """b broadcast against a: the common shape of both, b's values and dtype. a has a zero gradient."""
    return broadcast_arrays(a, b)[1]


@public
def nonzero_values(a: Any) -> Variable:
    """The elements of a that are not zero, in C order, as a vector."""
    a = as_tensor(a)
    return call("take", call("flatten", a), call("flatnonzero", a))


@public
def to_one_hot(y: Any, nb_class: Any, dtype: Any = None) -> Variable:
    """y: (n,) integers; (n, nb_class), with a one at each y. Raises BoundsError as ``one_hot``."""
    return one_hot(y, nb_class, dtype)


@public
def inverse_permutation(perm: Any) -> Variable:
    """The permutation that undoes `perm`, a vector of 0 … n - 1 in some order; of each row where perm is a matrix."""
    inverse: Variable = call("argsort", perm, -1).astype(INDEX)
    return inverse


def _stacked(arrays: Sequence[Any]) -> Variable:
    return stack(broadcast_arrays(*arrays))


@public
def largest(*args: Any) -> Variable:
    """The elementwise maximum of any number of tensors, which broadcast."""
    return call("max", _stacked(args), 0)


@public
def smallest(*args: Any) -> Variable:
    """The elementwise minimum of any number of tensors, which broadcast."""
    return call("min", _stacked(args), 0)


@public
def softsign(x: Any) -> Variable:
    """``x / (1 + |x|)``."""
    x = as_tensor(x)
    return call("true_divide", x, 1 + abs(x))


@public
def crossentropy_categorical_1hot(coding_dist: Any, true_one_of_n: Any) -> Variable:
    """``categorical_crossentropy`` with classes as integers: (n, k) probabilities and (n,) classes give (n,)."""
    return call("categorical_crossentropy", coding_dist, true_one_of_n)
