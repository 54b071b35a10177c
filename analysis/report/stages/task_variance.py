"""Which units serve which tasks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from analysis.report.findings import Arrays, Finding, Outcome, Picture
from analysis.report.source import Source
from analysis.task_variance import plot_task_variance
from analysis.task_variance import task_variance as measure

_STEPS, _CLUSTERS = 2000, 6
_MEASURE = "silhouette of unit groups"


def task_variance(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Variance of each unit in each task, and whether units form groups. Leaves `share.LAYER` and `clusters.LAYER`."""
    outcome, rows = Outcome(), source.thinned(_STEPS)
    for layer in source.layers:
        found = measure(source.layer(layer, rows), source.tasks[rows], source.episodes[rows], _CLUSTERS, seed=seed)
        outcome.findings.append(Finding(_MEASURE, found.silhouette, layer=layer))
        outcome.arrays |= {f"share.{layer}": found.share, f"clusters.{layer}": found.clusters}
        if found.silhouette.estimable:
            ax = plot_task_variance(found)
            names = np.unique(source.tasks)
            ax.set_yticks(range(len(names)), list(names))
            figure = ax.figure
            assert isinstance(figure, Figure)
            caption = f"{layer}: each unit's variance in each task over its greatest; units by group."
            outcome.pictures[layer] = Picture(figure, caption)
    return outcome
