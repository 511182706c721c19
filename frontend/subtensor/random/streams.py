"""Streams: keys in shared variables, which each call of a function that draws with them advances.

Each draw of a stream has a variable of its own, a key and the number of the draw, ``(key[0], key[1], calls)``, whose
default update counts the calls. Draw number c of the i-th variable of ``RandomStream(seed)`` takes the words of the key
``fold_in(key(seed), i)`` with c as the second word of the counter, so a call that fails draws nothing, and one can draw
the same numbers anywhere else.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

from subtensor.errors import DomainError, ShapeError, Unsupported, counted
from subtensor.graph.constants import as_tensor
from subtensor.graph.nodes import Variable
from subtensor.graph.shared import SharedVariable, shared
from subtensor.graph.types import INDEX, as_dtype
from subtensor.ops.elementwise import cast
from subtensor.ops.philox import WORD
from subtensor.ops.shape import as_dims, lengths
from subtensor.random import arrivals, draws, weighted
from subtensor.random.keys import folded_words, key_words

_ADVANCE = np.array([0, 0, 1], WORD)


class Streams:
    """What all spellings share. seed: an int from 0 to ``2**128 - 1``; None for one that the system gives.

    name: of the variables that keep the state, ``name[0]``, ``name[1]``, …, by which ``st.save`` keeps them; a list of
    what to save may hold the object itself.
    """

    parameters: tuple[SharedVariable, ...] = ()

    def __init__(self, seed: Any = None, *, name: str = "random") -> None:
        self.default_instance_seed = secrets.randbits(63) if seed is None else int(seed)
        key_words(self.default_instance_seed)
        self._seed = self.default_instance_seed
        self.name = name
        self.state_updates: list[tuple[SharedVariable, Variable]] = []

    @property
    def state(self) -> tuple[SharedVariable, ...]:
        """The shared variables: one for each draw, in the order in which they were written."""
        return tuple(s for s, _ in self.state_updates)

    def updates(self) -> list[tuple[SharedVariable, Variable]]:
        """Pairs of state variables and new values; functions make them by default."""
        return list(self.state_updates)

    def seed(self, seed: Any = None) -> None:
        """Begin anew, with this seed, or with the first one: every variable is as if it had just been made."""
        self._seed = self.default_instance_seed if seed is None else int(seed)
        values = [self._first(i) for i in range(len(self.state_updates))]
        for (s, _), value in zip(self.state_updates, values, strict=True):
            s.set_value(value)

    def _first(self, i: int) -> np.ndarray[Any, Any]:
        return np.array([*folded_words(self._seed, i), 0], WORD)

    def next_key(self) -> SharedVariable:
        """A new state variable, whose value is a key: for one draw with a function of ``st.random``."""
        i = len(self.state_updates)
        state = shared(self._first(i), name=f"{self.name}[{i}]")
        state.default_update = state + _ADVANCE
        self.state_updates.append((state, state.default_update))
        return state

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}: seed {self._seed}, {counted(len(self.state_updates), 'draw')}>"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{type(self).__name__} has no {name!r}; it has {', '.join(_methods(type(self)))}")


def _dims(size: Any, ndim: Any, *parameters: Variable) -> Any:
    """A size as lengths, with Theano's `ndim` for vectors of unknown length."""
    if size is None:
        return None
    dims = as_dims("random", size, ndim if isinstance(size, Variable) else None)
    if ndim is not None and len(dims) != ndim:
        raise ShapeError(f"random: size {size!r} has {len(dims)} axes, but ndim={ndim}; expected equal")
    return dims


def _binomial(key: Any, n: Any, p: Any, size: Any, dtype: Any) -> Variable:
    """The number of successes in n trials, each of probability p."""
    count, p = as_tensor(n), draws.as_probability("binomial", p)
    if count.known is not None and count.known.ndim == 0 and count.known == 1:
        return cast(draws.trials(key, p, size), dtype)
    if count.ndim:
        raise Unsupported("binomial", f"binomial: n={count!r}; expected an integer scalar, the same for all draws")
    dims = draws.dims_of(size, p)
    each = draws.trials(key, p, [cast(count, INDEX), *dims])
    return cast(each, dtype).sum(0, dtype=dtype)


