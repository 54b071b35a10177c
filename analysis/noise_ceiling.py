"""How far noise lets cross-validated distances agree: their split-half reliability, and the ceiling of RSA from it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike
from scipy import sparse, stats

from analysis.inference import UNKNOWN
from analysis.inputs import Array, Labels, codes, matrix, task_codes
from analysis.similarity import crossed_dissimilarities

_PARTS = 4  # quarters of the episodes: each of two records of distances takes two
_FEWEST = 5  # conditions, as a permutation test of RSA needs


def distance_reliability(
    values: ArrayLike,
    conditions: ArrayLike,
    episodes: ArrayLike,
    tasks: ArrayLike | None = None,
    splits: int = 20,
    seed: int = 0,
) -> float:
    """How far a second record as long as this one would rank the distances between its conditions alike.

    Distances of two random halves of the episodes are compared (Spearman), each half's cross-validated over two
    quarters (`similarity.crossed_dissimilarities`), and their mean correlation corrected for length (Spearman and
    Brown). Products of noise shrink faster with length than that correction knows, so this errs to the low side.

    Args:
        values: (steps, units).
        conditions: (steps,) condition of each step, 0, 1, ...; negative in none.
        episodes: (steps,) labels.
        tasks: (steps,) labels, one an episode, each of which is split as evenly as it can be; None for one task.
        splits: random ones that the mean is over.
        seed: of the splits.

    Returns:
        0 to 1; NaN where no split leaves five conditions in each quarter, or where the halves do not agree.
    """
    array = matrix(values, "values")
    groups, place = codes(episodes, len(array), "episodes"), np.asarray(conditions)
    of_step = task_codes(tasks, len(array))
    of_episode = of_step[np.unique(groups, return_index=True)[1]]
    rng = np.random.default_rng(seed)
    found = [
        float(stats.spearmanr(crossed_dissimilarities(*means[:2]), crossed_dissimilarities(*means[2:])).statistic)
        for means in _quarters(array, place, groups, of_episode, splits, rng)
    ]
    of_halves = np.nanmean(found) if np.isfinite(found).any() else np.nan
    return float(2 * of_halves / (1 + of_halves)) if of_halves > 0 else float("nan")


def rsa_ceiling(first: float, second: float) -> tuple[float, float]:
    """Lower and upper bound of the rank correlation of distances of these reliabilities, were their geometries one.

    Lower: with the noise of both. Upper: the noisier of the two with distances that have no noise. Noise that both
    share, as two layers at the same steps do, lets them lie above either.

    Returns:
        NaN where a reliability is not known.
    """
    if not np.isfinite([first, second]).all():
        return UNKNOWN
    return float(np.sqrt(first * second)), float(np.sqrt(min(first, second)))


def _quarters(
    values: Array, conditions: Labels, episodes: Labels, tasks: Labels, splits: int, rng: np.random.Generator
) -> Iterator[Array]:
    """Of each split, (4, conditions, units) means in quarters of each task's episodes, over conditions in all four."""
    known, count = np.flatnonzero(conditions >= 0), int(conditions.max(initial=-1)) + 1
    ones, size = np.ones(len(known)), _PARTS * count
    for _ in range(splits if count else 0):
        order = rng.permutation(len(tasks))
        order = order[np.argsort(tasks[order], kind="stable")]
        quarter = np.empty(len(tasks), dtype=np.int64)
        quarter[order] = np.arange(len(tasks)) % _PARTS
        cell = quarter[episodes[known]] * count + conditions[known]
        counts = np.bincount(cell, minlength=size).reshape(_PARTS, count)
        shared = (counts > 0).all(axis=0)
        if shared.sum() >= _FEWEST:
            member = sparse.csr_array((ones, (cell, np.arange(len(known)))), shape=(size, len(known)))
            sums = np.asarray(member @ values[known]).reshape(_PARTS, count, -1)
            yield sums[:, shared] / counts[:, shared, None]
