import numpy as np
import pytest

from analysis.clustered import clustered_without, tasks_without
from analysis.jpca import frequencies_without, jpca
from analysis.paired import SWAPPED, paired_difference, paired_mean
from analysis.report.stages.layer_pairs import layer_pairs
from analysis.similarity import linear_cka
from analysis.timescales import episode_timescales, unit_timescales


def test_a_mean_over_episodes_has_their_mean_difference_whichever_way_it_is_given():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2, 9)) + np.array([[1.0], [0.0]])
    left = [(each.sum() - each) / (len(each) - 1) for each in (first, second)]
    found = paired_difference((first.mean(), second.mean()), (left[0], left[1]))
    plain = paired_mean(first - second)
    assert found.value == pytest.approx(plain.value) and found.interval == pytest.approx(plain.interval)
    np.testing.assert_allclose(found.nulls[SWAPPED], plain.nulls[SWAPPED])
    assert np.median(found.nulls[SWAPPED]) == pytest.approx(0, abs=0.1)


def test_layers_that_do_not_differ_are_told_apart_as_seldom_as_the_level_says():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(200):
        pair = rng.normal(size=(2, 12)) + 3 * rng.normal(size=12)  # what an episode does to both is no difference
        products = [np.square(each).mean() for each in pair]  # no mean of the numbers, so that none can be swapped
        left = [(np.square(each).sum() - np.square(each)) / 11 for each in pair]
        one = paired_difference(
            (np.sqrt(products[0]), np.sqrt(products[1])), (np.sqrt(left[0]), np.sqrt(left[1])), draws=200
        )
        found.append((bool(one.beat), one.interval[0] < 0 < one.interval[1]))
    beaten, covered = np.mean(found, axis=0)
    assert beaten < 0.1 and covered > 0.85


def test_a_difference_that_cannot_be_told_says_why():
    assert "one episode" in paired_mean([1.0]).reason
    assert "not estimable" in paired_difference((np.nan, 1.0), ([1.0, 1.0], [1.0, 1.0])).reason
    assert "no episode" in paired_difference((2.0, 1.0), ([], [])).reason
    assert "single episode" in paired_difference((2.0, 1.0), ([1.0, np.nan], [1.0, 1.0])).reason


def test_frequencies_without_an_episode_are_those_of_the_others():
    rng, steps = np.random.default_rng(0), np.arange(25)
    turns = [2 * np.pi * hertz * 0.02 * steps + rng.uniform(0, 6, size=(12, 1)) for hertz in (4.0, 1.0)]
    paths = np.stack([f(turn) for turn in turns for f in (np.cos, np.sin)], axis=2)
    states, groups = paths + 0.02 * rng.normal(size=paths.shape), np.repeat(np.arange(4), 3)
    whole, left = frequencies_without(states, 0.02, 4, groups)
    found = jpca(states, 0.02, 4, draws=0)
    assert whole == pytest.approx([each.value for each in found.frequencies]) and left.shape == (4, 2)
    for group in range(4):
        assert left[group] == pytest.approx(whole, abs=0.3)
    assert np.isnan(frequencies_without(states[:, :, :1], 0.02, 4, groups)[0]).all()


def test_likeness_without_an_episode_is_that_of_the_others():
    rng = np.random.default_rng(0)
    labels, episodes = np.tile(np.arange(10), 12), np.repeat(np.arange(6), 20)
    behaviour = rng.normal(size=(10, 3))[labels] + 0.1 * rng.normal(size=(120, 3))
    values = behaviour @ rng.normal(size=(3, 8)) + rng.normal(size=(120, 8))
    whole, left = clustered_without(behaviour, values, labels, episodes)

    def likeness(rows):
        means = [np.array([part[rows & (labels == k)].mean(axis=0) for k in range(10)]) for part in (behaviour, values)]
        return linear_cka(*means)

    assert whole == pytest.approx(likeness(episodes >= 0))
    assert left == pytest.approx([likeness(episodes != k) for k in range(6)])


def test_likeness_of_tasks_without_an_episode_is_that_of_the_others_of_either_task():
    rng = np.random.default_rng(1)
    labels, episodes = np.tile(np.arange(10), 12), np.repeat(np.arange(6), 20)
    values = rng.normal(size=(10, 8))[labels] + rng.normal(size=(120, 8))
    labels[(labels == 9) & (episodes > 0) & (episodes < 3)] = 8  # in one episode of the first task
    other = episodes >= 3
    whole, left = tasks_without(values, labels, episodes, other)

    def likeness(rows, clusters=10):
        means = [
            [values[rows & (labels == k) & (other == task)].mean(axis=0) for k in range(clusters)] for task in (0, 1)
        ]
        return linear_cka(*np.array(means))

    assert whole == pytest.approx(likeness(episodes >= 0))
    assert left == pytest.approx([likeness(episodes != 0, 9), *(likeness(episodes != k) for k in range(1, 6))])


def test_timescales_of_an_episode_are_those_of_a_session_that_is_nothing_else():
    rng = np.random.default_rng(0)
    values = np.zeros((900, 3))
    for t in range(1, 900):
        values[t] = 0.9 * values[t - 1] + rng.normal(size=3)
    values[:, 2] = 1.0
    found = episode_timescales(values, np.zeros(900), 0.02)
    tau = unit_timescales(values, np.zeros(900), 0.02, draws=1).tau.value
    assert found.shape == (1, 3)
    assert found[0] == pytest.approx(tau, nan_ok=True) and np.isnan(found[0, 2])
    offset = np.repeat([0.0, 3.0], 450)
    same = episode_timescales(values - [[0, 0, 1]], np.arange(900) // 450, 0.02, tasks=offset)
    moved = episode_timescales(values + offset[:, None], np.arange(900) // 450, 0.02, tasks=offset)
    assert moved == pytest.approx(same, nan_ok=True)  # a unit that prefers a task is not slow
    trend = np.repeat([[-1.0], [1.0]], 100, axis=0)  # never decays within either of its two episodes
    assert np.isinf(episode_timescales(trend, np.repeat([0, 1], 100), 0.02)).all()


def test_layers_are_held_against_neighbours_and_the_core_against_the_policy():
    found = layer_pairs(["core.h", "policy.0.h", "policy.1.h"])
    assert set(found[::2]) == {("policy.0.h", "policy.1.h"), ("core.h", "policy.0.h"), ("core.h", "policy.1.h")}
    assert found[1::2] == [(other, one) for one, other in found[::2]]
    assert layer_pairs(["policy.0"]) == []
