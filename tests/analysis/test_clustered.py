import numpy as np
import pytest
from scipy import ndimage

from analysis.clustered import clustered_similarity, plot_similarity, reliability
from analysis.similarity import linear_cka

EPISODES = np.arange(600) // 50


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_the_protocol_tells_the_layer_that_follows_a_feature_set(rng):
    behaviour = rng.normal(size=(600, 3))
    layers = {"policy": behaviour @ rng.normal(size=(3, 20)), "noise": rng.normal(size=(600, 20))}
    sets = {"fast": behaviour, "none": np.ones((600, 2))}
    found = clustered_similarity(sets, layers, EPISODES, clusters=20, draws=60)
    policy, noise = found.agreement["fast", "policy"], found.agreement["fast", "noise"]
    assert policy.value > 0.5 and policy.beat == ("other episodes",) and not noise.beat
    assert policy.interval[0] < policy.value < policy.interval[1] < 1.2
    biased = found.biased["fast", "noise"]
    assert biased.value > noise.value + 0.1 and not biased.beat and found.biased["fast", "policy"].beat
    assert found.agreement["none", "policy"].reason == found.biased["none", "policy"].reason == "constant"
    assert found.clusters["fast"].max() == 19
    assert found.ceiling["fast", "policy"] > 0.95 and not found.ceiling["fast", "noise"] > 0.6
    assert found.matrices["fast", "policy"].shape == (20, 20)
    np.testing.assert_allclose(np.diag(found.own["fast"]), 1)
    plot_similarity(found)


def test_the_ceiling_of_the_protocol_is_what_noiseless_means_reach(rng):
    behaviour = rng.normal(size=(600, 3))
    clean = behaviour @ rng.normal(size=(3, 20))
    layers = {"clean": clean, "noisy": clean + 8 * rng.normal(size=(600, 20))}
    found = clustered_similarity({"fast": behaviour}, layers, EPISODES, clusters=20, draws=2)
    means = [[part[found.clusters["fast"] == i].mean(axis=0) for i in range(20)] for part in layers.values()]
    assert found.ceiling["fast", "noisy"] == pytest.approx(linear_cka(*means), abs=0.15)
    assert found.ceiling["fast", "noisy"] < 0.9 < found.ceiling["fast", "clean"]


def test_the_reliability_of_noisy_means_is_of_all_episodes_and_not_of_their_halves(rng):
    labels, clean = rng.integers(0, 20, 600), rng.normal(size=(20, 20))
    found, sure = [], []
    for seed in range(12):
        noisy = clean[labels] + 4 * rng.normal(size=(600, 20))
        found.append(reliability(noisy, labels, EPISODES, seed))
        sure.append(linear_cka(np.array([noisy[labels == i].mean(axis=0) for i in range(20)]), clean))
    assert np.mean(found) == pytest.approx(np.mean(sure), abs=0.1)  # halves alone would be 0.19 below it


def test_smooth_layers_are_not_said_to_follow_smooth_behaviour(rng):
    beaten, found = [], []
    for _ in range(20):
        behaviour, layer = (ndimage.gaussian_filter1d(rng.normal(size=(12, 50, 4)), 12, axis=1) for _ in range(2))
        behaviour, layer = behaviour.reshape(600, 4), layer.reshape(600, 4)
        layers = {"noise": layer, "code": 0.8 * behaviour + 0.6 * layer}
        part = clustered_similarity({"slow": behaviour}, layers, EPISODES, clusters=15, draws=19).agreement
        beaten.append(bool(part["slow", "noise"].beat))
        found.append(bool(part["slow", "code"].beat))
    assert np.mean(beaten) <= 0.15 and np.mean(found) >= 0.9


def test_few_steps_or_one_episode_of_the_protocol_have_no_interval(rng):
    behaviour, layers = rng.normal(size=(60, 2)), {"policy": rng.normal(size=(60, 5))}
    found = clustered_similarity({"fast": behaviour}, layers, np.zeros(60), clusters=10, draws=5)
    assert np.isnan(found.agreement["fast", "policy"].interval).all() and not found.agreement["fast", "policy"].beat
    assert np.isnan(found.ceiling["fast", "policy"])
    plot_similarity(found)
    short = clustered_similarity({"fast": behaviour}, layers, np.zeros(60), clusters=50)
    assert short.agreement["fast", "policy"].reason == "60 steps for 50 clusters"
