"""Rotations of population states: jPCA (Churchland et al. 2012), in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from scipy import linalg

from analysis.drawing import axes_or_new
from analysis.inference import Estimate, bootstrap_weights, not_estimable, percentile_interval
from analysis.inputs import Array, Labels, codes, first_reason
from analysis.maximum_entropy import MaximumEntropy
from rodent.errors import UsageError

_TINY = 1e-12  # of the greatest variance: directions with less have none


@dataclass(frozen=True)
class JPCA:
    """Skew-symmetric linear dynamics of a population.

    Attributes:
        planes: (planes, 2, units) orthonormal pairs, the fastest first.
        frequencies: of each plane, Hz.
        variances: share of the variance of the leading components that is in each plane: the fastest may hold little.
        skew_r2: variance of the velocity that rotations alone explain. One null deals each principal component's
            paths to other conditions by itself, which keeps all paths and breaks the phase between components. The
            other draws states of greatest entropy with the same covariances over conditions, steps and components.
        full_r2: the same of any linear dynamics.
            Every number has both nulls, and an interval over the conditions, or over the groups they belong to.
        projections: (conditions, steps, 2) on the first plane.
    """

    planes: Array
    frequencies: tuple[Estimate, ...]
    variances: tuple[Estimate, ...]
    skew_r2: Estimate
    full_r2: Estimate
    projections: Array


def jpca(
    states: ArrayLike,
    timestep: float,
    components: int = 6,
    draws: int = 100,
    seed: int = 0,
    groups: ArrayLike | None = None,
) -> JPCA:
    """Fit dx/dt = M x with M skew-symmetric, on the leading principal components.

    The mean over conditions is removed at each step. (Surrogates that mirror paths are none of the nulls, since those
    call most smooth noise rotational.)

    Args:
        states: (conditions, steps, units).
        timestep: s.
        components: principal components, an even number.
        draws: surrogates, and conditions drawn with replacement for the interval; 0 for neither.
        seed: of the draws.
        groups: (conditions,) labels of what is drawn as a whole, such as the episode that a window is of; None where
            each condition is on its own.

    Raises:
        UsageError: where the shape or the number of components is wrong.
    """
    array = np.asarray(states, dtype=np.float64)
    if array.ndim != 3:
        raise UsageError(f"states have shape {array.shape}; give (conditions, steps, units)")
    if components < 2 or components % 2:
        raise UsageError(f"{components} components; give an even number, since rotations come in planes")
    conditions, steps, units = array.shape
    reason, basis = _reason(array), np.empty((0, units))
    if not reason:
        centred = array - array.mean(axis=0)
        basis = _basis(centred.reshape(-1, units), components)
        reason = "" if len(basis) == components else f"rank {len(basis)}; needs {components} for as many components"
    if reason:
        none, planes = not_estimable(reason), components // 2
        nothing = np.full((planes, 2, units), np.nan)
        return JPCA(nothing, (none,) * planes, (none,) * planes, none, none, np.full((conditions, steps, 2), np.nan))
    reduced = centred @ basis.T
    rng = np.random.default_rng(seed)
    nulls = _nulls(reduced, timestep, draws, rng) if draws else {}
    labels = np.arange(conditions) if groups is None else codes(groups, conditions, "groups")
    intervals = _intervals(reduced, timestep, labels, draws, rng)
    skew, full, *of_planes = (
        Estimate(value, {name: null[:, i] for name, null in nulls.items()}, (low, high))
        for i, (value, low, high) in enumerate(
            zip(_numbers(*_moments(reduced, timestep), timestep).tolist(), *intervals.tolist(), strict=True)
        )
    )
    found = _planes(fits(reduced, timestep)[0], timestep)[0]
    frequencies, variances = tuple(of_planes[: len(found)]), tuple(of_planes[len(found) :])
    return JPCA(found @ basis, frequencies, variances, skew, full, reduced @ found[0].T)


def fits(states: Array, timestep: float) -> tuple[Array, Array]:
    """Skew-symmetric and free least-squares M, (components, components), of dx/dt = M x for column vectors x."""
    return _fits(*_moments(states, timestep)[:2])


def shares(states: Array, timestep: float) -> tuple[float, float]:
    """Explained variance of the velocity by skew-symmetric and by free linear dynamics."""
    covariance, drive, total = _moments(states, timestep)
    skew, free = (_share(m, covariance, drive, total) for m in _fits(covariance, drive))
    return skew, free


def frequencies_without(states: ArrayLike, timestep: float, components: int, groups: ArrayLike) -> tuple[Array, Array]:
    """The frequencies of `jpca`, and the same without each group of conditions in turn; NaN where it has none.

    Args:
        states: (conditions, steps, units).
        timestep: s.
        components: principal components, those of all conditions.
        groups: (conditions,) labels, such as the episode that a window is of.

    Returns:
        (planes,) and (groups, planes), Hz, the fastest plane first, the groups in the order of their sorted labels.
    """
    array = np.asarray(states, dtype=np.float64)
    labels = codes(groups, len(array), "groups")
    of_group, nothing = int(labels.max(initial=-1)) + 1, np.full(components // 2, np.nan)
    centred = array - array.mean(axis=0) if len(array) else array
    basis = _basis(centred.reshape(-1, array.shape[2]), components) if not _reason(array) else nothing[:0]
    if len(basis) < components or of_group < 2:
        return nothing, np.tile(nothing, (of_group, 1))
    each = [_moments(centred[labels == group] @ basis.T, timestep) for group in range(of_group)]
    covariance, drive = (np.array(part) for part in list(zip(*each, strict=True))[:2])

    def frequencies(chosen: Array) -> Array:
        fitted = _fits(np.tensordot(chosen, covariance, 1), np.tensordot(chosen, drive, 1))
        return _planes(fitted[0], timestep)[1]

    return frequencies(np.ones(of_group)), np.array([frequencies(left) for left in 1.0 - np.eye(of_group)])


def plot_jpca(result: JPCA, ax: Axes | None = None) -> Axes:
    """Paths of all conditions in the first plane, their starts marked."""
    ax = axes_or_new(ax)
    for path in result.projections:
        ax.plot(*path.T, lw=0.6, alpha=0.7)
        ax.plot(*path[0], "k.", ms=4)
    ax.set_aspect("equal")
    ax.set_xlabel("jPC 1")
    ax.set_ylabel("jPC 2")
    hertz, share = result.frequencies[0].value, result.variances[0].value
    ax.set_title(f"{hertz:.2f} Hz, {share:.0%} of variance,\nskew R² {result.skew_r2.value:.2f}")
    return ax


def _reason(states: Array) -> str:
    conditions, steps, units = states.shape
    if conditions < 2 or steps < 3:
        return f"{conditions} conditions of {steps} steps; needs 2 conditions of 3 steps"
    return first_reason(states.reshape(-1, units))


def _basis(states: Array, components: int) -> Array:
    """(components, units) leading principal axes of centred states (rows, units); fewer where the rank is less."""
    variances, axes = np.linalg.eigh(states.T @ states)
    leading = variances[::-1][:components]
    return axes.T[::-1][:components][(leading > _TINY * leading[0]) & (leading > 0)]


def _moments(states: Array, timestep: float) -> tuple[Array, Array, float]:
    """Sums of products of states with states, of velocities with states, and of squared velocities.

    Both are in the middle between two steps.
    """
    count = states.shape[2]
    x = ((states[:, 1:] + states[:, :-1]) / 2).reshape(-1, count)
    velocity = (np.diff(states, axis=1) / timestep).reshape(-1, count)
    return x.T @ x, velocity.T @ x, float(np.square(velocity).sum())


def _numbers(covariance: Array, drive: Array, total: float, timestep: float) -> Array:
    """(2 + 2 planes,) explained by skew-symmetric and by free dynamics; frequencies of the former, and variances."""
    found = _fits(covariance, drive)
    planes, frequencies = _planes(found[0], timestep)
    variances = np.einsum("pcx,xy,pcy->p", planes, covariance, planes) / np.trace(covariance)
    return np.array([*(_share(m, covariance, drive, total) for m in found), *frequencies, *variances])


def _nulls(states: Array, timestep: float, draws: int, rng: np.random.Generator) -> dict[str, Array]:
    """(draws, numbers) of `_numbers` under each null."""
    turned, outside = MaximumEntropy.of(states).turned()
    still = _moments(outside, timestep)
    shuffled = [_numbers(*_moments(_shuffled(states, rng), timestep), timestep) for _ in range(draws)]
    drawn = []
    for _ in range(draws):
        covariance, drive, total = _moments(turned.draw(rng), timestep)
        drawn.append(_numbers(covariance + still[0], drive + still[1], total + still[2], timestep))
    return {"shuffled conditions": np.array(shuffled), "maximum entropy": np.array(drawn)}


def _intervals(states: Array, timestep: float, labels: Labels, draws: int, rng: np.random.Generator) -> Array:
    """(2, numbers) of `_numbers`, over groups of conditions drawn with replacement; NaN of one, or without draws."""
    groups = int(labels.max()) + 1
    if groups < 2 or not draws:
        return np.full((2, 2 + 2 * (states.shape[2] // 2)), np.nan)
    each = [_moments(states[labels == group], timestep) for group in range(groups)]
    weights = bootstrap_weights(groups, draws, rng)
    sums = [np.tensordot(weights, np.array(moment), 1) for moment in zip(*each, strict=True)]
    drawn = [_numbers(covariance, drive, total, timestep) for covariance, drive, total in zip(*sums, strict=True)]
    return percentile_interval(np.array(drawn))


def _fits(covariance: Array, drive: Array) -> tuple[Array, Array]:
    skew = linalg.solve_sylvester(covariance, covariance, drive - drive.T)
    return (skew - skew.T) / 2, drive @ np.linalg.pinv(covariance, hermitian=True)


def _share(m: Array, covariance: Array, drive: Array, total: float) -> float:
    """Explained variance of the velocity by dynamics M."""
    return float((2 * np.sum(m * drive) - np.sum(m @ covariance * m)) / total)


def _shuffled(states: Array, rng: np.random.Generator) -> Array:
    return np.stack([rng.permutation(states[:, :, i]) for i in range(states.shape[2])], axis=2)


def _planes(skew: Array, timestep: float) -> tuple[Array, Array]:
    """(planes, 2, components) orthonormal bases of the rotation planes and their frequencies, the fastest first.

    A state that turns by an angle in a step moves along the chord, and the middle of the two lies inside of the circle:
    their ratio is twice the tangent of half the angle. Taken for the angle itself, it would make fast planes too fast.
    """
    values, vectors = np.linalg.eigh(1j * skew)  # Hermitian; eigenvalues come as +-omega
    order = np.argsort(-values)[: len(skew) // 2]
    planes = np.stack([vectors[:, order].real.T, vectors[:, order].imag.T], axis=1) * np.sqrt(2)
    hertz = np.arctan(values[order] * timestep / 2) / (np.pi * timestep)
    return np.linalg.qr(planes.transpose(0, 2, 1))[0].transpose(0, 2, 1), hertz
