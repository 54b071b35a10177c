"""What units encode: ridge models of the activity from families of features, and each family's unique share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from analysis.dealing import CONTROL, Dealing
from analysis.drawing import axes_or_new
from analysis.inference import UnitEstimates, explained_interval
from analysis.inputs import Array, Labels, codes, column_reasons, first_reason, matrix, same_length
from analysis.ridge import HeldOut
from rodent.errors import UsageError


@dataclass(frozen=True)
class Encoding:
    """What families of features explain of held-out episodes.

    Attributes:
        full: explained variance of all families together; its null takes all of them from other episodes.
        unique: a family to what is lost without it; its null takes that family alone from other episodes.
    """

    full: UnitEstimates
    unique: Mapping[str, UnitEstimates]


def encode(
    activity: ArrayLike,
    families: Mapping[str, ArrayLike],
    episodes: ArrayLike,
    folds: int = 5,
    draws: int = 200,
    seed: int = 0,
    tasks: ArrayLike | None = None,
) -> Encoding:
    """Ridge encoding models of every unit, cross-validated over episodes.

    The penalty is chosen for each unit alone, within each training set, on its own held-out episodes
    (`analysis.ridge`). The null fits the same to features of other episodes.

    Args:
        activity: (steps, units).
        families: name to features (steps, features).
        episodes: (steps,) labels.
        folds: at most the number of episodes.
        draws: of the null; a p is at least 1 / (draws + 1).
        seed: of the null and of the intervals.
        tasks: (steps,) labels, one an episode, which the null deals within; None for one task.

    Raises:
        UsageError: where there is no family.
    """
    if not families:
        raise UsageError("no family of features given; give at least one")
    units = matrix(activity, "activity")
    parts = {name: matrix(values, name) for name, values in families.items()}
    groups = codes(episodes, same_length(activity=units, **parts), "episodes")
    rng, reasons = np.random.default_rng(seed), _reasons(units, parts, groups)
    known = np.flatnonzero([not reason for reason in reasons])
    if not len(known):
        empty = UnitEstimates(*_empty(len(reasons)), reasons)
        return Encoding(empty, dict.fromkeys(parts, empty))
    wanted = units[:, known]

    def errors(features: Mapping[str, Array]) -> Array:
        return HeldOut.of(_joined(features, len(units)), groups, folds).errors(wanted, wanted.shape[1])

    totals, full = errors({}), errors(parts)
    dealt = {name: [] for name in parts}  # type: dict[str, list[Array]]
    together = []
    dealing = Dealing.of(groups, tasks)
    for order in dealing.orders(draws, rng):
        moved = {name: values[dealing.steps(order)] for name, values in parts.items()}
        together.append(errors(moved))
        for name in parts:
            dealt[name].append(errors({**parts, name: moved[name]}) if len(parts) > 1 else together[-1])
    unique = {}
    for name in parts:
        without = errors({other: values for other, values in parts.items() if other != name})
        null = (without.sum(0) - np.reshape([part.sum(0) for part in dealt[name]], (-1, len(known)))) / totals.sum(0)
        unique[name] = _unit_estimates(without - full, totals, null, known, reasons, seed)
    null = 1 - np.reshape([part.sum(0) for part in together], (-1, len(known))) / totals.sum(0)
    return Encoding(_unit_estimates(totals - full, totals, null, known, reasons, seed), unique)


def plot_encoding(result: Encoding, ax: Axes | None = None) -> Axes:
    """Each family's unique share over the units, in order, and the number of units that beat the null."""
    ax = axes_or_new(ax)
    for name, estimates in result.unique.items():
        ax.plot(np.sort(estimates.value)[::-1], label=f"{name} ({estimates.beat.sum()} units)")
    ax.set_xlabel("unit, by rank")
    ax.set_ylabel("unique explained variance")
    ax.legend(frameon=False)
    return ax


def _joined(features: Mapping[str, Array], steps: int) -> Array:
    return np.concatenate([np.empty((steps, 0)), *features.values()], axis=1)


def _reasons(units: Array, parts: Mapping[str, Array], groups: Labels) -> tuple[str, ...]:
    for name, values in parts.items():
        if reason := first_reason(values):
            return (f"{name}: {reason}",) * units.shape[1]
    if groups.max() < 1:
        return ("one episode: nothing to hold out",) * units.shape[1]
    return column_reasons(units)


def _empty(count: int) -> tuple[Array, str, Array, Array]:
    nothing = np.full(count, np.nan)
    return nothing, CONTROL, nothing[None], np.stack([nothing, nothing])


def _unit_estimates(
    gained: Array, totals: Array, null: Array, known: NDArray[np.int64], reasons: tuple[str, ...], seed: int
) -> UnitEstimates:
    """From the errors that were saved in each episode, (episodes, known), and the totals."""
    value, control, _, interval = _empty(len(reasons))
    spread = np.full((len(null), len(reasons)), np.nan)
    value[known] = gained.sum(0) / totals.sum(0)
    spread[:, known] = null
    interval[:, known] = explained_interval(totals - gained, totals, 500, np.random.default_rng(seed))
    return UnitEstimates(value, control, spread, interval, reasons)
