"""95 % intervals of means: over episodes of one network by the bootstrap, over seeds of a training by Student's t."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

_RESAMPLES = 10_000


def bootstrap_ci95(values: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> tuple[float, float]:
    """95 % percentile-bootstrap interval of a mean; the same numbers give the same interval, one alone gives NaN.

    Args:
        values: (n,), of episodes.
        weights: (n,), by whose sum that of the values is divided (None: ones); not all are 0. Resamples in which all
            of them are tell nothing and are left out.
    """
    weights = np.ones(len(values)) if weights is None else weights
    if np.count_nonzero(weights) < 2:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(0).choice(len(values), (_RESAMPLES, len(values)))
    sums = weights[drawn].sum(axis=1)
    telling = sums > 0
    low, high = np.percentile(values[drawn].sum(axis=1)[telling] / sums[telling], [2.5, 97.5])
    return float(low), float(high)


def student_ci95(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """95 % interval of a mean over the first axis by Student's t: its lower and its upper bounds, (...).

    Args:
        values: (n, ...), of n > 1 seeds.
    """
    half = stdtrit(len(values) - 1, 0.975) * values.std(axis=0, ddof=1) / np.sqrt(len(values))
    mean = values.mean(axis=0)
    return mean - half, mean + half
