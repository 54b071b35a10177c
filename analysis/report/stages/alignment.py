"""Whether a layer uses the same dimensions in different tasks."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from analysis.alignment import principal_angles
from analysis.report.findings import Arrays, Finding, Outcome
from analysis.report.source import Source

_STEPS, _COMPONENTS, _DRAWS = 500, 6, 30
_MEASURE = "alignment of subspaces (mean squared cosine)"
_SEPARATION = "1 - alignment of subspaces"
_CEILING = "split-half ceiling of the alignment of subspaces"


def alignment(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Principal angles between each pair of tasks, layer by layer. Leaves `angles.LAYER.TASK.TASK`, radians."""
    outcome = Outcome()
    if len(source.task_names) < 2:
        outcome.missing(_MEASURE, "one task: nothing to align")
        return outcome
    rows = {task: source.thinned(_STEPS, source.of_task(task)) for task in source.task_names}
    for layer in source.layers:
        activity = source.layer(layer)
        for one, other in combinations(source.task_names, 2):
            episodes = (source.episodes[rows[one]], source.episodes[rows[other]])
            parts = (activity[rows[one]], activity[rows[other]])
            found = principal_angles(*parts, episodes, min(_COMPONENTS, activity.shape[1]), _DRAWS, seed)
            for measure, each in (
                (_MEASURE, found.alignment), (_SEPARATION, found.separation), (_CEILING, found.ceiling)
            ):  # fmt: skip
                outcome.findings.append(Finding(measure, each, layer=layer, variable=f"{one} and {other}"))
            outcome.arrays[f"angles.{layer}.{one}.{other}"] = np.asarray(found.angles)
    return outcome
