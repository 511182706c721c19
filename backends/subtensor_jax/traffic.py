"""What a function sends between the devices of its mesh, for who wants the numbers."""

from __future__ import annotations

from typing import Any

from subtensor.errors import ArgumentError, ShardingError
from subtensor.function import Function
from subtensor_jax.wire import Transfer


def traffic(function: Function) -> list[Transfer]:
    """The transfers of a step, as compiled last; each says how many bytes a device sends.

    Raises ArgumentError for what is no function, ShardingError for one that runs on no mesh, or was not called yet.
    """
    if not isinstance(function, Function):
        raise ArgumentError(f"traffic: {function!r}; expected a function that st.function gave")
    form: Any = getattr(function._execute, "current", None)  # noqa: SLF001  # a form, where lengths decide on it
    executable: Any = function._execute if form is None else form.executable  # noqa: SLF001  # as above
    spread = getattr(executable, "spread", None)
    if spread is None:
        raise ShardingError(
            f"traffic: {function.name} runs on no mesh; build it inside of `with subtensor_jax.mesh(...):`"
        )
    if not spread.traffic.made:
        raise ShardingError(f"traffic: {function.name} was not called yet; it is compiled at the first call")
    return list(spread.traffic.latest)
