"""Task variance: which units serve which tasks, and whether they form groups (after Yang et al. 2019).

Yang et al. take the variance over conditions at each time of a trial and then its mean over time, so that what all
trials do alike is left out. Here no two episodes do the same at the same time, but for their start: the variance is
over time and episodes together, and what all episodes do alike counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from analysis.controls import rotate_units
from analysis.drawing import axes_or_new
from analysis.inference import UNKNOWN, Estimate, about, not_estimable, resampled_rows
from analysis.inputs import Array, Labels, codes, matrix


@dataclass(frozen=True)
class TaskVariance:
    """Units by tasks, and their groups.

    Attributes:
        variance: (units, tasks) over time and episodes.
        share: (units, tasks) over the unit's greatest; NaN where a unit is silent in every task.
        clusters: (units,) group of each, -1 for silent units.
        silhouette: how separate the groups are; the null rotates the population at random, which keeps all but the
            units themselves.
    """

    variance: Array
    share: Array
    clusters: Labels
    silhouette: Estimate


def task_variance(
    activity: ArrayLike,
    tasks: ArrayLike,
    episodes: ArrayLike,
    most_clusters: int = 8,
    draws: int = 20,
    seed: int = 0,
) -> TaskVariance:
    """Variance of each unit in each task, and k-means groups of its shares.

    Args:
        activity: (steps, units).
        tasks: (steps,) labels; tasks are in the order of their sorted labels.
        episodes: (steps,) labels, for the interval.
        most_clusters: the number of groups is that from 2 to this with the greatest silhouette.
        draws: rotations of the null; episodes drawn for the interval.
        seed: of the draws and k-means.
    """
    units = matrix(activity, "activity")
    names, groups = codes(tasks, len(units), "tasks"), codes(episodes, len(units), "episodes")
    variance = _variances(units, names)
    share = _shares(variance)
    active, rng = np.isfinite(share).all(axis=1), np.random.default_rng(seed)
    clusters = np.full(units.shape[1], -1)
    if reason := _reason(names, int(active.sum())):
        return TaskVariance(variance, share, clusters, not_estimable(reason))
    clusters[active], value = _cluster(share[active], most_clusters, seed)
    if not np.isfinite(value):
        return TaskVariance(variance, share, clusters, not_estimable("too few unlike units: no groups to separate"))
    null = [_again(rotate_units(units[:, active], rng), names, most_clusters, seed) for _ in range(draws)]
    interval = UNKNOWN
    if groups.max() > 0:
        rows = [resampled_rows(groups, rng) for _ in range(draws)]
        interval = about(value, [_again(units[r][:, active], names[r], most_clusters, seed) for r in rows], -1, 1)
    return TaskVariance(variance, share, clusters, Estimate(value, {"rotated units": np.array(null)}, interval))


def plot_task_variance(result: TaskVariance, ax: Axes | None = None) -> Axes:
    """Shares of variance, the units in the order of their groups."""
    ax = axes_or_new(ax)
    order = np.argsort(result.clusters, kind="stable")
    ax.imshow(result.share[order].T, aspect="auto", vmin=0, vmax=1, interpolation="nearest")
    ax.set_xlabel("unit, by group")
    ax.set_ylabel("task")
    return ax


def _variances(units: Array, names: Labels) -> Array:
    return np.stack([units[names == name].var(axis=0) for name in np.unique(names)], axis=1)


def _shares(variance: Array) -> Array:
    greatest = variance.max(axis=1, keepdims=True)
    return np.where(greatest > 1e-12, variance / np.maximum(greatest, 1e-12), np.nan)


def _cluster(share: Array, most: int, seed: int) -> tuple[Labels, float]:
    best, value = np.zeros(len(share), dtype=np.int64), -np.inf
    for count in range(2, min(most, len(np.unique(share, axis=0)), len(share) - 1) + 1):
        labels = KMeans(count, n_init=5, random_state=seed).fit_predict(share)
        score = float(silhouette_score(share, labels))
        if score > value:
            best, value = labels, score
    return best, value


def _again(units: Array, names: Labels, most: int, seed: int) -> float:
    """The silhouette of surrogate or resampled activity; NaN where it has no groups to separate."""
    if len(np.unique(names)) < 2:
        return np.nan
    return _separation(_active(_shares(_variances(units, names))), most, seed)


def _active(share: Array) -> Array:
    """The shares of the units that are active and finite."""
    return share[np.isfinite(share).all(axis=1)]


def _separation(share: Array, most: int, seed: int) -> float:
    """The silhouette of the groups of shares (units, tasks); NaN where there are none to separate."""
    enough = len(share) > 2 and len(np.unique(share, axis=0)) > 1
    return _cluster(share, most, seed)[1] if enough else np.nan


def _reason(names: Labels, active: int) -> str:
    if names.max() < 1:
        return "one task"
    if np.bincount(names).min() < 2:
        return "a task with one step; needs at least 2"
    return "" if active > 2 else f"{active} active units; needs at least 3"
