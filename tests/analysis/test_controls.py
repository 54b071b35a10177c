import numpy as np
import pytest

from analysis.controls import (
    against_controls,
    each_against_controls,
    matched_units,
    other_episodes,
    other_units,
    plot_controls,
    rotate_units,
    rotation,
    shift_within_episodes,
    time_shift,
)
from rodent.errors import UsageError

EPISODES = np.repeat(np.arange(6), 40)


def correlation_with(target):
    def statistic(activity, rows):
        return float(np.abs(np.corrcoef(activity[:, 0], target[rows])[0, 1]))

    return statistic


def test_an_effect_beats_its_controls_and_none_does_not():
    rng = np.random.default_rng(0)
    target, untrained = rng.normal(size=(2, 240))
    activity = np.stack([target + 0.3 * rng.normal(size=240), rng.normal(size=240)], axis=1)
    controls = {
        "time shift": time_shift(EPISODES), "other episodes": other_episodes(EPISODES), "rotation": rotation,
    }  # fmt: skip
    references = {"untrained": untrained, "inputs": target}
    found = against_controls(correlation_with(target), activity, EPISODES, controls, references, draws=40)
    assert set(found.beat) == {"time shift", "other episodes", "untrained"} | ({"rotation"} & set(found.beat))
    assert found.interval[0] < found.value < found.interval[1]
    plot_controls(found, "correlation")
    none = against_controls(correlation_with(target), untrained, EPISODES, controls, draws=40)
    assert not set(none.beat) & {"time shift", "other episodes"}


def test_several_statistics_of_the_same_surrogates_are_as_each_alone():
    rng = np.random.default_rng(0)
    targets, activity = rng.normal(size=(2, 240)), rng.normal(size=(240, 3))
    asked = [correlation_with(target) for target in targets]
    controls, references = {"other episodes": other_episodes(EPISODES)}, {"inputs": targets[0]}

    def both(values, rows):
        return np.array([statistic(values, rows) for statistic in asked])

    found = each_against_controls(both, ["a", "b"], activity, EPISODES, controls, references, draws=20)
    for name, statistic in zip("ab", asked, strict=True):
        alone = against_controls(statistic, activity, EPISODES, controls, references, draws=20)
        assert found[name].value == alone.value and found[name].interval == alone.interval
        for control in ("other episodes", "inputs"):
            np.testing.assert_array_equal(found[name].nulls[control], alone.nulls[control])
    unknown = each_against_controls(both, ["a", "b"], np.ones((240, 2)), EPISODES, controls)
    assert [each.reason for each in unknown.values()] == ["constant", "constant"]


def test_a_reference_that_is_as_good_is_not_beaten_however_few_the_episodes():
    def mean(activity, rows):
        return float(activity.mean())

    rng, beaten = np.random.default_rng(0), {"alike": 0, "worse": 0}
    for _ in range(60):
        own, other = (rng.normal(size=6)[EPISODES] for _ in range(2))
        references = {"alike": other, "worse": other - 3}
        found = against_controls(mean, own, EPISODES, {}, references, draws=100)
        for name in found.beat:
            beaten[name] += 1
    # The reference's spread alone, without the value's own, would let one alike be beaten in 0.12 of the cases.
    assert beaten["alike"] <= 9 and beaten["worse"] >= 55
    wide = against_controls(mean, own, EPISODES, {}, {"alike": other}, draws=2000)
    ratio = np.ptp(np.quantile(wide.nulls["alike"], [0.025, 0.975])) / np.ptp(wide.interval)
    spreads = [np.std(each[::40]) / np.std(own[::40]) for each in (own - other, other)]
    assert ratio == pytest.approx(spreads[0], rel=0.05)  # of the difference in the same draws of episodes
    assert ratio != pytest.approx(spreads[1], rel=0.2)  # and not of the reference alone
    noise = rng.normal(size=(2, 40))
    alone = against_controls(mean, noise[0], EPISODES[:40], {}, {"alike": noise[1]}, draws=5)
    assert len(alone.nulls["alike"]) == 0 and not alone.beat


