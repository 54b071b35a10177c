import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.decomposition import FactorAnalysis

from analysis.factor_analysis import fit_factors


def planted(seed: int, units: int = 12, factors: int = 2, steps: int = 2000) -> np.ndarray:
    rng = np.random.default_rng(seed)
    scale = np.exp(rng.normal(size=units))
    return (rng.normal(size=(steps, factors)) @ rng.normal(size=(factors, units)) + rng.normal(size=(steps, units))) * (
        scale
    ) + rng.normal(size=units)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000), factors=st.integers(1, 2))
def test_it_is_at_least_as_likely_as_what_expectation_maximisation_finds(seed, factors):
    units = planted(seed)
    units /= units.std(axis=0)  # the peer begins as if each unit had a variance of one
    peer = FactorAnalysis(factors, svd_method="lapack", tol=1e-4).fit(units)
    found = fit_factors(units, factors)
    assert found.log_likelihood(units) > peer.score(units) - 1e-6
    assert found.loadings.shape == (factors, 12) and (found.noise > 0).all()


def test_it_does_not_matter_in_which_units_each_is_measured():
    units, scale = planted(1), np.geomspace(1e-3, 1e3, 12)
    found, scaled = fit_factors(units, 2), fit_factors(units * scale, 2)
    np.testing.assert_allclose(scaled.shared, found.shared, atol=1e-4)
    np.testing.assert_allclose(scaled.noise, found.noise * scale**2, rtol=1e-2)


def test_one_factor_of_three_units_is_known_in_closed_form():
    """With as many correlations as loadings: the correlation of a and b is the product of their loadings."""
    units = planted(3, units=3, factors=1, steps=50_000)
    r = np.corrcoef(units.T)
    expected = [r[0, 1] * r[0, 2] / r[1, 2], r[0, 1] * r[1, 2] / r[0, 2], r[0, 2] * r[1, 2] / r[0, 1]]
    np.testing.assert_allclose(fit_factors(units, 1).shared, expected, atol=1e-3)


def test_a_unit_that_has_nothing_of_its_own_does_not_stop_it():
    units = planted(4)
    units[:, 1] = 3 * units[:, 0]
    found = fit_factors(units, 3)
    assert np.isfinite(found.shared).all() and found.shared[:2] == pytest.approx([1.0, 1.0], abs=2e-3)


def test_the_likelihood_is_that_of_the_gaussian_it_describes():
    units = planted(5)
    found = fit_factors(units, 2)
    covariance = found.loadings.T @ found.loadings + np.diag(found.noise)
    expected = multivariate_normal(units.mean(axis=0), covariance).logpdf(units).mean()
    assert found.log_likelihood(units) == pytest.approx(expected)
