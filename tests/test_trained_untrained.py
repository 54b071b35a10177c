"""The table of what only the trained network has says of each row what its numbers say."""

import numpy as np
import pytest

from analysis.inference import Estimate, not_estimable
from tests.benchmark import load


@pytest.fixture
def script(monkeypatch):
    return load("trained_untrained", monkeypatch)


def test_one_case_is_held_against_a_small_sample(script):
    rng = np.random.default_rng(0)
    false = [script.single_case(*(lambda x: (x[0], x[1:]))(rng.normal(size=9))) <= 0.05 for _ in range(2000)]
    assert 0.035 < np.mean(false) < 0.065
    assert script.single_case(8.0, rng.normal(size=8)) < 0.001
    assert np.isnan(script.single_case(1.0, np.full(8, 0.5)))


def test_a_row_is_the_trained_networks_alone_if_it_beats_its_null_and_lies_outside_of_the_fresh_ones(script):
    null = {"other episodes": np.linspace(-0.1, 0.1, 99), "white noise": np.linspace(-0.2, 0.05, 99)}
    trained = {
        ("more", "x"): Estimate(0.9, null, (0.8, 1.0)),
        ("less", "x"): Estimate(0.2, null, (0.1, 0.3)),
        ("alike", "x"): Estimate(0.5, null, (0.4, 0.6)),
        ("chance", "x"): Estimate(0.0, null, (-0.1, 0.1)),
        ("lost", "x"): Estimate(0.0, null, (-0.1, 0.1)),
        ("none", "x"): not_estimable("constant"),
        ("stride", "body"): Estimate(0.9, null, (0.8, 1.0)),
        ("of the actions", "policy.mean"): Estimate(0.5, null),
    }
    about = {"more": 0.5, "less": 0.5, "alike": 0.5, "chance": 0.01, "lost": 0.7, "none": 0.5}
    rng = np.random.default_rng(1)
    fresh = [{(name, "x"): Estimate(at + 0.02 * rng.normal(), {}) for name, at in about.items()} for _ in range(10)]
    acting = [{("stride", "body"): Estimate(0.1 + 0.02 * rng.normal(), null)} for _ in range(5)]
    rows = {row["measure"]: row for row in script.compared(trained, fresh, acting)}
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "more": "more when trained", "less": "less when trained", "alike": "as untrained",
        "chance": "not beyond its null", "lost": "less, and not beyond its null", "none": "not estimable",
        "stride": "more when trained",
    }  # fmt: skip
    assert rows["stride"]["untrained_are"] == "acting" and len(rows["stride"]["untrained"]) == 5
    assert rows["more"]["q"] < 0.05 < rows["alike"]["q"] and np.isnan(rows["more"]["acting"])
    lines = script.as_table(list(rows.values())).splitlines()
    assert len(lines) == 2 + len(rows) and {line.count("|") for line in lines} == {9}
    assert any("not estimable: constant | - |" in line for line in lines) and "nan" not in "".join(lines)


def test_a_row_that_beats_its_null_by_chance_alone_is_no_effect_among_many(script):
    rng = np.random.default_rng(0)
    nulls = [{"shuffled": rng.normal(size=99), "other episodes": rng.normal(size=99)} for _ in range(40)]
    many = [Estimate(rng.normal(), each) for each in nulls]
    lucky = Estimate(2.0, {"shuffled": rng.normal(size=99), "other episodes": np.append(np.zeros(96), [3, 3, 3])})
    assert lucky.p("other episodes") <= 0.05 < script.own_q([*many, lucky])[-1]
    real = [Estimate(9.0, each) for each in nulls]
    assert (script.own_q([*real, lucky])[:-1] <= 0.05).all()
    half = Estimate(9.0, {"shuffled": rng.normal(size=99), "other episodes": np.full(99, 9.5)})
    assert script.own_q([half])[0] == 1  # it must beat both
    assert np.isnan(script.own_q([not_estimable("constant"), Estimate(1.0, {})])).all()
