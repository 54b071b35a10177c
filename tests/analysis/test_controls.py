import numpy as np
import pytest

from analysis.controls import (
    against_controls,
    matched_units,
    other_episodes,
    plot_controls,
    rotate_units,
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
        "time shift": time_shift(EPISODES), "other episodes": other_episodes(EPISODES), "rotation": rotate_units,
    }  # fmt: skip
    references = {"untrained": untrained, "inputs": target}
    found = against_controls(correlation_with(target), activity, EPISODES, controls, references, draws=40)
    assert set(found.beat) == {"time shift", "other episodes", "untrained"} | ({"rotation"} & set(found.beat))
    assert found.interval[0] < found.value < found.interval[1]
    plot_controls(found, "correlation")
    none = against_controls(correlation_with(target), untrained, EPISODES, controls, draws=40)
    assert not set(none.beat) & {"time shift", "other episodes"}


def test_a_shift_keeps_each_episodes_values():
    values = np.arange(240.0)
    moved = shift_within_episodes(values, EPISODES, np.random.default_rng(0)).reshape(6, 40)
    assert (np.sort(moved, axis=1) == values.reshape(6, 40)).all() and not (moved == values.reshape(6, 40)).any()


def test_other_episodes_are_whole():
    moved = other_episodes(EPISODES)(EPISODES[:, None] * 1.0, np.random.default_rng(1)).reshape(6, 40)
    assert (moved == moved[:, :1]).all() and sorted(moved[:, 0]) == list(range(6))


def test_a_rotation_keeps_the_geometry():
    activity = np.random.default_rng(0).normal(size=(50, 5))
    turned = rotate_units(activity, np.random.default_rng(1))
    np.testing.assert_allclose(np.linalg.eigvalsh(np.cov(turned.T)), np.linalg.eigvalsh(np.cov(activity.T)))
    np.testing.assert_allclose(turned.mean(axis=0), activity.mean(axis=0), atol=1e-12)


def test_matched_units_are_as_variable_and_not_the_chosen_ones():
    activity = np.random.default_rng(0).normal(size=(500, 20)) * np.repeat([1.0, 10.0], 10)
    found = matched_units(activity, [0, 12, 13], np.random.default_rng(0))
    assert found[0] < 10 and (found[1:] >= 10).all() and not set(found) & {0, 12, 13} and len(set(found)) == 3
    with pytest.raises(UsageError, match="at most half"):
        matched_units(activity, np.arange(11), np.random.default_rng(0))
