import numpy as np
import pytest

from analysis.sequences import around_events, compare_sequences, plot_sequence, plot_variability, sequence
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
    assert found.reliability.value == pytest.approx(1) and found.reliability.beat == ("rolled events",)
    plot_sequence(found)


def test_noise_sorts_into_a_diagonal_that_does_not_hold():
    noise = np.random.default_rng(1).normal(size=(500, 12))
    found = sequence(noise, EVENTS, EPISODES, before=4, after=16, draws=50)
    assert found.reliability.beat == ()


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


def test_an_order_that_holds_is_more_reliable_than_noise_and_two_noises_are_alike():
    noise, other = (np.random.default_rng(seed).normal(size=(500, 12)) for seed in (1, 2))
    window = {"episodes": EPISODES, "before": 4, "after": 16, "control": "mixed", "draws": 60}
    gain = compare_sequences(tiling(), noise, EVENTS, **window)
    assert gain.reliability.beat == ("mixed",) and gain.reliability.interval[0] > 0
    assert compare_sequences(noise, noise, EVENTS, **window).reliability.value == 0
    alike = compare_sequences(noise, other, EVENTS, **window)
    assert not alike.reliability.beat and not alike.fall.beat
    agreed = noise.copy()
    agreed[EVENTS] = np.arange(12)
    assert compare_sequences(agreed, other, EVENTS, **window).fall.beat == ("mixed",)


def test_layers_that_cannot_be_compared_around_events_have_a_reason():
    flat, window = np.ones((500, 12)), {"episodes": EPISODES, "before": 4, "after": 16, "control": "mixed"}
    assert compare_sequences(tiling(), flat, EVENTS, **window).fall.reason.startswith("0 units that are finite")
    assert "whole windows" in compare_sequences(tiling(), tiling(), [2], **window).reliability.reason
