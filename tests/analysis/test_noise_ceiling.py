import numpy as np
import pytest
from scipy import stats

from analysis.noise_ceiling import distance_reliability, rsa_ceiling
from analysis.similarity import crossed_dissimilarities, dissimilarities

CONDITIONS, EPISODES, UNITS = 12, 16, 20


def record(rng, noise, truth):
    """(steps, units) of noisy visits, every condition three times an episode; the condition and episode of each."""
    conditions = np.tile(np.repeat(np.arange(CONDITIONS), 3), EPISODES)
    values = truth[conditions] + noise * rng.normal(size=(len(conditions), UNITS))
    return values, conditions, np.repeat(np.arange(EPISODES), 3 * CONDITIONS)


def apart(values, conditions, episodes):
    """Distances across every other episode, as the report takes them."""
    means = [
        [values[(conditions == c) & (episodes % 2 == half)].mean(axis=0) for c in range(CONDITIONS)] for half in (0, 1)
    ]
    return crossed_dissimilarities(*means)


def test_the_reliability_is_how_far_a_second_record_agrees_and_its_root_how_far_the_truth_does():
    rng = np.random.default_rng(0)
    told, again, reached = [], [], []
    for _ in range(12):
        truth = rng.normal(size=(CONDITIONS, UNITS))
        first, second = (record(rng, 3.0, truth) for _ in range(2))
        told.append(distance_reliability(*first, splits=10))
        distances = [apart(*each) for each in (first, second)]
        again.append(stats.spearmanr(*distances).statistic)
        reached.append(stats.spearmanr(distances[0], dissimilarities(truth)).statistic)
    assert 0.5 < np.mean(again) < 0.9
    assert np.mean(told) == pytest.approx(np.mean(again), abs=0.1) and np.mean(told) < np.mean(again) + 0.03
    assert np.mean(np.sqrt(told)) == pytest.approx(np.mean(reached), abs=0.1)


def test_distances_without_noise_are_reliable_and_pure_noise_is_not():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(CONDITIONS, UNITS))
    assert distance_reliability(*record(rng, 0.0, truth)) == pytest.approx(1)
    noise = distance_reliability(*record(rng, 1.0, 0 * truth))
    assert np.isnan(noise) or noise < 0.3


def test_tasks_are_split_evenly_and_what_no_quarter_visits_is_left_out():
    rng = np.random.default_rng(0)
    values, conditions, episodes = record(rng, 0.5, rng.normal(size=(CONDITIONS, UNITS)))
    tasks = episodes // 4  # four episodes of each: one a quarter
    own = conditions + CONDITIONS * tasks
    assert distance_reliability(values, own, episodes, tasks) > 0.8
    assert np.isnan(distance_reliability(values, np.full(len(values), -1), episodes))
    assert np.isnan(distance_reliability(values[episodes < 3], conditions[episodes < 3], episodes[episodes < 3]))
    some = np.where(conditions < 6, conditions, -1)
    assert distance_reliability(values, some, episodes) > 0.8


def test_the_bounds_are_of_both_noises_and_of_the_greater_one():
    assert rsa_ceiling(0.64, 0.25) == pytest.approx((0.4, 0.5))
    assert np.isnan(rsa_ceiling(0.64, np.nan)).all()
