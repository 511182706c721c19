"""The pages of the reference: of each its file, its title, what it says first, and its parts with what stands in them.

A place is a module whose public names stand there (those of ``st``; ``"st.random. module"`` those of another namespace),
or a name in full.
"""

_OPS = "subtensor.ops."
_PLUGIN = "subtensor.plugin. "

GROUPS: list[tuple[str, str, str, list[tuple[str, list[str]]]]] = [
    ("leaves", "Inputs, constants, shared variables", "What a program begins with.", [
        ("Shared variables", ["subtensor.starting", "subtensor.graph.shared"]),
        ("Constants", ["subtensor.graph.constants"]),
        ("Inputs of any type", ["st.tensor", "subtensor.graph.types"]),
        ("Inputs by rank and dtype", ["subtensor.graph.leaves"]),
        ("Nodes", ["subtensor.graph.nodes"]),
    ]),
    ("functions", "Compiling, running, looking", "From a graph to something to call, and what it will do.", [
        ("Compiling", ["st.function", "st.Function", "subtensor.program.arguments"]),
        ("Replacing nodes", ["subtensor.function"]),
        ("Looking", ["subtensor.look.printing", "subtensor.look.whole"]),
        ("Settings and backends", ["st.config", "st.backends"]),
    ]),
    ("subsets", "Reading and writing subsets", "`x[index]`, `.set`, `.inc`, and what is built on them.", [
        ("Writing", ["st.set_subtensor", "st.inc_subtensor", "st.assume_unique"]),
        ("Reading and writing at positions", [_OPS + "subtensor"]),
        ("Bags and segments", ["st.segment_sum", _OPS + "segments"]),
        ("Ids from data", ["subtensor.ids"]),
        ("Selecting", [_OPS + "selection"]),
    ]),
    ("gradients", "Gradients", "Derivatives with respect to anything in a graph, subsets included.", [
        ("Reverse mode", ["subtensor.calculus.grad"]),
        ("Products and matrices of derivatives", ["subtensor.calculus.products", "subtensor.calculus.jacobians"]),
        ("What passes through", [_OPS + "gradient"]),
        ("Checking", ["subtensor.gradcheck"]),
    ]),
    ("elementwise", "Elementwise functions", "Arithmetic, comparisons, special functions; all broadcast as NumPy's.", [
        ("Arithmetic and comparisons", [_OPS + "elementwise"]),
        ("Made of these", [_OPS + "special"]),
        ("Of probability, entropy, gamma, beta, Bessel", [_OPS + "scipy_functions"]),
    ]),
    ("shapes", "Shapes, joining, creation", "Rearranging what is there, and making what is not.", [
        ("Shapes", [_OPS + "shape"]),
        ("Joining and repeating", [_OPS + "joining"]),
        ("Creation", [_OPS + "creation", _OPS + "spaces"]),
        ("Theano's other names", [_OPS + "theano_names"]),
    ]),
    ("reductions", "Reductions, sorting, products", "Sums, extrema, statistics; order; products of matrices.", [
        ("Reductions", [_OPS + "reduce", _OPS + "statistics"]),
        ("Sorting and searching", [_OPS + "sorting", _OPS + "ranking"]),
        ("Products", [_OPS + "linalg"]),
    ]),
    ("networks", "Networks", "Activations, losses, convolutions, pooling, normalisation.", [
        ("Activations and losses", [_OPS + "nn"]),
        ("Convolution and pooling", [_OPS + "convolution", _OPS + "pooling"]),
        ("Normalisation and counts", [_OPS + "theano_nnet"]),
    ]),
    ("loops", "Loops and branches", "`scan` and its short forms; one branch of two; a function over many elements.", [
        ("Loops", [_OPS + "scan", "st.scan_module"]),
        ("Branches", [_OPS + "choice"]),
        ("Over elements", [_OPS + "vectorized"]),
    ]),
    ("optimizers", "Optimizers", "Update rules for shared variables and for their rows. See [the page](../optimizers.md).", [
        ("The module", ["st.optimizers"]),
        ("Rules", [f"st.optimizers. subtensor.optimizers.{m}" for m in (
            "gradient_descent", "adaptive", "adam", "rowwise_adam", "ftrl_proximal", "lion", "dual_averaging",
        )]),
        ("What they give, and options", [f"st.optimizers. subtensor.optimizers.{m}" for m in ("updates", "build")]),
        ("Several batches in one step", ["st.optimizers. subtensor.optimizers.accumulation"]),
        ("Schedules", ["st.optimizers.schedules", "st.optimizers.schedules. subtensor.optimizers.schedules"]),
        ("Constraints", ["st.optimizers.constraints", "st.optimizers.constraints. subtensor.optimizers.constraints"]),
    ]),
    ("random", "Random numbers", "Draws with keys, and streams. See [the page](../random.md).", [
        ("The module", ["st.random"]),
        ("Keys", ["st.random. subtensor.random.keys"]),
        ("Draws", ["st.random. subtensor.random.draws", "st.random. subtensor.random.arrivals"]),
        ("Draws by weight", ["st.random. subtensor.random.weighted"]),
        ("Rounding", ["st.random. subtensor.random.rounding"]),
        ("Streams", ["st.random. subtensor.random.streams", "subtensor.random.streams"]),
        ("More draws", ["st.random. subtensor.random.*"]),
    ]),
    ("curvature", "Curvature", "Hessian-free and Gauss-Newton steps on subsets. See [the page](../optimizers.md).", [
        ("The module", ["st.curvature"]),
        ("Drivers and spaces", [f"st.curvature. subtensor.curvature.{m}" for m in (
            "hessian_free", "gauss_newton", "driver", "space",
        )]),
    ]),
    ("keeping", "Keeping values", "Checkpoints, and tables that lie in files. See [large tables](../large-tables.md).", [
        ("Checkpoints", ["subtensor.checkpoint.saving", "subtensor.checkpoint.*"]),
        ("Tables in files", ["subtensor.store.*"]),
    ]),
    ("errors", "Errors", "Each says where, what was expected, what was got, and the remedy.", [
        ("The classes", ["subtensor.errors", "st.errors"]),
    ]),
    ("plugins", "For plugins", "What a backend, an op, a rewrite or a lowering is written with: [how](../writing-a-backend.md).", [
        ("From `st`", ["st.hookimpl", "st.plugins", "subtensor.graph.nodes", "st.Op"]),
        ("Graphs", [_PLUGIN + m for m in ("subtensor.graph.nodes", "subtensor.graph.types", "subtensor.graph.shared",
                                          "subtensor.graph.indexing", "subtensor.graph.cost", "subtensor.rewrites.engine")]),
        ("Programs and executables", [_PLUGIN + m for m in (
            "subtensor.program.contract", "subtensor.program.linear", "subtensor.program.building", "subtensor.graph.cells",
            "subtensor.ops.views", "subtensor.plugins.hooks", "subtensor.errors", "pluggy._decorators",
        )]),
    ]),
]  # fmt: skip

