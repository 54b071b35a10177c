"""Demixed principal components (Kobak et al. 2016), in closed form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from analysis.drawing import plot_estimates
from analysis.inference import UNKNOWN, Estimate, not_estimable, percentile_interval
from analysis.inputs import Array, first_reason
from rodent.errors import UsageError


@dataclass(frozen=True)
class DPCA:
    """Demixed components of each marginalisation.

    Attributes:
        decoders: marginalisation to (components, units): what reads it from the activity.
        encoders: marginalisation to (units, components), orthonormal: how it is written back.
        explained: marginalisation to the share of it that its components rebuild from held-out repeats; negative
            where they carry noise alone. The null permutes the conditions of the marginalisation in each repeat by
            itself and keeps all the others.
    """

    decoders: Mapping[str, Array]
    encoders: Mapping[str, Array]
    explained: Mapping[str, Estimate]


def dpca(
    activity: ArrayLike,
    axes: Sequence[str],
    components: int = 3,
    penalty: float = 1e-3,
    draws: int = 40,
    seed: int = 0,
) -> DPCA:
    """Components that each depend on one set of the conditions and not on the others.

    Args:
        activity: (repeats, *conditions, units); repeats are episodes, or halves of them.
        axes: a name for each axis of the conditions, such as ("task", "phase").
        components: of each marginalisation.
        penalty: of the regression, a share of the total variance.
        draws: of the null, and of repeats for the interval.
        seed: of both.

    Returns:
        One marginalisation for each set of axes, named like "task" or "task x phase".

    Raises:
        UsageError: where names and axes do not fit, or components are fewer than 1.
    """
    array = np.asarray(activity, dtype=np.float64)
    if array.ndim != len(axes) + 2 or len(set(axes)) != len(axes) or not axes or components < 1:
        raise UsageError(f"activity of shape {array.shape} for axes {list(axes)}; give (repeats, one a name, units)")
    names = {
        " x ".join(axes[i] for i in chosen): chosen
        for size in range(1, len(axes) + 1)
        for chosen in combinations(range(len(axes)), size)
    }
    if reason := _reason(array):
        nothing = np.full((components, array.shape[-1]), np.nan)
        none = not_estimable(reason)
        return DPCA(dict.fromkeys(names, nothing), dict.fromkeys(names, nothing.T), dict.fromkeys(names, none))
    rng, mean = np.random.default_rng(seed), array.mean(axis=0)
    found = {name: _fit(mean, chosen, components, penalty) for name, chosen in names.items()}
    return DPCA(
        {name: decoder for name, (decoder, _) in found.items()},
        {name: encoder for name, (_, encoder) in found.items()},
        {name: _explained(array, chosen, components, penalty, draws, rng) for name, chosen in names.items()},
    )


def marginalisation(mean: Array, chosen: tuple[int, ...]) -> Array:
    """(*conditions, units) the part of a mean (*conditions, units) that depends on all of the chosen axes together.

    The parts of all sets of axes add up to the mean without its grand mean, and are orthogonal to each other.
    """
    part = mean
    for axis in range(mean.ndim - 1):
        average = part.mean(axis=axis, keepdims=True)
        part = part - average if axis in chosen else np.broadcast_to(average, part.shape)
    return part


def plot_dpca(result: DPCA, ax: Axes | None = None) -> Axes:
    """How much of each marginalisation is rebuilt from held-out repeats."""
    return plot_estimates(result.explained, "held-out share", ax)


def _fit(mean: Array, chosen: tuple[int, ...], components: int, penalty: float) -> tuple[Array, Array]:
    """Regression of low rank on the mean: decoder (components, units) and encoder (units, components)."""
    units = mean.shape[-1]
    x = mean.reshape(-1, units) - mean.reshape(-1, units).mean(axis=0)
    target = marginalisation(mean, chosen).reshape(-1, units)
    ridge = penalty * np.square(x).sum() * np.eye(units)
    full = np.linalg.solve(x.T @ x + ridge, x.T @ target)
    # With a penalty, the best low rank is that of the regression of the augmented data.
    fitted = full.T @ (x.T @ x + ridge) @ full
    _, vectors = np.linalg.eigh((fitted + fitted.T) / 2)
    encoder = vectors[:, ::-1][:, :components]
    return (full @ encoder).T, encoder


def _score(train: Array, test: Array, chosen: tuple[int, ...], components: int, penalty: float) -> float:
    """Share of a held-out mean's marginalisation that components rebuild from the mean they were fitted to."""
    units = test.shape[-1]
    decoder, encoder = _fit(train, chosen, components, penalty)
    target = marginalisation(test, chosen).reshape(-1, units)
    rebuilt = (train.reshape(-1, units) - train.reshape(-1, units).mean(axis=0)) @ decoder.T @ encoder.T
    total = np.square(target).sum()
    return float(1 - np.square(target - rebuilt).sum() / total) if total > 0 else float("nan")


def _two_way(array: Array, chosen: tuple[int, ...], components: int, penalty: float) -> float:
    halves = (array[0::2].mean(axis=0), array[1::2].mean(axis=0))
    return float(np.mean([_score(a, b, chosen, components, penalty) for a, b in (halves, halves[::-1])]))


def _explained(
    array: Array, chosen: tuple[int, ...], components: int, penalty: float, draws: int, rng: np.random.Generator
) -> Estimate:
    value = _two_way(array, chosen, components, penalty)
    if not np.isfinite(value):
        return not_estimable("nothing depends on these conditions")
    null = np.array([_two_way(_surrogate(array, chosen, rng), chosen, components, penalty) for _ in range(draws)])
    interval = UNKNOWN
    if len(array) > 3:
        samples = np.array([_two_way(_drawn(array, rng), chosen, components, penalty) for _ in range(draws)])
        low, high = percentile_interval(samples)
        interval = (float(low), float(high))
    return Estimate(value, {"permuted conditions": null}, interval)


def _surrogate(array: Array, chosen: tuple[int, ...], rng: np.random.Generator) -> Array:
    """The conditions of one marginalisation in another order in each repeat, all else as it was."""
    found = np.empty_like(array)
    for i, repeat in enumerate(array):
        part = marginalisation(repeat, chosen)
        moved = part
        for axis in chosen:
            moved = np.take(moved, rng.permutation(moved.shape[axis]), axis=axis)
        found[i] = repeat - part + moved
    return found


def _drawn(array: Array, rng: np.random.Generator) -> Array:
    """Repeats drawn with replacement within each half, so that none is on both sides."""
    drawn = array.copy()
    for half in (0, 1):
        part = array[half::2]
        drawn[half::2] = part[rng.integers(len(part), size=len(part))]
    return drawn


def _reason(array: Array) -> str:
    if len(array) < 2:
        return f"{len(array)} repeats; needs at least 2"
    if min(array.shape[1:-1]) < 2:
        return "an axis with one condition; needs at least 2"
    return first_reason(array.reshape(-1, array.shape[-1]), 4)
