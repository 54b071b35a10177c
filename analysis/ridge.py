"""Ridge models of held-out episodes, whose features are decomposed once for however many targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.inference import episode_folds
from analysis.inputs import Array, Labels

_PENALTIES = np.logspace(-4, 2, 7)  # times the number of steps, for standardised features


@dataclass(frozen=True)
class HeldOut:
    """Ridge models of episodes that they are not fitted to, on standardised features.

    The penalty is chosen within each training set, on every third of its episodes.

    Attributes:
        groups: (steps,) episodes, 0, 1, ...
        folds: of each, the steps to learn from, those held out, the models, and those that choose the penalty; with
            no features there are none, and the training mean predicts.
    """

    groups: Labels
    folds: tuple[tuple[Labels, Labels, _Models | None, _Choice | None], ...]

    @classmethod
    def of(cls, features: Array, groups: Labels, folds: int) -> HeldOut:
        """Decompose features (steps, features) for at most so many folds, as many as there are episodes."""
        found: list[tuple[Labels, Labels, _Models | None, _Choice | None]] = []
        for train, test in episode_folds(groups, folds):
            if not features.shape[1]:
                found.append((train, test, None, None))
                continue
            scaled, held = _scaled(features[train], features[test])
            inner = np.unique(groups[train], return_inverse=True)[1] % 3 == 1
            choice = _Choice(inner, _Models.of(scaled[~inner], scaled[inner])) if inner.any() else None
            found.append((train, test, _Models.of(scaled, held), choice))
        return cls(groups, tuple(found))

    def errors(self, targets: Array, sets: int = 1) -> Array:
        """(episodes, targets) squared errors.

        Args:
            targets: (steps, targets).
            sets: of neighbouring columns of the targets, as wide as each other; each has a penalty of its own, as if
                it were alone.
        """
        squares = np.empty_like(targets)
        for train, test, models, choice in self.folds:
            taught = targets[train]
            predicted = taught.mean(axis=0)
            if models is not None:
                best = choice.best(taught, sets) if choice else np.full(sets, np.median(_PENALTIES))
                (predicted,) = models.predict(taught, [np.repeat(best, targets.shape[1] // sets)])
            squares[test] = (targets[test] - predicted) ** 2
        return np.stack([squares[self.groups == name].sum(axis=0) for name in range(int(self.groups.max()) + 1)])


@dataclass(frozen=True)
class _Models:
    """Ridge models of one training set, of any penalty, from the smaller of X'X and XX'.

    Attributes:
        variances: (rank,) eigenvalues.
        taught: (training steps, rank) what targets are projected on.
        held: (held steps, rank) the same of the held-out steps.
    """

    variances: Array
    taught: Array
    held: Array

    @classmethod
    def of(cls, train: Array, held: Array) -> _Models:
        mean = train.mean(axis=0)
        train, held = train - mean, held - mean
        if train.shape[1] <= len(train):
            variances, axes = np.linalg.eigh(train.T @ train)
            return cls(variances, train @ axes, held @ axes)
        variances, axes = np.linalg.eigh(train @ train.T)
        return cls(variances, axes, held @ (train.T @ axes))

    def predict(self, targets: Array, penalties: Sequence[Array]) -> Iterator[Array]:
        """(held steps, targets) from targets (training steps, targets), of each of some penalties (targets,)."""
        mean = targets.mean(axis=0)
        along = self.taught.T @ (targets - mean)
        for each in penalties:
            yield self.held @ (along / (self.variances[:, None] + each * len(self.taught))) + mean


@dataclass(frozen=True)
class _Choice:
    """What tells the penalties apart: models of some training episodes, asked in the others, which are `held`."""

    held: NDArray[np.bool_]
    models: _Models

    def best(self, targets: Array, sets: int) -> Array:
        """(sets,) the penalty that predicts best, of targets (training steps, targets)."""
        asked, tried = targets[self.held], [np.full(targets.shape[1], each) for each in _PENALTIES]
        errors = [np.square(each - asked).mean(axis=0) for each in self.models.predict(targets[~self.held], tried)]
        return np.asarray(_PENALTIES[np.reshape(errors, (len(_PENALTIES), sets, -1)).mean(axis=2).argmin(axis=0)])


def totals(targets: Array, groups: Labels, folds: int) -> Array:
    """(episodes, targets) squared errors of the training mean: what there is to explain."""
    return HeldOut.of(np.empty((len(targets), 0)), groups, folds).errors(targets)


def _scaled(train: Array, test: Array) -> tuple[Array, Array]:
    mean, spread = train.mean(axis=0), train.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)  # a feature that is constant here tells nothing
    return (train - mean) / spread, (test - mean) / spread
