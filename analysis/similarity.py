"""Similarity of representations: linear CKA, RSA, and the virtual rodent paper's protocol of clustered behaviour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import rsatoolbox
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy import sparse, stats
from scipy.spatial.distance import squareform
from sklearn.cluster import MiniBatchKMeans

from analysis.dealing import CONTROL, Dealing, dealt_sums
from analysis.drawing import axes_or_new, plot_estimates
from analysis.inference import UNKNOWN, Estimate, bootstrap_weights, not_estimable, percentile_interval
from analysis.inputs import Array, Labels, codes, first_reason, matrix, same_length, task_codes
from rodent.errors import UsageError

_HALVES = 20  # random splits of the episodes that a noise ceiling is the mean of
_ALIKE = 4  # samples of like many steps that a null permutes
_NUMBERS = 2**25  # of the sums of clusters at a time: bounds the memory


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


@dataclass(frozen=True)
class Protocol:
    """The paper's comparison of feature sets and layers over clusters of behaviour.

    Attributes:
        agreement: feature set, layer to the unbiased linear CKA of their cluster means. The null clusters the layer's
            activity by the behaviour of other episodes; the interval draws episodes.
        biased: the same of the biased one, which is above 0 by chance, as its null shows.
        ceiling: the same pairs to the CKA that means without noise would reach with the layer's, from how well
            those of two halves of the episodes agree (Spearman and Brown's correction); NaN where they do not.
        matrices: the same pairs to (clusters, clusters) cosines of the layer's centred mean vectors.
        own: feature set to the same of its own; without those that cannot be clustered.
        clusters: feature set to (steps,) cluster of each step.
    """

    agreement: Mapping[tuple[str, str], Estimate]
    biased: Mapping[tuple[str, str], Estimate]
    ceiling: Mapping[tuple[str, str], float]
    matrices: Mapping[tuple[str, str], Array]
    own: Mapping[str, Array]
    clusters: Mapping[str, Labels]


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
    spread = 1.96 * np.nanstd([_cka(grams[0][half], grams[1][half], unbiased) for half in halves] or [np.nan])
    # The variance of half-samples about the whole is, to first order, that of the whole about the truth.
    return Estimate(value, {_control("samples", within): null}, (float(value - spread), float(value + spread)))


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


def clustered_similarity(
    features: Mapping[str, ArrayLike],
    layers: Mapping[str, ArrayLike],
    episodes: ArrayLike,
    clusters: int = 50,
    draws: int = 200,
    seed: int = 0,
    tasks: ArrayLike | None = None,
) -> Protocol:
    """The paper's protocol in one call: k-means of each feature set, mean population vectors, similarity by CKA.

    Args:
        features: name to behaviour (steps, features).
        layers: name to activity (steps, units) of the same steps.
        episodes: (steps,) labels.
        clusters: of each feature set.
        draws: of null and interval.
        seed: of k-means and of the draws.
        tasks: (steps,) labels, one an episode, which the null deals within; None for one task.
    """
    sets = {name: matrix(values, name) for name, values in features.items()}
    activity = {name: matrix(values, name) for name, values in layers.items()}
    steps = same_length(**sets, **{f"layer {name}": each for name, each in activity.items()})
    groups = codes(episodes, steps, "episodes")
    dealing = Dealing.of(groups, tasks)
    labels, agreement, biased, ceiling, matrices, own = {}, {}, {}, {}, {}, {}
    for name, values in sets.items():
        reason = first_reason(values) or ("" if steps >= 2 * clusters else f"{steps} steps for {clusters} clusters")
        labels[name] = np.full(steps, -1)
        if not reason:
            model = MiniBatchKMeans(clusters, n_init=3, random_state=seed, batch_size=4096)
            labels[name] = np.unique(model.fit_predict(values), return_inverse=True)[1]
            own[name] = _cosines(_Clustered(values, labels[name], groups).means())
        for layer, units in activity.items():
            pair, why = (name, layer), reason or first_reason(units)
            if why:
                agreement[pair] = biased[pair] = not_estimable(why)
                ceiling[pair] = float("nan")
                matrices[pair] = np.full((clusters, clusters), np.nan)
                continue
            behaviour, vectors = (_Clustered(part, labels[name], groups) for part in (values, units))
            rng = np.random.default_rng(seed)
            agreement[pair], biased[pair] = _clustered_cka(behaviour, vectors, dealing, draws, rng)
            ceiling[pair], matrices[pair] = _reliability(vectors, rng), _cosines(vectors.means())
    return Protocol(agreement, biased, ceiling, matrices, own, labels)


def reliability(values: ArrayLike, labels: ArrayLike, episodes: ArrayLike, seed: int = 0) -> float:
    """The CKA of cluster means with the same means without noise, from how well two halves of the episodes agree.

    Args:
        values: (steps, units).
        labels: (steps,) the cluster of each.
        episodes: (steps,) labels.
        seed: of the halves.

    Returns:
        NaN where there is one episode, or where no halves agree.
    """
    array = matrix(values, "values")
    clusters, groups = codes(labels, len(array), "labels"), codes(episodes, len(array), "episodes")
    return _reliability(_Clustered(array, clusters, groups), np.random.default_rng(seed))


def clustered_without(
    behaviour: ArrayLike, values: ArrayLike, labels: ArrayLike, episodes: ArrayLike
) -> tuple[float, Array]:
    """Unbiased CKA of the means of behaviour and of values over clusters, and the same without each of the episodes.

    Args:
        behaviour: (steps, features).
        values: (steps, units).
        labels: (steps,) the cluster of each.
        episodes: (steps,) labels.

    Returns:
        The whole's, and (episodes,) in the order of their sorted labels.
    """
    parts = (matrix(behaviour, "behaviour"), matrix(values, "values"))
    steps = same_length(behaviour=parts[0], values=parts[1])
    clusters, groups = codes(labels, steps, "labels"), codes(episodes, steps, "episodes")
    sums = [_Clustered(part, clusters, groups) for part in parts]
    weights = 1.0 - np.eye(sums[0].episodes)
    left = [_means_ckas(*(each.means(weight) for each in sums))[0] for weight in weights]
    return _means_ckas(*(each.means() for each in sums))[0], np.array(left)


def cluster_means(values: NDArray, labels: Labels, clusters: Sequence[int]) -> Array:
    """(clusters, units) means in float64 of values (steps, units) over the steps of each cluster."""
    return np.stack([values[labels == cluster].mean(axis=0, dtype=np.float64) for cluster in clusters])


def plot_similarity(result: Protocol, ax: Axes | None = None) -> Axes:
    """CKA of each layer with each feature set, beside its null, under its noise ceiling."""
    ax = plot_estimates({" / ".join(pair): value for pair, value in result.agreement.items()}, "unbiased CKA", ax)
    for x, ceiling in enumerate(result.ceiling.values()):
        ax.plot([x - 0.2, x + 0.2], [ceiling, ceiling], color="grey")
    return ax


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


class _Clustered:
    """Values whose means in clusters are wanted for many choices of episodes."""

    def __init__(self, values: Array, labels: Labels, groups: Labels) -> None:
        self.values, self.labels, self.clusters = values - values.mean(axis=0), labels, int(labels.max()) + 1
        self.episodes = int(groups.max()) + 1
        cell, size = groups * self.clusters + labels, self.episodes * self.clusters
        self.counts = np.bincount(cell, minlength=size).reshape(self.episodes, -1)
        member = sparse.csr_array((np.ones(len(cell)), (cell, np.arange(len(cell)))), shape=(size, len(cell)))
        self.sums = (member @ self.values).reshape(self.episodes, -1)

    def means(self, weights: Array | None = None) -> Array:
        """(clusters, columns) over episodes that count as often as `weights` (episodes,) says; NaN without steps."""
        weights = np.ones(self.episodes) if weights is None else weights
        with np.errstate(invalid="ignore", divide="ignore"):
            return (weights @ self.sums).reshape(self.clusters, -1) / (weights @ self.counts)[:, None]

    def dealt_means(self, dealing: Dealing, orders: NDArray[np.int64]) -> Iterator[Array]:
        """The same with the clusters of other episodes, an order after the other."""
        single, whole = self.values.astype(np.float32), np.zeros(self.episodes, dtype=np.int64)
        ones = np.ones((len(single), 1))
        some = max(_NUMBERS // (self.clusters * single.shape[1]), 1)
        pairs = self.clusters * sum(len(block) ** 2 for block in dealing.blocks)
        chunk = max(_NUMBERS // pairs, 1)
        for at in range(0, len(orders), some):
            part = orders[at : at + some]
            counts = dealt_sums(ones, self.labels, self.clusters, dealing, part, whole)[:, 0]
            sums = [
                dealt_sums(single[:, i : i + chunk], self.labels, self.clusters, dealing, part, whole)[:, 0]
                for i in range(0, single.shape[1], chunk)
            ]
            with np.errstate(invalid="ignore", divide="ignore"):
                yield from np.concatenate(sums, axis=2) / counts


def _clustered_cka(
    behaviour: _Clustered, vectors: _Clustered, dealing: Dealing, draws: int, rng: np.random.Generator
) -> list[Estimate]:
    """The unbiased and the biased one."""
    still = behaviour.means()
    values = _means_ckas(still, vectors.means())
    if not np.isfinite(values).all():
        return [not_estimable(f"means of {len(still)} clusters; needs at least 4 that differ")] * 2
    dealt = vectors.dealt_means(dealing, dealing.orders(draws, rng))
    null = np.reshape([_means_ckas(still, moved) for moved in dealt], (-1, 2))
    weights = bootstrap_weights(vectors.episodes, draws if vectors.episodes > 1 else 0, rng)
    drawn = [_means_ckas(behaviour.means(weight), vectors.means(weight)) for weight in weights]
    # Episodes that are drawn twice add noise, which lowers CKA: their spread is right, their middle is not.
    spreads = 1.96 * np.nanstd(drawn, axis=0) if drawn else np.full(2, np.nan)
    return [
        Estimate(value, {CONTROL: null[:, i]}, (value - spread, value + spread))
        for i, (value, spread) in enumerate(zip(values, spreads.tolist(), strict=True))
    ]


def _means_ckas(first: Array, second: Array) -> tuple[float, float]:
    """Unbiased and biased, over the clusters that both have."""
    known = np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1)
    one, other = first[known], second[known]
    if not known.any():
        return UNKNOWN
    return linear_cka(one, other), linear_cka(one, other, unbiased=False)


def _reliability(vectors: _Clustered, rng: np.random.Generator) -> float:
    """What the mean vectors of all episodes would reach with means that have no noise."""
    if vectors.episodes < 2:
        return float("nan")
    found = []
    for _ in range(_HALVES):
        half = rng.permutation(vectors.episodes) % 2
        found.append(_means_ckas(vectors.means(half == 0), vectors.means(half == 1))[0])
    of_halves = np.nanmean(found) if np.isfinite(found).any() else np.nan
    return float(np.sqrt(2 * of_halves / (1 + of_halves))) if of_halves > 0 else float("nan")


def _cosines(means: Array) -> Array:
    """(clusters, clusters) between mean vectors about their mean."""
    centred = means - means.mean(axis=0)
    norms = np.linalg.norm(centred, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return centred @ centred.T / np.outer(norms, norms)
