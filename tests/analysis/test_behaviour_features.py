import numpy as np
import pytest

from analysis.behavioural_features import behavioural_features, plot_behavioural_features
from analysis.postures import eigenpostures, plot_postures
from analysis.wavelets import BANDS, morlet, plot_wavelets
from rodent.errors import UsageError

EPISODES = np.arange(600) // 100


def test_planted_postures_are_found_and_beat_independent_joints():
    rng = np.random.default_rng(0)
    planted = np.linalg.qr(rng.normal(size=(10, 2)))[0].T
    features = rng.normal(size=(600, 2)) * [3, 2] @ planted + 0.1 * rng.normal(size=(600, 10))
    found = eigenpostures(features, EPISODES, components=2)
    assert np.abs(np.sum(found.components * planted, axis=1)) == pytest.approx([1, 1], abs=0.02)
    assert found.explained.beat == ("features of other episodes",)
    np.testing.assert_allclose(found.project(features), found.scores, atol=1e-9)
    plot_postures(found)


def test_too_low_a_rank_of_postures_has_a_reason():
    found = eigenpostures(np.random.default_rng(0).normal(size=(600, 3)), EPISODES)
    assert found.explained.reason.startswith("rank 3") and np.isnan(found.scores).all()


@pytest.mark.parametrize("frequency", [1.5, 4.0, 11.0])
def test_a_sine_peaks_at_its_frequency_with_0_20043_of_its_amplitude(frequency):
    time = 0.01 * np.arange(1500)
    found = morlet(3 * np.sin(2 * np.pi * frequency * time), np.zeros(1500), 0.01, (frequency / 2, 2 * frequency), 9)
    middle = found.amplitudes[600:900, :, 0].mean(axis=0)
    assert found.frequencies[middle.argmax()] == pytest.approx(frequency)
    assert middle.max() == pytest.approx(3 * 0.20043, rel=2e-3)


@pytest.mark.parametrize("seconds", [3.4, 4, 10])
def test_a_steady_sine_has_its_amplitude_from_the_first_step_of_an_episode_to_the_last(seconds):
    time, phase = 0.02 * np.arange(round(seconds / 0.02)), np.linspace(0, 2 * np.pi, 24, endpoint=False)
    for frequency in (0.3, 1.0, 5.0):
        sines = np.sin(2 * np.pi * frequency * time[:, None] + phase)
        found = morlet(sines, np.zeros(len(time)), 0.02, (frequency, 2 * frequency), 2).amplitudes[:, 0] / 0.20043
        np.testing.assert_allclose(found.mean(axis=1), 1, atol=0.05)
        np.testing.assert_allclose(found, 1, atol=0.17)


def test_a_drift_of_an_episode_is_no_rhythm_at_its_ends():
    found = morlet(np.linspace(-1, 1, 500), np.zeros(500), 0.02, (3.0, 25.0)).amplitudes
    assert found.max() < 0.02  # of a drift by 2


def test_bands_are_the_papers_and_short_episodes_have_no_slow_amplitude():
    found = morlet(np.random.default_rng(0).normal(size=(100, 2)), np.arange(100) // 50, 0.02, BANDS["slow"])
    assert found.frequencies[[0, -1]] == pytest.approx(BANDS["slow"])
    assert np.isnan(found.amplitudes[:, 0]).all() and np.isfinite(found.amplitudes[:, -1]).all()
    plot_wavelets(found)
    with pytest.raises(UsageError, match="high <= 25"):
        morlet(np.zeros(100), np.zeros(100), 0.02, (5, 30))


def test_the_papers_features_are_60_and_tell_slow_from_fast():
    rng, time = np.random.default_rng(0), 0.02 * np.arange(600)
    angles = rng.normal(size=(600, 20))
    angles[:, 0] += np.where(EPISODES % 2, 10 * np.sin(2 * np.pi * 8 * time), 0)  # fast in odd episodes
    found = {
        band: behavioural_features(angles, rng.normal(size=(600, 30)), EPISODES, 0.02, band)
        for band in ("fast", "intermediate")
    }
    assert found["fast"].values.shape == (600, 60) and len(set(found["fast"].names)) == 60
    spectral = found["fast"].values[:, found["fast"].names.index("angles, fast 0")]
    assert abs(np.corrcoef(spectral, EPISODES % 2)[0, 1]) > 0.9
    plot_behavioural_features(found["fast"])


def test_features_that_cannot_be_had_have_a_reason():
    rng = np.random.default_rng(0)
    found = behavioural_features(rng.normal(size=(600, 3)), rng.normal(size=(600, 30)), EPISODES, 0.02, "fast")
    assert found.reason.startswith("angles: rank 3") and np.isnan(found.values).all()
    brief = behavioural_features(rng.normal(size=(600, 20)), rng.normal(size=(600, 30)), EPISODES, 0.02, "slow")
    assert "amplitudes of angles" in brief.reason  # 2 s episodes have no period of 0.3 Hz
