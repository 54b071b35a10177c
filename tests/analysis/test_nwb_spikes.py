"""Synthetic spikes follow the rectified activity that they are drawn from."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.nwb_spikes import RESOLUTION, synthetic_spikes


def draw(episodes, rate, seed=0):
    return synthetic_spikes(lambda: iter(episodes), rate, np.random.default_rng(seed))


def test_a_layer_fires_at_the_mean_rate_and_each_unit_in_proportion_to_its_rectified_activity():
    activity = np.tile([1.0, 3.0, -5.0, 0.0], (50_000, 1))  # 1000 s
    spikes = draw([(0.0, activity)], 10.0)
    counts = [len(spikes.of(unit)) for unit in range(4)]
    # A Poisson count's standard deviation is its root: these are within four of them.
    assert counts[0] == pytest.approx(10_000, abs=400) and counts[1] == pytest.approx(30_000, abs=700)
    assert counts[2:] == [0, 0]
    per_step = np.histogram(spikes.of(1), np.arange(50_001) * 0.02)[0]
    assert per_step.var() == pytest.approx(per_step.mean(), rel=0.05)


def test_spikes_fall_into_the_steps_in_which_a_unit_is_active():
    activity = np.zeros((100, 1))
    activity[40:50] = 1
    spikes = draw([(7.0, activity)], 200.0).of(0)
    assert len(spikes) and spikes.min() >= 7.8 - RESOLUTION and spikes.max() < 8.0


def test_a_silent_layer_has_no_spikes():
    spikes = draw([(0.0, -np.ones((10, 3)))], 5.0)
    assert len(spikes.times) == 0 and spikes.ends.tolist() == [0, 0, 0]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_spikes_are_sorted_within_their_episodes_and_follow_from_the_seed(lengths, units, seed):
    rng = np.random.default_rng(seed)
    episodes = [(10.0 * k, rng.normal(size=(length, units))) for k, length in enumerate(lengths)]
    spikes = draw(episodes, 50.0, seed)
    assert spikes.ends[-1] == len(spikes.times)
    for unit in range(units):
        times = spikes.of(unit)
        assert (np.diff(times) > 0).all()
        inside = [(times >= start - RESOLUTION) & (times < start + 0.02 * len(values)) for start, values in episodes]
        assert np.any(inside, axis=0).all()
    assert np.array_equal(spikes.times, draw(episodes, 50.0, seed).times)
