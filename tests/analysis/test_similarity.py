import numpy as np
import pytest
import rsatoolbox
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import squareform

from analysis.similarity import (
    blocks,
    cka,
    cka_ceiling,
    crossed_dissimilarities,
    dissimilarities,
    linear_cka,
    plot_rsa,
    rsa,
)
from rodent.errors import UsageError

EPISODES = np.arange(600) // 50


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_linear_cka_equals_that_of_rsatoolbox(rng):
    first, second = rng.normal(size=(30, 8)), rng.normal(size=(30, 12))
    rdms = [rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(part), method="euclidean") for part in (first, second)]
    theirs = rsatoolbox.rdm.compare(*rdms, method="cosine_cov")[0, 0]
    assert linear_cka(first, second, unbiased=False) == pytest.approx(theirs, abs=1e-12)


def test_the_biased_cka_of_independent_data_is_0_76_and_the_unbiased_one_is_0(rng):
    first, second = rng.normal(size=(2, 60, 200))
    assert linear_cka(first, second, unbiased=False) == pytest.approx(0.76, abs=0.02)
    assert abs(linear_cka(first, second)) < 0.03
    assert cka(first, second, draws=60).beat == ()


def test_cka_of_a_rotated_population_is_1_and_beats_permutations(rng):
    first = rng.normal(size=(40, 6))
    found = cka(first, 3 * first @ np.linalg.qr(rng.normal(size=(6, 6)))[0] + 1, draws=60)
    assert found.value == pytest.approx(1) and found.beat == ("permuted samples",)


def test_that_both_know_the_task_is_no_likeness_where_the_null_permutes_within_tasks(rng):
    tasks = np.repeat(["run", "two-tap"], 20)
    first, second = (rng.normal(size=(40, 6)) + 5 * rng.normal(size=6) * (tasks == "run")[:, None] for _ in range(2))
    pooled, within = cka(first, second, draws=60), cka(first, second, draws=60, within=tasks)
    assert pooled.value == within.value > 0.8 and pooled.beat
    assert np.median(within.nulls["samples permuted within blocks"]) == pytest.approx(within.value, abs=0.05)
    alike = cka(first, first + 0.1 * rng.normal(size=first.shape), draws=60, within=tasks)
    assert alike.beat == ("samples permuted within blocks",)
    apart = [dissimilarities(part) for part in (first, second)]
    assert rsa(*apart, draws=60).agreement.beat
    found = rsa(*apart, draws=60, within=tasks).agreement
    assert np.median(found.nulls["conditions permuted within blocks"]) == pytest.approx(found.value, abs=0.1)


def test_the_interval_over_halves_does_not_depend_on_the_order_of_tasks(rng):
    """In the order of clusters, two tasks alternate: a half must not be one of them."""
    shared = rng.normal(size=(40, 5))
    first, second = (shared + 0.8 * rng.normal(size=shared.shape) for _ in range(2))
    tasks = np.tile([0, 1], 20)
    order = np.argsort(tasks, kind="stable")
    mixed, sorted_ = (cka(first[o], second[o], within=tasks[o]).interval for o in (np.arange(40), order))
    assert np.ptp(mixed) == pytest.approx(np.ptp(sorted_), rel=0.3) and np.ptp(mixed) > 0.1


def test_distances_across_halves_are_those_of_the_truth_and_of_rsatoolbox(rng):
    truth, sizes = rng.normal(size=(8, 30)), np.array([1, 1, 4, 4, 9, 9, 100, 100])
    noisy = [[truth + rng.normal(size=truth.shape) / np.sqrt(sizes)[:, None] for _ in range(2)] for _ in range(300)]
    wanted = dissimilarities(truth)
    assert np.abs(np.mean([crossed_dissimilarities(*pair) for pair in noisy], axis=0) - wanted).max() < 0.15
    assert (np.mean([dissimilarities(one) for one, _ in noisy], axis=0) - wanted).max() > 1.5
    data = rsatoolbox.data.Dataset(
        np.concatenate(noisy[0]), obs_descriptors={"condition": np.tile(np.arange(8), 2), "half": np.repeat([0, 1], 8)}
    )
    theirs = rsatoolbox.rdm.calc_rdm(data, method="crossnobis", descriptor="condition", cv_descriptor="half")
    np.testing.assert_allclose(crossed_dissimilarities(*noisy[0]), theirs.get_vectors()[0], atol=1e-9)


