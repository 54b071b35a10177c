"""Factor analysis by maximum likelihood: what units share, and what each has for itself.

The loadings are known once the units' own variances are, so that the likelihood is sought over these alone (Lawley
1940; Jöreskog 1967, "Some contributions to maximum likelihood factor analysis"). Their logarithms are what is moved,
which ends within tens of steps where expectation maximisation takes up to a thousand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.stats import multivariate_normal

from analysis.inputs import Array

_LEAST = 1e-4  # of a unit's variance that is its own: the likelihood may have no maximum short of none (Heywood)


@dataclass(frozen=True)
class FactorModel:
    """Units as factors that they share and noise of their own.

    Attributes:
        mean: (units,).
        loadings: (factors, units), in the units' own scale.
        noise: (units,) variance that a unit has for itself.
    """

    mean: Array
    loadings: Array
    noise: Array

    @property
    def shared(self) -> Array:
        """(units,) share of each unit's variance that the factors carry; NaN of a constant one, which has none."""
        common = np.square(self.loadings).sum(axis=0)
        variance = common + self.noise
        return np.where(variance > 0, common / np.where(variance > 0, variance, 1.0), np.nan)

    def log_likelihood(self, units: Array) -> float:
        """Mean a step of (steps, units)."""
        covariance = self.loadings.T @ self.loadings + np.diag(self.noise)
        return float(np.mean(multivariate_normal(self.mean, covariance).logpdf(units)))


def fit_factors(units: Array, factors: int) -> FactorModel:
    """Fit so many factors.

    Args:
        units: (steps, units), finite; constant ones, as a draw of episodes may have, are left out.
        factors: fewer than there are units. Of fewer that vary, there are fewer factors, and the others carry nothing.
    """
    varies = np.asarray(np.ptp(units, axis=0) > 0)
    loadings, noise = np.zeros((factors, len(varies))), np.zeros(len(varies))
    if (most := min(factors, int(varies.sum()) - 1)) > 0:
        loadings[:most, varies], noise[varies] = _fitted(units[:, varies], most)
    return FactorModel(units.mean(axis=0), loadings, noise)


def _fitted(units: Array, factors: int) -> tuple[Array, Array]:
    """(factors, units) loadings and (units,) noise."""
    mean, spread = units.mean(axis=0), units.std(axis=0)
    scaled = (units - mean) / spread
    correlation = scaled.T @ scaled / len(units)

    def unexplained(log_noise: Array) -> tuple[float, Array]:
        """What the likelihood lacks of that of the units' own correlation, -2 log a step, and its slope."""
        variances, common = _common(correlation, log_noise, factors)
        left = np.maximum(variances[:-factors], np.finfo(float).tiny)
        slope = (np.square(common).sum(axis=0) - 1) / np.exp(log_noise) + 1
        return float(np.sum(left - np.log(left) - 1)), slope

    # Of several maxima the greatest is mostly reached from what the other units do not explain of a unit.
    count = len(correlation)
    own = (1 - 0.5 * factors / count) / np.diag(np.linalg.inv(correlation + _LEAST / 10 * np.eye(count)))
    bounds = [(np.log(_LEAST), 0.0)] * count
    start = np.log(np.clip(own, _LEAST, 1.0))
    log_noise = minimize(unexplained, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    loadings = _common(correlation, log_noise, factors)[1]
    return loadings * spread, np.exp(log_noise) * spread**2


def _common(correlation: Array, log_noise: Array, factors: int) -> tuple[Array, Array]:
    """(units,) variances, ascending, in units of the noise, and the best loadings (factors, units) at that noise."""
    scale = np.exp(-log_noise / 2)
    variances, directions = np.linalg.eigh(correlation * np.outer(scale, scale))
    strength = np.sqrt(np.maximum(variances[-factors:] - 1, 0.0))
    return variances, (directions[:, -factors:] * strength).T / scale
