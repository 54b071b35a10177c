"""Trajectory tangling (Russo et al. 2018): states that are alike but move on in different ways."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from analysis.drawing import axes_or_new
from analysis.inference import Estimate, bootstrap_weights, not_estimable, percentile_interval
from analysis.inputs import Array, codes, first_reason
from rodent.errors import UsageError


@dataclass(frozen=True)
class TanglingDifference:
    """Two layers, or a layer and the muscles, over the same steps.

    Attributes:
        first: (samples,) tangling of one.
        second: (samples,) of the other.
        difference: share of samples in which the second is more tangled, less one half. The null swaps the two in
            whole episodes; the interval is over episodes.
    """

    first: Array
    second: Array
    difference: Estimate


def tangling(states: ArrayLike, timestep: float, epsilon: float = 0.1) -> Array:
    """Q(t) = max over t' of |dx(t) - dx(t')|^2 / (|x(t) - x(t')|^2 + epsilon * total variance), in 1 / s^2.

    Args:
        states: (conditions, steps, units), or (steps, units) for one condition.
        timestep: s.
        epsilon: share of the total variance.

    Returns:
        (conditions * steps,); derivatives are central differences within a condition. NaN where the states are
        constant, not finite, or too few.
    """
    array = np.asarray(states, dtype=np.float64)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3:
        raise UsageError(f"states have shape {array.shape}; give (conditions, steps, units) or (steps, units)")
    flat = array.reshape(-1, array.shape[2])
    if array.shape[1] < 3 or first_reason(flat):
        return np.full(len(flat), np.nan)
    velocity = np.gradient(array, timestep, axis=1).reshape(flat.shape)
    softening = epsilon * flat.var(axis=0).sum()
    found = np.empty(len(flat))
    for at in range(0, len(flat), 1000):  # bounds the memory
        block = slice(at, at + 1000)
        apart = cdist(velocity[block], velocity, "sqeuclidean") / (cdist(flat[block], flat, "sqeuclidean") + softening)
        found[block] = apart.max(axis=1)
    return found


def compare_tangling(
    first: ArrayLike,
    second: ArrayLike,
    timestep: float,
    epsilon: float = 0.1,
    draws: int = 500,
    seed: int = 0,
    episodes: ArrayLike | None = None,
) -> TanglingDifference:
    """Whether one set of states is more tangled than another over the same conditions and steps.

    Args:
        first: (conditions, steps, units).
        second: (conditions, steps, other units).
        timestep: s.
        epsilon: as in `tangling`.
        draws: of the null and the interval.
        seed: of the draws.
        episodes: (conditions,) labels of what is swapped and drawn as a whole; None where each condition is on its own.
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 3 or one.shape[:2] != other.shape[:2]:
        raise UsageError(f"states of shapes {one.shape} and {other.shape}; give the same conditions and steps")
    q_one, q_other = tangling(one, timestep, epsilon), tangling(other, timestep, epsilon)
    if np.isnan(q_one).all() or np.isnan(q_other).all():
        return TanglingDifference(q_one, q_other, not_estimable("constant, not finite, or under 3 steps"))
    groups = np.arange(len(one)) if episodes is None else codes(episodes, len(one), "episodes")
    sizes = np.bincount(groups)
    if len(sizes) < 2:
        return TanglingDifference(q_one, q_other, not_estimable("one episode: nothing to resample"))
    more = np.bincount(groups, (q_other > q_one).reshape(one.shape[:2]).mean(axis=1) - 0.5)
    rng = np.random.default_rng(seed)
    null = rng.choice([-1.0, 1.0], size=(draws, len(more))) @ more / len(one)
    weights = bootstrap_weights(len(more), draws, rng)
    low, high = percentile_interval((weights @ more) / (weights @ sizes))
    return TanglingDifference(
        q_one, q_other, Estimate(float(more.sum() / len(one)), {"swapped": null}, (float(low), float(high)))
    )


def plot_tangling(result: TanglingDifference, ax: Axes | None = None) -> Axes:
    """Tangling of the two, sample by sample, with the line where they are equal."""
    ax = axes_or_new(ax)
    ax.loglog(result.first, result.second, ".", ms=2)
    if both := [*result.first[result.first > 0], *result.second[result.second > 0]]:
        least, most = min(both), max(both)
        ax.axline((least, least), (2 * most, 2 * most), color="grey", lw=0.8)
    ax.set_xlabel("tangling, first (1/s²)")
    ax.set_ylabel("tangling, second (1/s²)")
    return ax