def test_blocks_are_of_one_task_and_of_like_many_steps():
    steps, tasks = np.array([9, 1, 5, 7, 3, 2, 8, 6, 4, 10]), np.array(["a"] * 8 + ["b"] * 2)
    found = blocks(steps, tasks)
    assert [sorted(steps[found == block].tolist()) for block in range(3)] == [[1, 2, 3, 5], [6, 7, 8, 9], [4, 10]]


def test_noise_in_clusters_of_unlike_size_is_no_likeness(rng):
    beaten = []
    for _ in range(40):
        sizes = np.exp(rng.uniform(np.log(10), np.log(300), 30)).astype(int)
        spread = 1 / np.sqrt(sizes)[:, None]
        first, second = ([spread * rng.normal(size=(30, 20)) for _ in range(2)] for _ in range(2))
        like = blocks(sizes)
        alike = cka(sum(first), sum(second), draws=39, within=like)
        apart = rsa(crossed_dissimilarities(*first), crossed_dissimilarities(*second), draws=39, within=like)
        free = rsa(dissimilarities(first[0]), dissimilarities(second[0]), draws=39).agreement
        beaten.append([bool(each.beat) for each in (alike, apart.agreement, free)])
    shares = np.mean(beaten, axis=0)
    assert shares[0] <= 0.15 and shares[1] <= 0.15 and shares[2] > 0.9


def test_rsa_finds_the_model_within_its_noise_ceiling(rng):
    truth = rng.normal(size=(12, 20))
    subjects = [dissimilarities(truth + 0.7 * rng.normal(size=truth.shape)) for _ in range(5)]
    found = rsa(subjects, dissimilarities(truth), draws=60)
    assert found.agreement.beat == ("permuted conditions",)
    low, high = found.noise_ceiling
    assert low < high and found.agreement.value > low - 0.1
    assert found.agreement.interval[0] < found.agreement.value < found.agreement.interval[1]
    plot_rsa(found)
    other = rsa(subjects, dissimilarities(rng.normal(size=truth.shape)), draws=60)
    assert other.agreement.value < low


def test_the_null_of_rsa_is_the_rank_correlation_with_permuted_conditions(rng):
    subjects, model = rng.integers(9, size=(2, 66)).astype(float), dissimilarities(rng.normal(size=(12, 3)))
    found, again = rsa(subjects, model, draws=5, seed=7).agreement, np.random.default_rng(7)
    for value in found.nulls["permuted conditions"]:
        order = again.permutation(12)
        permuted = squareform(squareform(model)[np.ix_(order, order)])
        assert value == pytest.approx(np.mean([stats.spearmanr(each, permuted).statistic for each in subjects]))


def test_too_little_for_a_permutation_test_has_a_reason(rng):
    assert "at least 5" in rsa(rng.normal(size=(2, 6)), rng.normal(size=6)).agreement.reason
    assert rsa(np.ones((2, 15)), rng.normal(size=15)).agreement.reason == "constant"
    with pytest.raises(UsageError, match="no triangle"):
        rsa(np.ones((2, 7)), np.ones(7))


def test_the_null_of_the_biased_cka_is_as_biased(rng):
    first, second = rng.normal(size=(2, 60, 200))
    found = cka(first, second, draws=40, unbiased=False)
    assert found.value == linear_cka(first, second, unbiased=False) and found.beat == ()
    assert found.nulls["permuted samples"].mean() == pytest.approx(0.76, abs=0.02)


def test_the_ceiling_of_cka_holds_what_the_truth_itself_reaches(rng):
    truth = rng.normal(size=(20, 8))
    subjects = [truth @ rng.normal(size=(8, 30)) / 3 + rng.normal(size=(20, 30)) for _ in range(6)]
    low, high = cka_ceiling(subjects)
    reached = np.mean([linear_cka(truth, subject) for subject in subjects])
    assert low < high < 1 and low - 0.05 < reached < high + 0.05
    assert cka_ceiling([truth, 2 * truth]) == pytest.approx((1, 1))
    assert np.isnan(cka_ceiling([truth])).all() and np.isnan(cka_ceiling([truth, np.ones((20, 2))])).all()


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 15), st.integers(1, 6), st.sampled_from(["", "nan", "constant"]))
def test_any_shape_is_estimated_or_has_a_reason(samples, units, fault):
    first = np.random.default_rng(0).normal(size=(samples, units))
    if fault:
        first[:] = np.nan if fault == "nan" else 1.0
    found = cka(first, np.random.default_rng(1).normal(size=(samples, 3)), draws=3)
    assert np.isfinite(found.value) == found.estimable
    assert not (fault and found.estimable)
