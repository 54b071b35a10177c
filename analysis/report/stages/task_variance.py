"""Which units serve which tasks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from analysis.report.findings import Arrays, Finding, Outcome, Picture
from analysis.report.source import Source
from analysis.report.stages.untrained import GAIN, MIXED, untrained_layers
from analysis.task_variance import compare_groups, plot_task_variance
from analysis.task_variance import task_variance as measure

_STEPS, _CLUSTERS = 2000, 6
_MEASURE = "silhouette of unit groups"


def task_variance(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Variance of each unit in each task, and whether units form groups, more so than those of an untrained network.

    Leaves `share.LAYER` and `clusters.LAYER`.
    """
    outcome, rows = Outcome(), source.thinned(_STEPS, seed=seed)
    fresh = untrained_layers(source, rows, seed, outcome, f"{_MEASURE}, {GAIN}")
    for layer in source.layers:
        activity, tasks, episodes = source.layer(layer, rows), source.tasks[rows], source.episodes[rows]
        found = measure(activity, tasks, episodes, _CLUSTERS, seed=seed)
        outcome.findings.append(Finding(_MEASURE, found.silhouette, layer=layer))
        if layer in fresh:
            gain = compare_groups(activity, fresh[layer], tasks, episodes, MIXED, _CLUSTERS, seed=seed)
            outcome.findings.append(Finding(f"{_MEASURE}, {GAIN}", gain, layer=layer))
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
