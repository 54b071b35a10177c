"""Demixed principal components (Kobak et al. 2016), in closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from analysis.drawing import plot_estimates
from analysis.inference import UNKNOWN, Estimate, about, not_estimable
from analysis.inputs import Array, first_reason
from rodent.errors import UsageError

_PENALTIES = np.logspace(-5, -1, 5)
_NUMBERS = 2**22  # of the matrices of some draws at a time: bounds the memory


@dataclass(frozen=True)
class DPCA:
    """Demixed components of each marginalisation.

    Attributes:
        decoders: marginalisation to (components, units): what reads it from the activity.
        encoders: marginalisation to (units, components), orthonormal: how it is written back.
        explained: marginalisation to the share of it, in the half of the repeats that its components were fitted to,
            that they rebuild from the activity of the other half: near 0 or below it where they carry noise alone, or
            little that other conditions do not write along the same axes. The null permutes the conditions of the
            marginalisation in each repeat by itself and keeps all the others.
        penalties: marginalisation to the penalty of its regression.
    """

    decoders: Mapping[str, Array]
    encoders: Mapping[str, Array]
    explained: Mapping[str, Estimate]
    penalties: Mapping[str, float]


@dataclass(frozen=True)
class _Marginal:
    """A marginalisation of means over so many axes of conditions, and how its components are fitted.

    Means are (n, *conditions, units) and repeats (n, repeats, *conditions, units) throughout: of the recorded activity,
    or of many draws at once.

    Attributes:
        chosen: axes of the conditions that it depends on.
        axes: how many there are.
        components: of the regression.
        tried: (penalties,) that one is chosen among.
    """

    chosen: tuple[int, ...]
    axes: int
    components: int
    tried: Array

    def of(self, values: Array) -> Array:
        """The part of (..., *conditions, units) that depends on all of the chosen axes together."""
        part = values
        for axis in range(self.axes):
            average = part.mean(axis=axis - self.axes - 1, keepdims=True)
            part = part - average if axis in self.chosen else np.broadcast_to(average, part.shape)
        return part

    def fit(self, means: Array, penalties: Array) -> tuple[Array, Array]:
        """Regressions of low rank on each mean, with each of its penalties (n, penalties).

        Returns:
            (n, penalties, components, units) decoders and (n, penalties, units, components) encoders.
        """
        x, target = self._rows(means), self.of(means).reshape(len(means), -1, means.shape[-1])
        ridge = penalties * np.square(x).sum(axis=(1, 2))[:, None]
        inner = (_turned(x) @ x)[:, None] + ridge[..., None, None] * np.eye(x.shape[2])
        full = np.linalg.solve(inner, (_turned(x) @ target)[:, None])
        # With a penalty, the best low rank is that of the regression of the augmented data.
        fitted = _turned(full) @ inner @ full
        _, vectors = np.linalg.eigh((fitted + _turned(fitted)) / 2)
        encoders = vectors[..., ::-1][..., : self.components]
        return _turned(full @ encoders), encoders

    def scores(self, train: Array, test: Array, penalties: Array) -> Array:
        """(n, penalties) shares of the marginalisation of the means fitted to, rebuilt from held-out ones.

        The held-out mean's own marginalisation would not do as what is to be rebuilt: its noise is in what it is
        rebuilt from, too, so that any components would carry some of it (Kobak et al. 2016, who choose penalties so).
        """
        decoders, encoders = self.fit(train, penalties)
        target = self.of(train).reshape(len(train), 1, -1, train.shape[-1])
        rebuilt = self._rows(test)[:, None] @ _turned(decoders) @ _turned(encoders)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(1 - np.square(target - rebuilt).sum(axis=(2, 3)) / np.square(target).sum(axis=(2, 3)))

    def best(self, repeats: Array) -> Array:
        """(n, 1) the penalty with which two halves of the repeats rebuild each other best; the middle one of one."""
        middle = np.full((len(repeats), 1), self.tried[len(self.tried) // 2])
        if len(self.tried) == 1 or repeats.shape[1] < 2:
            return middle
        every = np.tile(self.tried, (len(repeats), 1))
        found = sum(self.scores(train.mean(axis=1), test.mean(axis=1), every) for train, test in _halves(repeats))
        return self.tried[np.argmax(found, axis=1)][:, None]

    def two_way(self, repeats: Array) -> Array:
        """(n,) shares of either half of the repeats that the other rebuilds, with the penalty of the half fitted to."""
        found = [
            self.scores(train.mean(axis=1), test.mean(axis=1), self.best(train))[:, 0]
            for train, test in _halves(repeats)
        ]
        return np.asarray(np.mean(found, axis=0))

    def _rows(self, means: Array) -> Array:
        """(n, conditions, units) about the mean over all conditions."""
        rows = means.reshape(len(means), -1, means.shape[-1])
        return rows - rows.mean(axis=1, keepdims=True)


def dpca(
    activity: ArrayLike,
    axes: Sequence[str],
    components: int = 3,
    penalty: float | None = None,
    draws: int = 40,
    seed: int = 0,
) -> DPCA:
    """Components that each depend on one set of the conditions and not on the others.

    Args:
        activity: (repeats, *conditions, units); repeats are episodes, or halves of them.
        axes: a name for each axis of the conditions, such as ("task", "phase").
        components: of each marginalisation.
        penalty: of the regression, a share of the total variance; None for that of 0.00001 to 0.1 with which two
            halves of the repeats that are fitted to rebuild each other best.
        draws: of the null, and of repeats for the interval.
        seed: of both.

    Returns:
        One marginalisation for each set of axes, named like "task" or "task x phase".

    Raises:
        UsageError: where names and axes do not fit, or components are fewer than 1.
    """
    array = np.asarray(activity, dtype=np.float64)
    if array.ndim != len(axes) + 2 or len(set(axes)) != len(axes) or not axes or components < 1:
        raise UsageError(f"activity of shape {array.shape} for axes {list(axes)}; give (repeats, one a name, units)")
    tried = _PENALTIES if penalty is None else np.array([penalty])
    marginals = {
        " x ".join(axes[i] for i in chosen): _Marginal(chosen, len(axes), components, tried)
        for size in range(1, len(axes) + 1)
        for chosen in combinations(range(len(axes)), size)
    }
    if reason := _reason(array):
        nothing = np.full((components, array.shape[-1]), np.nan)
        decoders, encoders = (dict.fromkeys(marginals, each) for each in (nothing, nothing.T))
        none, unknown = not_estimable(reason), float("nan")
        return DPCA(decoders, encoders, dict.fromkeys(marginals, none), dict.fromkeys(marginals, unknown))
    rng = np.random.default_rng(seed)
    penalties = {name: each.best(array[None]) for name, each in marginals.items()}
    found = {name: each.fit(array.mean(axis=0)[None], penalties[name]) for name, each in marginals.items()}
    return DPCA(
        {name: decoders[0, 0] for name, (decoders, _) in found.items()},
        {name: encoders[0, 0] for name, (_, encoders) in found.items()},
        {name: _explained(array, each, draws, rng) for name, each in marginals.items()},
        {name: float(each[0, 0]) for name, each in penalties.items()},
    )


def marginalisation(mean: Array, chosen: tuple[int, ...]) -> Array:
    """(*conditions, units) the part of a mean (*conditions, units) that depends on all of the chosen axes together.

    The parts of all sets of axes add up to the mean without its grand mean, and are orthogonal to each other.
    """
    return _Marginal(chosen, mean.ndim - 1, 1, _PENALTIES).of(mean)


def plot_dpca(result: DPCA, ax: Axes | None = None) -> Axes:
    """How much of each marginalisation is rebuilt from the activity of held-out repeats."""
    return plot_estimates(result.explained, "held-out share", ax)


def _turned(matrices: Array) -> Array:
    """(..., n, m) of (..., m, n)."""
    return np.swapaxes(matrices, -1, -2)


def _halves(repeats: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Repeats to fit to and repeats held out, either half of (n, repeats, ...) in turn."""
    one, other = repeats[:, 0::2], repeats[:, 1::2]
    return (one, other), (other, one)


