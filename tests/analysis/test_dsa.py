import numpy as np
import pytest
from scipy import linalg

from analysis.dsa import best_rotation, dynamical_similarity, plot_dynamical_similarity
from analysis.report.source import principal
from rodent.errors import UsageError

DT = 0.05
EPISODES = np.repeat(np.arange(12), 60)


def rotation(*speeds):
    """Planes that turn at these speeds, rad/s."""
    return linalg.block_diag(*([[0, -speed], [speed, 0]] for speed in speeds))


def paths(system, noise, seed, mix=None):
    """(720, units) of 12 episodes that each start anywhere."""
    rng, step, found = np.random.default_rng(seed), linalg.expm(DT * system), []
    for _ in range(12):
        state = rng.normal(size=len(system))
        for _ in range(60):
            found.append(state)
            state = step @ state + noise * rng.normal(size=len(system))
    return np.array(found) if mix is None else np.array(found) @ mix.T


def test_rotations_of_1_and_3_rad_a_second_are_a_tenth_of_a_radian_apart_and_other_coordinates_are_not():
    slow, fast = paths(rotation(1), 0, 0), paths(rotation(3), 0, 1)
    mixed = paths(rotation(1), 0, 2, mix=np.array([[2.0, 1.0], [0.0, 0.5], [1.0, -1.0]]))
    apart = dynamical_similarity(slow, fast, (EPISODES, EPISODES), rank=2)
    assert apart.distance.value == pytest.approx(0.1, abs=1e-3) and apart.distance.beat == ("halves of one system",)
    alike = dynamical_similarity(slow, mixed, (EPISODES, EPISODES), rank=2)
    assert alike.distance.value < 1e-3 and not alike.distance.beat
    plot_dynamical_similarity(alike)


def test_conjugate_noisy_systems_are_near_and_unlike_spectra_far_at_the_rank_that_predicts_best():
    decay = 0.1 * np.eye(4)
    one, other = rotation(1, 5) - decay, rotation(2, 11) - decay
    mix = np.random.default_rng(0).normal(size=(7, 4))
    first, unlike, conjugate = paths(one, 0.1, 0), paths(other, 0.1, 1), paths(one, 0.1, 2, mix)
    far = dynamical_similarity(first, unlike, (EPISODES, EPISODES), draws=20)
    near = dynamical_similarity(first, conjugate, (EPISODES, EPISODES), draws=20)
    assert far.rank == near.rank == 4
    assert near.distance.value < 0.03 < 0.1 < far.distance.value
    assert far.distance.beat and not near.distance.beat
    low, high = far.distance.interval
    assert low < far.distance.value < high < far.distance.value + 0.1
    np.testing.assert_allclose(
        np.sort_complex(np.linalg.eigvals(far.matrices[0])),
        np.sort_complex(np.exp(DT * np.linalg.eigvals(one))),
        atol=0.02,
    )


def test_delays_make_up_for_components_that_were_not_recorded():
    first, other = paths(rotation(1), 0, 0)[:, :1], paths(rotation(1), 0, 1) @ [[1.0], [3.0]]
    found = dynamical_similarity(first, other, (EPISODES, EPISODES), delays=2, rank=2, draws=2)
    assert found.distance.value < 1e-2
    np.testing.assert_allclose(np.abs(np.angle(np.linalg.eigvals(found.matrices[0]))), DT, atol=1e-4)


def seen(speeds, seed, places=12):
    """Six components of four rotations that so many units follow."""
    units = np.random.default_rng(seed).normal(size=(places, 8))
    values = paths(rotation(*speeds) - 0.1 * np.eye(8), 0.02, seed, units)
    return principal(values + 0.02 * np.random.default_rng(seed).normal(size=values.shape), 6)[0]


def test_of_several_delays_the_fewest_are_taken_that_predict_as_well_as_the_best():
    both, slow, fast = (EPISODES, EPISODES), (1, 3, 6, 9), (2, 4, 8, 12)
    whole = paths(rotation(1, 3), 0.05, 0)
    assert dynamical_similarity(whole, whole, both, delays=(1, 5), draws=0).delays == 1
    # Episodes of 60 steps are too short for 70 delays, which are no choice then.
    assert dynamical_similarity(whole, whole, both, delays=(1, 70), draws=0).delays == 1
    alike = dynamical_similarity(seen(slow, 2), seen(slow, 13), both, delays=(1, 5, 10), draws=4).distance
    apart = dynamical_similarity(seen(slow, 2), seen(fast, 24), both, delays=(1, 5, 10), draws=4)
    assert apart.delays > 1
    noise = alike.nulls["halves of one system"]
    assert alike.value < 1.2 * noise.max() < 0.9 * apart.distance.value


def test_the_best_rotation_is_found_with_and_without_a_mirror():
    rng = np.random.default_rng(0)
    matrix, turn = rng.normal(size=(5, 5)), np.linalg.qr(rng.normal(size=(5, 5)))[0]
    starts = np.linalg.qr(rng.normal(size=(32, 5, 5)))[0]
    for mirror in (1, -1):
        turn[:, 0] *= mirror
        found, angle = best_rotation(matrix, turn @ matrix @ turn.T, starts)
        assert angle < 1e-3
        np.testing.assert_allclose(found @ turn @ matrix @ turn.T @ found.T, matrix, atol=0.01)


def test_what_has_no_dynamics_has_a_reason():
    path = paths(rotation(1), 0, 0)
    both = (EPISODES, EPISODES)
    assert "needs 4" in dynamical_similarity(path, path, (EPISODES // 6, EPISODES)).distance.reason
    assert dynamical_similarity(path, np.ones((720, 2)), both).distance.reason == "constant"
    assert dynamical_similarity(path, path, both, rank=3).distance.reason.startswith("rank 2; needs 3")
    with pytest.raises(UsageError, match="at least 1"):
        dynamical_similarity(path, path, both, delays=0)
