import numpy as np
import pytest

from analysis.report.stages.chosen import BINS, UNITS, Strongest
from analysis.tuning import tuning, tuning_curves

EPISODES = np.repeat(np.arange(8), 50)
CHOOSING = EPISODES % 2 == 0


def made(seed: int = 0) -> tuple[np.ndarray, list[np.ndarray]]:
    """Activity of ten units, of which three follow the first of two variables, which is not always known."""
    rng = np.random.default_rng(seed)
    speed, height = rng.normal(size=(2, 400))
    activity = rng.normal(size=(400, 10)) + 4.0
    activity[:, 2:5] += speed[:, None] * (3, 2, 1)
    return activity, [np.where(rng.random(400) < 0.2, np.nan, speed), height]


def test_it_is_what_tuning_finds_of_each_variable_alone():
    activity, variables = made()
    asked, rows = Strongest.of(variables, CHOOSING, EPISODES), np.arange(400)
    chosen, strength = asked.chosen(activity, rows), asked(activity, rows)
    assert set(chosen[0]) == {2, 3, 4}
    for i, values in enumerate(variables):
        edges = [np.histogram_bin_edges(values[np.isfinite(values)], BINS)]
        curves = tuning_curves(activity[CHOOSING], values[CHOOSING], edges).curves
        modulation = np.nanstd(curves, axis=1) / activity[CHOOSING].std(axis=0)
        np.testing.assert_array_equal(chosen[i], np.argsort(-modulation)[:UNITS])
        part = activity[~CHOOSING][:, chosen[i]]
        alone = tuning(part, values[~CHOOSING], EPISODES[~CHOOSING], edges, draws=0).strength.value
        assert strength[i] == pytest.approx(alone.mean(), abs=1e-4)
        assert asked.only(i)(activity, rows) == pytest.approx(strength[[i]])


def test_episodes_that_were_drawn_twice_count_twice():
    activity, variables = made()
    asked = Strongest.of(variables, CHOOSING, EPISODES)
    once, twice = np.arange(400), np.concatenate([np.arange(400), np.arange(400)])
    np.testing.assert_allclose(asked(activity[twice], twice), asked(activity, once))


def test_of_steps_for_choosing_alone_and_of_units_that_stand_still_it_tells_nothing():
    activity, variables = made()
    asked = Strongest.of(variables, CHOOSING, EPISODES)
    rows = np.flatnonzero(CHOOSING)
    assert np.isnan(asked(activity[rows], rows)).all()
    still = np.where(CHOOSING[:, None], activity, 1.0)
    assert np.isnan(asked(still, np.arange(400))).all()
    one_left = np.flatnonzero(EPISODES < 2)
    assert np.isnan(asked(activity[one_left], one_left)).all()
