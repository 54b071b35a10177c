import numpy as np
import pytest
from scipy import signal

from analysis.timescales import plot_timescales, unit_timescales


def ornstein_uhlenbeck(tau, steps, units, seed=0):
    decay = np.exp(-1 / tau)
    noise = np.random.default_rng(seed).normal(size=(steps, units)) * np.sqrt(1 - decay**2)
    return signal.lfilter([1], [1, -decay], noise, axis=0)


def test_an_ornstein_uhlenbeck_process_has_its_tau():
    activity = ornstein_uhlenbeck(20, 40_000, 8)
    found = unit_timescales(activity, np.arange(40_000) // 1000, timestep=0.02, longest=200, draws=20)
    assert found.tau.value.mean() == pytest.approx(20 * 0.02, rel=0.05)
    assert found.tau.beat.all() and (found.tau.interval[0] < found.tau.interval[1]).all()
    plot_timescales(found)


def test_slow_units_in_short_episodes_are_not_biased_down():
    activity = ornstein_uhlenbeck(100, 60_000, 8)
    found = unit_timescales(activity, np.arange(60_000) // 600, timestep=1.0, longest=300, draws=5)
    assert found.tau.value.mean() > 90


def test_what_never_decays_or_is_short_has_a_reason():
    activity = np.stack([np.linspace(0, 1, 50), np.zeros(50)], axis=1)
    found = unit_timescales(activity, np.zeros(50), timestep=0.02, longest=6, draws=3)
    assert found.tau.reasons == ("no decay within the longest lag", "constant") and np.isnan(found.tau.value).all()
    short = unit_timescales(activity, np.arange(50) // 5, timestep=0.02, draws=3)
    assert "needs at least 8" in short.tau.reasons[0] and np.isnan(short.tau.value).all()
