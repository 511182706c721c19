"""The rules of the plugin host, each tried on distributions made up for the purpose."""

import json
import os
import subprocess
import sys
import textwrap
import threading
import types
import warnings
from pathlib import Path

import pytest

import subtensor
from subtensor.__main__ import main
from subtensor.errors import BackendNotFoundError, PluginError
from subtensor.graph.nodes import Op
from subtensor.plugin import Cost
from subtensor.plugins import PluginHost, PluginWarning
from subtensor.plugins.hooks import hookimpl
from subtensor.program.contract import CAPABILITIES, SPEC_VERSION

FRONTEND = Path(subtensor.__file__).parents[1]

BACKEND = """
from types import SimpleNamespace
from subtensor.plugins.hooks import hookimpl

calls = 0

@hookimpl
def subtensor_backend():
    global calls
    calls += 1
    return SimpleNamespace(
        name={name!r}, spec_version={version}, capabilities=frozenset({capabilities!r}), operations=frozenset(),
        compile=lambda program, *, lowerings=None: None, from_numpy=lambda value: value, to_numpy=lambda array: array,
    )
"""

OPS = """
from subtensor.graph.nodes import Op
from subtensor.plugins.hooks import hookimpl

@hookimpl
def subtensor_ops():
    yield Op(name={name!r}, infer=lambda x: x.type, vjp=lambda g, out, x: [g])
"""


