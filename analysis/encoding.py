"""What units encode: ridge models of the activity from families of features, and each family's unique share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from analysis.dealing import CONTROL, Dealing
from analysis.drawing import axes_or_new
from analysis.inference import UnitEstimates, episode_folds, explained_interval
from analysis.inputs import Array, Labels, codes, column_reasons, first_reason, matrix, same_length
from rodent.errors import UsageError

_PENALTIES = np.logspace(-4, 2, 7)  # times the number of steps, for standardised features


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

    The penalty is chosen within each training set, on its own held-out episodes. The null fits the same to
    features of other episodes.

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
        return episode_errors(_joined(features, len(units)), wanted, groups, folds)

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


def episode_errors(features: Array, targets: Array, groups: Labels, folds: int, sets: int = 1) -> Array:
    """(episodes, targets) squared errors of a ridge model on episodes that it was not fitted to.

    Args:
        features: (steps, features); with none of them, the training mean predicts.
        targets: (steps, targets).
        groups: (steps,) episodes, 0, 1, ...
        folds: at most the number of episodes is used.
        sets: of neighbouring columns of the targets, as wide as each other; each has a penalty of its own, as if it
            were alone.
    """
    count, of = int(groups.max()) + 1, np.repeat(np.arange(sets), targets.shape[1] // sets)
    squares = np.zeros_like(targets)
    for train, test in episode_folds(groups, folds):
        predicted = np.broadcast_to(targets[train].mean(axis=0), (len(test), targets.shape[1]))
        if features.shape[1]:
            scaled, held = _scaled(features[train], features[test])
            penalty = _penalties(scaled, targets[train], groups[train], sets)[of]
            predicted = np.empty((len(test), targets.shape[1]))
            for each in np.unique(penalty):
                some = penalty == each
                predicted[:, some] = _ridge(scaled, targets[np.ix_(train, some)], held, np.array([each]))[0]
        squares[test] = (targets[test] - predicted) ** 2
    return np.stack([squares[groups == episode].sum(axis=0) for episode in range(count)])


def plot_encoding(result: Encoding, ax: Axes | None = None) -> Axes:
    """Each family's unique share over the units, in order, and the number of units that beat the null."""
    ax = axes_or_new(ax)
    for name, estimates in result.unique.items():
        ax.plot(np.sort(estimates.value)[::-1], label=f"{name} ({estimates.beat.sum()} units)")
    ax.set_xlabel("unit, by rank")
    ax.set_ylabel("unique explained variance")
    ax.legend(frameon=False)
    return ax


def _ridge(features: Array, targets: Array, held: Array, penalties: Array) -> Array:
    """(penalties, held steps, targets) predictions of ridge models, of one decomposition for all their penalties."""
    mean, offset = features.mean(axis=0), targets.mean(axis=0)
    centred = features - mean
    variances, axes = np.linalg.eigh(centred.T @ centred)
    along = axes.T @ (centred.T @ (targets - offset))
    shrunk = [along / (variances + penalty * len(features))[:, None] for penalty in penalties]
    return np.stack([((held - mean) @ axes) @ each + offset for each in shrunk])


def _scaled(train: Array, test: Array) -> tuple[Array, Array]:
    mean, spread = train.mean(axis=0), train.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)  # a feature that is constant here tells nothing
    return (train - mean) / spread, (test - mean) / spread


def _penalties(features: Array, targets: Array, groups: Labels, sets: int) -> Array:
    """(sets,) the penalty that predicts every third episode best from the others; the middle one of one episode."""
    held = np.unique(groups, return_inverse=True)[1] % 3 == 1
    if not held.any():
        return np.full(sets, np.median(_PENALTIES))
    predicted = _ridge(features[~held], targets[~held], features[held], _PENALTIES)
    errors = np.square(predicted - targets[held]).mean(axis=1).reshape(len(_PENALTIES), sets, -1).mean(axis=2)
    return _PENALTIES[errors.argmin(axis=0)]


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
