import numpy as np
import pytest

from analysis.sequences import around_events, plot_sequence, plot_variability, sequence
from rodent.errors import UsageError

EPISODES = np.repeat(np.arange(5), 100)
EVENTS = np.concatenate([100 * np.arange(5) + 20, 100 * np.arange(5) + 60])


def tiling():
    """Unit u peaks u steps after each event."""
    activity = 0.1 * np.random.default_rng(0).normal(size=(500, 12))
    for event in EVENTS:
        activity[event + np.arange(12), np.arange(12)] += 1
    return activity


def test_units_that_tile_an_interval_keep_their_order_in_the_other_half():
    found = sequence(tiling(), EVENTS, EPISODES, before=4, after=16, draws=50)
    assert found.order.tolist() == list(range(12))
    assert found.reliability.value == pytest.approx(1) and found.reliability.beat == ("moved events",)
    plot_sequence(found)


def test_noise_sorts_into_a_diagonal_that_does_not_hold():
    noise = np.random.default_rng(1).normal(size=(500, 12))
    found = sequence(noise, EVENTS, EPISODES, before=4, after=16, draws=50)
    assert found.reliability.beat == ()


def test_an_order_that_units_share_by_chance_is_none():
    """Units that follow three signals come in an order, or in its reverse, whatever they are cut out around."""
    beaten = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        slow = np.cumsum(rng.normal(size=(1200, 3)), axis=0)
        slow -= np.repeat([slow[at : at + 100].mean(axis=0) for at in range(0, 1200, 100)], 100, axis=0)
        units = slow @ rng.normal(size=(3, 64)) + 0.1 * rng.normal(size=(1200, 64))
        events = np.sort(rng.choice(1200, size=120, replace=False))
        found = sequence(units, events, np.repeat(np.arange(12), 100), before=10, after=10, draws=39, seed=seed)
        beaten += bool(found.reliability.beat)
    assert beaten <= 2


def test_variability_falls_where_events_agree():
    activity = np.random.default_rng(1).normal(size=(500, 4))
    for event in EVENTS:
        activity[event] = [1, 2, 3, 4]
    found = sequence(activity, EVENTS, EPISODES, before=3, after=3, draws=40)
    assert found.variability.argmin() == 3 and found.variability[3] < 1e-12
    assert found.fall.value == pytest.approx(1) and found.fall.beat == ("rolled events",)
    plot_variability(found)
    noise = np.random.default_rng(2).normal(size=(500, 4))
    assert sequence(noise, EVENTS, EPISODES, before=3, after=3, draws=40).fall.beat == ()


def test_windows_stay_within_their_episode():
    assert around_events(tiling(), [2, 98, 50], EPISODES, before=5, after=5).shape == (1, 10, 12)
    assert "whole windows" in sequence(tiling(), [2], EPISODES, before=5, after=5).reliability.reason
    with pytest.raises(UsageError, match="outside of the 500 steps"):
        around_events(tiling(), [900], EPISODES, before=5, after=5)


def test_the_order_is_of_other_episodes_than_those_that_check_it():
    activity = 0.1 * np.random.default_rng(0).normal(size=(500, 12))
    for event in EVENTS:
        episode = event // 100
        rank = np.random.default_rng(episode).permutation(12)  # an order of its own in each episode
        activity[event + np.arange(12), rank] += 1
    found = sequence(activity, EVENTS, EPISODES, before=4, after=16, draws=100)
    assert not found.reliability.beat and abs(found.reliability.value) < 0.6  # of odd and even events it would hold
    opposite = np.zeros((200, 12))
    for event in EVENTS[EVENTS < 200]:
        order = np.arange(12) if event < 100 else np.arange(12)[::-1]
        opposite[event + np.arange(12), order] += 1
    found = sequence(opposite, EVENTS[EVENTS < 200], EPISODES[:200], before=4, after=16, draws=5)
    assert found.reliability.value == pytest.approx(-1)
    assert found.order.tolist() == list(range(12))[::-1] and found.mean.argmax(axis=0).tolist() == list(range(4, 16))
    alone = sequence(activity[:100], [10, 30, 50, 70], EPISODES[:100], before=4, after=16)
    assert "all events are of one episode" in alone.reliability.reason


def test_intervals_draw_episodes():
    window = {"before": 4, "after": 16, "draws": 40}
    found = sequence(tiling(), EVENTS, EPISODES, **window)
    for estimate in (found.reliability, found.fall):
        low, high = estimate.interval
        assert low <= estimate.value <= high <= 1
    few = EPISODES < 2  # a half of one episode has nothing to draw
    found = sequence(tiling()[few], EVENTS[EVENTS < 200], EPISODES[few], **window)
    assert np.isnan(found.reliability.interval).all() and np.isfinite(found.fall.interval).all()