def test_a_shift_keeps_each_episodes_values():
    values = np.arange(240.0)
    moved = shift_within_episodes(values, EPISODES, np.random.default_rng(0)).reshape(6, 40)
    assert (np.sort(moved, axis=1) == values.reshape(6, 40)).all() and not (moved == values.reshape(6, 40)).any()


def dealt(episodes, tasks=None, draws=50):
    """(draws, episodes) which episode stood in for each."""
    labels = np.asarray(episodes)
    drawn = other_episodes(labels, tasks)(labels[:, None] * 1.0, draws, np.random.default_rng(1))
    first = np.unique(labels, return_index=True)[1]
    return np.array([moved[first, 0] for moved in drawn])


def test_other_episodes_are_whole():
    (moved,) = other_episodes(EPISODES)(EPISODES[:, None] * 1.0, 1, np.random.default_rng(1))
    moved = moved.reshape(6, 40)
    assert (moved == moved[:, :1]).all() and sorted(moved[:, 0]) == list(range(6))


def test_other_episodes_are_never_the_recorded_order_and_no_order_comes_twice():
    orders = dealt(EPISODES)
    assert len(orders) == 50 == len(np.unique(orders, axis=0)) and not (orders == np.arange(6)).all(axis=1).any()
    few = dealt(np.repeat(np.arange(3), 4))
    assert len(few) == 5 == len(np.unique(few, axis=0))  # all that there are
    assert dealt([0, 0, 1, 1]).tolist() == [[1, 0]]


def test_other_episodes_are_of_the_same_task():
    tasks = np.where(EPISODES % 2, "run", "two-tap")
    orders = dealt(EPISODES, tasks)
    assert (orders % 2 == np.arange(6) % 2).all() and len(orders) == 35  # 3! x 3! - 1


def test_an_episode_that_no_other_can_stand_in_for_is_named():
    with pytest.raises(UsageError, match="the recording has one episode"):
        other_episodes(np.zeros(9))
    with pytest.raises(UsageError, match="task run has one episode, for which no other can stand in"):
        other_episodes(EPISODES, np.where(EPISODES == 2, "run", "two-tap"))


def test_units_in_place_of_those_chosen_are_as_variable():
    activity = np.random.default_rng(0).normal(size=(300, 12)) * np.repeat([1.0, 10.0], 6)
    drawn = list(other_units([0, 11])(activity, 20, np.random.default_rng(0)))
    assert len(drawn) == 20 and all(each.shape == (300, 2) for each in drawn)
    assert all(each.std(axis=0).round().tolist() == [1, 10] for each in drawn)
    assert not any((each == activity[:, [0, 11]]).all(axis=0).any() for each in drawn)


def test_a_rotation_keeps_the_geometry():
    activity = np.random.default_rng(0).normal(size=(50, 5))
    turned = rotate_units(activity, np.random.default_rng(1))
    np.testing.assert_allclose(np.linalg.eigvalsh(np.cov(turned.T)), np.linalg.eigvalsh(np.cov(activity.T)), rtol=1e-5)
    np.testing.assert_allclose(turned.mean(axis=0), activity.mean(axis=0), atol=1e-12)


def test_random_directions_point_to_each_side_alike_often():
    rng, first = np.random.default_rng(0), np.eye(3)
    drawn = np.array([rotate_units(first, rng) - first.mean(axis=0) for _ in range(2000)])
    np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.05)


def test_matched_units_are_as_variable_and_not_the_chosen_ones():
    activity = np.random.default_rng(0).normal(size=(500, 20)) * np.repeat([1.0, 10.0], 10)
    found = matched_units(activity, [0, 12, 13], np.random.default_rng(0))
    assert found[0] < 10 and (found[1:] >= 10).all() and not set(found) & {0, 12, 13} and len(set(found)) == 3
    with pytest.raises(UsageError, match="at most half"):
        matched_units(activity, np.arange(11), np.random.default_rng(0))
