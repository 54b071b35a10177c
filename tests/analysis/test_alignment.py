import numpy as np
import pytest
from sklearn.cross_decomposition import CCA

from analysis.alignment import canonical_correlations, correspondence, plot_alignment, principal_angles
from rodent.errors import UsageError

EPISODES = np.arange(300) // 30


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_cca_equals_that_of_scikit_learn(rng):
    first, second = rng.normal(size=(300, 3)), rng.normal(size=(300, 3))
    second[:, 0] += first[:, 1]
    model = CCA(3, max_iter=5000, tol=1e-10)
    scores = model.fit_transform(first, second)
    theirs = [np.corrcoef(scores[0][:, i], scores[1][:, i])[0, 1] for i in range(3)]
    np.testing.assert_allclose(canonical_correlations(first, second), sorted(theirs, reverse=True), atol=1e-3)


def test_shared_subspaces_have_small_angles_and_random_ones_do_not(rng):
    basis, other = np.split(np.linalg.qr(rng.normal(size=(20, 6)))[0], 2, axis=1)
    paths = [rng.normal(size=(300, 3)) @ b.T + 0.01 * rng.normal(size=(300, 20)) for b in (basis, basis, other)]
    same = principal_angles(paths[0], paths[1], (EPISODES, EPISODES), components=3, draws=40)
    assert same.angles.max() < 0.05 and same.alignment.value == pytest.approx(same.ceiling.value, abs=0.01)
    assert same.separation.value < 0.01 and same.separation.beat == ()
    apart = principal_angles(paths[0], paths[2], (EPISODES, EPISODES), components=3, draws=40)
    assert apart.alignment.value < 0.5 and apart.ceiling.value > 0.99
    assert apart.separation.beat == ("random subspaces of the same covariance",)
    plot_alignment(same)


def test_subspaces_of_a_population_of_few_dimensions_are_no_more_alike_than_its_covariance_makes_them(rng):
    used = np.zeros((2, 20))
    used[0, [0, 1, 2]] = used[1, [0, 3, 4]] = 1  # a third in common, where isotropic ones would share 3 of 20
    paths = [rng.normal(size=(300, 20)) * (spread + 0.01) for spread in used]
    found = principal_angles(*paths, (EPISODES, EPISODES), components=3, draws=40).alignment
    assert found.value == pytest.approx(1 / 3, abs=0.02) and found.beat == ()
    assert np.median(found.nulls["random subspaces of the same covariance"]) > 0.45


def test_noise_lowers_the_ceiling_and_one_episode_has_none(rng):
    signal = rng.normal(size=(300, 3)) @ rng.normal(size=(3, 20))
    clean, noisy = (signal + spread * rng.normal(size=signal.shape) for spread in (0.1, 6.0))
    halves = [principal_angles(part, part, (EPISODES, EPISODES), 3, draws=2).ceiling for part in (clean, noisy)]
    assert halves[0].value > 0.95 > 0.9 > halves[1].value
    alone = principal_angles(clean, clean, (np.zeros(300), EPISODES), 3, draws=2).ceiling
    assert alone.reason == "one episode of a task: no halves to compare"


def test_one_population_in_two_bases_corresponds(rng):
    hidden = rng.normal(size=(300, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    found = correspondence(hidden, hidden @ turn + 0.01 * rng.normal(size=(300, 3)), EPISODES, components=3, draws=40)
    assert found.correlation.value > 0.99 and found.procrustes.value > 0.99
    assert found.procrustes.beat == ("other episodes",)
    noise = correspondence(hidden, rng.normal(size=(300, 3)), EPISODES, components=3, draws=40)
    assert noise.correlation.value < 0.3
    plot_alignment(found)


def test_conditions_are_permuted_where_no_episodes_are_given(rng):
    hidden = rng.normal(size=(40, 3))
    turned = hidden @ np.linalg.qr(rng.normal(size=(3, 3)))[0] + 0.1 * rng.normal(size=(40, 3))
    found = correspondence(hidden, turned, None, components=3, draws=40)
    for estimate in (found.correlation, found.procrustes):
        assert estimate.value > 0.95 and estimate.beat == ("permuted conditions",)
        assert estimate.interval[0] < estimate.value < estimate.interval[1] <= 1
    assert not correspondence(hidden, rng.normal(size=(40, 3)), None, components=3, draws=40).procrustes.beat


def test_too_low_a_rank_has_a_reason(rng):
    found = correspondence(rng.normal(size=(300, 2)), rng.normal(size=(300, 5)), EPISODES, components=3)
    assert found.correlation.reason.startswith("rank 2") and np.isnan(found.canonical).all()
    with pytest.raises(UsageError, match="same units"):
        principal_angles(rng.normal(size=(300, 4)), rng.normal(size=(300, 5)), (EPISODES, EPISODES))
