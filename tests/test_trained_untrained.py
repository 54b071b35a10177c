"""The table of what only the trained network has says of each row what its numbers say."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from analysis.inference import Estimate, not_estimable

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "trained_untrained.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("trained_untrained", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(SCRIPT.parent))
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(SCRIPT.parent))
    yield module
    del sys.modules[spec.name]


def test_one_case_is_held_against_a_small_sample(script):
    rng = np.random.default_rng(0)
    false = [script.single_case(*(lambda x: (x[0], x[1:]))(rng.normal(size=9))) <= 0.05 for _ in range(2000)]
    assert 0.035 < np.mean(false) < 0.065
    assert script.single_case(8.0, rng.normal(size=8)) < 0.001
    assert np.isnan(script.single_case(1.0, np.full(8, 0.5)))


def test_a_row_is_the_trained_networks_alone_if_it_beats_its_null_and_lies_outside_of_the_fresh_ones(script):
    null = {"other episodes": np.linspace(-0.1, 0.1, 99)}
    trained = {
        ("more", "x"): Estimate(0.9, null, (0.8, 1.0)),
        ("less", "x"): Estimate(0.2, null, (0.1, 0.3)),
        ("alike", "x"): Estimate(0.5, null, (0.4, 0.6)),
        ("chance", "x"): Estimate(0.0, null, (-0.1, 0.1)),
        ("lost", "x"): Estimate(0.0, null, (-0.1, 0.1)),
        ("none", "x"): not_estimable("constant"),
        ("of the actions", "policy.mean"): Estimate(0.5, null),
    }
    about = {"more": 0.5, "less": 0.5, "alike": 0.5, "chance": 0.01, "lost": 0.7, "none": 0.5}
    rng = np.random.default_rng(1)
    fresh = [{(name, "x"): Estimate(at + 0.02 * rng.normal(), {}) for name, at in about.items()} for _ in range(10)]
    rows = {row["measure"]: row for row in script.compared(trained, fresh, {})}
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "more": "more when trained", "less": "less when trained", "alike": "as untrained",
        "chance": "not beyond its null", "lost": "less, and not beyond its null", "none": "not estimable",
    }  # fmt: skip
    assert rows["more"]["q"] < 0.05 < rows["alike"]["q"] and np.isnan(rows["more"]["acting"])
    lines = script.as_table(list(rows.values())).splitlines()
    assert len(lines) == 2 + len(rows) and {line.count("|") for line in lines} == {9}
