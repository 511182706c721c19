"""Mutants are made, put in force, tried and taken back; those that are listed exist; a sample of them dies."""

import pytest

from subtensor_conformance.mutants.__main__ import chosen_from
from subtensor_conformance.mutants.generate import code_of
from subtensor_conformance.mutants.lane import covered, tried
from subtensor_conformance.mutants.patch import Patcher
from subtensor_conformance.mutants.subjects import SUBJECTS
from subtensor_conformance.mutants.survivors import survivors
from subtensor_conformance.runner import plan
from subtensor_numpy import scatter

pytestmark = pytest.mark.once

NUMPY = [c.id for c in plan(areas=("transaction",)) if "after-a-change" in c.id or "bounds/s" in c.id]
JAX = ["get/slice-down-negative/constant/float64"]


def test_what_is_listed_is_a_mutant_and_has_a_reason():
    for backend in SUBJECTS:
        labels = {m.label for m in chosen_from(backend)}
        assert not set(survivors(backend)) - labels
        assert all(survivors(backend).values())


def test_labels_are_unique():
    for backend in SUBJECTS:
        labels = [m.label for m in chosen_from(backend)]
        assert len(set(labels)) == len(labels)


def test_each_mutant_of_a_module_compiles_to_something_else():
    for m in chosen_from("numpy", ["scatter."]):
        code = code_of(m)
        name = m.function.rpartition(".")[2]
        assert code.co_name == name


def test_a_mutant_is_in_force_within_the_block_only():
    (m,) = chosen_from("numpy", ["scatter._check_fits: have == want"])
    patcher = Patcher(["subtensor_numpy"])
    scatter._check_fits((2, 3), (2, 3))
    with patcher.applied(m):
        scatter._check_fits((2, 3), (4, 5))
    with pytest.raises(ValueError, match="does not broadcast"):
        scatter._check_fits((2, 3), (4, 5))


def sample(backend, only, cases, number, **options):
    known = survivors(backend)
    chosen = [m for m in chosen_from(backend, only) if m.label not in known][:number]
    return tried(backend, chosen, covered(backend, tuple(SUBJECTS[backend]), cases), **options)


def test_a_sample_of_numpys_mutants_dies():
    """Of what checks positions and shapes before a step is committed."""
    fates = sample("numpy", ["scatter.set_rows: check_range", "scatter.check_range: positions.min"], NUMPY, 2)
    assert len(fates) == 2
    assert [f.mutant.label for f in fates if not f.killed] == []


def test_a_sample_of_jaxs_mutants_dies():
    fates = sample("jax", ["scatter._static_slice: p.start", "scatter._static_slice: (p.length"], JAX, 2, processes=1)
    assert [f.mutant.label for f in fates if not f.killed] == []


def test_the_original_lives():
    (m,) = chosen_from("numpy", ["scatter: _FEW = 192"])
    (fate,) = tried("numpy", [m], covered("numpy", ("subtensor_numpy.scatter",), NUMPY[:10]))
    assert not fate.killed
    assert fate.tried == 10