def backend_code(name, version=SPEC_VERSION, capabilities=()):
    return BACKEND.format(name=name, version=version, capabilities=capabilities)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Return a function that lays out a distribution with one module as an installer would."""
    monkeypatch.delenv("SUBTENSOR_BLOCK_PLUGINS", raising=False)
    modules = []

    def lay_out(distribution, module, code, version="1.0", group="subtensor.backends", names=None, extras=()):
        folder = tmp_path / distribution
        info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        metadata += "".join(f"Provides-Extra: {extra}\n" for extra in extras)
        info.joinpath("METADATA").write_text(metadata)
        points = "".join(f"{name} = {module}\n" for name in names or [module])
        info.joinpath("entry_points.txt").write_text(f"[{group}]\n{points}")
        if code is not None:
            folder.joinpath(f"{module}.py").write_text(textwrap.dedent(code))
        monkeypatch.syspath_prepend(folder)
        modules.append(module)
        return folder

    yield lay_out
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def host():
    return PluginHost()


def status(host, name, **options):
    """Give the row of the only plugin of a name."""
    [info] = [info for info in [*host.backends(**options), *host.extensions()] if info.name == name]
    return info


def refusal(host, name, *fragments):
    """Check that a backend is refused with a message that holds all fragments, and that nothing of it is left."""
    with pytest.raises(PluginError) as caught:
        host.get_backend(name)
    message = str(caught.value)
    for fragment in fragments:
        assert fragment in message, message
    assert name not in host._backends
    return caught.value


class Named:
    """An object with a name, as rewrites have."""

    def __init__(self, name):
        self.name = name


def an_op(name):
    return Op(name=name, infer=lambda x: x.type, vjp=lambda g, out, x: [g])


def a_plugin(name="plugin", **hooks):
    """Make a module in memory whose hooks give what is passed."""
    module = types.ModuleType(name)
    for hook, given in hooks.items():

        def give(given=given):
            return given

        give.__name__ = hook
        # A parameter with a default is no argument of the hook to pluggy.
        setattr(module, hook, hookimpl(give))
    return module


def a_backend(name="memory", **changes):
    given = {
        "name": name,
        "spec_version": SPEC_VERSION,
        "capabilities": frozenset(),
        "operations": frozenset(),
        "compile": lambda program, *, lowerings=None: None,
        "from_numpy": lambda value: value,
        "to_numpy": lambda array: array,
    } | changes
    return types.SimpleNamespace(**{key: value for key, value in given.items() if value is not ...})


# Finding and loading


def test_a_backend_is_found_by_name(install, host):
    install("foo-dist", "foo", backend_code("foo"), version="2.3")
    assert status(host, "foo").status == "available"
    assert host.get_backend("foo").name == "foo"
    info = status(host, "foo")
    assert (info.distribution, info.version, info.status, info.reason) == ("foo-dist", "2.3", "loaded", "")


def test_hooks_are_called_once(install, host):
    install("foo-dist", "foo", backend_code("foo"))
    assert host.get_backend("foo") is host.get_backend("foo")
    host.backends(load=True)
    assert sys.modules["foo"].calls == 1


def test_only_the_backend_asked_for_is_imported(install):
    folders = [
        install("foo-dist", "foo", backend_code("foo")),
        install("bar-dist", "bar", backend_code("bar")),
        install("baz-dist", "baz", OPS.format(name="baz"), group="subtensor.plugins"),
    ]
    code = """
        import json, sys
        import subtensor.plugins as plugins
        watched = ("foo", "bar", "baz", "jax", "importlib.metadata", "subtensor_numpy", "subtensor_jax")
        def seen():
            return [name for name in watched if name in sys.modules]
        steps = [seen()]
        plugins.backends()
        steps.append(seen())
        plugins.get_backend("foo")
        steps.append(seen())
        plugins.load_extensions()
        steps.append(seen())
        print(json.dumps(steps))
    """
    path = os.pathsep.join(map(str, [FRONTEND, *folders]))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ | {"PYTHONPATH": path},
        check=True,
        capture_output=True,
        text=True,
    )
    imported, listed, got, compiled = json.loads(done.stdout)
    assert imported == []
    assert listed == ["importlib.metadata"]
    assert got == ["foo", "importlib.metadata"]
    assert compiled == ["foo", "baz", "importlib.metadata"]


def test_an_unknown_name_lists_what_there_is(install, host):
    install("foo-dist", "foobar", backend_code("foobar"))
    with pytest.raises(
        BackendNotFoundError, match=r"no backend is named 'fobar'; available: .*foobar.*mean 'foobar'\?"
    ):
        host.get_backend("fobar")
    with pytest.raises(LookupError):
        host.get_backend("fobar")


def test_threads_load_a_backend_once(install, host):
    install("foo-dist", "foo", "import time; time.sleep(0.05)\n" + backend_code("foo"))
    found = []
    threads = [threading.Thread(target=lambda: found.append(host.get_backend("foo"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
    assert sys.modules["foo"].calls == 1


# What is refused, and whom the message names


def test_a_misspelt_hook(install, host):
    code = backend_code("foo") + "\n@hookimpl\ndef subtensor_lowering():\n    return {}\n"
    install("foo-dist", "foo", code)
    refusal(host, "foo", "plugin 'foo'", "foo-dist 1.0", "'subtensor_lowering'", "did you mean 'subtensor_lowerings'?")


def test_a_misspelt_hook_spoils_no_other_plugin(install, host):
    install("foo-dist", "foo", backend_code("foo").replace("subtensor_backend", "subtensor_bakend"))
    install("bar-dist", "bar", backend_code("bar"))
    refusal(host, "foo", "'subtensor_bakend'", "did you mean 'subtensor_backend'?")
    assert host.get_backend("bar").name == "bar"


def test_a_hook_without_its_marker(install, host):
    install("foo-dist", "foo", backend_code("foo") + "\ndef subtensor_ops():\n    return []\n")
    refusal(host, "foo", "plugin 'foo'", "foo-dist 1.0", "'subtensor_ops' without the marker", "@subtensor.hookimpl")


def test_a_hook_with_a_parameter_that_is_not_its_own(install, host):
    install("foo-dist", "foo", backend_code("foo") + "\n@hookimpl\ndef subtensor_ops(config):\n    return []\n")
    refusal(host, "foo", "plugin 'foo'", "foo-dist 1.0", "config")


def test_a_plugin_without_hooks(install, host):
    install("foo-dist", "foo", "")
    refusal(host, "foo", "plugin 'foo'", "foo-dist 1.0", "implements no hook", "subtensor_backend")


def test_a_plugin_in_the_group_for_backends_without_one(install, host):
    install("foo-dist", "foo", OPS.format(name="foo_op"))
    refusal(host, "foo", "foo-dist 1.0", "no hook 'subtensor_backend'", "'subtensor.plugins'")
    assert not host.ops()


def test_a_backend_in_the_group_for_other_plugins(install, host):
    install("foo-dist", "foo", backend_code("foo"), group="subtensor.plugins")
    with pytest.warns(
        PluginWarning, match=r"foo-dist 1\.0 implements the hook 'subtensor_backend'.*'subtensor\.backends'"
    ):
        host.load_extensions()


def test_a_name_that_is_not_the_entry_points(install, host):
    install("foo-dist", "foo", backend_code("other"))
    refusal(host, "foo", "plugin 'foo'", "foo-dist 1.0", "'other'", "expected the plugin's name 'foo'")


def test_one_backend_offered_by_two_distributions(install, host, monkeypatch):
    install("first-dist", "first", backend_code("foo"), version="1.1", names=["foo"])
    install("second-dist", "second", backend_code("foo"), version="2.2", names=["foo"])
    install("bar-dist", "bar", backend_code("bar"))
    both = ("plugin 'foo' (first) of first-dist 1.1", "plugin 'foo' (second) of second-dist 2.2")
    refusal(host, "foo", *both, "SUBTENSOR_BLOCK_PLUGINS")
    assert not {"first", "second"} & set(sys.modules)
    rows = [info for info in host.backends(load=True) if info.name == "foo"]
    assert [info.status for info in rows] == ["failed", "failed"]
    assert all(name in info.reason for info in rows for name in both)
    assert status(host, "bar").status == "loaded"
    monkeypatch.setenv("SUBTENSOR_BLOCK_PLUGINS", "second_dist")
    assert host.get_backend("foo").name == "foo"
    assert [info.status for info in host.backends() if info.name == "foo"] == ["loaded", "blocked"]


@pytest.mark.parametrize(
    ("version", "remedy"), [(SPEC_VERSION - 1, "the distribution"), (SPEC_VERSION + 1, "subtensor")]
)
def test_another_version_of_the_contract(install, host, version, remedy):
    install("foo-dist", "foo", backend_code("foo", version=version))
    expected = f"spec_version is {version}, expected {SPEC_VERSION}; upgrade {remedy}"
    refusal(host, "foo", "plugin 'foo'", "foo-dist 1.0", expected)


@pytest.mark.parametrize("version", ["1", True, 1.0])
def test_a_version_that_is_not_an_int(host, version):
    with pytest.raises(PluginError, match="spec_version is"):
        host.register(a_plugin(subtensor_backend=a_backend(spec_version=version)))


@pytest.mark.parametrize(
    "attribute", ["name", "spec_version", "capabilities", "operations", "compile", "from_numpy", "to_numpy"]
)
def test_a_missing_attribute(host, attribute):
    with pytest.raises(
        PluginError, match=rf"plugin 'mine' .*registered in this process: .*lacks the attribute '{attribute}'"
    ):
        host.register(a_plugin(subtensor_backend=a_backend(**{attribute: ...})), "mine")


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("name", 3),
        ("capabilities", {"float16"}),
        ("operations", ["add"]),
        ("compile", "x"),
        ("from_numpy", 1),
        ("to_numpy", []),
    ],
)
def test_an_attribute_of_the_wrong_type(host, attribute, value):
    with pytest.raises(PluginError, match=f"attribute '{attribute}' is .*, expected"):
        host.register(a_plugin(subtensor_backend=a_backend(**{attribute: value})))


def test_capabilities_are_a_closed_set(install, host):
    install("foo-dist", "foo", backend_code("foo", capabilities=("float16", "flaot16")))
    refusal(host, "foo", "foo-dist 1.0", "['flaot16']", *CAPABILITIES)
    host.register(a_plugin(subtensor_backend=a_backend(capabilities=CAPABILITIES)))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("raise ValueError('on purpose')", ValueError),
        ("import sys; sys.exit('on purpose')", SystemExit),
        ("def (on purpose", SyntaxError),
    ],
)
def test_a_plugin_that_cannot_be_imported(install, host, code, kind):
    install("foo-dist", "foo", code)
    install("bar-dist", "bar", backend_code("bar"))
    error = refusal(host, "foo", "plugin 'foo' (foo) of foo-dist 1.0 failed on import", kind.__name__)
    assert isinstance(error.__cause__, kind)
    assert host.get_backend("bar").name == "bar"
    info = status(host, "foo")
    assert info.status == "failed"
    assert info.reason == str(error)


def test_a_failure_is_forgotten_once_repaired(install, host):
    folder = install("foo-dist", "foo", "raise ValueError")
    refusal(host, "foo", "ValueError")
    folder.joinpath("foo.py").write_text(backend_code("foo"))
    assert host.get_backend("foo").name == "foo"
    assert status(host, "foo").reason == ""


def test_a_missing_dependency_with_an_extra(install, host):
    install("foo-dist", "foo", "import a_module_that_is_not_there", extras=["test", "foo"])
    refusal(host, "foo", "foo-dist 1.0", "a_module_that_is_not_there", "pip install 'foo-dist[foo]'")


def test_a_missing_dependency_without_an_extra(install, host):
    install("foo-dist", "foo", "import a_module_that_is_not_there", extras=["test"])
    error = refusal(host, "foo", "foo-dist 1.0", "documentation of foo-dist")
    assert "pip install" not in str(error)


def test_a_dependency_that_is_missed_only_when_the_hook_is_called(install, host):
    code = backend_code("foo").replace("global calls", "import a_module_that_is_not_there")
    install("foo-dist", "foo", code.replace("calls += 1", ""), extras=["foo"])
    refusal(host, "foo", "failed in 'subtensor_backend'", "pip install 'foo-dist[foo]'")


def test_a_module_that_is_not_installed_itself(install, host):
    install("foo-dist", "foo", None, extras=["foo"])
    refusal(host, "foo", "the installation of foo-dist is incomplete: reinstall it")


def test_an_entry_point_to_nothing(install, host):
    install("foo-dist", "foo", "x = None", names=["a"])
    install("bar-dist", "bar", "", names=["b"])
    for module in ("foo", "bar"):
        sys.modules.pop(module, None)
    refusal(host, "a", "foo-dist 1.0", "implements no hook")
    with pytest.raises(PluginError, match="is None, expected"):
        host.register(None)


@pytest.mark.parametrize("hook", ["subtensor_backend", "subtensor_ops", "subtensor_rewrites", "subtensor_lowerings"])
def test_a_hook_that_raises(host, hook):
    class Plugin:
        pass

    def fail():
        raise ZeroDivisionError("on purpose")

    plugin = Plugin()
    setattr(plugin, hook, hookimpl(fail))
    with pytest.raises(
        PluginError, match=f"plugin 'mine' .* failed in '{hook}': ZeroDivisionError: on purpose"
    ) as caught:
        host.register(plugin, "mine")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert not host._plugins


@pytest.mark.parametrize("hook", ["subtensor_backend", "subtensor_ops", "subtensor_rewrites", "subtensor_lowerings"])
def test_a_hook_that_gives_nothing(host, hook):
    with pytest.raises(PluginError, match=f"'{hook}' gave None"):
        host.register(a_plugin(**{hook: None}))


@pytest.mark.parametrize(
    "hooks",
    [
        {"subtensor_ops": [Named("double")]},
        {"subtensor_ops": ["double"]},
        {"subtensor_ops": 3},
        {"subtensor_rewrites": [object()]},
        {"subtensor_rewrites": [Named("")]},
        {"subtensor_lowerings": []},
        {"subtensor_lowerings": {"foo": []}},
        {"subtensor_lowerings": {"foo": {"op": 3}}},
        {"subtensor_lowerings": {3: {"op": print}}},
        {"subtensor_lowerings": {"foo": {3: print}}},
    ],
)
def test_a_hook_that_gives_what_it_may_not(host, hooks):
    with pytest.raises(PluginError, match=f"plugin 'mine' .*{next(iter(hooks))}"):
        host.register(a_plugin(**hooks), "mine")
    assert not host.ops()


def test_an_iterator_that_fails_halfway(host):
    def items():
        yield an_op("double")
        raise ZeroDivisionError

    with pytest.raises(PluginError, match="failed in 'subtensor_ops': ZeroDivisionError"):
        host.register(a_plugin(subtensor_ops=items()))
    assert not host.ops()


@pytest.mark.parametrize(
    ("cost", "said"),
    [
        (Cost(computes="-2 * x.size"), r"computes='-2 \* x.size': -2 may be negative"),
        (Cost(reads="x.size - 1"), "may be negative"),
        (Cost(reads="y.size"), "in lengths of 'y'.*its arguments are x, and its result is 'out'"),
        (Cost(computes="x.size ** 2"), r"x.size \*\* 2 is not part of a formula"),
        (Cost(computes="len(x)"), "is not part of a formula"),
        (Cost(writes="x.shape"), "is not part of a formula"),
        (Cost(writes="2 *"), "is no formula"),
        (Cost(writes="1e999 * x.size"), "expected 0 or more"),
        (Cost(allocates=3), "is no formula"),
        ("x.size", "expected a subtensor.plugin.Cost"),
    ],
)
def test_a_cost_that_cannot_be(host, cost, said):
    op = Op(name="double", infer=lambda x: x.type, vjp=lambda g, out, x: [g], cost=cost)
    with pytest.raises(PluginError, match=f"plugin 'mine' .*the op 'double', which is refused: .*{said}"):
        host.register(a_plugin(subtensor_ops=[op]), "mine")
    assert not host.ops()


# Ops, rewrites and lowerings


def test_what_plugins_bring(host):
    op, rewrite = an_op("double"), Named("double twice")
    lowering = {"memory": {"double": len}, "elsewhere": {"double": max}}
    name = host.register(
        a_plugin(subtensor_ops=[op], subtensor_rewrites=(rewrite,), subtensor_lowerings=lowering), "mine"
    )
    assert name == "mine"
    assert host.ops() == {"double": op}
    assert host.rewrites("any") == (rewrite,)
    assert host.lowerings("memory") == {"double": len}
    assert host.lowerings("elsewhere") == {"double": max}
    assert host.lowerings("nowhere") == {}


def test_rewrites_of_a_backend_are_for_its_programs_only(host):
    general, special = Named("general"), Named("special")
    host.register(a_plugin("a", subtensor_backend=a_backend("one"), subtensor_rewrites=[special]))
    host.register(a_plugin("b", subtensor_backend=a_backend("two")))
    host.register(a_plugin("c", subtensor_rewrites=[general]))
    assert host.rewrites("one") == (general, special)
    assert host.rewrites("two") == (general,)


@pytest.mark.parametrize(
    ("hooks", "claim"),
    [
        ({"subtensor_ops": [an_op("x")]}, "op 'x'"),
        ({"subtensor_rewrites": [Named("x")]}, "rewrite 'x'"),
        ({"subtensor_lowerings": {"memory": {"x": print}}}, "lowering of op 'x' for backend 'memory'"),
    ],
)
def test_a_name_brought_by_two_plugins(host, hooks, claim):
    host.register(a_plugin("a", **hooks), "first")
    before = dict(host._plugins)
    second = a_plugin("b", **hooks)
    with pytest.raises(PluginError, match=f"plugin 'second' .*{claim} is already taken by plugin 'first'"):
        host.register(second, "second")
    assert host._plugins == before
    host.unregister("first")
    assert host.register(second, "second") == "second"


def test_a_name_brought_twice_by_one_plugin(host):
    with pytest.raises(PluginError, match="'subtensor_ops' gave the name 'x' twice"):
        host.register(a_plugin(subtensor_ops=[an_op("x"), an_op("x")]))


def test_names_that_are_built_in(host):
    host.reserve(ops=["add"], rewrites=["fold"])
    host.reserve(ops=["add"])
    with pytest.raises(PluginError, match="op 'add' is already taken by subtensor itself"):
        host.register(a_plugin(subtensor_ops=[an_op("add")]))
    with pytest.raises(PluginError, match="rewrite 'fold' is already taken by subtensor itself"):
        host.register(a_plugin(subtensor_rewrites=[Named("fold")]))
    host.register(a_plugin(subtensor_ops=[an_op("mine")]))
    with pytest.raises(PluginError, match="op 'mine' is already taken by plugin"):
        host.reserve(ops=["mine"])


def test_extensions_load_once_and_apart(install, host):
    install("good-dist", "good", OPS.format(name="good"), group="subtensor.plugins")
    install("broken-dist", "broken", "raise ValueError('on purpose')", group="subtensor.plugins")
    install("late-dist", "late", OPS.format(name="good"), version="3.0", group="subtensor.plugins")
    with pytest.warns(PluginWarning) as caught:
        host.load_extensions()
    messages = sorted(str(warning.message) for warning in caught)
    assert len(messages) == 2
    assert "plugin 'broken' (broken) of broken-dist 1.0 failed on import: ValueError: on purpose" in messages[0]
    assert "plugin 'late' (late) of late-dist 3.0: op 'good'" in messages[1]
    assert "plugin 'good' (good) of good-dist 1.0" in messages[1]
    assert list(host.ops()) == ["good"]
    assert {info.name: info.status for info in host.extensions()} == {
        "good": "loaded",
        "broken": "failed",
        "late": "failed",
    }
    assert status(host, "broken").reason == messages[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        host.load_extensions()


def test_one_extension_offered_by_two_distributions(install, host):
    install("first-dist", "first", OPS.format(name="a"), group="subtensor.plugins", names=["foo"])
    install("second-dist", "second", OPS.format(name="b"), group="subtensor.plugins", names=["foo"])
    with pytest.warns(PluginWarning, match=r"first-dist 1\.0 and by .* second-dist 1\.0") as caught:
        host.load_extensions()
    assert len(caught) == 1
    assert not host.ops()


def test_an_extension_may_share_its_name_with_a_backend(install, host):
    install("foo-dist", "foo", backend_code("foo"))
    install("foo-ops", "foo_ops", OPS.format(name="double"), group="subtensor.plugins", names=["foo"])
    host.load_extensions()
    assert host.get_backend("foo").name == "foo"
    assert list(host.ops()) == ["double"]


# Blocking


@pytest.mark.parametrize("setting", ["foo", "FOO", " bar-dist , foo_dist", "*", "baz,*"])
def test_blocked(install, host, monkeypatch, setting):
    install("foo-dist", "foo", backend_code("foo"))
    monkeypatch.setenv("SUBTENSOR_BLOCK_PLUGINS", setting)
    error = refusal(
        host, "foo", "plugin 'foo' (foo) of foo-dist 1.0 is blocked", f"SUBTENSOR_BLOCK_PLUGINS={setting!r}"
    )
    assert not isinstance(error, BackendNotFoundError)
    info = status(host, "foo", load=True)
    assert info.status == "blocked"
    assert "SUBTENSOR_BLOCK_PLUGINS" in info.reason
    assert "foo" not in sys.modules


@pytest.mark.parametrize("setting", ["", ",", "fo", "fool", "dist"])
def test_not_blocked(install, host, monkeypatch, setting):
    install("foo-dist", "foo", backend_code("foo"))
    monkeypatch.setenv("SUBTENSOR_BLOCK_PLUGINS", setting)
    assert host.get_backend("foo").name == "foo"


def test_the_star_spares_what_subtensor_brings_itself(install, host, monkeypatch):
    install("subtensor", "own", backend_code("own"))
    monkeypatch.setenv("SUBTENSOR_BLOCK_PLUGINS", "*")
    assert host.get_backend("own").name == "own"


def test_a_blocked_extension(install, host, monkeypatch):
    install("foo-dist", "foo", "raise ValueError", group="subtensor.plugins")
    monkeypatch.setenv("SUBTENSOR_BLOCK_PLUGINS", "foo")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        host.load_extensions()
    assert status(host, "foo").status == "blocked"


# Registering by hand


def test_a_backend_registered_by_hand(host):
    backend = a_backend("memory")
    plugin = a_plugin(subtensor_backend=backend)
    assert host.register(plugin) == "memory"
    assert host.get_backend("memory") is backend
    info = status(host, "memory")
    assert (info.distribution, info.version, info.status) == (None, None, "loaded")
    assert host.unregister("memory") is plugin
    with pytest.raises(BackendNotFoundError):
        host.get_backend("memory")
    assert host.register(plugin) == "memory"


def test_registering_twice(host):
    plugin = a_plugin(subtensor_ops=[an_op("x")])
    host.register(plugin, "mine")
    with pytest.raises(PluginError, match="already loaded, as plugin 'mine'"):
        host.register(plugin, "other")
    with pytest.raises(PluginError, match="the name 'mine' is already taken"):
        host.register(a_plugin(subtensor_ops=[an_op("y")]), "mine")
    assert list(host.ops()) == ["x"]


def test_registering_the_name_of_an_installed_backend(install, host):
    install("foo-dist", "foo", backend_code("foo"))
    with pytest.raises(PluginError, match=r"backend 'foo' is already taken by plugin 'foo' \(foo\) of foo-dist 1\.0"):
        host.register(a_plugin(subtensor_backend=a_backend("foo")))
    assert host.get_backend("foo").name == "foo"


def test_installing_the_name_of_a_registered_backend(install, host):
    host.register(a_plugin(subtensor_backend=a_backend("foo")))
    install("foo-dist", "foo", backend_code("foo"))
    assert host.get_backend("foo").name == "foo"
    assert "foo" not in sys.modules
    installed, by_hand = (info for info in host.backends(load=True) if info.name == "foo")
    assert installed.status == "failed"
    assert "registered in this process" in installed.reason
    assert by_hand.status == "loaded"


def test_only_what_was_registered_by_hand_can_be_unregistered(install, host):
    install("foo-dist", "foo", backend_code("foo"))
    host.get_backend("foo")
    with pytest.raises(PluginError, match="SUBTENSOR_BLOCK_PLUGINS"):
        host.unregister("foo")


# Listing


def test_the_list_prints_as_a_table(install, host):
    install("foo-dist", "foo", backend_code("foo"))
    install("broken-dist", "broken", "raise ValueError('first line\\nsecond line')")
    table = host.backends(load=True)
    lines = repr(table).splitlines()
    assert lines[0].split() == ["name", "distribution", "version", "status", "reason"]
    assert len(lines) == 1 + len(table)
    [line] = [line for line in lines if line.startswith("foo ")]
    assert line.split() == ["foo", "foo-dist", "1.0", "loaded", "-"]
    assert str(table) == repr(table)


def run_command(folders, *arguments):
    path = os.pathsep.join(map(str, [FRONTEND, *folders]))
    return subprocess.run(
        [sys.executable, "-m", "subtensor", *arguments],
        env=os.environ | {"PYTHONPATH": path},
        check=False,
        capture_output=True,
        text=True,
    )


def test_the_command(install):
    folders = [
        install("foo-dist", "foo", backend_code("foo")),
        install("broken-dist", "broken", "raise ValueError('on purpose')"),
        install("more-dist", "more", OPS.format(name="more"), group="subtensor.plugins"),
    ]
    listed = run_command(folders, "backends")
    assert listed.returncode == 0, listed.stderr
    rows = {line.split()[0]: line for line in listed.stdout.splitlines()}
    assert rows["foo"].split() == ["foo", "foo-dist", "1.0", "loaded", "-"]
    assert "failed" in rows["broken"]
    assert "ValueError: on purpose" in rows["broken"]

    unloaded = json.loads(run_command(folders, "backends", "--no-load", "--json").stdout)
    assert {
        "name": "broken",
        "distribution": "broken-dist",
        "version": "1.0",
        "status": "available",
        "reason": "",
    } in unloaded

    plugins = json.loads(run_command(folders, "plugins", "--json").stdout)
    assert ("more", "loaded") in [(info["name"], info["status"]) for info in plugins]


def test_the_command_for_named_backends(install):
    folders = [
        install("foo-dist", "foo", backend_code("foo")),
        install("broken-dist", "broken", "raise ValueError('on purpose')"),
    ]
    good = run_command(folders, "backends", "foo", "--json")
    assert good.returncode == 0
    assert [(info["name"], info["status"]) for info in json.loads(good.stdout)] == [("foo", "loaded")]
    bad = run_command(folders, "backends", "foo", "broken", "fooo")
    assert bad.returncode == 1
    assert "ValueError: on purpose" in bad.stderr
    assert "did you mean 'foo'?" in bad.stderr


def test_the_command_refuses_what_it_does_not_know(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["frontends"])
    assert caught.value.code == 2
    assert "invalid choice" in capsys.readouterr().err
