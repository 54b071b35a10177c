from itertools import permutations

import numpy as np
import pytest
from scipy import signal

from analysis.alignment import canonical_correlations, correspondence
from analysis.controls import shift_within_episodes
from analysis.dealing import CONTROL, Dealing, dealt_sums
from analysis.decoding import decode
from analysis.encoding import encode
from analysis.populations import participation_ratio
from analysis.targeted import targeted_axes
from analysis.tuning import tuning
from rodent.errors import UsageError

EPISODES = np.repeat(np.arange(10), 100)


def smooth(rng, columns, tau=100, episodes=EPISODES):
    """(steps, columns) noise of variance 1 with a time constant of tau steps, anew in each episode."""
    keep, parts = np.exp(-1 / tau), []
    for length in np.bincount(episodes):
        noise = rng.normal(size=(length, columns))
        noise[1:] *= np.sqrt(1 - keep**2)
        parts.append(signal.lfilter([1], [1, -keep], noise, axis=0))
    return np.concatenate(parts)


def test_orders_are_whole_permutations_and_never_the_recorded_one():
    few = Dealing.of(np.repeat(np.arange(4), 5)).orders(100, np.random.default_rng(0))
    assert len(few) == 23 == len(np.unique(few, axis=0))
    many = Dealing.of(EPISODES).orders(200, np.random.default_rng(0))
    assert len(many) == 200 == len(np.unique(many, axis=0))
    assert (np.sort(many, axis=1) == np.arange(10)).all() and not (many == np.arange(10)).all(axis=1).any()
    assert len(Dealing.of(np.zeros(5, dtype=int)).orders(10, np.random.default_rng(0))) == 0