def _explained(array: Array, marginal: _Marginal, draws: int, rng: np.random.Generator) -> Estimate:
    value = float(marginal.two_way(array[None])[0])
    if not np.isfinite(value):
        return not_estimable("nothing depends on these conditions")

    def drawn(make: Callable[[Array], Array]) -> Array:
        some = max(_NUMBERS // (len(_PENALTIES) * array.shape[-1] ** 2 + array.size), 1)
        counts = [min(some, draws - at) for at in range(0, draws, some)]
        parts = [marginal.two_way(np.array([make(array) for _ in range(count)])) for count in counts]
        return np.concatenate([np.empty(0), *parts])

    null, interval = drawn(lambda repeats: _surrogate(repeats, marginal, rng)), UNKNOWN
    if len(array) > 3 and draws:
        interval = about(value, drawn(lambda repeats: _drawn(repeats, rng)), most=1.0)
    return Estimate(value, {"permuted conditions": null}, interval)


def _surrogate(array: Array, marginal: _Marginal, rng: np.random.Generator) -> Array:
    """The conditions of one marginalisation in another order in each repeat, all else as it was."""
    part = marginal.of(array)
    found = array - part
    for i, repeat in enumerate(part):
        moved = repeat
        for axis in marginal.chosen:
            moved = np.take(moved, rng.permutation(moved.shape[axis]), axis=axis)
        found[i] += moved
    return found


def _drawn(array: Array, rng: np.random.Generator) -> Array:
    """Repeats drawn with replacement within each half, so that none is on both sides."""
    drawn = array.copy()
    for half in (0, 1):
        part = array[half::2]
        drawn[half::2] = part[rng.integers(len(part), size=len(part))]
    return drawn


def _reason(array: Array) -> str:
    if len(array) < 2:
        return f"{len(array)} repeats; needs at least 2"
    if min(array.shape[1:-1]) < 2:
        return "an axis with one condition; needs at least 2"
    return first_reason(array.reshape(-1, array.shape[-1]), 4)
