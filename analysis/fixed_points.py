"""Fixed points of a recurrent map and its linearisation there (Sussillo and Barak 2013)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from analysis.drawing import axes_or_new
from analysis.inputs import Array, matrix

Map = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class FixedPoints:
    """Where a map stays.

    Attributes:
        points: (points, units), sorted; none, where no start came to rest.
        jacobians: (points, units, units), d next / d state.
        eigenvalues: (points, units), complex, the greatest modulus first; a point is stable where all are below 1.
        stable: (points,).
        converged: share of the starts that came to rest: how far the list can be trusted to be whole.
    """

    points: Array
    jacobians: Array
    eigenvalues: NDArray[np.complex128]
    stable: NDArray[np.bool_]
    converged: float


def fixed_points(
    step: Map, starts: ArrayLike, iterations: int = 100, tolerance: float = 1e-9, apart: float = 1e-4
) -> FixedPoints:
    """Newton's method with damping on step(h) - h, from many starts at once.

    Args:
        step: the map of one state (units,) to the next under a constant input, in torch, differentiable.
        starts: (starts, units), such as recorded states with noise.
        iterations: at most.
        tolerance: greatest |step(h) - h| of a point.
        apart: points nearer to each other than this are one.
    """
    state = torch.as_tensor(matrix(starts, "starts"))
    many, jacobian = torch.vmap(step), torch.vmap(torch.func.jacrev(step))
    for _ in range(iterations):
        residual = many(state) - state
        if bool((residual.abs().amax(dim=1) <= tolerance).all()):
            break
        state = _damped(many, state, residual, jacobian(state))
    rest = torch.isfinite(state).all(dim=1) & ((many(state) - state).abs().amax(dim=1) <= tolerance)
    points = _distinct(state[rest].detach().numpy(), apart)
    units = state.shape[1]
    jacobians = jacobian(torch.as_tensor(points)).detach().numpy() if len(points) else np.empty((0, units, units))
    eigenvalues = np.linalg.eigvals(jacobians).astype(np.complex128) if len(points) else np.empty((0, units), complex)
    eigenvalues = np.take_along_axis(eigenvalues, np.argsort(-np.abs(eigenvalues), axis=1), axis=1)
    return FixedPoints(
        points, jacobians, eigenvalues, np.abs(eigenvalues).max(axis=1, initial=0) < 1, float(rest.double().mean())
    )


def plot_fixed_points(result: FixedPoints, ax: Axes | None = None) -> Axes:
    """Eigenvalues of all points beside the unit circle."""
    ax = axes_or_new(ax)
    angle = np.linspace(0, 2 * np.pi, 200)
    ax.plot(np.cos(angle), np.sin(angle), color="grey", lw=0.8)
    for values, stable in zip(result.eigenvalues, result.stable, strict=True):
        ax.plot(values.real, values.imag, "o" if stable else "x", ms=4)
    ax.set_aspect("equal")
    return ax


def _damped(many: Map, state: torch.Tensor, residual: torch.Tensor, jacobian: torch.Tensor) -> torch.Tensor:
    """One Newton step a start, halved until the residual falls; a start that cannot fall takes the smallest."""
    identity = torch.eye(state.shape[1], dtype=state.dtype)
    move = torch.linalg.lstsq(jacobian - identity, -residual[:, :, None], driver="gelsd").solution[:, :, 0]
    size, scale = residual.norm(dim=1), torch.ones(len(state), 1, dtype=state.dtype)
    for _ in range(12):
        trial = state + scale * move
        worse = (many(trial) - trial).norm(dim=1) > size
        if not bool(worse.any()):
            break
        scale = torch.where(worse[:, None], scale / 2, scale)
    return state + scale * move


def _distinct(points: Array, apart: float) -> Array:
    kept: list[Array] = []
    for point in points[np.lexsort(points.T[::-1])] if len(points) else points:
        if all(np.linalg.norm(point - other) > apart for other in kept):
            kept.append(point)
    return np.array(kept).reshape(-1, points.shape[1])