class RandomStreams(Streams):
    """Theano's ``RandomStreams``: methods take `size` first, and ``avg`` and ``std``."""

    def uniform(
        self,
        size: Any = None,
        low: Any = 0.0,
        high: Any = 1.0,
        ndim: Any = None,
        dtype: Any = None,
        nstreams: Any = None,  # noqa: ARG002  # accepted, without effect
    ) -> Variable:
        """Floats in [low, high): see ``st.random.uniform``."""
        return draws.uniform(self.next_key(), _dims(size, ndim), dtype, low, high)

    def normal(
        self,
        size: Any = None,
        avg: Any = 0.0,
        std: Any = 1.0,
        ndim: Any = None,
        dtype: Any = None,
        nstreams: Any = None,  # noqa: ARG002  # accepted, without effect
        truncate: bool = False,
    ) -> Variable:
        """Normal numbers of mean `avg`: see ``st.random.normal``. truncate: within two standard deviations."""
        if truncate:
            return self.truncated_normal(size, avg, std, ndim, dtype)
        return draws.normal(self.next_key(), _dims(size, ndim), dtype, avg, std)

    def truncated_normal(
        self,
        size: Any = None,
        avg: Any = 0.0,
        std: Any = 1.0,
        ndim: Any = None,
        dtype: Any = None,
        nstreams: Any = None,  # noqa: ARG002  # accepted, without effect
    ) -> Variable:
        """Normal numbers within two standard deviations of `avg`."""
        kind = draws.float_of(dtype, avg, std)
        a, b = cast(avg, kind), cast(std, kind)
        dims = draws.dims_of(_dims(size, ndim), a, b)
        return draws.spread(a + b * draws.truncated_normal(self.next_key(), dims, kind), dims)

    def binomial(
        self,
        size: Any = None,
        n: Any = 1,
        p: Any = None,
        ndim: Any = None,
        dtype: Any = INDEX,
        nstreams: Any = None,  # noqa: ARG002  # accepted, without effect
        prob: Any = None,
    ) -> Variable:
        """The number of successes in n trials of probability p (0.5). Raises DomainError where p is not in [0, 1]."""
        p = _one("binomial", p, prob, 0.5)
        return _binomial(self.next_key(), n, p, _dims(size, ndim), as_dtype(dtype))

    def poisson(self, size: Any = None, lam: Any = 5.0, ndim: Any = None, dtype: Any = INDEX) -> Variable:
        """How often something comes that comes `lam` times on average."""
        return arrivals.poisson(self.next_key(), lam, _dims(size, ndim), dtype)

    def random_integers(
        self, size: Any = None, low: Any = 0, high: Any = 1, ndim: Any = None, dtype: Any = INDEX
    ) -> Variable:
        """Integers from `low` to `high`, both included."""
        high = high + 1 if isinstance(high, Variable | int) else as_tensor(high) + 1
        return draws.integers(self.next_key(), _dims(size, ndim), low, high, dtype)

    def multinomial(
        self,
        size: Any = None,
        n: Any = 1,
        pvals: Any = (0.5, 0.5),
        ndim: Any = None,
        dtype: Any = INDEX,
        nstreams: Any = None,  # noqa: ARG002  # accepted, without effect
    ) -> Variable:
        """How often each of k things comes in n draws: (…, k) for weights `pvals` of that shape, row by row."""
        return weighted.multinomial(self.next_key(), n, pvals, _dims(size, ndim), dtype)

    def choice(
        self,
        size: Any = None,
        a: Any = 2,
        replace: bool = True,
        p: Any = None,
        ndim: Any = None,
        dtype: Any = INDEX,
        nstreams: Any = None,  # noqa: ARG002  # accepted, without effect
    ) -> Variable:
        """Elements of `a`, or of ``0, …, a - 1``: see ``st.random.choice``. p: weights, of shape (n,).

        A matrix p, as with MRG_RandomStreams, gives for each of its rows `size` positions: (rows, size).
        """
        weights = None if p is None else as_tensor(p)
        if weights is not None and weights.ndim == 2:
            return self._choice_by_rows(size, a, replace, weights, dtype)
        return weighted.choice(
            self.next_key(), a, () if size is None else _dims(size, ndim), replace, weights, 0, dtype
        )

    def _choice_by_rows(self, size: Any, a: Any, replace: bool, p: Variable, dtype: Any) -> Variable:
        if a is not None and as_tensor(a).ndim:
            raise Unsupported("choice", "choice: with a matrix of weights, elements are positions; pass an integer a")
        each = as_dims("choice", 1 if size is None else size)
        p = weighted.checked_weights("choice", p)
        if replace:
            return cast(weighted.positions("choice", self.next_key(), p, [*lengths(p)[:-1], *each]), as_dtype(dtype))
        return cast(weighted.without_by_rows(self.next_key(), p, each[0]), as_dtype(dtype))

    def multinomial_wo_replacement(
        self,
        size: Any = None,  # noqa: ARG002  # accepted, without effect
        n: Any = 1,
        pvals: Any = None,
        ndim: Any = None,  # noqa: ARG002  # accepted, without effect
        dtype: Any = INDEX,
        nstreams: Any = None,  # noqa: ARG002  # accepted, without effect
    ) -> Variable:
        """n different positions for each row of the matrix `pvals`: (rows, n)."""
        return self._choice_by_rows(n, None, False, as_tensor(pvals), dtype)

    def permutation(self, size: Any = None, n: Any = 1, ndim: Any = None, dtype: Any = INDEX) -> Variable:
        """Random orders of ``0, …, n - 1``: of shape size + (n,)."""
        dims = _dims(size, ndim) or []
        return cast(draws.ordered(self.next_key(), [*dims, *as_dims("permutation", n)]), as_dtype(dtype))

    def shuffle_row_elements(self, input: Any) -> Variable:
        """A matrix with the elements of each row in a random order of their own."""
        return draws.shuffled_rows(self.next_key(), input)


