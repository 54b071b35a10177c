"""Flow fields: the mean velocity of a population's state on a grid of two of its components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from analysis.controls import shift_within_episodes
from analysis.drawing import axes_or_new
from analysis.inference import UNKNOWN, Estimate, bootstrap_weights, episode_sums, not_estimable, percentile_interval
from analysis.inputs import Array, Labels, codes, first_reason, matrix
from analysis.tuning import tuning_curves
from rodent.errors import UsageError


@dataclass(frozen=True)
class FlowField:
    """Mean velocity in bins of a plane.

    Attributes:
        velocity: (bins, bins, 2), per second; NaN where fewer than `least` steps were.
        occupancy: (bins, bins) steps.
        edges: two of (bins + 1,).
        consistency: variance of the velocity of held-out episodes that the field explains; the null rolls velocities
            against positions within each episode.
    """

    velocity: Array
    occupancy: Labels
    edges: tuple[Array, ...]
    consistency: Estimate


def flow_field(
    states: ArrayLike,
    episodes: ArrayLike,
    timestep: float,
    bins: int = 15,
    least: int = 3,
    draws: int = 50,
    seed: int = 0,
) -> FlowField:
    """Mean velocity on a grid, and whether two halves of the episodes agree on it.

    Args:
        states: (steps, 2), as the first two principal components; (steps, 1) of a population that has but one.
        episodes: (steps,) labels; no velocity spans two of them.
        timestep: s.
        bins: in each direction.
        least: steps that a bin needs.
        draws: of the null and the interval.
        seed: of the draws.
    """
    plane = matrix(states, "states")
    if plane.shape[1] > 2:
        raise UsageError(f"states have {plane.shape[1]} columns; give two, such as two principal components")
    groups = codes(episodes, len(plane), "episodes")
    inside = np.flatnonzero(groups[1:] == groups[:-1])
    reason = first_reason(plane, 3) or ("" if len(inside) else "no episode has two steps")
    reason = reason or ("" if plane.shape[1] == 2 else "rank 1; needs 2")
    if reason:
        nothing = np.full((bins, bins, 2), np.nan)
        edge = np.full(bins + 1, np.nan)
        return FlowField(nothing, np.zeros((bins, bins), dtype=np.int64), (edge, edge), not_estimable(reason))
    middle, velocity = (plane[inside] + plane[inside + 1]) / 2, (plane[inside + 1] - plane[inside]) / timestep
    curves = tuning_curves(velocity, middle, bins)
    mean = np.where(curves.occupancy[..., None] >= least, np.moveaxis(curves.curves, 0, -1), np.nan)
    consistency = _consistency(middle, velocity, np.unique(groups[inside], return_inverse=True)[1], bins, draws, seed)
    return FlowField(mean, curves.occupancy, curves.edges, consistency)


def plot_flow(result: FlowField, ax: Axes | None = None) -> Axes:
    """Arrows of the mean velocity over the occupancy."""
    ax = axes_or_new(ax)
    x, y = ((edge[1:] + edge[:-1]) / 2 for edge in result.edges)
    ax.pcolormesh(*result.edges, result.occupancy.T, cmap="Greys", alpha=0.5)
    ax.quiver(x, y, result.velocity[..., 0].T, result.velocity[..., 1].T, angles="xy")
    ax.set_xlabel("component 1")
    ax.set_ylabel("component 2")
    return ax


def _consistency(middle: Array, velocity: Array, groups: Labels, bins: int, draws: int, seed: int) -> Estimate:
    if groups.max() < 1:
        return not_estimable("one episode: nothing to hold out")
    rng = np.random.default_rng(seed)
    errors, totals = _held_out(middle, velocity, groups, bins)
    if not totals.sum():
        return not_estimable("the state never moves")
    null = []
    for _ in range(draws):
        moved, total = _held_out(middle, shift_within_episodes(velocity, groups, rng), groups, bins)
        null.append(1 - moved.sum() / total.sum())
    weights = bootstrap_weights(len(errors), 500, rng)
    low, high = percentile_interval(1 - (weights @ errors) / (weights @ totals)) if len(errors) > 2 else UNKNOWN
    value = float(1 - errors.sum() / totals.sum())
    return Estimate(value, {"shifts within episodes": np.array(null)}, (float(low), float(high)))


def _held_out(middle: Array, velocity: Array, groups: Labels, bins: int) -> tuple[Array, Array]:
    """Squared errors and totals of each episode, predicted by the field of the other half of the episodes."""
    edges = tuple(np.histogram_bin_edges(column, bins) for column in middle.T)
    place = [np.clip(np.digitize(c, e) - 1, 0, bins - 1) for c, e in zip(middle.T, edges, strict=True)]
    errors, totals = np.zeros((2, len(velocity)))
    for half in (0, 1):
        test = groups % 2 == half
        field = np.moveaxis(tuning_curves(velocity[~test], middle[~test], edges).curves, 0, -1)
        overall = velocity[~test].mean(axis=0)
        field = np.where(np.isnan(field), overall, field)
        errors[test] = np.square(velocity[test] - field[place[0][test], place[1][test]]).sum(axis=1)
        totals[test] = np.square(velocity[test] - overall).sum(axis=1)
    return episode_sums(errors, groups), episode_sums(totals, groups)
