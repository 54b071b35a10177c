import numpy as np
import pytest
from scipy import stats

from analysis.inference import Estimate, about, not_estimable, over_seeds, p_values, q_values, single_case
from rodent.errors import UsageError


def test_p_counts_the_value_itself_and_is_never_0():
    assert Estimate(5.0, {"shuffled": np.arange(4.0)}).p("shuffled") == 1 / 5
    assert Estimate(5.0, {"shuffled": np.arange(40.0)[:5], "strong": np.full(99, 9.0)}).beat == ()
    assert Estimate(5.0, {"shuffled": np.zeros(99), "strong": np.full(99, 9.0)}).beat == ("shuffled",)


def test_one_value_above_a_sample_is_students_test_of_a_group_of_one():
    sample = np.random.default_rng(0).normal(size=8)
    theirs = stats.ttest_ind([1.5], sample, alternative="greater").pvalue
    assert single_case(1.5, np.append(sample, np.nan)) == pytest.approx(theirs)
    assert np.isnan([single_case(1.0, sample[:2]), single_case(1.0, np.ones(8)), single_case(np.nan, sample)]).all()


def test_q_leaves_out_what_is_not_estimable():
    q = q_values(np.array([0.01, np.nan, 0.04]))
    assert np.isnan(q[1]) and q[[0, 2]].tolist() == [0.02, 0.04]
    assert np.isnan(p_values(np.array([np.nan]), np.zeros((3, 1)))).all()


def test_the_interval_over_seeds_is_students():
    values = [1.0, 2.0, 4.0]
    together = over_seeds([Estimate(value, {"a": np.full(3, value)}) for value in values] + [not_estimable("short")])
    low, high = stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    assert together.interval == pytest.approx((low, high)) and together.nulls["a"].tolist() == [7 / 3] * 3
    assert over_seeds([not_estimable("short")]).reason == "short"
    with pytest.raises(UsageError, match="no estimates"):
        over_seeds([])


def test_an_interval_about_a_value_has_the_spread_of_draws_and_keeps_its_bounds():
    draws = np.random.default_rng(0).normal(3.0, 0.1, 20_000)
    low, high = about(0.9, draws)
    assert (low, high) == (pytest.approx(0.9 - 0.196, abs=0.005), pytest.approx(0.9 + 0.196, abs=0.005))
    assert about(0.9, draws, 0.8, 1.0) == (0.8, 1.0)
    assert about(0.9, [*draws, np.nan]) == (low, high)
    assert np.isnan(about(0.9, [np.nan, 1.0], 0.0, 1.0)).all() and np.isnan(about(0.9, [])).all()
