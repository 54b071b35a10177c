import numpy as np
import pynapple
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.dealing import Dealing
from analysis.tuning import plot_tuning, tuning, tuning_curves
from rodent.errors import UsageError

STEPS = 2000


def test_a_variable_that_never_changes_is_no_tuning_of_zero():
    activity = np.random.default_rng(0).normal(size=(200, 2))
    found = tuning(activity, np.full(200, 3.0), np.arange(200) // 50, draws=5).strength
    assert found.reasons == ("the variable stays in one bin",) * 2 and np.isnan(found.value).all()


@pytest.fixture(scope="module")
def recording():
    """Unit 0 follows the variable, unit 1 is slow noise, unit 2 is constant, unit 3 has a NaN."""
    rng = np.random.default_rng(0)
    variable = np.sin(np.arange(STEPS) / 17.3) + 0.1 * rng.normal(size=STEPS)
    slow = np.convolve(rng.normal(size=STEPS + 49), np.ones(50) / 50, mode="valid")
    broken = rng.normal(size=STEPS)
    broken[5] = np.nan
    activity = np.stack([variable**2 + 0.3 * rng.normal(size=STEPS), slow, np.ones(STEPS), broken], axis=1)
    return activity, variable, np.arange(STEPS) // 100


def test_curves_equal_those_of_scipy_to_the_bit(recording):
    activity, variable, _ = recording
    found = tuning_curves(activity[:, :2], variable, bins=15)
    mean, edges, _ = stats.binned_statistic(variable, activity[:, :2].T, bins=15)
    np.testing.assert_array_equal(found.curves, mean)
    np.testing.assert_array_equal(found.edges[0], edges)
    assert found.occupancy.sum() == STEPS


def test_maps_equal_those_of_scipy_to_the_bit(recording):
    activity, variable, _ = recording
    place = np.stack([variable, np.roll(variable, 7)], axis=1)
    found = tuning_curves(activity[:, 0], place, bins=6)
    mean = stats.binned_statistic_2d(*place.T, activity[:, 0], bins=6).statistic
    np.testing.assert_array_equal(found.curves[0], mean)


def test_curves_equal_those_of_pynapple(recording):
    activity, variable, _ = recording
    time = np.arange(STEPS) * 0.02
    theirs = pynapple.compute_tuning_curves(
        pynapple.TsdFrame(t=time, d=activity[:, :2]), pynapple.Tsd(t=time, d=variable), bins=10
    )
    np.testing.assert_allclose(tuning_curves(activity[:, :2], variable, bins=10).curves, theirs.values, rtol=1e-12)


def test_strength_tells_a_tuned_unit_from_a_slow_one(recording):
    result = tuning(*recording)
    assert result.strength.value[0] > 0.5 and result.stability.value[0] > 0.9
    assert result.strength.beat.tolist() == [True, False, False, False]
    low, high = result.strength.interval[:, 0]
    assert low < result.strength.value[0] < high
    assert result.strength.reasons == ("", "", "constant", "NaN or infinite")
    assert np.isnan(result.strength.value[2:]).all() and np.isnan(result.strength.q[2:]).all()
    plot_tuning(result, 0)


@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_the_null_equals_dealing_the_variable_by_hand(recording, gaps):
    activity, variable, episodes = (part[:370] for part in recording)
    variable = np.where(np.random.default_rng(1).random(370) < gaps, np.nan, variable)
    found = tuning(activity[:, :1], variable, episodes, bins=5, draws=50)
    null, steady = found.strength.null[:, 0], found.stability.null[:, 0]
    dealing = Dealing.of(episodes)
    edges = [np.histogram_bin_edges(variable[np.isfinite(variable)], 5)]
    by_hand = [
        tuning(activity[:, :1], variable[dealing.steps(order)], episodes, bins=edges, draws=0)
        for order in dealing.orders(50, np.random.default_rng(0))
    ]
    assert len(null) == 23
    np.testing.assert_allclose(null, [each.strength.value[0] for each in by_hand], atol=1e-5)
    np.testing.assert_allclose(steady, [each.stability.value[0] for each in by_hand], atol=1e-4)


@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_the_second_null_equals_rolling_the_variable_by_hand_at_every_lag(recording, gaps):
    activity, variable, episodes = (part[:370] for part in recording)  # of 100, 100, 100 and 70 steps
    variable = np.where(np.random.default_rng(1).random(370) < gaps, np.nan, variable)
    edges = [np.histogram_bin_edges(variable[np.isfinite(variable)], 5)]
    shifted = tuning(activity, variable, episodes, edges, draws=3).shifted
    assert shifted.control == "time shift" and shifted.null.shape == (99, 4) and np.isnan(shifted.null[:, 2:]).all()
    for lag in (1, 30, 70, 99):
        rolled = np.concatenate([np.roll(variable[episodes == name], lag) for name in range(4)])
        by_hand = tuning(activity[:, :2], rolled, episodes, edges, draws=0).strength.value
        np.testing.assert_allclose(shifted.null[lag - 1, :2], by_hand, atol=1e-5)


def test_a_tuned_unit_beats_shifts_and_a_slow_one_does_not(recording):
    shifted = tuning(*recording).shifted
    assert shifted.beat.tolist() == [True, False, False, False] and shifted.reasons[2:] == (
        "constant",
        "NaN or infinite",
    )
    assert tuning(*recording, draws=0).shifted.null.shape == (0, 4)


def test_curves_are_stable_beyond_those_of_other_episodes_where_a_unit_is_tuned(recording):
    stability = tuning(*recording).stability
    assert stability.beat.tolist() == [True, False, False, False]
    low, high = stability.interval[:, 0]
    assert 0.8 < low < stability.value[0] < high <= 1
    assert stability.reasons[2:] == ("constant", "NaN or infinite")
    activity, variable, episodes = recording
    by_hand = [tuning_curves(activity[episodes % 2 == half, :1], variable[episodes % 2 == half], [edges]).curves[0]
               for edges in [np.histogram_bin_edges(variable, 20)] for half in (0, 1)]  # fmt: skip
    both = np.isfinite(by_hand).all(axis=0)
    assert stability.value[0] == pytest.approx(np.corrcoef(*np.array(by_hand)[:, both])[0, 1], abs=1e-5)
    two = tuning(activity[:, :1], variable > 0, episodes, bins=2, draws=5).stability
    assert "fewer than three bins" in two.reasons[0] and np.isnan(two.value[0])


def test_one_episode_is_not_estimable(recording):
    activity, variable, _ = recording
    result = tuning(activity[:, :1], variable, np.zeros(STEPS))
    assert result.strength.reasons == ("one episode: nothing to hold out",)
    assert np.isnan(result.strength.value).all()


def test_unlike_lengths_are_refused():
    with pytest.raises(UsageError, match="differ in length"):
        tuning(np.zeros((5, 2)), np.zeros(4), np.zeros(5))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 3), st.integers(0, 10_000), st.sampled_from(["", "nan", "constant"]))
def test_a_unit_is_either_estimated_or_has_a_reason(steps, units, seed, fault):
    rng = np.random.default_rng(seed)
    activity = rng.normal(size=(steps, units))
    if fault:
        activity[:, 0] = np.nan if fault == "nan" else 3.0
    strength = tuning(activity, rng.normal(size=steps), np.arange(steps) // 7, bins=4, draws=20).strength
    assert strength.value.shape == (units,)
    for value, reason in zip(strength.value, strength.reasons, strict=True):
        assert np.isfinite(value) != bool(reason)
    assert not fault or strength.reasons[0]
