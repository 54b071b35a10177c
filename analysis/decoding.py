"""What layers tell about behaviour: decoding on held-out episodes, against those of other episodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import balanced_accuracy_score

from analysis.dealing import CONTROL, Dealing, with_any
from analysis.discriminant import discriminate
from analysis.drawing import plot_estimates
from analysis.inference import UNKNOWN, Estimate, bootstrap_weights, ends, episode_folds, not_estimable
from analysis.inputs import Array, Labels, codes, first_reason, matrix, renumbered, same_length
from analysis.ridge import HeldOut, totals
from rodent.errors import UsageError

_DEALT = 100  # orders at a time: bounds the memory


@dataclass(frozen=True)
class _Asked:
    """Which steps count, and how those of a target are dealt.

    Attributes:
        here: (all steps,) whether a step is of an episode in which the target is known at any.
        groups: (steps,) episodes of those, 0, 1, ...
        known: (steps,) where the target is known.
        dealing: of the target.
    """

    here: NDArray[np.bool_]
    groups: Labels
    known: NDArray[np.bool_]
    dealing: Dealing

    @classmethod
    def of(cls, episodes: ArrayLike, steps: int, tasks: ArrayLike | None, known: ArrayLike | None) -> _Asked:
        groups = codes(episodes, steps, "episodes")
        counts = np.ones(steps, dtype=bool) if known is None else np.asarray(known, dtype=bool)
        if counts.shape != (steps,) or not counts.any():
            raise UsageError(f"known has shape {counts.shape} and {counts.sum()} steps; give (steps,), some of them")
        here = with_any(counts, groups)
        groups = renumbered(groups[here])
        return cls(here, groups, counts[here], Dealing.of(groups, None if tasks is None else np.asarray(tasks)[here]))

    def recorded(self, units: NDArray, target: NDArray) -> tuple[NDArray, NDArray, Labels]:
        """Both (steps, ...) where the target is known, and the episodes."""
        return self._where(self.known, units, target)

    def dealt(
        self, units: NDArray, target: NDArray, orders: NDArray[np.int64]
    ) -> Iterator[tuple[NDArray, NDArray, Labels]]:
        """The same with the target of other episodes, of each order that leaves two episodes."""
        for order in orders:
            steps = self.dealing.steps(order)
            if len(np.unique(self.groups[self.known[steps]])) > 1:  # a long episode's end may be cut
                yield self._where(self.known[steps], units, target[steps])

    def _where(self, known: NDArray[np.bool_], units: NDArray, target: NDArray) -> tuple[NDArray, NDArray, Labels]:
        if known.all():
            return units, target, self.groups
        return units[known], target[known], renumbered(self.groups[known])


@dataclass(frozen=True)
class Decoded:
    """What a layer tells of a family of variables.

    Attributes:
        estimate: held-out variance explained.
        missed: (episodes,) squared errors, in units of the variables' spread; empty where there is no estimate. What
            two layers tell is held against each other by these.
        totals: (episodes,) what there was to explain.
    """

    estimate: Estimate
    missed: Array = field(default_factory=lambda: np.empty(0))
    totals: Array = field(default_factory=lambda: np.empty(0))


def decode(
    layers: Mapping[str, ArrayLike],
    target: ArrayLike,
    episodes: ArrayLike,
    folds: int = 5,
    draws: int = 200,
    seed: int = 0,
    tasks: ArrayLike | None = None,
    known: ArrayLike | None = None,
) -> dict[str, Estimate]:
    """Variance of a family of variables that each layer explains, linearly, on held-out episodes.

    Units are standardised, so that those that vary little count as much as any (`analysis.ridge`).

    Args:
        layers: name to activity (steps, units), or to the inputs as a control.
        target: (steps, variables), a family; each variable counts alike.
        episodes: (steps,) labels.
        folds: at most the number of episodes.
        draws: of the null, which takes the target from other episodes.
        seed: of the null and the interval.
        tasks: (steps,) labels, one an episode, which the null deals within; None for one task.
        known: (steps,) where the target has a meaning; other steps are dealt with it, and then left out. None for all.
    """
    return {
        name: found.estimate
        for name, activity in layers.items()
        for found in decode_families(activity, {name: target}, episodes, folds, draws, seed, tasks, known).values()
    }


def decode_families(
    activity: ArrayLike,
    targets: Mapping[str, ArrayLike],
    episodes: ArrayLike,
    folds: int = 5,
    draws: int = 200,
    seed: int = 0,
    tasks: ArrayLike | None = None,
    known: ArrayLike | None = None,
) -> dict[str, Decoded]:
    """The same of one layer (steps, units) and several families, by name, for which it is decomposed once."""
    whole = matrix(activity, "activity")
    asked = _Asked.of(episodes, len(whole), tasks, known)
    units, models, found = whole[asked.here], None, {}
    missing = _reason(asked.groups) or first_reason(units[asked.known])
    for name, target in targets.items():
        wanted, rng = matrix(target, "target"), np.random.default_rng(seed)
        same_length(target=wanted, activity=whole)
        wanted = wanted[asked.here]
        if why := missing or first_reason(wanted[asked.known]):
            found[name] = Decoded(not_estimable(why))
            continue
        spread = wanted[asked.known].std(axis=0)
        scaled = (wanted - wanted[asked.known].mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        orders = asked.dealing.orders(draws, rng)
        if asked.known.all():
            models = models or HeldOut.of(units, asked.groups, folds)
            null = _dealt_explained(models, scaled, asked, orders, folds)
            errors = models.errors(scaled), totals(scaled, asked.groups, folds)
        else:
            null = np.array([_of(*_errors(*each, folds))[0] for each in asked.dealt(units, scaled, orders)])
            errors = _errors(*asked.recorded(units, scaled), folds)
        value, interval = _of(*errors, rng)
        found[name] = Decoded(Estimate(value, {CONTROL: null}, interval), *(each.sum(axis=1) for each in errors))
    return found


def classify(
    layers: Mapping[str, ArrayLike],
    labels: ArrayLike,
    episodes: ArrayLike,
    folds: int = 5,
    draws: int = 200,
    seed: int = 0,
    tasks: ArrayLike | None = None,
    known: ArrayLike | None = None,
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
        known: (steps,) which labels count; steps of others are dealt with them, and then left out. None for all.
    """
    names, rng = np.asarray(labels), np.random.default_rng(seed)
    asked = _Asked.of(episodes, len(names), tasks, known)
    counting, classes = np.unique(names[asked.here][asked.known]), np.full(len(asked.groups), -1)
    classes[asked.known] = np.searchsorted(counting, names[asked.here][asked.known])
    _, told, of = asked.recorded(classes, classes)
    reason = _reason(asked.groups) or _class_reason(counting, told, of, folds)
    found = {}
    for name, activity in layers.items():
        units = matrix(activity, name)
        same_length(labels=names, **{name: units})
        units = units[asked.here]
        if why := reason or first_reason(units[asked.known]):
            found[name] = not_estimable(why)
            continue
        orders = asked.dealing.orders(draws, rng)
        null = np.array([_accuracy(*each, folds)[0] for each in asked.dealt(units, classes, orders)])
        value, interval = _accuracy(*asked.recorded(units, classes), folds, rng)
        found[name] = Estimate(value, {CONTROL: null}, interval)
    return found


