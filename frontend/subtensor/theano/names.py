"""Which modules Theano, Aesara and PyTensor have, and what stands in them here: one table.

Most names are looked up in ``subtensor`` and ``subtensor.tensor``, which hold them already. What is listed here has
another name there, or is needed by old programs alone (``subtensor.theano.old``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import subtensor as st
import subtensor.tensor as T
from subtensor.theano import convolution, old
from subtensor.theano.flags import Flags
from subtensor.theano.printing import Print


@dataclass(frozen=True)
class Place:
    """A module of Theano's.

    names: what stands in it. behind: objects in which a name is looked up that is not among them.
    """

    names: Mapping[str, Any] = field(default_factory=dict)
    behind: tuple[Any, ...] = ()

    def find(self, name: str) -> Any:
        """What stands under a name; raises LookupError."""
        if name in self.names:
            return self.names[name]
        for each in self.behind:
            if not name.startswith("_") and hasattr(each, name):
                return getattr(each, name)
        raise LookupError(name)

    def listed(self) -> list[str]:
        """What ``from … import *`` brings: the names listed, and those of ``subtensor.tensor`` behind it."""
        behind = {name for each in self.behind if each is T for name in T.__all__ if hasattr(T, name)}
        return sorted(behind | set(self.names))


_config = Flags()

_types = {
    "Constant": st.Constant,
    "TensorConstant": st.Constant,
    "TensorSharedVariable": st.SharedVariable,
    "SharedVariable": st.SharedVariable,
    "TensorVariable": st.Variable,
    "Variable": st.Variable,
}
_compile = {
    **_types,
    "In": st.In,
    "Mode": old.Mode,
    "Out": old.out,
    "Param": st.In,
    "ProfileStats": old.Mode,
    "function": old.function,
    "get_default_mode": old.get_default_mode,
    "get_mode": old.get_mode,
    "predefined_modes": old.PREDEFINED_MODES,
    "shared": old.shared,
}
_gradient = {
    name: getattr(st, name)
    for name in (
        "Lop", "Rop", "disconnected_grad", "grad", "grad_clip", "hessian", "jacobian", "verify_grad", "zero_grad",
    )
} | {
    "DisconnectedInputError": st.DisconnectedInputError,
    "consider_constant": st.disconnected_grad,
    "numeric_grad": old.numeric_grad,
    "pushforward": st.Rop,
    "pullback": st.Lop,
}  # fmt: skip
_printing = {"Print": Print, "debugprint": st.dprint, "min_informative_str": str, "pp": old.pp, "pprint": old.pp}
_graph = {
    **_types,
    "ancestors": old.ancestors,
    "clone_replace": st.clone_replace,
    "equal_computations": old.equal_computations,
    "graph_inputs": old.graph_inputs,
    "inputs": old.graph_inputs,
    "is_same_graph": old.is_same_graph,
}
_streams = {
    "MRG_RandomStreams": st.MRG_RandomStreams,
    "RandomStream": st.RandomStream,
    "RandomStreams": st.RandomStreams,
}
_loops = {
    **{name: getattr(st, name) for name in ("foldl", "foldr", "map", "reduce", "scan")},
    "until": st.scan_module.until,
}
_updates = {"OrderedUpdates": old.OrderedUpdates}
_tensor = {**_types, **old.TENSOR}

MODULES: dict[str, Place] = {
    "theano": Place(
        {
            **_types,
            **_compile,
            "OrderedUpdates": old.OrderedUpdates,
            "Print": Print,
            "clone": old.clone,
            "config": _config,
            "dot": st.dot,
            "function": old.function,
            "pp": old.pp,
            "shared": old.shared,
            "version": old.version,
            "__version__": old.VERSION,
        },
        (st,),
    ),
    "theano.compile": Place(_compile),
    "theano.compile.builders": Place(),
    "theano.compile.function": Place(_compile),
    "theano.compile.io": Place(_compile),
    "theano.compile.mode": Place(_compile),
    "theano.compile.sharedvalue": Place(_compile),
    "theano.configdefaults": Place({"config": _config}),
    "theano.configparser": Place({"config": _config, "change_flags": _config.change_flags}),
    "theano.gof": Place(_graph),
    "theano.gof.graph": Place(_graph),
    "theano.gof.utils": Place(),
    "theano.gpuarray": Place({"pygpu_activated": False}),
    "theano.gpuarray.dnn": Place({"dnn_available": old.no, "dnn_present": old.no}),
    "theano.gradient": Place(_gradient),
    "theano.graph": Place(_graph),
    "theano.graph.basic": Place(_graph),
    "theano.graph.replace": Place(_graph),
    "theano.ifelse": Place({"ifelse": st.ifelse}),
    "theano.misc": Place(),
    "theano.misc.safe_asarray": Place({"_asarray": old.asarray}),
    "theano.printing": Place(_printing),
    "theano.sandbox": Place(),
    "theano.sandbox.cuda": Place({"cuda_available": False, "cuda_enabled": False}),
    "theano.sandbox.gpuarray": Place({"pygpu_activated": False}),
    "theano.sandbox.rng_mrg": Place(_streams),
    "theano.scalar": Place({"upcast": old.upcast}),
    "theano.scan": Place({**_loops, **_updates}),
    "theano.scan.utils": Place(_updates),
    "theano.scan_module": Place({**_loops, **_updates}),
    "theano.scan_module.scan": Place(_loops),
    "theano.scan_module.scan_utils": Place({"clone": old.clone, "equal_computations": old.equal_computations}),
    "theano.tensor": Place(_tensor, (T,)),
    **{
        f"theano.tensor.{name}": Place(_tensor, (T,))
        for name in ("basic", "elemwise", "exceptions", "extra_ops", "math", "shape", "special", "subtensor", "type",
                     "var", "variable", "sharedvar", "sort")
    },
    "aesara.tensor.nnet": Place({**old.NNET}, (T.nnet,)),
    "aesara.tensor.nnet.basic": Place({**old.NNET}, (T.nnet,)),
    "theano.tensor.nnet": Place({**old.NNET_OF_THEANO}, (T.nnet,)),
    "theano.tensor.nnet.abstract_conv": Place(convolution.ABSTRACT, (T.nnet,)),
    "theano.tensor.nnet.bn": Place({}, (T.nnet,)),
    "theano.tensor.nnet.conv": Place({}, (T.nnet,)),
    "theano.tensor.nnet.nnet": Place({**old.NNET_OF_THEANO}, (T.nnet,)),
    "theano.tensor.nnet.sigm": Place({**old.NNET}, (T.nnet,)),
    "theano.tensor.random": Place(_streams),
    "theano.tensor.random.utils": Place(_streams),
    "theano.tensor.shared_randomstreams": Place(_streams),
    "theano.tensor.signal": Place(),
    "theano.tensor.signal.downsample": Place({}, (T.signal.downsample,)),
    "theano.tensor.signal.pool": Place({}, (T.signal.pool,)),
    "theano.tensor.xlogx": Place({"xlogx": st.xlogx, "xlogy0": st.xlogy0}),
    "theano.updates": Place(_updates),
}  # fmt: skip
"""Every module that is answered to, under Theano's root; Aesara's and PyTensor's are the same with their own, but for
those that are listed under it."""
