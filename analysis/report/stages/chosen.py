"""Which units an analysis of few takes, and in which episodes it chooses them: never in those in which it asks them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from analysis.inputs import Array, Labels, renumbered
from analysis.report.source import Source
from analysis.report.stages.tuning import BINS
from analysis.tuning import bin_index, explained_by_halves

UNITS = 3
_SMALL = 1e-12


def every_other_episode(source: Source) -> NDArray[np.bool_]:
    """(steps,) whether a step is of the first, third, ... episode of its task."""
    first = np.zeros(len(source.episodes), dtype=bool)
    for task in source.task_names:
        rows = source.of_task(task)
        first[rows] = np.unique(source.episodes[rows], return_inverse=True)[1] % 2 == 0
    return first


def most_modulated(activity: NDArray, values: Array, count: int) -> Labels:
    """The units (steps, units) whose curves over values (steps,) vary most, in units of their own spread."""
    return _strongest(activity, _bins(values)[:, None], count)[0]


@dataclass(frozen=True)
class Strongest:
    """Mean tuning strength of the units that follow a variable most, of several variables at once.

    Attributes:
        bins: (steps, variables) bin of each, -1 where it has no meaning.
        choosing: (steps,) whether units are chosen in a step; they are asked in the others.
        episodes: (steps,) labels.
    """

    bins: Labels
    choosing: NDArray[np.bool_]
    episodes: Labels

    @classmethod
    def of(cls, values: Sequence[Array], choosing: NDArray[np.bool_], episodes: Labels) -> Strongest:
        """Of variables (steps,), each known at some step, in bins of like width from the least to the greatest."""
        return cls(np.stack([_bins(each) for each in values], axis=1), choosing, episodes)

    def only(self, variable: int) -> Strongest:
        """The same of one of the variables, by its place."""
        return replace(self, bins=self.bins[:, [variable]])

    def chosen(self, activity: Array, rows: NDArray[np.int64]) -> Labels:
        """(variables, UNITS) the units whose curves vary most, in units of their own spread.

        Args:
            activity: (rows, units).
            rows: the steps that its rows are.
        """
        first = self.choosing[rows]
        return _strongest(activity[first], self.bins[rows[first]], UNITS)

    def __call__(self, activity: Array, rows: NDArray[np.int64]) -> Array:
        """(variables,) mean strength in the steps that are not for choosing of the units chosen in those that are.

        Args: as of `chosen`. NaN where all steps are for one of the two, or the variable tells nothing.
        """
        asked = ~self.choosing[rows]
        if not asked.any() or asked.all():  # of episodes that were drawn with replacement
            return np.full(self.bins.shape[1], np.nan)
        chosen, episodes = self.chosen(activity, rows), self.episodes[rows[asked]]
        few, place = np.unique(chosen, return_inverse=True)
        units = activity[np.ix_(asked, few)]
        constant = np.ptp(units, axis=0) == 0
        found = self._explained(units - units.mean(axis=0), self.bins[rows[asked]], renumbered(episodes) % 2)
        strength = np.where(constant, np.nan, found)[np.arange(len(chosen))[:, None], place.reshape(chosen.shape)]
        known = np.isfinite(strength)
        total, count = np.where(known, strength, 0.0).sum(axis=1), known.sum(axis=1)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def _explained(self, units: Array, bins: Labels, half: Labels) -> Array:
        """(variables, units) variance of each half of the episodes that the curves of the other one explain."""
        parts = [_sums(units[half == name], bins[half == name]) for name in (0, 1)]
        sums, occupancy = (np.stack(each, axis=1) for each in zip(*parts, strict=True))
        squares = (bins >= 0).T.astype(np.float64) @ np.square(units)
        with np.errstate(invalid="ignore", divide="ignore"):
            found = explained_by_halves(sums, occupancy, squares)
        return np.where(occupancy.sum(axis=2).min(axis=1)[:, None] > 0, found, np.nan)


def _bins(values: Array) -> Labels:
    """(steps,) bins of like width from the least to the greatest value; -1 where it is unknown."""
    return bin_index(values[:, None], (np.histogram_bin_edges(values[np.isfinite(values)], BINS),))


def _strongest(units: NDArray, bins: Labels, count: int) -> Labels:
    """(variables, count) the units (steps, units) whose curves over bins (steps, variables) vary most."""
    sums, occupancy = _sums(units - units.mean(axis=0), bins)
    visited = np.maximum((occupancy > 0).sum(axis=1), 1)[:, None]  # empty bins have sums of 0
    curves = sums / np.maximum(occupancy, 1)[:, :, None]
    spread = np.square(curves).sum(axis=1) / visited - np.square(curves.sum(axis=1) / visited)
    strength = np.sqrt(np.maximum(spread, 0)) / (units.std(axis=0) + _SMALL)
    return np.argsort(-strength, axis=1, kind="stable")[:, :count].astype(np.int64)


def _sums(units: Array, bins: Labels) -> tuple[Array, Labels]:
    """Sums of units (steps, units) in bins (steps, variables): (variables, BINS, units), and how many they are."""
    count = bins.shape[1]
    step, variable = np.nonzero(bins >= 0)
    place = variable * BINS + bins[step, variable]
    member = sparse.csr_array((np.ones(len(place)), (place, step)), shape=(count * BINS, len(bins)))
    occupancy = np.bincount(place, minlength=count * BINS)
    return (member @ units).reshape(count, BINS, -1), occupancy.reshape(count, BINS)
