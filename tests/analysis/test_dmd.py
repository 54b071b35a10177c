import numpy as np
import pytest
from scipy import linalg
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold

from analysis import dmd as module
from analysis.dmd import bop_dmd, hankel_dmd, linear_dynamics, plot_linear_dynamics, plot_modes
from rodent.errors import UsageError

DT = 0.02


def two_oscillators(steps=200):
    """2 Hz undamped and 5 Hz decaying at 0.2 / s, mixed into four channels."""
    time = DT * np.arange(steps)
    slow, fast = np.exp(2j * np.pi * 2 * time), np.exp((-0.2 + 2j * np.pi * 5) * time)
    hidden = np.stack([slow.real, slow.imag, fast.real, fast.imag], axis=1)
    return hidden @ np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]


def test_hankel_dmd_finds_2_hz_undamped_and_5_hz_at_minus_0_2():
    found = hankel_dmd(two_oscillators(), DT, rank=4, delays=10)
    np.testing.assert_allclose(found.frequencies, [2, 5], atol=1e-3)
    np.testing.assert_allclose(found.growth, [0, -0.2], atol=1e-3)
    assert found.reconstruction > 0.999
    one_channel = hankel_dmd(two_oscillators()[:, 0], DT, rank=4, delays=50)
    np.testing.assert_allclose(one_channel.frequencies, [2, 5], atol=1e-2)


def test_bop_dmd_finds_the_same_and_leaves_numpys_generator_alone():
    before = np.random.get_state()[1].copy()
    found = bop_dmd(two_oscillators(), DT, rank=4, bags=0)
    np.testing.assert_allclose(found.frequencies, [2, 5], atol=1e-3)
    np.testing.assert_allclose(found.growth, [0, -0.2], atol=1e-3)
    noisy = two_oscillators() + 0.05 * np.random.default_rng(0).normal(size=(200, 4))
    bagged = bop_dmd(noisy, DT, rank=4, bags=5)
    np.testing.assert_allclose(bagged.frequencies, [2, 5], atol=0.05)
    assert (bagged.frequency_interval[0] < bagged.frequency_interval[1]).all()
    np.testing.assert_array_equal(before, np.random.get_state()[1])
    plot_modes(bagged)


def test_bop_dmd_keeps_a_rhythm_beside_what_happens_once_and_says_nothing(capfd):
    """A step that stands out tempts modes to explode or to vanish at once, beyond what numbers hold."""
    rng, time = np.random.default_rng(0), DT * np.arange(500)
    rhythm = [wave(2 * np.pi * hertz * time) for hertz in (3.9, 7.8) for wave in (np.cos, np.sin)]
    once = 5.0 * (np.arange(500) == 499)
    path = np.stack([*rhythm, once, 0.3 * rng.normal(size=500)], axis=1) + 0.02 * rng.normal(size=(500, 6))
    found = bop_dmd(path, DT, rank=6, bags=0)
    assert not found.reason and np.isfinite(found.growth).all()
    assert np.abs(found.frequencies - 3.9).min() < 0.01
    assert capfd.readouterr().out == ""


def test_a_linear_system_is_found_and_predicts_held_out_episodes():
    rng = np.random.default_rng(0)
    matrix = linalg.expm(DT * np.array([[-0.5, -6.0, 0], [6.0, -0.5, 0], [0, 0, -1.0]]))
    state, paths = rng.normal(size=(10, 3)), []
    for _ in range(40):
        paths.append(state)
        state = state @ matrix.T
    states = np.stack(paths, axis=1).reshape(-1, 3)
    found = linear_dynamics(states, np.repeat(np.arange(10), 40), DT * 1e-6)
    np.testing.assert_allclose(found.matrix, matrix, atol=1e-4)
    assert found.predicted.value > 0.999 and found.predicted.beat == ("shifts within episodes", "each component alone")
    plot_linear_dynamics(found)
    noise = linear_dynamics(rng.normal(size=(400, 3)), np.repeat(np.arange(10), 40))  # which returns to its mean
    assert "each component alone" not in noise.predicted.beat


def test_too_low_a_rank_or_one_episode_has_a_reason():
    path = two_oscillators()
    assert hankel_dmd(path[:, :1], DT, rank=4, delays=1).reason.startswith("rank 1")
    assert bop_dmd(np.ones((50, 4)), DT, rank=2).reason == "constant"
    assert np.isnan(bop_dmd(np.ones((50, 4)), DT, rank=2).frequencies).all()
    assert "nothing to hold out" in linear_dynamics(path, np.zeros(200)).predicted.reason
    with pytest.raises(UsageError, match="at least 1"):
        hankel_dmd(path, DT, rank=0, delays=1)


def test_linear_dynamics_are_ridge_regressions_of_held_out_episodes():
    rng = np.random.default_rng(3)
    states, episodes = rng.normal(size=(300, 3)).cumsum(axis=0), np.arange(300) // 60
    found = linear_dynamics(states, episodes, penalty=0.1, folds=5, draws=2)
    inside = np.flatnonzero(episodes[1:] == episodes[:-1])
    now, change, group = states[inside], states[inside + 1] - states[inside], episodes[inside]
    missed, whole = 0.0, 0.0
    for train, test in GroupKFold(5).split(now, groups=group):
        model = Ridge(alpha=0.1 * len(now) * states.std() ** 2).fit(now[train], change[train])
        missed += np.square(change[test] - model.predict(now[test])).sum()
        whole += np.square(change[test] - change[train].mean(axis=0)).sum()
    assert found.predicted.value == pytest.approx(1 - missed / whole, rel=1e-9)


def test_modes_that_rebuild_nothing_of_the_path_are_no_modes(monkeypatch):
    path = np.random.default_rng(0).normal(size=(120, 4))
    monkeypatch.setattr(module, "_forecast", lambda model, time: 1e6 * np.ones((len(time), 4)))
    found = bop_dmd(path, 0.02, 4, bags=0)
    assert found.reason == "the modes rebuild no more than the path's mean does" and np.isnan(found.frequencies).all()
