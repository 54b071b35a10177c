"""Targeted dimensionality reduction: axes of a population that carry given variables (Mante et al. 2013)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression

from analysis.dealing import CONTROL, Dealing
from analysis.drawing import plot_estimates
from analysis.inference import Estimate, not_estimable, percentile_interval, resampled_rows
from analysis.inputs import Array, Labels, codes, first_reason, matrix, rank, same_length
from rodent.errors import UsageError


@dataclass(frozen=True)
class Targeted:
    """Axes of variables.

    Attributes:
        axes: name to (units,), orthonormal. The order of the variables matters: each axis is what is left of its
            regression vector after those before it were taken out.
        regression: name to (units,) unit vectors before that; their angles say how far the axes can be trusted.
        encoded: name to the correlation of the variable with the activity of held-out episodes along its axis; the
            null takes the variable from another of those episodes. Four of them, so eight in all, are the least that
            can beat it.
    """

    axes: Mapping[str, Array]
    regression: Mapping[str, Array]
    encoded: Mapping[str, Estimate]


def targeted_axes(
    activity: ArrayLike,
    variables: Mapping[str, ArrayLike],
    episodes: ArrayLike,
    components: int = 12,
    draws: int = 60,
    seed: int = 0,
    tasks: ArrayLike | None = None,
) -> Targeted:
    """Regress every unit on the variables, denoise by principal components, orthogonalise in the order given.

    Args:
        activity: (steps, units).
        variables: name to (steps,), in the order in which their axes are made orthogonal.
        episodes: (steps,) labels; even ones give the axes that odd ones are projected on for `encoded`.
        components: principal components that regression vectors are projected on; at most the units.
        draws: of null and interval.
        seed: of both.
        tasks: (steps,) labels, one an episode, which the null deals within; None for one task.
    """
    if not variables:
        raise UsageError("no variables given; give at least one")
    units, targets = matrix(activity, "activity"), {name: matrix(v, name) for name, v in variables.items()}
    groups = codes(episodes, same_length(activity=units, **targets), "episodes")
    design = np.concatenate(list(targets.values()), axis=1)
    if design.shape[1] != len(targets):
        raise UsageError("a variable has more than one column; give (steps,) for each")
    if reason := _reason(units, design, groups, components):
        nothing = dict.fromkeys(targets, np.full(units.shape[1], np.nan))
        return Targeted(nothing, nothing, dict.fromkeys(targets, not_estimable(reason)))
    axes, vectors = _axes(units, design, components)
    even = groups % 2 == 0
    trained, _ = _axes(units[even], design[even], components)
    along, held, rng = units[~even] @ trained, design[~even], np.random.default_rng(seed)
    left = np.unique(groups[~even], return_inverse=True)[1]
    dealing = Dealing.of(left, None if tasks is None else np.asarray(tasks)[~even])
    value = _correlations(along, held)
    dealt = [_correlations(along, held[dealing.steps(order)]) for order in dealing.orders(draws, rng)]
    null = np.reshape(dealt, (-1, len(value)))
    drawn = [resampled_rows(left, rng) for _ in range(draws)] if len(np.unique(left)) > 1 else []
    samples = np.array([_correlations(along[rows], held[rows]) for rows in drawn] or [np.full(len(value), np.nan)])
    low, high = percentile_interval(samples)
    return Targeted(
        dict(zip(targets, axes.T, strict=True)),
        dict(zip(targets, vectors.T, strict=True)),
        {
            name: Estimate(float(value[i]), {CONTROL: null[:, i]}, (float(low[i]), float(high[i])))
            for i, name in enumerate(targets)
        },
    )


def plot_targeted(result: Targeted, ax: Axes | None = None) -> Axes:
    """How well each variable is carried along its axis, in held-out episodes."""
    return plot_estimates(result.encoded, "held-out correlation", ax)


def _axes(units: Array, design: Array, components: int) -> tuple[Array, Array]:
    """(units, variables) orthonormal axes and unit regression vectors."""
    scale = units.std(axis=0)
    standard = (units - units.mean(axis=0)) / np.where(scale > 0, scale, 1.0)
    variables = (design - design.mean(axis=0)) / design.std(axis=0)
    vectors = LinearRegression().fit(variables, standard).coef_
    vectors = vectors * np.where(scale > 0, scale, 0.0)[:, None]  # axes are of the activity as it is
    basis = PCA(min(components, units.shape[1]), svd_solver="covariance_eigh").fit(units).components_
    vectors = basis.T @ (basis @ vectors)
    vectors = vectors / np.linalg.norm(vectors, axis=0)
    axes, upper = np.linalg.qr(vectors)
    return axes * np.sign(np.diag(upper)), vectors  # QR leaves the signs open


def _correlations(along: Array, design: Array) -> Array:
    first, second = along - along.mean(axis=0), design - design.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (first * second).sum(axis=0) / np.sqrt((first**2).sum(axis=0) * (second**2).sum(axis=0))


def _reason(units: Array, design: Array, groups: Labels, components: int) -> str:
    if groups.max() < 1:
        return "one episode: nothing to hold out"
    for part in (units[groups % 2 == 0], units[groups % 2 == 1], *design.T):
        if reason := first_reason(part, components + 2):
            return reason
    for half in (0, 1):
        part = design[groups % 2 == half]
        if (of := rank(part - part.mean(axis=0))) < design.shape[1]:
            return f"variables of rank {of}; needs {design.shape[1]}, so that each can be told from the others"
    wanted = min(components, units.shape[1])
    least = min(rank(units[groups % 2 == half]) for half in (0, 1))
    return "" if least >= design.shape[1] and wanted >= design.shape[1] else f"rank {least}; needs {design.shape[1]}"
