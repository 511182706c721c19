"""Arguments of compiled functions: how they are declared, converted and checked."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from subtensor.errors import DTypeError, FunctionError
from subtensor.graph.constants import refuse_masked
from subtensor.graph.nodes import Array, Variable, checked_name
from subtensor.graph.shared import SharedVariable, check_static_shape
from subtensor.graph.types import can_cast, is_float, kind_of

REQUIRED = object()
"""Stands for the default of an argument that has none."""


class In:
    """An input of a function with a default value, a name of its own, or a value that the function remembers.

    variable: the input node. value: the default, converted as an argument is; a shared variable: its value at the call.
    name: the keyword; the variable's name unless given. update: an expression whose value is the default of the next
    call; needs a `value` to begin with (``fn[variable]`` reads and sets it). strict: accept only arrays of exactly the
    input's dtype. allow_downcast: as ``function``'s allow_input_downcast, for this input. mutable, borrow, autoname and
    implicit are accepted for programs written for the peers: inputs are never changed. Raises FunctionError for an
    update without a value.
    """

    def __init__(
        self,
        variable: Variable,
        name: str | None = None,
        value: Any = REQUIRED,
        update: Any = None,
        mutable: bool | None = None,  # noqa: ARG002  # accepted, without effect
        strict: bool = False,
        allow_downcast: bool | None = None,
        autoname: bool = True,  # noqa: ARG002  # as above
        implicit: bool | None = None,  # noqa: ARG002  # as above
        borrow: bool | None = None,  # noqa: ARG002  # as above
    ) -> None:
        self.variable = variable
        self.name = checked_name(name, "In: name") if name is not None else getattr(variable, "name", None)
        self.value = REQUIRED if value is None else value
        self.update = update
        if update is not None and self.value is REQUIRED:
            raise FunctionError(
                f"In: {self.name or repr(variable)} has an update and no value; expected value=…, for the first call"
            )
        self.strict = strict
        self.allow_downcast = allow_downcast


class Parameter:
    """How one argument is converted and checked."""

    def __init__(self, spec: In, allow_downcast: bool | None, function_name: str) -> None:
        self.variable = spec.variable
        self.name = spec.name
        self.strict = spec.strict
        self.allow = spec.allow_downcast if spec.allow_downcast is not None else allow_downcast
        self.type = spec.variable.type
        self.dtype = np.dtype(self.type.dtype)
        self.ndim = self.type.ndim
        self.free = all(d is None for d in self.type.shape)
        self.where = f"{function_name}: argument {self.name or spec.variable.label}"
        self.update = spec.update
        self.state = spec.value if isinstance(spec.value, SharedVariable) else None
        self.remembers = spec.update is not None and self.state is None
        self._default: Any = REQUIRED
        if self.state is None and spec.value is not REQUIRED:
            self.default = spec.value
            if self.remembers:
                self.state = SharedVariable(self.type, self.default, self.name)

    @property
    def default(self) -> Any:
        """What stands for the argument where none is given: ``REQUIRED``, or an array."""
        return self._default if self.state is None else self.state.get_value()

    @default.setter
    def default(self, value: Any) -> None:
        converted = np.array(self.convert(value), order="C")
        if self.state is None:
            self._default = converted
        else:
            self.state.set_value(converted)

    def over(self, swapped: Mapping[Variable, Variable]) -> Parameter:
        """The same, remembering in another shared variable where `swapped` has one for its own."""
        other = None if self.state is None else swapped.get(self.state)
        if not isinstance(other, SharedVariable):
            return self
        made = copy.copy(self)
        made.state = other
        return made

    def convert(self, value: Any) -> Array:
        """`value` as an array of the input's type. Raises DTypeError or ShapeError, naming the argument."""
        if isinstance(value, Variable):
            raise DTypeError(f"{self.where}: got the symbolic {value!r}; expected a value")
        try:
            if hasattr(value, "__dlpack__") and not isinstance(value, np.ndarray):
                value = np.asarray(value) if hasattr(value, "__array__") else np.from_dlpack(value)
            refuse_masked(value, self.where)
            array = np.asarray(value)
        except (ValueError, BufferError) as error:
            raise DTypeError(f"{self.where}: cannot make an array of {type(value).__name__}: {error}") from error
        if array.dtype != self.dtype:
            array = self._cast(value, array)
        elif not array.dtype.isnative:
            array = array.astype(self.dtype)
        check_static_shape(self.where, array.shape, self.type.shape)
        return array

    def stacked(self, value: Any) -> Array:
        """`value` as an array of many arguments, one for each step, along a first axis. Raises as ``convert``."""
        many = copy.copy(self)
        many.type = self.type.with_shape((None, *self.type.shape))
        many.where = f"{self.where}, one for each step,"
        return many.convert(value)

    def _cast(self, value: Any, array: Array) -> Array:
        target = self.type.dtype
        if array.dtype == object or kind_of(array.dtype) not in "buif":
            raise DTypeError(f"{self.where} takes {target}, got values of NumPy dtype {array.dtype}; expected numbers")
        if self.strict:
            raise DTypeError(f"{self.where} takes exactly {target}, got {array.dtype}; it is declared strict")
        if array.size == 0 and not isinstance(value, np.ndarray):
            return array.astype(target)
        if array.dtype == bool and array.ndim and self.dtype.kind in "ui":
            raise DTypeError(
                f"{self.where} takes {target}, got a mask: bool of shape {array.shape}; give positions, "
                f"np.flatnonzero(mask), or 0 and 1, mask.astype('{target}'), whichever is meant"
            )
        if self.dtype.kind in "bui" and kind_of(array.dtype) == "f":
            return self._whole(array)
        if can_cast(array.dtype.name, target, "safe"):
            return array.astype(target)
        if self.allow:
            return self._whole(array) if self.dtype.kind in "ui" else array.astype(target)
        if is_float(target) and kind_of(array.dtype) == "f":
            python = not isinstance(value, np.ndarray | np.generic)
            if self.allow is None and python:  # a Python float is weak
                return array.astype(target)
        elif is_float(target) and not isinstance(value, np.ndarray):
            return array.astype(target)
        elif not isinstance(value, np.ndarray):
            cast = array.astype(target)
            if (cast == array).all():
                return cast
        raise DTypeError(
            f"{self.where} takes {target}, got {array.dtype}, which does not convert safely; convert the value with "
            f".astype('{target}'), or pass allow_input_downcast=True"
        )

    def _whole(self, array: Array) -> Array:
        if not self.allow:
            nan = " (it holds NaN)" if np.isnan(array).any() else ""
            raise DTypeError(
                f"{self.where} takes {self.type.dtype}, got {array.dtype}{nan}; convert the value with "
                f".astype('{self.type.dtype}') if its numbers are whole"
            )
        with np.errstate(all="ignore"):
            cast = array.astype(self.dtype)
        if not np.isfinite(array).all() or not (np.trunc(array) == cast).all():
            raise DTypeError(
                f"{self.where} takes {self.type.dtype}; the {array.dtype} value holds numbers outside its range"
            )
        return cast
