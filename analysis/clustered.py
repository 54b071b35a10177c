"""Behaviour in clusters and layers: the virtual rodent paper's protocol of similarity, with its noise ceiling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from sklearn.cluster import MiniBatchKMeans

from analysis.dealing import CONTROL, Dealing, dealt_sums
from analysis.drawing import plot_estimates
from analysis.inference import UNKNOWN, Estimate, about, bootstrap_weights, not_estimable
from analysis.inputs import Array, Labels, codes, first_reason, matrix, same_length
from analysis.similarity import linear_cka

_HALVES = 20  # random splits of the episodes that a noise ceiling is the mean of
_NUMBERS = 2**25  # of the sums of clusters at a time: bounds the memory


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


def tasks_without(values: ArrayLike, labels: ArrayLike, episodes: ArrayLike, other: ArrayLike) -> tuple[float, Array]:
    """Unbiased CKA of the means over the same clusters in two tasks, and the same without each of the episodes.

    Args:
        values: (steps, units) in both tasks.
        labels: (steps,) the cluster of each.
        episodes: (steps,) labels, each of one task.
        other: (steps,) whether a step is of the second task.

    Returns:
        The whole's, and (episodes,) in the order of their sorted labels, whichever task they are of. Clusters that
        hang on a single episode are left out without it.
    """
    array = matrix(values, "values")
    clusters, groups = codes(labels, len(array), "labels"), codes(episodes, len(array), "episodes")
    cells = _Clustered(array, clusters, groups)
    of_other = np.zeros(cells.episodes, dtype=np.int64)
    of_other[groups] = np.asarray(other, dtype=np.int64)
    whole = [tuple(part[of_other == task].sum(axis=0) for part in (cells.sums, cells.counts)) for task in (0, 1)]

    def agreement(of: Sequence[tuple[Array, ...]]) -> float:
        with np.errstate(invalid="ignore", divide="ignore"):
            one, two = (sums.reshape(cells.clusters, -1) / counts[:, None] for sums, counts in of)
        return _means_ckas(one, two)[0]

    left = []
    for episode, task in enumerate(of_other.tolist()):
        rest = list(whole)
        rest[task] = (whole[task][0] - cells.sums[episode], whole[task][1] - cells.counts[episode])
        left.append(agreement(rest))
    return agreement(whole), np.array(left)


def cluster_means(values: NDArray, labels: Labels, clusters: Sequence[int]) -> Array:
    """(clusters, units) means in float64 of values (steps, units) over the steps of each cluster."""
    return np.stack([values[labels == cluster].mean(axis=0, dtype=np.float64) for cluster in clusters])


def plot_similarity(result: Protocol, ax: Axes | None = None) -> Axes:
    """CKA of each layer with each feature set, beside its null, under its noise ceiling."""
    ax = plot_estimates({" / ".join(pair): value for pair, value in result.agreement.items()}, "unbiased CKA", ax)
    for x, ceiling in enumerate(result.ceiling.values()):
        ax.plot([x - 0.2, x + 0.2], [ceiling, ceiling], color="grey")
    return ax


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
        return next(self.drawn_means(weights[None]))

    def drawn_means(self, weights: Array) -> Iterator[Array]:
        """The same of many weights (draws, episodes), one after the other."""
        some = max(_NUMBERS // (4 * self.sums.shape[1]), 1)
        for at in range(0, len(weights), some):
            part = weights[at : at + some]
            with np.errstate(invalid="ignore", divide="ignore"):
                yield from (part @ self.sums).reshape(len(part), self.clusters, -1) / (part @ self.counts)[:, :, None]

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
    pairs = zip(behaviour.drawn_means(weights), vectors.drawn_means(weights), strict=True)
    drawn = np.reshape([_means_ckas(*pair) for pair in pairs], (-1, 2))
    return [
        Estimate(value, {CONTROL: null[:, i]}, about(value, drawn[:, i], most=1.0)) for i, value in enumerate(values)
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
