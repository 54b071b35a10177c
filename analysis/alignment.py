"""Alignment of subspaces between tasks: principal angles, CCA and Procrustes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy import linalg
from scipy.spatial import procrustes

from analysis.dealing import CONTROL, Dealing
from analysis.drawing import plot_estimates
from analysis.inference import Estimate, about, not_estimable, resampled_rows
from analysis.inputs import Array, Labels, codes, first_reason, matrix, same_length
from rodent.errors import UsageError

_TINY = 1e-13  # of the greatest variance: a direction that has none
_HALVES = 20  # random splits of the episodes that a ceiling is the mean of
_SHAPED = "random subspaces of the same covariance"


@dataclass(frozen=True)
class SharedSpace:
    """Principal subspaces of the same units in two tasks.

    Attributes:
        angles: (components,) radians, ascending.
        alignment: mean squared cosine, 1 where the subspaces are one. The null draws two subspaces at random, along a
            direction the likelier the more of both tasks' variance it has (Elsayed et al. 2016): of a population that
            uses few dimensions at all, any two are alike. Where both tasks fill the same few dimensions the null is
            near 1 itself, and no alignment beats it: there the ceiling tells whether they are one.
        separation: 1 - alignment, which beats its null where the tasks use other dimensions than chance would.
        ceiling: the alignment of random halves of one task's episodes (the geometric mean of both tasks'): what noise
            leaves of subspaces that are one. Halves are noisier than the whole, so this errs to the low side.
    """

    angles: Array
    alignment: Estimate
    separation: Estimate
    ceiling: Estimate


@dataclass(frozen=True)
class Correspondence:
    """Two populations, or two seeds, at the same steps or conditions.

    Attributes:
        canonical: (components,) canonical correlations.
        correlation: their mean; the null pairs each episode with the other population's of another episode, or each
            condition with another condition.
        procrustes: 1 - disparity after the best rotation and scale; the same null.
    """

    canonical: Array
    correlation: Estimate
    procrustes: Estimate


def principal_angles(
    first: ArrayLike,
    second: ArrayLike,
    episodes: tuple[ArrayLike, ArrayLike],
    components: int = 6,
    draws: int = 100,
    seed: int = 0,
    resamples: int | None = None,
) -> SharedSpace:
    """Angles between the leading principal components of two tasks.

    Args:
        first: (steps, units) in one task.
        second: (other steps, units) in the other.
        episodes: labels of the steps of each, for the interval.
        components: of each subspace.
        draws: of the null, and of the interval where `resamples` is None.
        seed: of both.
        resamples: of the interval, which decomposes both tasks for each.
    """
    parts = (matrix(first, "first"), matrix(second, "second"))
    if parts[0].shape[1] != parts[1].shape[1]:
        raise UsageError(f"{parts[0].shape[1]} and {parts[1].shape[1]} units; give the same units in both tasks")
    groups = [codes(label, len(part), "episodes") for label, part in zip(episodes, parts, strict=True)]
    if reason := next(filter(None, (_reason(part, components) for part in parts)), ""):
        none = not_estimable(reason)
        return SharedSpace(np.full(components, np.nan), none, none, none)
    angles = linalg.subspace_angles(*(_subspace(part, components) for part in parts))[::-1]
    rng, shape = np.random.default_rng(seed), _covariance_root(parts)
    null = np.array([_cosines(*(_random_subspace(shape, components, rng) for _ in parts)) for _ in range(draws)])
    samples = [np.nan]
    if min(group.max() for group in groups) > 0:
        samples = [
            _cosines(*(_subspace(p[resampled_rows(g, rng)], components) for p, g in zip(parts, groups, strict=True)))
            for _ in range(draws if resamples is None else resamples)
        ]
    value = float(np.mean(np.cos(angles) ** 2))
    low, high = about(value, samples, 0.0, 1.0)
    return SharedSpace(
        angles,
        Estimate(value, {_SHAPED: null}, (low, high)),
        Estimate(1 - value, {_SHAPED: 1 - null}, (1 - high, 1 - low)),
        _split_half(parts, groups, components, rng),
    )


def correspondence(
    first: ArrayLike,
    second: ArrayLike,
    episodes: ArrayLike | None,
    components: int = 6,
    draws: int = 100,
    seed: int = 0,
    tasks: ArrayLike | None = None,
) -> Correspondence:
    """CCA and Procrustes between the leading principal components of two populations.

    Args:
        first: (steps, units).
        second: (steps, other units) at the same steps.
        episodes: (steps,) labels; None where rows are conditions, such as mean activities, and not steps.
        components: of each; too many of them correlate by chance, as the null shows.
        draws: of null and interval.
        seed: of both.
        tasks: (steps,) labels, one an episode, which the null deals within, or of conditions, such as
            `similarity.blocks`; None where any may stand in for any.
    """
    parts = (matrix(first, "first"), matrix(second, "second"))
    count = same_length(first=parts[0], second=parts[1])
    groups = np.arange(count) if episodes is None else codes(episodes, count, "episodes")
    if reason := next(filter(None, (_reason(part, components) for part in parts)), ""):
        none = not_estimable(reason)
        return Correspondence(np.full(components, np.nan), none, none)
    one, other = (_scores(part, components) for part in parts)
    rng = np.random.default_rng(seed)
    canonical = canonical_correlations(one, other)
    control = CONTROL if episodes is not None else "permuted conditions"
    if episodes is None and tasks is None:
        orders = [rng.permutation(count) for _ in range(draws)]
    else:
        dealing = Dealing.of(groups, tasks)
        orders = [dealing.steps(order) for order in dealing.orders(draws, rng)]
    null = np.reshape([_both(one, other[order]) for order in orders], (-1, 2))
    drawn = [resampled_rows(groups, rng) for _ in range(draws)] if groups.max() > 0 else []
    again = np.reshape([_both(one[rows], other[rows]) for rows in drawn], (-1, 2))
    estimates = [
        Estimate(value, {control: null[:, i]}, about(value, again[:, i], 0.0, 1.0))
        for i, value in enumerate(_both(one, other))
    ]
    return Correspondence(canonical, *estimates)


def aligned(first: Array, second: Array) -> float:
    """Mean squared cosine between two subspaces, given as orthonormal axes (components, units) each."""
    return float(np.square(first @ second.T).sum() / len(first))


def canonical_correlations(first: Array, second: Array) -> Array:
    """(components,) descending: the singular values of Qa^T Qb (Bjorck and Golub 1973)."""
    bases = [np.linalg.qr(part - part.mean(axis=0))[0] for part in (first, second)]
    return np.clip(np.linalg.svd(bases[0].T @ bases[1], compute_uv=False), 0, 1)


def plot_alignment(result: Correspondence | SharedSpace, ax: Axes | None = None) -> Axes:
    """The estimates beside their nulls; dotted, what noise leaves of one subspace."""
    if isinstance(result, SharedSpace):
        ax = plot_estimates({"subspaces": result.alignment}, "mean squared cosine", ax)
        ax.axhline(result.ceiling.value, color="grey", ls=":")
        return ax
    return plot_estimates({"CCA": result.correlation, "Procrustes": result.procrustes}, "correspondence", ax)


def _reason(part: Array, components: int) -> str:
    return _subspace_or_reason(part, components)[1]


def _subspace_or_reason(part: Array, components: int) -> tuple[Array, str]:
    """The leading principal axes, and why there are not so many; empty where there are."""
    if reason := first_reason(part, components + 2):
        return np.empty((part.shape[1], 0)), reason
    variances, axes = _leading(part, components)
    rank = int((variances > _TINY * variances[0]).sum())
    return axes, "" if rank >= components else f"rank {rank}; needs {components} for as many components"


def _leading(part: Array, components: int) -> tuple[Array, Array]:
    """Variances, descending, and principal axes (columns, components), of as many as there are columns at most."""
    centred, columns = part - part.mean(axis=0), part.shape[1]
    some = (max(columns - components, 0), columns - 1)
    variances, axes = linalg.eigh(centred.T @ centred, subset_by_index=some)
    return variances[::-1], axes[:, ::-1]


def _subspace(part: Array, components: int) -> Array:
    """(columns, components) the leading principal axes."""
    return _leading(part, components)[1]


def _scores(part: Array, components: int) -> Array:
    return (part - part.mean(axis=0)) @ _subspace(part, components)


def _covariance_root(parts: tuple[Array, Array]) -> Array:
    """(units, units) R with R R^T the mean covariance of two tasks."""
    centred = [part - part.mean(axis=0) for part in parts]
    values, vectors = np.linalg.eigh(sum(part.T @ part / len(part) for part in centred) / 2)
    root: Array = vectors * np.sqrt(values.clip(0))
    return root


def _random_subspace(root: Array, components: int, rng: np.random.Generator) -> Array:
    return np.linalg.qr(root @ rng.normal(size=(root.shape[1], components)))[0]


def _split_half(
    parts: tuple[Array, Array], groups: Sequence[Labels], components: int, rng: np.random.Generator
) -> Estimate:
    found = []
    for part, group in zip(parts, groups, strict=True):
        if group.max() < 1:
            return not_estimable("one episode of a task: no halves to compare")
        halves = [rng.permutation(group.max() + 1)[group] % 2 == 0 for _ in range(_HALVES)]
        known = [pair for half in halves if (pair := _both_halves(part, half, components)) is not None]
        if not known:
            return not_estimable(f"no two halves of a task's episodes have rank {components}")
        found.append(np.mean([_cosines(*pair) for pair in known]))
    return Estimate(float(np.sqrt(np.prod(found))), {})


def _both_halves(part: Array, half: NDArray[np.bool_], components: int) -> tuple[Array, Array] | None:
    """The subspaces of the steps of either half; None where one has too few directions."""
    (one, without), (other, lacking) = (_subspace_or_reason(part[side], components) for side in (half, ~half))
    return None if without or lacking else (one, other)


def _cosines(first: Array, second: Array) -> float:
    return aligned(first.T, second.T)


def _both(first: Array, second: Array) -> tuple[float, float]:
    if not (np.ptp(first, axis=0).any() and np.ptp(second, axis=0).any()):
        return 0.0, 0.0  # one step of an episode, over and over, which corresponds to nothing
    return float(canonical_correlations(first, second).mean()), float(1 - procrustes(first, second)[2])
