"""Similarity of representations: linear CKA and RSA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import rsatoolbox
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.spatial.distance import squareform

from analysis.drawing import axes_or_new, plot_estimates
from analysis.inference import UNKNOWN, Estimate, about, not_estimable, percentile_interval
from analysis.inputs import Array, Labels, codes, first_reason, matrix, same_length, task_codes
from rodent.errors import UsageError

_ALIKE = 4  # samples of like many steps that a null permutes


@dataclass(frozen=True)
class RSA:
    """Agreement of a model's dissimilarities with those of several subjects (seeds, sessions).

    Attributes:
        agreement: mean over subjects of the correlation (Spearman) of the upper triangles; its null permutes the
            conditions (of a block), never single entries, which depend on each other. The interval draws subjects, or
            conditions where there is one subject.
        noise_ceiling: lower and upper bound of what any model could reach; NaN with one subject.
    """

    agreement: Estimate
    noise_ceiling: tuple[float, float]


def linear_cka(first: ArrayLike, second: ArrayLike, unbiased: bool = True) -> float:
    """Linear CKA (Kornblith et al. 2019); unbiased by the U-statistic of HSIC (Song et al. 2012).

    The biased one is far above 0 for independent data with more units than samples.

    Args:
        first: (samples, units).
        second: (samples, other units), of the same samples.
        unbiased: which estimator.

    Returns:
        NaN where one is constant or not finite, or where there are fewer than 4 samples.
    """
    one, other = matrix(first, "first"), matrix(second, "second")
    same_length(first=one, second=other)
    if first_reason(one, 4) or first_reason(other, 4):
        return float("nan")
    return _cka(_gram(one), _gram(other), unbiased)


def cka(
    first: ArrayLike,
    second: ArrayLike,
    draws: int = 200,
    seed: int = 0,
    unbiased: bool = True,
    within: ArrayLike | None = None,
) -> Estimate:
    """Linear CKA with a permutation test over samples.

    Args:
        first: (samples, units). Samples are conditions, such as cluster means: neighbouring steps are alike, and
            permuting those would make anything significant.
        second: (samples, other units).
        draws: permutations, and half-samples for the interval (drawn without replacement: a sample beside its copy
            is similar to it in both, which would look like similarity).
        seed: of the draws.
        unbiased: which estimator; the biased one is far above 0 by chance, and so is its null.
        within: (samples,) labels, which the null permutes within, such as tasks, or `blocks` where samples are means
            over unlike numbers of steps; None where any may take the place of any.
    """
    one, other = matrix(first, "first"), matrix(second, "second")
    count = same_length(first=one, second=other)
    block = None if within is None else codes(within, count, "within")
    if reason := first_reason(one, 8) or first_reason(other, 8):
        return not_estimable(reason)
    rng, grams = np.random.default_rng(seed), (_gram(one), _gram(other))
    value = _cka(*grams, unbiased)
    if not np.isfinite(value):
        return not_estimable("too little variance to estimate without bias")
    orders = [_order(count, block, rng) for _ in range(draws)]
    null = np.array([_cka(grams[0], grams[1][np.ix_(order, order)], unbiased) for order in orders])
    halves = [np.ix_(half, half) for half in (_half(count, block, rng) for _ in range(draws))]
    # The variance of half-samples about the whole is, to first order, that of the whole about the truth.
    drawn = [_cka(grams[0][half], grams[1][half], unbiased) for half in halves]
    return Estimate(value, {_control("samples", within): null}, about(value, drawn, most=1.0))


def cka_ceiling(subjects: Sequence[ArrayLike]) -> tuple[float, float]:
    """What unbiased CKA with several subjects (seeds, sessions) any model could reach at best, on average.

    As the noise ceiling of RSA (Nili et al. 2014), with cosines of centred Gram matrices in place of rank
    correlations: each subject against the mean of the others (lower bound) and of all (upper bound).

    Args:
        subjects: (samples, units) each, of the same samples; units may differ.

    Returns:
        NaN where there is one subject, or one that is constant, not finite, or of fewer than 4 samples.
    """
    parts = [matrix(values, "a subject") for values in subjects]
    same_length(**{f"subject {i}": part for i, part in enumerate(parts)})
    if len(parts) < 2 or any(first_reason(part, 4) for part in parts):
        return UNKNOWN
    grams = np.array([gram / np.sqrt(_hsic(gram, gram)) for gram in map(_gram, parts)])
    lower = [_cka(gram, np.delete(grams, i, axis=0).mean(axis=0), True) for i, gram in enumerate(grams)]
    upper = [_cka(gram, grams.mean(axis=0), True) for gram in grams]
    return float(np.mean(lower)), float(np.mean(upper))


def dissimilarities(patterns: ArrayLike, metric: str = "euclidean") -> Array:
    """(pairs,) distances between the rows of (conditions, units): an upper triangle, in the order of `pdist`.

    Args:
        patterns: (conditions, units).
        metric: as in rsatoolbox: euclidean (squared, over the number of units), correlation, ...
    """
    data = rsatoolbox.data.Dataset(matrix(patterns, "patterns"))
    return cast(rsatoolbox.rdm.RDMs, rsatoolbox.rdm.calc_rdm(data, method=metric)).get_vectors()[0]


def crossed_dissimilarities(first: ArrayLike, second: ArrayLike) -> Array:
    """(pairs,) cross-validated distances (Walther et al. 2016), in the order of `dissimilarities`; some are below 0.

    Squared distances between noisy means are greater the fewer steps they are of, whatever is averaged: two records
    that have nothing but the numbers of steps in common would resemble each other. Products of the differences in
    two halves of the episodes have no such bias.

    Args:
        first: (conditions, units) means over one half.
        second: (conditions, units) of the same over the other.
    """
    one, other = matrix(first, "first"), matrix(second, "second")
    if one.shape != other.shape:
        raise UsageError(f"means of shapes {one.shape} and {other.shape}; give the same conditions and units")
    products = one @ other.T
    own = np.diag(products)
    square = own[:, None] + own - products - products.T
    return np.asarray(square[np.triu_indices(len(one), 1)] / one.shape[1])


def blocks(steps: ArrayLike, tasks: ArrayLike | None = None) -> Labels:
    """(samples,) labels for a null to permute within: samples of one task and, among those, of like many steps.

    Means of few steps are noisier in whatever is averaged. A null that puts them in the place of others breaks that, so
    that noise alone would beat it.

    Args:
        steps: (samples,) how many each is the mean of.
        tasks: (samples,) labels; None for one task.
    """
    count = np.asarray(steps)
    of_task = task_codes(tasks, len(count))
    found, taken = np.empty(len(count), dtype=np.int64), 0
    for task in np.unique(of_task):
        members = np.flatnonzero(of_task == task)
        for part in np.array_split(members[np.argsort(count[members], kind="stable")], -(-len(members) // _ALIKE)):
            found[part] = taken
            taken += 1
    return found


def rsa(subjects: ArrayLike, model: ArrayLike, draws: int = 500, seed: int = 0, within: ArrayLike | None = None) -> RSA:
    """Compare a model's dissimilarities with those of each subject.

    Args:
        subjects: (subjects, pairs) dissimilarities.
        model: (pairs,).
        draws: of the permutation test and the bootstrap.
        seed: of the draws.
        within: (conditions,) labels, which the null permutes within, as in `cka`.
    """
    triangles, predicted = np.atleast_2d(np.asarray(subjects, dtype=np.float64)), np.asarray(model, dtype=np.float64)
    if predicted.ndim != 1 or triangles.ndim != 2 or triangles.shape[1] != len(predicted):
        raise UsageError(f"triangles of shapes {triangles.shape} and {predicted.shape}; give the same pairs in both")
    try:
        square = squareform(predicted, checks=False)
    except ValueError:
        raise UsageError(f"{len(predicted)} pairs are no triangle; give n (n - 1) / 2 of them") from None
    if reason := first_reason(predicted[:, None]) or next(
        filter(None, (first_reason(t[:, None]) for t in triangles)), ""
    ):
        return RSA(not_estimable(reason), UNKNOWN)
    if len(square) < 5:
        return RSA(not_estimable(f"{len(square)} conditions; a permutation test needs at least 5"), UNKNOWN)
    rng, block = np.random.default_rng(seed), None if within is None else codes(within, len(square), "within")
    value = _agreement(triangles, predicted)
    # Permuted conditions permute the ranks of their distances, too, so that all are ranked once.
    ranks, model = _ranks(triangles), np.asarray(squareform(_ranks(predicted[None])[0], checks=False))
    null = [(ranks @ _permuted(model, _order(len(square), block, rng))).mean() for _ in range(draws)]
    places = [squareform(np.unique(each, return_inverse=True)[1]) for each in (triangles[0], predicted)]
    resampled = [
        _resampled_conditions(places, rng) if len(triangles) == 1 else _resampled_subjects(triangles, predicted, rng)
        for _ in range(draws)
    ]
    low, high = percentile_interval(np.array(resampled))
    agreement = Estimate(value, {_control("conditions", within): np.array(null)}, (float(low), float(high)))
    return RSA(agreement, _ceiling(triangles))


def plot_rsa(result: RSA, ax: Axes | None = None) -> Axes:
    """The agreement beside its null, the noise ceiling as a band."""
    ax = plot_estimates({"model": result.agreement}, "RDM correlation", axes_or_new(ax))
    if np.isfinite(result.noise_ceiling).all():
        ax.axhspan(*result.noise_ceiling, color="grey", alpha=0.3)
    return ax


def _order(count: int, block: Labels | None, rng: np.random.Generator) -> Labels:
    """(count,) a permutation; within each block where there are blocks."""
    if block is None:
        return rng.permutation(count)
    found = np.empty(count, dtype=np.int64)
    for name in np.unique(block):
        members = np.flatnonzero(block == name)
        found[members] = rng.permutation(members)
    return found


def _half(count: int, block: Labels | None, rng: np.random.Generator) -> Labels:
    """(count // 2,) samples drawn without replacement; of each block as many."""
    order = rng.permutation(count)
    if block is not None:
        order = order[np.argsort(block[order], kind="stable")]
    return order[1::2]


def _control(what: str, within: ArrayLike | None) -> str:
    return f"permuted {what}" if within is None else f"{what} permuted within blocks"


def _gram(values: Array) -> Array:
    centred = values - values.mean(axis=0)
    return centred @ centred.T


def _hsic(first: Array, second: Array) -> float:
    """Unbiased Hilbert-Schmidt independence criterion of two Gram matrices."""
    count = len(first)
    one, other = first - np.diag(np.diag(first)), second - np.diag(np.diag(second))
    cross = 2 / (count - 2) * one.sum(axis=0) @ other.sum(axis=0)
    product = one.sum() * other.sum() / ((count - 1) * (count - 2))
    return float(((one * other).sum() + product - cross) / (count * (count - 3)))


def _cka(first: Array, second: Array, unbiased: bool) -> float:
    if unbiased:
        own = _hsic(first, first) * _hsic(second, second)
        return _hsic(first, second) / np.sqrt(own) if own > 0 else float("nan")
    # Grams of a subset are not centred on it.
    first, second = (g - g.mean(0) - g.mean(1)[:, None] + g.mean() for g in (first, second))
    return float((first * second).sum() / np.sqrt(np.square(first).sum() * np.square(second).sum()))


def _ranks(triangles: Array) -> Array:
    """(subjects, pairs) ranks about their mean, of unit length: their products are Spearman's correlations."""
    ranks = stats.rankdata(triangles, axis=1)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    return np.asarray(centred / np.linalg.norm(centred, axis=1, keepdims=True))


def _agreement(triangles: Array, predicted: Array) -> float:
    return float(np.mean([stats.spearmanr(triangle, predicted).statistic for triangle in triangles]))


def _permuted(square: Array, order: Labels) -> Array:
    return squareform(square[np.ix_(order, order)], checks=False)


def _resampled_subjects(triangles: Array, predicted: Array, rng: np.random.Generator) -> float:
    """The agreement over subjects drawn with replacement."""
    return _agreement(triangles[rng.integers(len(triangles), size=len(triangles))], predicted)


def _resampled_conditions(squares: Sequence[NDArray[Any]], rng: np.random.Generator) -> float:
    """The same over conditions, from (2, conditions, conditions) places of two distances among their own kind."""
    count = len(squares[0])
    drawn = rng.integers(count, size=count)
    rows, columns = np.triu_indices(count, 1)
    apart = drawn[rows] != drawn[columns]  # a condition beside its copy has no distance to rank
    pairs = drawn[rows[apart]], drawn[columns[apart]]
    first, second = (_ranks_of_places(square[pairs]) for square in squares)
    return float(np.corrcoef(first, second)[0, 1])


def _ranks_of_places(places: NDArray[Any]) -> Array:
    """(n,) ranks of whole numbers, ties sharing their mean: counted, not sorted, since a bootstrap asks for many."""
    counts = np.bincount(places)
    return np.asarray((counts.cumsum() - (counts - 1) / 2)[places])


def _ceiling(triangles: Array) -> tuple[float, float]:
    """Each subject against the mean ranks of the others (lower) and of all (upper) (Nili et al. 2014)."""
    if len(triangles) < 2:
        return UNKNOWN
    ranks = stats.rankdata(triangles, axis=1)
    lower = [_agreement(triangles[[i]], np.delete(ranks, i, axis=0).mean(axis=0)) for i in range(len(ranks))]
    return float(np.mean(lower)), _agreement(triangles, ranks.mean(axis=0))
