"""Rotations of population states: jPCA (Churchland et al. 2012), in closed form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from scipy import linalg

from analysis.drawing import axes_or_new
from analysis.inference import Estimate, not_estimable, percentile_interval
from analysis.inputs import Array, first_reason
from rodent.errors import UsageError


@dataclass(frozen=True)
class JPCA:
    """Skew-symmetric linear dynamics of a population.

    Attributes:
        planes: (planes, 2, units) orthonormal pairs, the fastest first.
        frequencies: (planes,) Hz.
        skew_r2: variance of the velocity that rotations alone explain; its null deals components to other conditions.
        full_r2: the same of any linear dynamics.
        projections: (conditions, steps, 2) on the first plane.
    """

    planes: Array
    frequencies: Array
    skew_r2: Estimate
    full_r2: Estimate
    projections: Array


def jpca(states: ArrayLike, timestep: float, components: int = 6, draws: int = 100, seed: int = 0) -> JPCA:
    """Fit dx/dt = M x with M skew-symmetric, on the leading principal components.

    The mean over conditions is removed at each step. The surrogates deal each principal component's paths to other
    conditions by itself, which keeps all paths and their spectra but breaks the phase between components. (Mirroring
    paths instead calls most smooth noise rotational.)

    Args:
        states: (conditions, steps, units).
        timestep: s.
        components: principal components, an even number.
        draws: surrogates, and conditions drawn with replacement for the interval.
        seed: of the draws.

    Raises:
        UsageError: where the shape or the number of components is wrong.
    """
    array = np.asarray(states, dtype=np.float64)
    if array.ndim != 3:
        raise UsageError(f"states have shape {array.shape}; give (conditions, steps, units)")
    if components < 2 or components % 2:
        raise UsageError(f"{components} components; give an even number, since rotations come in planes")
    conditions, steps, units = array.shape
    if reason := _reason(array, components):
        none = not_estimable(reason)
        nothing = np.full((components // 2, 2, units), np.nan)
        return JPCA(nothing, nothing[:, 0, 0], none, none, np.full((conditions, steps, 2), np.nan))
    centred = array - array.mean(axis=0)
    _, _, basis = np.linalg.svd(centred.reshape(-1, units), full_matrices=False)
    reduced = centred @ basis[:components].T
    rng = np.random.default_rng(seed)
    skew, _ = fits(reduced, timestep)
    planes, frequencies = _planes(skew)
    null = np.array([shares(_surrogate(reduced, rng), timestep) for _ in range(draws)])
    drawn = [reduced[rng.integers(conditions, size=conditions)] for _ in range(draws)]
    intervals = percentile_interval(np.array([shares(part, timestep) for part in drawn]))
    estimates = [
        Estimate(value, {"shuffled conditions": null[:, i]}, (float(intervals[0, i]), float(intervals[1, i])))
        for i, value in enumerate(shares(reduced, timestep))
    ]
    return JPCA(planes @ basis[:components], frequencies, estimates[0], estimates[1], reduced @ planes[0].T)


def fits(states: Array, timestep: float) -> tuple[Array, Array]:
    """Skew-symmetric and free least-squares M, (components, components), of dx/dt = M x for column vectors x."""
    x, velocity = _state_and_velocity(states, timestep)
    covariance, drive = x.T @ x, velocity.T @ x
    skew = linalg.solve_sylvester(covariance, covariance, drive - drive.T)
    free = np.asarray(np.linalg.lstsq(x, velocity, rcond=None)[0].T, dtype=np.float64)
    return (skew - skew.T) / 2, free


def shares(states: Array, timestep: float) -> tuple[float, float]:
    """Explained variance of the velocity by skew-symmetric and by free linear dynamics."""
    x, velocity = _state_and_velocity(states, timestep)
    total = np.square(velocity).sum()
    skew, free = (1 - np.square(velocity - x @ m.T).sum() / total for m in fits(states, timestep))
    return float(skew), float(free)


def plot_jpca(result: JPCA, ax: Axes | None = None) -> Axes:
    """Paths of all conditions in the first plane, their starts marked."""
    ax = axes_or_new(ax)
    for path in result.projections:
        ax.plot(*path.T, lw=0.8)
        ax.plot(*path[0], "k.")
    ax.set_aspect("equal")
    ax.set_title(f"{result.frequencies[0]:.2f} Hz, skew R2 {result.skew_r2.value:.2f}")
    return ax


def _reason(states: Array, components: int) -> str:
    conditions, steps, units = states.shape
    if conditions < 2 or steps < 3:
        return f"{conditions} conditions of {steps} steps; needs 2 conditions of 3 steps"
    if reason := first_reason(states.reshape(-1, units)):
        return reason
    rank = np.linalg.matrix_rank((states - states.mean(axis=0)).reshape(-1, units))
    return "" if rank >= components else f"rank {rank}; needs {components} for as many components"


def _state_and_velocity(states: Array, timestep: float) -> tuple[Array, Array]:
    """(samples, components) each, in the middle between two steps."""
    middle, velocity = (states[:, 1:] + states[:, :-1]) / 2, np.diff(states, axis=1) / timestep
    return middle.reshape(-1, states.shape[2]), velocity.reshape(-1, states.shape[2])


def _surrogate(states: Array, rng: np.random.Generator) -> Array:
    return np.stack([rng.permutation(states[:, :, i]) for i in range(states.shape[2])], axis=2)


def _planes(skew: Array) -> tuple[Array, Array]:
    """(planes, 2, components) orthonormal bases of the rotation planes and their frequencies, the fastest first."""
    values, vectors = np.linalg.eigh(1j * skew)  # Hermitian; eigenvalues come as +-omega
    order = np.argsort(-values)[: len(skew) // 2]
    planes = np.stack([vectors[:, order].real.T, vectors[:, order].imag.T], axis=1) * np.sqrt(2)
    return np.linalg.qr(planes.transpose(0, 2, 1))[0].transpose(0, 2, 1), values[order] / (2 * np.pi)
