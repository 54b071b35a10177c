import numpy as np
import pytest
import rsatoolbox
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.similarity import (
    cka,
    clustered_similarity,
    dissimilarities,
    linear_cka,
    plot_rsa,
    plot_similarity,
    rsa,
)
from rodent.errors import UsageError


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


def test_too_little_for_a_permutation_test_has_a_reason(rng):
    assert "at least 5" in rsa(rng.normal(size=(2, 6)), rng.normal(size=6)).agreement.reason
    assert rsa(np.ones((2, 15)), rng.normal(size=15)).agreement.reason == "constant"
    with pytest.raises(UsageError, match="no triangle"):
        rsa(np.ones((2, 7)), np.ones(7))


def test_the_protocol_tells_the_layer_that_follows_a_feature_set(rng):
    behaviour = rng.normal(size=(600, 3))
    layers = {"policy": behaviour @ rng.normal(size=(3, 20)), "noise": rng.normal(size=(600, 20))}
    found = clustered_similarity({"fast": behaviour, "none": np.ones((600, 2))}, layers, clusters=20, draws=60)
    assert found.agreement["fast", "policy"].value > 0.5
    assert found.agreement["fast", "policy"].beat and not found.agreement["fast", "noise"].beat
    assert found.agreement["none", "policy"].reason == "constant"
    assert found.clusters["fast"].max() == 19
    plot_similarity(found)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 15), st.integers(1, 6), st.sampled_from(["", "nan", "constant"]))
def test_any_shape_is_estimated_or_has_a_reason(samples, units, fault):
    first = np.random.default_rng(0).normal(size=(samples, units))
    if fault:
        first[:] = np.nan if fault == "nan" else 1.0
    found = cka(first, np.random.default_rng(1).normal(size=(samples, 3)), draws=3)
    assert np.isfinite(found.value) == found.estimable
    assert not (fault and found.estimable)
