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


def test_what_never_moves_has_a_reason():
    assert np.isnan(tangling(np.ones((10, 2)), 0.02)).all()
    flat = compare_tangling(np.ones((3, 10, 2)), np.ones((3, 10, 2)), 0.02).difference
    assert not flat.estimable and np.isnan(flat.value)
    with pytest.raises(UsageError, match="same conditions and steps"):
        compare_tangling(np.ones((3, 10, 2)), np.ones((3, 9, 2)), 0.02)
