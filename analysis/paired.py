"""Whether a number of one layer is greater than that of another over the same episodes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from analysis.inference import Estimate, bootstrap_weights, ends, not_estimable
from analysis.inputs import matrix

SWAPPED = "layers swapped in whole episodes"


def paired_difference(
    whole: tuple[float, float], without: tuple[ArrayLike, ArrayLike], draws: int = 1000, seed: int = 0
) -> Estimate:
    """The number of one layer less that of another, from how far each episode moves the difference.

    A number that is no mean over episodes, such as a CKA, has no parts that could be swapped. What an episode adds
    to the difference is its pseudo-value (Tukey 1958; Efron and Tibshirani 1993, chapter 11), centred: of n
    episodes, the whole and n - 1 times by how much less than on average is left without it, so that their mean is
    the whole. To swap two layers in an episode is, to first order, to turn the sign of that; the null turns the
    signs at random. The interval draws episodes, the same of both layers.

    Args:
        whole: the number of either layer, over all episodes.
        without: of either layer, (episodes,) the same without each of the episodes in turn.
        draws: of null and interval.
        seed: of both.
    """
    if min(len(np.asarray(each)) for each in without) < 1:
        return not_estimable("no episode: nothing to swap")
    first, second = (matrix(each, "without")[:, 0] for each in without)
    difference, left = whole[0] - whole[1], first - second
    if not np.isfinite(difference) or not np.isfinite(left).all():
        return not_estimable("one of the two is not estimable, or hangs on a single episode")
    if len(left) < 2:
        return not_estimable("one episode: nothing to swap")
    return paired_mean(difference + (len(left) - 1) * (left.mean() - left), draws, seed)


def paired_mean(differences: ArrayLike, draws: int = 1000, seed: int = 0) -> Estimate:
    """The mean of (episodes,) differences between two layers, with the null and the interval of `paired_difference`."""
    parts = matrix(differences, "differences")[:, 0]
    if len(parts) < 2:
        return not_estimable("one episode: nothing to swap")
    rng = np.random.default_rng(seed)
    null = rng.choice([-1.0, 1.0], size=(draws, len(parts))) @ parts / len(parts)
    drawn = bootstrap_weights(len(parts), draws, rng) @ parts / len(parts)
    return Estimate(float(parts.mean()), {SWAPPED: null}, ends(drawn))