def test_episodes_stand_in_within_their_task_for_those_of_like_length():
    lengths = np.array([10, 90, 11, 100] * 16)
    episodes, tasks = np.repeat(np.arange(64), lengths), np.repeat(np.arange(64) // 32, lengths)
    order = Dealing.of(episodes, tasks).orders(1, np.random.default_rng(0))[0]
    assert (order // 32 == np.arange(64) // 32).all() and (order != np.arange(64)).sum() > 50
    assert ((lengths[order] > 50) == (lengths > 50)).all()
    with pytest.raises(UsageError, match="changes within an episode"):
        Dealing.of(episodes, np.arange(len(episodes)) // 7)


def test_episodes_that_are_too_short_go_back_and_forth_and_long_ones_are_cut():
    dealing = Dealing.of(np.array([0, 0, 0, 1, 1, 1, 1, 1, 1, 1]))
    assert dealing.steps(np.array([1, 0])).tolist() == [3, 4, 5, 0, 1, 2, 2, 1, 0, 0]


def test_sums_of_all_orders_equal_those_of_each():
    rng = np.random.default_rng(0)
    episodes, index, values = (
        np.repeat(np.arange(5), [3, 9, 4, 8, 8]),
        rng.integers(-1, 4, size=32),
        rng.normal(size=(32, 2)),
    )
    dealing, parts = Dealing.of(episodes), np.array([0, 1, 1, 0, 1])
    orders = dealing.orders(6, rng)
    found = dealt_sums(values, index, 4, dealing, orders, parts)
    assert found.shape == (6, 2, 4, 2)
    for sums, order in zip(found, orders, strict=True):
        by_hand = np.zeros((2, 4, 2))
        dealt = index[dealing.steps(order)]
        np.add.at(by_hand, (parts[episodes][dealt >= 0], dealt[dealt >= 0]), values[dealt >= 0])
        np.testing.assert_allclose(sums, by_hand)


def test_smooth_records_beat_shifts_too_often_and_other_episodes_as_often_as_they_say():
    rng, beaten = np.random.default_rng(0), {"shifts": [], "other episodes": []}

    def correspond(first, second):
        return canonical_correlations(first, second).mean()

    dealing = Dealing.of(EPISODES)
    for _ in range(300):
        first, second = np.split(smooth(rng, 4), 2, axis=1)
        value = correspond(first, second)
        shifts = [correspond(first, shift_within_episodes(second, EPISODES, rng)) for _ in range(19)]
        others = [correspond(first, second[dealing.steps(order)]) for order in dealing.orders(19, rng)]
        beaten["shifts"].append(value > max(shifts))
        beaten["other episodes"].append(value > max(others))
    assert np.mean(beaten["shifts"]) > 0.1
    assert np.mean(beaten["other episodes"]) < 0.08


def test_orders_in_which_no_episode_keeps_its_own_are_no_null_and_all_but_the_recorded_one_are():
    """Of unrelated records whose episodes are as long as their time constant."""
    rng, recorded = np.random.default_rng(0), np.arange(5)
    every = np.array(list(permutations(recorded)))[1:]
    deranged = every[(every != recorded).all(axis=1)]
    beaten = {"all": [], "deranged": []}
    for _ in range(800):
        first, second = smooth(rng, 2, 50, np.repeat(recorded, 50)).reshape(5, 50, 2).T
        products = (first - first.mean()).T @ (second - second.mean())
        for name, orders in (("all", every), ("deranged", deranged)):
            null = products[recorded, orders].sum(axis=1)
            beaten[name].append((1 + (null >= np.trace(products)).sum()) / (1 + len(null)) <= 0.05)
    assert np.mean(beaten["all"]) < 0.075 < 0.085 < np.mean(beaten["deranged"])


P = {
    "correspondence": lambda x, y, e: correspondence(x, y, e, components=2, draws=19).correlation.p(CONTROL),
    "targeted": lambda x, y, e: targeted_axes(x, {"y": y[:, 0]}, e, draws=19).encoded["y"].p(CONTROL),
    "tuning": lambda x, y, e: tuning(x[:, :1], y[:, 0], e, bins=5, draws=19).strength.p[0],
}


@pytest.mark.parametrize("name", P)
def test_true_effects_between_smooth_records_are_found_and_others_are_not(name):
    found, episodes = {"none": [], "true": []}, np.repeat(np.arange(14), 50)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        x, y = smooth(rng, 3, 25, episodes), smooth(rng, 3, 25, episodes)
        found["none"].append(P[name](x, y, episodes) <= 0.05)
        if seed < 8:
            found["true"].append(P[name](x, 0.8 * x + 0.6 * y, episodes) <= 0.05)
    assert sum(found["none"]) <= 8  # which 60 draws at 5 % exceed once in 300
    assert sum(found["true"]) >= 7


def test_units_that_follow_smooth_features_are_told_from_smooth_units_that_do_not():
    rng, episodes = np.random.default_rng(0), np.repeat(np.arange(14), 50)
    features = smooth(rng, 2, 25, episodes)
    units = smooth(rng, 40, 25, episodes)
    units[:, :5] += features @ rng.normal(size=(2, 5))
    p = encode(units, {"features": features}, episodes, folds=2, draws=19).full.p
    assert (p[:5] <= 0.05).sum() >= 4 and (p[5:] <= 0.05).sum() <= 6


def test_a_difference_between_tasks_is_no_effect_where_the_tasks_are_told():
    rng, episodes = np.random.default_rng(0), np.repeat(np.arange(12), 30)
    tasks = episodes // 6
    x, y = (smooth(rng, 2, 8, episodes) + 3 * tasks[:, None] for _ in range(2))
    assert decode({"x": x}, y, episodes, folds=2, draws=19)["x"].beat == (CONTROL,)
    assert decode({"x": x}, y, episodes, folds=2, draws=19, tasks=tasks)["x"].beat == ()


def test_smooth_units_are_not_said_to_share_dimensions_and_those_that_do_are():
    rng, dealing = np.random.default_rng(0), Dealing.of(EPISODES)

    def concentrated(units):
        def ratio(values):
            return participation_ratio(np.linalg.eigvalsh(np.cov(values.T)))

        return all(ratio(dealing.apart(units, rng)) > ratio(units) for _ in range(19))

    assert np.mean([concentrated(smooth(rng, 5)) for _ in range(100)]) <= 0.12
    assert concentrated(smooth(rng, 5, 50) + 2 * smooth(rng, 1, 50))
