import numpy as np
import pytest
import torch

from analysis.fixed_points import fixed_points, plot_fixed_points


def network(count):
    """H' = tanh(h @ W) with W[i] = -roll(linspace(-1, 1, n), -i)."""
    weights = torch.stack([-torch.roll(torch.linspace(-1, 1, count, dtype=torch.float64), -i) for i in range(count)])
    return lambda h: torch.tanh(h @ weights)


@pytest.mark.parametrize(("count", "points"), [(2, 3), (3, 3), (4, 9)])
def test_a_tanh_network_has_its_known_number_of_points(count, points):
    starts = np.random.default_rng(0).uniform(-1, 1, size=(300, count))
    assert len(fixed_points(network(count), starts).points) == points


def test_the_points_of_two_units_have_the_closed_form_and_jacobians_equal_finite_differences():
    step = network(2)
    found = fixed_points(step, np.random.default_rng(0).uniform(-1, 1, size=(100, 2)))
    assert np.abs(found.points).max() == pytest.approx(0.9575040, abs=1e-7)  # a = tanh(2 a)
    assert found.stable.sum() == 2 and found.converged > 0.9
    for point, jacobian in zip(found.points, found.jacobians, strict=True):
        move = 1e-5 * np.eye(2)
        ends = [[step(torch.as_tensor(point + sign * way)).numpy() for way in move] for sign in (1, -1)]
        np.testing.assert_allclose(jacobian, (np.array(ends[0]) - np.array(ends[1])).T / 2e-5, atol=1e-9)
    plot_fixed_points(found)


def test_a_map_that_never_rests_has_no_points():
    found = fixed_points(lambda h: h + 1, np.zeros((5, 3)), iterations=5)
    assert len(found.points) == 0 and found.converged == 0 and found.jacobians.shape == (0, 3, 3)