DESCRIBED: dict[str, tuple[str, str]] = {
    "st.scan_module": (_OPS + "scan", "Theano's `theano.scan_module`: `scan`, `map`, `reduce`, `foldl`, `foldr` and `until`."),
    "subtensor.plugin.CAPABILITIES": (
        "subtensor.program.contract", "The names of what a backend may declare not to have: `unsupported` holds some of them.",
    ),
    "subtensor.plugin.NO_LOWERINGS": ("subtensor.program.contract", "An empty mapping: lowerings of other plugins, where there are none."),
    "subtensor.plugin.SPEC_VERSION": (
        "subtensor.program.contract", "The version of the contract between frontend and backends. It rises when that changes.",
    ),
    "subtensor.plugin.Array": ("subtensor.program.contract", "A backend's own array, of which the frontend knows nothing: `Any`."),
    "subtensor.plugin.Lowering": ("subtensor.program.contract", "What runs an op: a function of arrays, with the op's params as keywords."),
    "subtensor.plugin.VIEWS": ("subtensor.ops.views", "Names of the ops whose results may share memory with their first argument."),
    "subtensor.plugin.KEEPS": ("subtensor.rewrites.engine", "What a rewrite may keep, from the most to the least: see [Rewrites](../rewrites.md)."),
    "subtensor.plugin.OPS": ("subtensor.graph.nodes", "Every op by its name."),
    "subtensor.plugin.ZERO": ("subtensor.graph.nodes", "A gradient that is zero: the result does not change with the argument."),
    "subtensor.plugin.DISCONNECTED": ("subtensor.graph.nodes", "No gradient: the result does not depend on the argument differentiably."),
    "subtensor.plugin.UNWRITTEN": ("subtensor.graph.nodes", "There is a gradient, and no rule for it: asking for it is a `GradientError`."),
    "subtensor.plugin.INDEX": ("subtensor.graph.types", "The dtype of positions and lengths: `\"int64\"`."),
    "subtensor.plugin.Cotangent": ("subtensor.graph.nodes", "What a gradient rule gives for an argument: a node, `ZERO`, `DISCONNECTED` or `UNWRITTEN`."),
    "subtensor.plugin.Length": ("subtensor.graph.nodes", "What says a length of a result: an int, or where it is read off."),
    "st.config": ("subtensor.graph.config", (
        "The settings: `floatX`, `backend`, and others, which `help(st.config)` lists. `st.config.floatX = \"float32\"` sets one; "
        "`with st.config.change_flags(floatX=\"float32\"):` for a while. `SUBTENSOR_FLOATX` and `SUBTENSOR_BACKEND` in the environment "
        "set them at the start."
    )),
    "st.hookimpl": ("pluggy._decorators", "Marks a function of a plugin as a hook: see [hooks](../writing-a-backend.md#hooks)."),
    "subtensor.plugin.hookimpl": ("pluggy._decorators", "The same as `st.hookimpl`."),
    "st.errors": ("subtensor.errors", "The module of all errors."),
}  # fmt: skip
"""What says itself in no docstring: by full name, the module that it belongs to, and a text."""
