import numpy as np
import pytest

from analysis.tangling import compare_tangling, plot_tangling, tangling
from rodent.errors import UsageError

STEPS = 1000
PHASE = 2 * np.pi * np.arange(STEPS) / STEPS
CIRCLE = np.stack([np.cos(PHASE), np.sin(PHASE)], axis=1)
EIGHT = np.stack([np.sin(PHASE), np.sin(2 * PHASE)], axis=1)


def test_a_unit_circle_at_1_hz_has_38_516_and_a_figure_of_eight_far_more():
    circle = tangling(CIRCLE, 1 / STEPS)
    assert np.median(circle) == pytest.approx(38.516, abs=0.01)
    assert tangling(EIGHT, 1 / STEPS).max() > 10 * circle.max()


def test_the_more_tangled_of_two_is_found_over_conditions():
    scale = np.linspace(1, 1.5, 8)[:, None, None]
    circles, eights = scale * CIRCLE[::20], scale * EIGHT[::20]
    found = compare_tangling(circles, eights, 0.02)
    assert found.difference.value > 0 and found.difference.beat == ("swapped",)
    assert compare_tangling(eights, circles, 0.02).difference.beat == ()
    plot_tangling(found)


def test_windows_of_one_episode_are_swapped_and_drawn_together():
    rng, episodes = np.random.default_rng(0), np.repeat(np.arange(8), 6)
    jitter = np.exp(np.tile([-1.0, 1.0], 4))[episodes][:, None, None]  # in each other episode one is less smooth
    circles = np.broadcast_to(CIRCLE[::50], (48, 20, 2))
    first, second = (circles + 0.1 * np.sqrt(j) * rng.normal(size=circles.shape) for j in (jitter, 1 / jitter))
    apart, together = (
        compare_tangling(first, second, 0.05, draws=2000, episodes=labels).difference for labels in (None, episodes)
    )
    assert together.value == pytest.approx(apart.value)
    # Windows that agree make the chance of episodes sqrt(6) times as wide as that of windows.
    assert together.nulls["swapped"].std() > 1.7 * apart.nulls["swapped"].std()
    assert np.ptp(together.interval) > 1.7 * np.ptp(apart.interval)
    assert not compare_tangling(first, second, 0.05, episodes=np.zeros(48)).difference.estimable


def test_what_never_moves_has_a_reason():
    assert np.isnan(tangling(np.ones((10, 2)), 0.02)).all()
    flat = compare_tangling(np.ones((3, 10, 2)), np.ones((3, 10, 2)), 0.02).difference
    assert not flat.estimable and np.isnan(flat.value)
    with pytest.raises(UsageError, match="same conditions and steps"):
        compare_tangling(np.ones((3, 10, 2)), np.ones((3, 9, 2)), 0.02)
