"""Linear discriminants whose classes count alike: one solution in closed form, so that a null may have many draws."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from analysis.inputs import Array, Labels


def discriminate(train: Array, classes: Labels, held: Array) -> Labels:
    """(held steps,) the class that linear discriminants tell of each step.

    As scikit-learn's `LinearDiscriminantAnalysis(solver="lsqr")` with like priors: one covariance within classes, the
    mean of theirs. It is summed up by one product for all classes together, which takes a fraction of the time.

    Args:
        train: (steps, features).
        classes: (steps,) of those, any whole numbers; one alone is told of every step.
        held: (held steps, features).
    """
    taught, of, counts = np.unique(classes, return_inverse=True, return_counts=True)
    if len(taught) == 1:
        return np.full(len(held), taught[0])
    centre = train.mean(axis=0)
    features = train - centre
    member = (of[:, None] == np.arange(len(taught))).astype(np.float64)
    means = member.T @ features / counts[:, None]
    weighted = features / (counts * len(taught))[of][:, None]
    within = features.T @ weighted - means.T @ means / len(taught)
    directions = _solve(within, means.T)
    scores = (held - centre) @ directions - 0.5 * np.einsum("cf,fc->c", means, directions)
    return taught[scores.argmax(axis=1)]


def _solve(covariance: Array, means: Array) -> Array:
    """Least squares where the covariance is singular, as of a feature that is constant within classes."""
    try:
        factor = linalg.cho_factor(covariance, lower=True)
        diagonal = np.diag(factor[0])
        if diagonal.min() > 1e-6 * diagonal.max():
            return np.asarray(linalg.cho_solve(factor, means))
    except linalg.LinAlgError:
        pass
    return np.asarray(linalg.lstsq(covariance, means)[0])