def told_by_episode(activity: ArrayLike, labels: ArrayLike, episodes: ArrayLike, folds: int = 5) -> Array:
    """(episodes,) share of the steps whose label `classify` tells, of each episode while it is held out.

    Of labels that it can tell: what two populations tell is held against each other by this (`analysis.paired`).

    Raises:
        UsageError: there is one episode or one class, or a number is not finite.
    """
    units, classes = matrix(activity, "activity"), codes(labels, len(np.asarray(labels)), "labels")
    groups = codes(episodes, same_length(activity=units, labels=classes), "episodes")
    if reason := _reason(groups) or first_reason(units) or ("" if classes.max() > 0 else "one class"):
        raise UsageError(f"labels cannot be told: {reason}; give finite activity of several episodes and classes")
    right = (_predicted(units, classes, groups, folds) == classes).astype(np.float64)
    return np.bincount(groups, right) / np.bincount(groups)


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


def _errors(units: Array, target: Array, groups: Labels, folds: int) -> tuple[Array, Array]:
    """Squared errors and what there is to explain, (episodes, variables) each."""
    return HeldOut.of(units, groups, folds).errors(target), totals(target, groups, folds)


def _of(errors: Array, whole: Array, rng: np.random.Generator | None = None) -> tuple[float, tuple[float, float]]:
    """Explained variance, and its interval over episodes where there is a generator to draw them."""
    missed, whole = errors.sum(axis=1), whole.sum(axis=1)
    interval = UNKNOWN
    if rng is not None:
        weights = bootstrap_weights(len(missed), 500, rng)
        interval = ends(1 - (weights @ missed) / (weights @ whole))
    return float(1 - missed.sum() / whole.sum()), interval


def _dealt_explained(models: HeldOut, target: Array, asked: _Asked, orders: NDArray[np.int64], folds: int) -> Array:
    """(draws,) explained variance of the target of other episodes, all orders from one decomposition of the units."""
    found = [np.empty(0)]
    for each in np.split(orders, range(_DEALT, len(orders), _DEALT)) if len(orders) else []:
        dealt = np.concatenate([target[asked.dealing.steps(order)] for order in each], axis=1)
        missed, whole = models.errors(dealt, len(each)), totals(dealt, asked.groups, folds)
        found.append(1 - np.divide(*(part.sum(axis=0).reshape(len(each), -1).sum(axis=1) for part in (missed, whole))))
    return np.concatenate(found)


def _accuracy(
    units: Array, classes: Labels, groups: Labels, folds: int, rng: np.random.Generator | None = None
) -> tuple[float, tuple[float, float]]:
    predicted, interval = _predicted(units, classes, groups, folds), UNKNOWN
    if rng is not None:
        interval = ends(_resampled_recall(predicted == classes, classes, groups, rng))
    return float(balanced_accuracy_score(classes, predicted)), interval


def _predicted(units: Array, classes: Labels, groups: Labels, folds: int) -> Labels:
    """(steps,) the class of each, of held-out episodes."""
    predicted = np.full(len(classes), -1)
    for train, test in episode_folds(groups, folds):
        predicted[test] = discriminate(units[train], classes[train], units[test])
    return predicted


def _resampled_recall(right: NDArray[np.bool_], classes: Labels, groups: Labels, rng: np.random.Generator) -> Array:
    """(draws,) mean recall over the classes that the drawn episodes hold."""
    hits, counts = np.zeros((2, groups.max() + 1, classes.max() + 1))
    np.add.at(hits, (groups, classes), right)
    np.add.at(counts, (groups, classes), 1)
    weights = bootstrap_weights(len(hits), 500, rng)
    with np.errstate(invalid="ignore"):
        return np.nanmean((weights @ hits) / (weights @ counts), axis=1)
