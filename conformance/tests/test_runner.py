"""Bad usage, broken backends and doctored reports: a clear message, the right exit code, never a pass."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from subtensor import plugins
from subtensor_conformance import UsageError, plan, run
from subtensor_conformance.__main__ import main
from subtensor_conformance.case import Manifest
from subtensor_conformance.check import check
from subtensor_conformance.html_report import page
from subtensor_conformance.junit import xml
from subtensor_conformance.known_bad import Altered, installed
from subtensor_conformance.report import Run, disagreement
from subtensor_conformance.repro import script
from subtensor_conformance.result import Result
from subtensor_conformance.terminal import show

pytestmark = pytest.mark.once

ONE = "create/zeros"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "no backend is named"),
        (["--backend", "nmpy"], "unknown backend 'nmpy'"),
        (["--backend", "known-bad:none"], "unknown backend 'known-bad:none'"),
        (["--backend", "numpy", "--area", "gett"], "did you mean 'get'"),
        (["--backend", "numpy", "--case", "create/zero"], "did you mean 'create/zeros'"),
        (["--backend", "numpy", "--repro", "create/zero"], "ids are exact"),
        (["--backend", "numpy", "--profile", "slow"], "unknown profile"),
        (["--backend", "numpy", "--capability", "float8"], "unknown capability"),
        (["--self-test", "--only", "nothing"], "unknown known-bad backend"),
    ],
)
def test_bad_usage(arguments, text, capsys):
    assert main(arguments) == 2
    assert text in capsys.readouterr().err


def test_a_plan_is_shuffled_by_its_seed_alone():
    first, second = ([c.id for c in plan(seed=s)] for s in (0, 5))
    assert first != second
    assert sorted(first) == sorted(second)
    assert second == [c.id for c in plan(seed=5)]
    with pytest.raises(UsageError):
        plan(areas=("nowhere",))


def test_a_worker_runs_a_named_backend():
    report = run("numpy", areas=("create",))
    assert report.exit_code == 0
    assert report.level(report.runs[0]) == "none"  # one area proves no level
    assert report.runs[0].about["distribution"] == "subtensor"


def test_a_crash_fails_its_case_and_the_rest_goes_on():
    report = run("known-bad:crashes", ids=(ONE, "create/ones"))
    assert [r.kind for r in report.runs[0].results.values()] == ["crash", "crash"]
    assert report.exit_code == 1


def test_after_many_crashes_the_rest_is_not_run(monkeypatch):
    monkeypatch.setattr("subtensor_conformance.workers.MOST_RESTARTS", 1)
    report = run("known-bad:crashes", areas=("create",), time_limit=20)
    counts = report.runs[0].counts()
    assert counts["fail"] == 2
    assert counts["not-run"] == report.manifest.count - 2
    assert report.exit_code == 1


def test_a_hang_fails_its_case():
    report = run("known-bad:hangs", ids=(ONE,), time_limit=1)
    (result,) = report.runs[0].results.values()
    assert (result.kind, report.exit_code) == ("hang", 1)


def test_a_backend_that_is_not_there_is_exit_code_2():
    report = run("nowhere", ids=(ONE,))
    assert report.exit_code == 2
    assert "no backend is named 'nowhere'" in report.runs[0].fault
    assert [r.state for r in report.runs[0].results.values()] == ["not-run"]


def test_declarations_alone_are_exit_code_3():
    with installed("declaration-stale") as name:
        report = run(name, areas=("dtypes",), in_process=True)
    assert report.exit_code == 3
    assert set(report.runs[0].counts()) == {"pass", "stale"}


def test_what_is_truly_lacking_is_no_failure_but_not_full():
    from subtensor.errors import Unsupported

    def compiling(program):
        if any(t.dtype == "float16" for t in program.types):
            raise Unsupported("float16")

    good = plugins.get_backend("numpy")
    backend = Altered(good, capabilities=good.capabilities - {"float16"}, compiling=compiling)
    backend.name = "halfless"
    report = run(backend)
    assert report.exit_code == 0
    assert report.runs[0].counts()["unsupported"] > 5
    assert report.level(report.runs[0]) == "update rules"
    assert "not full: it lacks float16" in report.badge(report.runs[0])


def test_a_bound_can_be_loosened_within_a_cap_only():
    good = plugins.get_backend("numpy")
    backend = Altered(good)
    backend.name = "loose"
    backend.bounds = {"elementwise/exp/float32/values": 100, "nowhere": 2, "create/zeros": 2}
    report = run(backend, ids=(ONE,))
    assert report.exit_code == 3
    assert len(report.runs[0].declarations) == 3


def test_a_backend_that_is_not_invoked_fails(monkeypatch):
    case = plan(ids=(ONE,))[0]
    good = plugins.get_backend("numpy")
    monkeypatch.setattr("subtensor_conformance.check.plugins.get_backend", lambda name: good)
    monkeypatch.setattr(sys.modules["subtensor.function"], "plugins", type("Host", (), {
        "get_backend": staticmethod(lambda name: good), "rewrites": staticmethod(plugins.rewrites),
        "lowerings": staticmethod(plugins.lowerings), "load_extensions": staticmethod(plugins.load_extensions),
        "lowering_owners": staticmethod(plugins.lowering_owners),
    }))  # fmt: skip
    result = check(case, "numpy")
    assert (result.state, result.kind) == ("fail", "dispatch")


def test_what_was_planned_and_not_run_fails():
    manifest = Manifest(("get/a", "get/b"))
    result = Run("x", {"get/a": Result("get/a", "pass"), "get/c": Result("get/c", "pass")})
    result.close(manifest)
    assert [r.state for r in result.results.values()] == ["pass", "not-run"]
    assert "not planned" in result.declarations[0]
    assert result.exit_code == 1


def test_backends_are_compared_with_each_other():
    def nudged(execute, program, make):
        return lambda inputs, cells: tuple(np.nextafter(o, 9, dtype=o.dtype) for o in execute(inputs, cells))

    good = plugins.get_backend("numpy")
    first, second = Altered(good), Altered(good, around=nudged)
    first.name, second.name = "plain", "nudged"
    exact, loose = "elementwise/neg/float64/values", "elementwise/sin/float64/values"
    report = run(first, second, ids=(exact, loose))
    assert [[r.good for r in each.results.values()] for each in report.runs] == [[True, True], [False, True]]
    assert report.disagreements() == []  # one unit in the last place is within the bound of sin
    one, other = (each.results[exact].observed for each in report.runs)
    assert disagreement(plan(ids=(exact,))[0], one, one) == ""
    changed = [[["float64", a[1], a[2][2:] + "00"] for a in one[0]]]
    assert "the values differ" in disagreement(plan(ids=(exact,))[0], one, changed)
    assert "the errors differ" in disagreement(plan(ids=(exact,))[0], ["E: a"], ["E: b"])
    assert len(other) == 0  # it failed before anything was kept


@pytest.fixture(scope="module")
def bad_report():
    with installed("duplicates-lost") as name:
        return run(name, areas=("inc",), in_process=True)


def test_reports_in_every_form(bad_report, tmp_path, capsys):
    show(bad_report)
    text = capsys.readouterr().out
    assert "not conformant" in text
    assert "--repro inc/" in text
    failures = len(bad_report.runs[0].failures)
    data = json.loads(json.dumps(bad_report.as_dict()))
    results = data["backends"][0]["results"]
    assert len(results) == data["manifest"]["count"] == bad_report.manifest.count
    assert sum("script" in r for r in results) == failures > 3
    tree = ET.fromstring(xml(bad_report))
    assert len(tree.findall(".//failure")) == failures
    html = page(bad_report)
    assert html.count("<details><summary><code>inc/") == failures
    assert "<script" not in html


def test_the_command_writes_reports(tmp_path, capsys):
    files = [tmp_path / n for n in ("r.json", "r.xml", "r.html")]
    options = ["--json", str(files[0]), "--junitxml", str(files[1]), "--html", str(files[2])]
    assert main(["--backend", "numpy", "--area", "create", *options]) == 0
    assert all(f.stat().st_size > 500 for f in files)
    assert "conformant" in capsys.readouterr().out
    assert main(["--backend", "known-bad:zeros", "--case", "elementwise/where/float64"]) == 1


@pytest.mark.parametrize(
    "case_id", ["inc/rows-duplicate/symbolic/float64/full", "update/rows/inc/float64", "errors/bounds/high/get"]
)
def test_a_script_reproduces_a_case_on_its_own(case_id, tmp_path):
    (case,) = plan(ids=(case_id,))
    text = script(case, "numpy")
    assert "subtensor_conformance" not in text
    path = tmp_path / "case.py"
    path.write_text(text)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    # and it can fail: another input, another error
    changed = (
        text.replace("[1, 4]", "[1, 5]").replace("'index 4", "'index 9")
        if "bounds" in case_id
        else text.replace(".inc(y)", ".inc(y * 3)")
    )
    path.write_text(changed)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "WRONG" in done.stdout


@pytest.mark.parametrize(
    ("case_id", "name"),
    [("ownership/threads/written", "buffer-shared"), ("transaction/interrupted/rows", "commits-one-by-one")],
)
def test_a_script_reproduces_threads_and_interrupts(case_id, name, tmp_path):
    (case,) = plan(ids=(case_id,))
    good = tmp_path / "good.py"
    good.write_text(script(case, "numpy"))
    done = subprocess.run([sys.executable, str(good)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    bad = tmp_path / "bad.py"
    bad.write_text(
        "import subtensor_conformance.known_bad as k\n"
        f"bad = k.installed({name!r})\nbad.__enter__()\n"
        + script(case, f"known-bad:{name}").replace('.__module__.partition(".")[0]', '.__module__.rpartition(".")[0]')
        .replace('module.partition(".")[0] == own_code', "module.startswith(own_code)")
    )  # fmt: skip
    done = subprocess.run([sys.executable, str(bad)], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "WRONG" in done.stdout


def test_observed_arrays_survive_the_journey():
    from subtensor_conformance.result import decode, encode

    for a in (np.array([[1.5, np.nan]]), np.array(3, "uint8"), np.zeros((0, 2), "float16")):
        again = decode(json.loads(json.dumps(encode(a))))
        assert again.dtype == a.dtype
        assert again.tobytes() == a.tobytes()
        assert again.shape == a.shape
