from itertools import combinations

import numpy as np
import pytest
from scipy import signal, stats
from sklearn.feature_selection import mutual_info_regression

from analysis.dealing import Dealing
from analysis.information import _jackknifed, mutual_information, plot_information, spatial_information

EPISODES = np.arange(5000) // 500


def test_skaggs_information_of_half_an_arena_is_one_bit():
    place = np.tile([0.0, 1.0, 2.0, 3.0], 10)
    rates = np.stack([2.0 * (place < 2), np.where(place == 1, -1.0, place), np.zeros(40)], axis=1)
    found = spatial_information(rates, place, np.arange(40) // 8, bins=4, draws=10)
    assert found.per_second.value[0] == 1 == found.per_spike.value[0]
    assert found.per_spike.reasons == ("", "negative activity", "constant")
    assert np.isnan(found.per_spike.value[1:]).all() and np.isnan(found.per_second.null[:, 1:]).all()


def test_skaggs_information_stands_beside_the_variable_of_other_episodes():
    rng = np.random.default_rng(0)
    place, episodes = rng.random(600), np.arange(600) // 60
    rates = np.stack([np.exp(-((place - 0.5) ** 2) / 0.02), rng.random(600)], axis=1)
    found = spatial_information(rates, place, episodes, bins=6, draws=60)
    assert found.per_spike.beat.tolist() == [True, False] and found.per_spike.control == "other episodes"
    low, high = found.per_spike.interval[:, 0]
    assert low < found.per_spike.value[0] < high
    dealing = Dealing.of(episodes)
    order = dealing.orders(60, np.random.default_rng(0))[0]
    edges = [np.histogram_bin_edges(place, 6)]
    by_hand = spatial_information(rates, place[dealing.steps(order)], episodes, edges, draws=0).per_second
    np.testing.assert_allclose(found.per_second.null[0], by_hand.value, atol=1e-9)
    assert len(plot_information(found.per_spike, "bits a spike").get_lines()) == 2


def test_information_of_rates_has_a_reason_where_there_is_none():
    rates, place = np.random.default_rng(0).random((40, 2)), np.arange(40) % 4
    assert spatial_information(rates, place, np.zeros(40), bins=4).per_spike.null.shape == (0, 2)  # no other episode
    outside = spatial_information(rates, place, np.arange(40) // 8, bins=[[10.0, 11.0]]).per_spike
    assert outside.reasons == ("no step within the bins",) * 2 and np.isnan(outside.value).all()


def test_ksg_information_of_gaussians_with_correlation_point_8():
    rng = np.random.default_rng(0)
    x, noise, other = rng.normal(size=(3, 5000))
    activity = np.stack([0.8 * x + 0.6 * noise, other], axis=1)
    found = mutual_information(activity, x, EPISODES, draws=3)
    assert found.value[0] == pytest.approx(-0.5 * np.log(1 - 0.8**2), abs=0.03)
    assert found.value[1] < 0.03 and found.null.max() < 0.05
    theirs = mutual_info_regression(activity, x, random_state=0)
    np.testing.assert_allclose(found.value, theirs, atol=1e-4)
    assert len(plot_information(found).get_lines()) == 2


def test_ties_do_not_hide_information():
    """Of two values that are alike, and of a rectified unit of a rectified variable, both mostly 0."""
    rng = np.random.default_rng(0)
    episodes, coin, drive = np.repeat(np.arange(10), 200), rng.integers(2, size=2000), rng.normal(size=2000)
    found = mutual_information(coin, coin, episodes, draws=19)
    assert found.value[0] == pytest.approx(np.log(2), abs=0.03) and found.p[0] == 0.05
    unit, variable = (np.maximum(drive - 1 + 0.1 * rng.normal(size=2000), 0) for _ in range(2))
    sparse = mutual_information(unit, variable, episodes, draws=0).value
    theirs = mutual_info_regression(unit[:, None], variable, random_state=0)
    assert sparse[0] > 0.2 and sparse == pytest.approx(theirs, abs=0.03)


def test_the_interval_of_information_holds_what_is_planted_where_steps_are_alike():
    rng, held, sure = np.random.default_rng(0), 0, -0.5 * np.log(1 - 0.6**2)
    for _ in range(60):
        noise = rng.normal(size=(2, 12, 60))
        noise[..., 1:] *= np.sqrt(1 - 0.9**2)  # of variance 1 throughout
        x, other = signal.lfilter([1], [1, -0.9], noise).reshape(2, -1)
        found = mutual_information(0.6 * x + 0.8 * other, x, np.repeat(np.arange(12), 60), draws=1)
        held += bool(found.interval[0, 0] < sure < found.interval[1, 0])
    assert held >= 53  # 57 are expected


@pytest.mark.parametrize("episodes", [6, 7])
def test_the_interval_of_halves_is_students_where_the_estimate_is_a_mean(episodes):
    values = np.random.default_rng(0).normal(size=episodes)
    halves = np.array([values[list(half)].mean() for half in combinations(range(episodes), episodes // 2)])
    low, high = stats.t.interval(0.95, episodes - 1, values.mean(), stats.sem(values))
    found = _jackknifed(np.tile(halves, 200)[:, None], episodes)
    assert found == pytest.approx((high - low) / 2, rel=1e-3)


def test_one_episode_has_information_and_no_interval_over_episodes():
    x, y = np.random.default_rng(0).normal(size=(2, 100))
    found = mutual_information(x, y, np.zeros(100), draws=5)
    assert np.isfinite(found.value[0]) and np.isnan(found.interval).all() and len(found.null) == 0
