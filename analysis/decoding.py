"""What layers tell about behaviour: decoding on held-out episodes, against those of other episodes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.metrics import balanced_accuracy_score

from analysis.dealing import CONTROL, Dealing
from analysis.drawing import plot_estimates
from analysis.encoding import episode_errors
from analysis.inference import UNKNOWN, Estimate, bootstrap_weights, ends, episode_folds, not_estimable
from analysis.inputs import Array, Labels, codes, first_reason, matrix, same_length

_DEALT = 100  # orders at a time: bounds the memory


def decode(
    layers: Mapping[str, ArrayLike],
    target: ArrayLike,
    episodes: ArrayLike,
    folds: int = 5,
    draws: int = 200,
    seed: int = 0,
    tasks: ArrayLike | None = None,
) -> dict[str, Estimate]:
    """Variance of a family of variables that each layer explains, linearly, on held-out episodes.

    Args:
        layers: name to activity (steps, units), or to the inputs as a control.
        target: (steps, variables), a family; each variable counts alike.
        episodes: (steps,) labels.
        folds: at most the number of episodes.
        draws: of the null, which takes the target from other episodes.
        seed: of the null and the interval.
        tasks: (steps,) labels, one an episode, which the null deals within; None for one task.
    """
    wanted = matrix(target, "target")
    groups, rng = codes(episodes, len(wanted), "episodes"), np.random.default_rng(seed)
    reason = _reason(groups) or first_reason(wanted)
    spread = wanted.std(axis=0)
    scaled = (wanted - wanted.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    found, dealing = {}, Dealing.of(groups, tasks)
    for name, activity in layers.items():
        units = matrix(activity, name)
        same_length(target=wanted, **{name: units})
        if why := reason or first_reason(units):
            found[name] = not_estimable(why)
            continue
        orders = dealing.orders(draws, rng)
        parts = np.split(orders, range(_DEALT, len(orders), _DEALT)) if len(orders) else []
        null = np.concatenate(
            [np.empty(0), *(_explained_of(units, scaled, dealing, each, groups, folds) for each in parts)]
        )
        value, interval = _explained(units, scaled, groups, folds, rng)
        found[name] = Estimate(value, {CONTROL: null}, interval)
    return found


def classify(
    layers: Mapping[str, ArrayLike],
    labels: ArrayLike,
    episodes: ArrayLike,
    folds: int = 5,
    draws: int = 200,
    seed: int = 0,
    tasks: ArrayLike | None = None,
) -> dict[str, Estimate]:
    """Balanced accuracy of a label from each layer, on held-out episodes, by linear discriminants of like priors.

    They are known in closed form, so that a null may have many draws.

    Args:
        layers: name to activity (steps, units).
        labels: (steps,) of any kind, the names of the classes. Each must be in two episodes at least.
        episodes: (steps,) labels.
        folds: at most the number of episodes.
        draws: of the null, which takes the labels from other episodes. Steps are never shuffled, since neighbours
            are alike.
        seed: of the null and the interval.
        tasks: (steps,) labels, one an episode, which the null deals within; None for one task, or where the task is
            what is told.
    """
    names = np.asarray(labels)
    classes = codes(names, len(names), "labels")
    groups, rng = codes(episodes, len(classes), "episodes"), np.random.default_rng(seed)
    reason = _reason(groups) or _class_reason(np.unique(names), classes, groups, folds)
    found, dealing = {}, Dealing.of(groups, tasks)
    for name, activity in layers.items():
        units = matrix(activity, name)
        same_length(labels=classes, **{name: units})
        if why := reason or first_reason(units):
            found[name] = not_estimable(why)
            continue
        orders = dealing.orders(draws, rng)
        null = np.array([_accuracy(units, classes[dealing.steps(order)], groups, folds)[0] for order in orders])
        value, interval = _accuracy(units, classes, groups, folds, rng)
        found[name] = Estimate(value, {CONTROL: null}, interval)
    return found


def plot_decoding(scores: Mapping[str, Estimate], label: str = "decoded", ax: Axes | None = None) -> Axes:
    """Each layer's score with its interval, its null beside it."""
    return plot_estimates(scores, label, ax)


def _reason(groups: Labels) -> str:
    return "one episode: nothing to hold out" if groups.max() < 1 else ""


def _class_reason(names: NDArray, classes: Labels, groups: Labels, folds: int) -> str:
    if len(names) < 2:
        return "one class"
    episodes = [len(np.unique(groups[classes == index])) for index in range(len(names))]
    if min(episodes) < 2:
        return f"class {names[np.argmin(episodes)]} is in one episode; needs two"
    fewest = min(len(train) for train, _ in episode_folds(groups, folds))
    return "" if fewest > len(names) else f"{fewest} steps to learn {len(names)} classes from; needs more than classes"


def _explained(
    units: Array, target: Array, groups: Labels, folds: int, rng: np.random.Generator | None = None
) -> tuple[float, tuple[float, float]]:
    """Explained variance, and its interval over episodes where there is a generator to draw them."""
    errors = episode_errors(units, target, groups, folds).sum(axis=1)
    totals = episode_errors(np.empty((len(units), 0)), target, groups, folds).sum(axis=1)
    interval = UNKNOWN
    if rng is not None:
        weights = bootstrap_weights(len(errors), 500, rng)
        interval = ends(1 - (weights @ errors) / (weights @ totals))
    return float(1 - errors.sum() / totals.sum()), interval


def _explained_of(
    units: Array, target: Array, dealing: Dealing, orders: NDArray[np.int64], groups: Labels, folds: int
) -> Array:
    """(draws,) explained variance of the target of other episodes, all orders from one decomposition of the units."""
    dealt, sets = np.concatenate([target[dealing.steps(order)] for order in orders], axis=1), len(orders)
    errors, totals = (
        episode_errors(features, dealt, groups, folds, sets).sum(axis=0).reshape(sets, -1).sum(axis=1)
        for features in (units, np.empty((len(units), 0)))
    )
    return 1 - errors / totals


def _accuracy(
    units: Array, classes: Labels, groups: Labels, folds: int, rng: np.random.Generator | None = None
) -> tuple[float, tuple[float, float]]:
    predicted = np.full(len(classes), -1)
    for train, test in episode_folds(groups, folds):
        if np.ptp(classes[train]) == 0:
            predicted[test] = classes[train][0]  # all that this training set can teach
            continue
        taught = len(np.unique(classes[train]))
        model = LinearDiscriminantAnalysis(solver="lsqr", priors=np.full(taught, 1 / taught))
        predicted[test] = model.fit(units[train], classes[train]).predict(units[test])
    interval = UNKNOWN
    if rng is not None:
        interval = ends(_resampled_recall(predicted == classes, classes, groups, rng))
    return float(balanced_accuracy_score(classes, predicted)), interval


def _resampled_recall(right: NDArray[np.bool_], classes: Labels, groups: Labels, rng: np.random.Generator) -> Array:
    """(draws,) mean recall over the classes that the drawn episodes hold."""
    hits, counts = np.zeros((2, groups.max() + 1, classes.max() + 1))
    np.add.at(hits, (groups, classes), right)
    np.add.at(counts, (groups, classes), 1)
    weights = bootstrap_weights(len(hits), 500, rng)
    with np.errstate(invalid="ignore"):
        return np.nanmean((weights @ hits) / (weights @ counts), axis=1)
