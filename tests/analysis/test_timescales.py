import numpy as np
import pytest
from scipy import signal

from analysis.report.stages.timescales import median_of_units
from analysis.timescales import NO_DECAY, plot_timescales, unit_timescales


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


def test_one_short_episode_among_long_ones_is_left_out():
    activity = ornstein_uhlenbeck(20, 20_005, 3)
    episodes = np.minimum(np.arange(20_005) // 1000, 20)  # the last one has five steps
    found = unit_timescales(activity, episodes, timestep=0.02, longest=200, draws=3)
    whole = unit_timescales(activity[:20_000], episodes[:20_000], timestep=0.02, longest=200, draws=3)
    assert found.tau.reasons == ("",) * 3
    np.testing.assert_array_equal(found.tau.value, whole.tau.value)


def test_units_that_never_decay_count_as_the_slowest():
    values, null = np.array([0.1, 0.2, np.nan, np.nan, np.nan]), np.full((4, 5), 0.01)
    reasons = ("", "", NO_DECAY, "constant", NO_DECAY)
    most = median_of_units(values, null, reasons, seed=0)
    assert most.reason == f"2 of 4 units show {NO_DECAY}"
    some = median_of_units(np.append(values, [0.3, 0.4]), np.full((4, 7), 0.01), (*reasons, "", ""), seed=0)
    assert some.value == pytest.approx(0.35) and some.interval[0] >= 0.1


@pytest.mark.parametrize("offset", [0.5, 1.0, 1.5])
def test_a_unit_that_prefers_a_task_is_not_slow_for_that(offset):
    activity, episodes = ornstein_uhlenbeck(10, 40_000, 8), np.arange(40_000) // 1000
    tasks = np.where(episodes % 2, "run", "two-tap")
    apart = activity + offset * (episodes % 2)[:, None]
    known = {"timestep": 0.02, "longest": 200, "draws": 5}
    found = unit_timescales(apart, episodes, tasks=tasks, **known)
    assert found.tau.value.mean() == pytest.approx(0.2, rel=0.05)
    assert found.autocorrelation[-50:].mean() == pytest.approx(0, abs=0.03)  # one mean would leave a plateau
    together = unit_timescales(apart, episodes, **known)
    assert np.nan_to_num(together.tau.value, nan=np.inf).mean() > 0.23


def test_slow_changes_between_episodes_of_a_task_are_kept():
    slow, episodes = ornstein_uhlenbeck(100, 60_000, 8), np.arange(60_000) // 600
    found = unit_timescales(slow, episodes, timestep=1.0, longest=300, draws=5, tasks=episodes % 2)
    assert found.tau.value.mean() > 90


def test_a_unit_that_only_tells_the_task_is_not_estimable():
    episodes = np.arange(400) // 50
    only = np.stack([episodes % 2, np.random.default_rng(0).normal(size=400)], axis=1)
    found = unit_timescales(only, episodes, 0.02, draws=3, tasks=episodes % 2)
    assert found.tau.reasons == ("constant in each task", "") and np.isnan(found.tau.value[0])


@pytest.mark.parametrize("short", [110, 300])
def test_one_episode_that_is_shorter_than_a_timescale_hides_it_in_no_other(short):
    lengths = [1000] * 24 + [short]
    activity = np.concatenate([ornstein_uhlenbeck(100, 1500 + each, 6, k)[1500:] for k, each in enumerate(lengths)])
    episodes = np.repeat(np.arange(25), lengths)
    found = unit_timescales(activity, episodes, timestep=0.02, draws=20)
    assert found.tau.reasons == ("",) * 6 and len(found.autocorrelation) == 500
    whole = unit_timescales(activity[:24_000], episodes[:24_000], timestep=0.02, draws=20)
    np.testing.assert_allclose(found.tau.value, whole.tau.value, rtol=0.1)
    assert (found.tau.interval[0] < found.tau.value).all() and (found.tau.value < found.tau.interval[1]).all()