class MRG_RandomStreams(RandomStreams):  # noqa: N801  # Theano's name
    """Theano's ``MRG_RandomStreams``: the same methods, and 12345 for a seed. use_cuda is accepted, without effect."""

    def __init__(self, seed: Any = 12345, use_cuda: Any = None, *, name: str = "random") -> None:  # noqa: ARG002
        super().__init__(seed, name=name)


class RandomStream(Streams):
    """PyTensor's and Aesara's ``RandomStream``: methods take NumPy's parameters first, and `size`.

    namer, rng_ctor: accepted for programs written for the peers, without effect.
    """

    def __init__(
        self,
        seed: Any = None,
        namer: Any = None,  # noqa: ARG002  # accepted, without effect
        rng_ctor: Any = None,  # noqa: ARG002  # as above
        *,
        name: str = "random",
    ) -> None:
        super().__init__(seed, name=name)

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None, dtype: Any = None) -> Variable:
        """Floats in [low, high)."""
        return draws.uniform(self.next_key(), size, dtype, low, high)

    def random(self, size: Any = None, dtype: Any = None) -> Variable:
        """Floats in [0, 1)."""
        return draws.uniform(self.next_key(), size, dtype)

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None) -> Variable:
        """Normal numbers."""
        return draws.normal(self.next_key(), size, dtype, loc, scale)

    def standard_normal(self, size: Any = None, dtype: Any = None) -> Variable:
        """Normal numbers of mean 0 and variance 1."""
        return draws.normal(self.next_key(), size, dtype)

    def exponential(self, scale: Any = 1.0, size: Any = None, dtype: Any = None) -> Variable:
        """Numbers of mean `scale`."""
        return draws.exponential(self.next_key(), size, dtype, scale)

    def gumbel(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None) -> Variable:
        """Numbers of the distribution of Gumbel."""
        return draws.gumbel(self.next_key(), size, dtype, loc, scale)

    def bernoulli(self, p: Any = 0.5, size: Any = None, dtype: Any = INDEX) -> Variable:
        """1 with probability p, else 0."""
        return cast(draws.bernoulli(self.next_key(), p, size), as_dtype(dtype))

    def binomial(self, n: Any, p: Any, size: Any = None, dtype: Any = INDEX) -> Variable:
        """The number of successes in n trials of probability p."""
        return _binomial(self.next_key(), n, p, size, as_dtype(dtype))

    def poisson(self, lam: Any = 1.0, size: Any = None, dtype: Any = INDEX) -> Variable:
        """How often something comes that comes `lam` times on average."""
        return arrivals.poisson(self.next_key(), lam, size, dtype)

    def integers(self, low: Any, high: Any = None, size: Any = None, dtype: Any = INDEX) -> Variable:
        """Integers from `low` to ``high - 1``, or from 0 to ``low - 1``."""
        return draws.integers(self.next_key(), size, low, high, dtype)

    def choice(
        self, a: Any, size: Any = None, replace: bool = True, p: Any = None, axis: int = 0, dtype: Any = None
    ) -> Variable:
        """Elements of `a`, or of ``0, …, a - 1``."""
        return weighted.choice(self.next_key(), a, () if size is None else size, replace, p, axis, dtype)

    def categorical(self, p: Any, size: Any = None, dtype: Any = INDEX) -> Variable:
        """Positions along the last axis of the weights `p`, row by row."""
        p = weighted.checked_weights("categorical", p)
        lead = lengths(p)[:-1]
        dims = lead if size is None else as_dims("categorical", size)
        if lead and len(dims) != len(lead):
            raise ShapeError(
                f"categorical: a size of {len(dims)} axes for weights with {len(lead)} of rows; expected equal"
            )
        return cast(weighted.positions("categorical", self.next_key(), p, dims), as_dtype(dtype))

    def multinomial(self, n: Any, p: Any, size: Any = None, dtype: Any = INDEX) -> Variable:
        """How often each of k things comes in n draws: (…, k)."""
        return weighted.multinomial(self.next_key(), n, p, size, dtype)

    def permutation(self, x: Any) -> Variable:
        """The rows of x, or ``0, …, x - 1`` for a scalar, in random order."""
        return draws.permutation(self.next_key(), x)

    shuffle = permutation


def _methods(kind: type) -> list[str]:
    skipped = {"updates", "seed", "next_key"}
    return sorted(n for n in dir(kind) if not n.startswith("_") and n not in skipped and callable(getattr(kind, n)))


def _one(where: str, value: Any, other: Any, default: Any) -> Any:
    """A parameter that has two names. Raises DomainError where both are given."""
    if value is not None and other is not None:
        raise DomainError(f"{where}: a parameter is given twice, under two names; expected one")
    given = other if value is None else value
    return default if given is None else given
