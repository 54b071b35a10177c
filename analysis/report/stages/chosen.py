"""Which units an analysis of few takes, and in which episodes it chooses them: never in those in which it asks them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.inputs import Array, Labels
from analysis.report.source import Source
from analysis.report.stages.tuning import BINS
from analysis.tuning import tuning_curves


def every_other_episode(source: Source) -> NDArray[np.bool_]:
    """(steps,) whether a step is of the first, third, ... episode of its task."""
    first = np.zeros(len(source.episodes), dtype=bool)
    for task in source.task_names:
        rows = source.of_task(task)
        first[rows] = np.unique(source.episodes[rows], return_inverse=True)[1] % 2 == 0
    return first


def most_modulated(activity: NDArray, values: Array, count: int) -> Labels:
    """The units (steps, units) whose curves over values (steps,) vary most, in units of their own spread."""
    curves = tuning_curves(activity, values, BINS).curves
    strength = np.nan_to_num(np.nanstd(curves, axis=1) / (activity.std(axis=0) + 1e-12))
    return np.argsort(-strength, kind="stable")[:count].astype(np.int64)
