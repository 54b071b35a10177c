import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import FactorAnalysis
from sklearn.model_selection import GroupKFold

from analysis.populations import (
    dimensions,
    participation_ratio,
    plot_dimensions,
    plot_shared_variance,
    share_of_factors,
    shared_variance,
)

EPISODES = np.arange(600) // 60


def test_participation_ratio_of_4_2_1_1():
    assert participation_ratio([4, 2, 1, 1]) == pytest.approx(2.9091, abs=1e-4)
    assert np.isnan(participation_ratio([0, 0]))


def test_a_planted_plane_has_two_dimensions_and_beats_independent_units():
    rng = np.random.default_rng(0)
    activity = rng.normal(size=(600, 2)) @ rng.normal(size=(2, 10)) + 1e-3 * rng.normal(size=(600, 10))
    found = dimensions(activity, EPISODES, draws=19, samples=400)
    assert 1 < found.participation.value <= 2.01
    assert found.concentration.beat == ("units of other episodes",)
    low, high = found.participation.interval
    assert low <= found.participation.value <= high
    assert found.intrinsic.value == pytest.approx(2, abs=0.4)
    plot_dimensions(found)


def test_factor_analysis_finds_the_planted_shared_variance():
    rng = np.random.default_rng(1)
    loadings = rng.normal(size=(2, 12))
    loadings /= np.linalg.norm(loadings, axis=0)
    shared = np.linspace(0.2, 0.8, 12)
    activity = rng.normal(size=(6000, 2)) @ (loadings * np.sqrt(shared)) + np.sqrt(1 - shared) * rng.normal(
        size=(6000, 12)
    )
    found = shared_variance(activity, np.arange(6000) // 300, most_factors=3, folds=2, draws=3)
    assert found.factors == 2
    np.testing.assert_allclose(found.shared.value, shared, atol=0.03)
    plot_shared_variance(found)


def test_the_held_out_likelihood_is_that_of_expectation_maximisation():
    rng = np.random.default_rng(2)
    episodes = np.arange(900) // 150
    activity = rng.normal(size=(900, 3)) * (3, 2, 1) @ rng.normal(size=(3, 20)) + rng.normal(size=(900, 20)) + 5.0
    found = shared_variance(activity, episodes, most_factors=3, folds=2, draws=1)
    split = list(GroupKFold(2).split(activity, groups=episodes))
    for factors, likelihood in enumerate(found.log_likelihood, start=1):
        whole = [
            FactorAnalysis(factors, svd_method="lapack", tol=1e-5).fit(activity[train]).score(activity[test])
            for train, test in split
        ]
        assert likelihood == pytest.approx(np.mean(whole), rel=1e-5)


def test_what_sets_tasks_apart_is_no_factor():
    rng = np.random.default_rng(2)
    tasks = np.repeat(["run", "two-tap"], 600)
    activity = rng.normal(size=(1200, 6)) + np.outer(tasks == "run", rng.normal(scale=3, size=6))
    episodes = np.arange(1200) // 100
    pooled, apart = (shared_variance(activity, episodes, 1, 2, 2, tasks=each).shared for each in (None, tasks))
    assert pooled.value.mean() > 0.4 and apart.value.mean() < 0.2
    np.testing.assert_allclose(
        share_of_factors(activity, 1, tasks), share_of_factors(activity - 5 * (tasks == "run")[:, None], 1, tasks)
    )


def test_one_episode_and_bad_units_have_a_reason():
    activity = np.random.default_rng(0).normal(size=(600, 5))
    assert "one episode" in shared_variance(activity, np.zeros(600)).shared.reasons[0]
    activity[:, 0], activity[3, 1] = 1, np.nan
    found = shared_variance(activity, EPISODES, most_factors=1, draws=2)
    assert found.shared.reasons[:2] == ("constant", "NaN or infinite") and np.isnan(found.shared.value[:2]).all()
    assert dimensions(activity[:, 1], EPISODES).participation.reason == "NaN or infinite values"


def test_a_unit_that_varies_in_few_episodes_costs_no_other_unit():
    rng = np.random.default_rng(0)
    activity = rng.normal(size=(600, 2)) @ rng.normal(size=(2, 8)) + rng.normal(size=(600, 8))
    rare = rng.normal(size=(600, 2)) * (EPISODES[:, None] < [1, 4])  # of ten episodes in one, and in four
    found = shared_variance(np.hstack([rare, activity]), EPISODES, most_factors=2, draws=4, resamples=40).shared
    assert "constant but in a few episodes" in found.reasons[0] and np.isnan(found.value[0])
    assert (
        not any(found.reasons[1:]) and np.isfinite(found.value[1:]).all() and np.isfinite(found.interval[:, 1:]).all()
    )


def test_an_interval_holds_the_number_that_it_is_of():
    rng = np.random.default_rng(1)
    activity = np.repeat(rng.normal(size=(10, 20)), 60, axis=0) + 0.3 * rng.normal(size=(600, 20))
    found = dimensions(activity, EPISODES, draws=20)
    for estimate in (found.participation, found.concentration):
        assert estimate.interval[0] < estimate.value < estimate.interval[1]


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 20), st.integers(1, 4), st.sampled_from(["", "nan", "constant"]))
def test_any_shape_is_estimated_or_has_a_reason(steps, units, fault):
    activity = np.random.default_rng(0).normal(size=(steps, units))
    if fault:
        activity[:] = np.nan if fault == "nan" else 1.0
    found = dimensions(activity, np.arange(steps) // 5, draws=2)
    assert np.isfinite(found.participation.value) == found.participation.estimable
    assert not (fault and found.participation.estimable)


def test_a_unit_that_is_not_finite_is_left_out_of_the_dimensions():
    rng = np.random.default_rng(0)
    activity, episodes = rng.normal(size=(300, 6)), np.arange(300) // 50
    broken = np.insert(activity, 2, np.nan, axis=1)
    whole, found = (dimensions(each, episodes, draws=3) for each in (activity, broken))
    assert found.participation.value == whole.participation.value and found.intrinsic.estimable
    np.testing.assert_array_equal(np.delete(found.components, 2, axis=1), whole.components)
    assert not found.components[:, 2].any()
