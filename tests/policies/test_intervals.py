from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from policies.intervals import bootstrap_ci95, student_ci95


def test_the_interval_of_the_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(0).normal(10, 2, 400)
    low, high = bootstrap_ci95(values)
    half = 1.96 * values.std() / 20
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)


def test_the_interval_of_a_share_weighs_episodes_by_what_they_are_a_share_of() -> None:
    rng = np.random.default_rng(0)
    chances = rng.integers(0, 12, 400)
    taken = rng.binomial(chances, 0.3)
    low, high = bootstrap_ci95(taken, chances)
    half = 1.96 * np.sqrt(0.3 * 0.7 / chances.sum())
    assert (low, high) == pytest.approx(
        (taken.sum() / chances.sum() - half, taken.sum() / chances.sum() + half), abs=0.005
    )
    assert bootstrap_ci95(chances, np.ones(400)) == bootstrap_ci95(chances)


def test_resamples_that_hold_no_chance_at_all_tell_nothing_of_a_share() -> None:
    assert bootstrap_ci95(np.array([2.0, 1.0, 0.0]), np.array([4.0, 2.0, 0.0])) == (0.5, 0.5)


def test_one_episode_tells_nothing_of_others() -> None:
    assert np.isnan(bootstrap_ci95(np.array([3.0]))).all()
    assert np.isnan(bootstrap_ci95(np.array([2.0, 0.0, 0.0]), np.array([4.0, 0.0, 0.0]))).all()


def test_the_interval_over_seeds_is_students() -> None:
    values = np.random.default_rng(0).normal(10, 2, (3, 4))
    theirs = stats.t.interval(0.95, 2, values.mean(axis=0), stats.sem(values, axis=0))
    np.testing.assert_allclose(student_ci95(values), theirs)
