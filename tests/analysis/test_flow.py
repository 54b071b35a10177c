import numpy as np
import pytest
from scipy import linalg

from analysis.flow import flow_field, plot_flow

DT = 0.01


def test_a_linear_system_gives_a_x():
    matrix = np.array([[-0.3, -2.0], [2.0, -0.3]])
    rng, step = np.random.default_rng(0), linalg.expm(matrix * DT)
    paths = [rng.normal(size=(200, 2))]
    for _ in range(60):
        paths.append(paths[-1] @ step.T)
    states = np.stack(paths, axis=1)
    found = flow_field(states.reshape(-1, 2), np.repeat(np.arange(200), 61), DT, bins=15, draws=20)
    centre = np.stack(np.meshgrid(*((e[1:] + e[:-1]) / 2 for e in found.edges), indexing="ij"), axis=-1)
    busy = found.occupancy > 50
    width = max(np.diff(edge).max() for edge in found.edges)
    np.testing.assert_allclose(found.velocity[busy], (centre @ matrix.T)[busy], atol=0.5 * width * 2.1)
    assert np.corrcoef(found.velocity[busy].ravel(), (centre @ matrix.T)[busy].ravel())[0, 1] > 0.99
    assert found.consistency.value > 0.7 and found.consistency.beat == ("shifts within episodes",)
    plot_flow(found)


def test_noise_has_no_consistent_flow_and_empty_bins_are_nan():
    states = np.cumsum(np.random.default_rng(0).normal(size=(600, 2)), axis=0)
    found = flow_field(states, np.arange(600) // 60, DT, draws=20)
    assert found.consistency.beat == ()
    assert np.isnan(found.velocity[found.occupancy < 3]).all()


@pytest.mark.parametrize(
    ("states", "reason"),
    [(np.ones((50, 2)), "constant"), (np.full((50, 2), np.nan), "NaN"), (np.eye(2), "samples")],
)
def test_what_has_no_flow_has_a_reason(states, reason):
    assert reason in flow_field(states, np.zeros(len(states)), DT).consistency.reason


def test_one_episode_has_a_field_but_nothing_to_hold_out():
    states = np.random.default_rng(0).normal(size=(500, 2))
    found = flow_field(states, np.zeros(500), DT, bins=4)
    assert np.isfinite(found.velocity).any() and "one episode" in found.consistency.reason
