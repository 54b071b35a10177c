"""Which units serve which tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture
from analysis.report.source import Source
from analysis.report.stages.sampling import population_steps, told
from analysis.report.stages.untrained import BESIDE, stand_beside
from analysis.task_variance import plot_task_variance
from analysis.task_variance import task_variance as measure

_STEPS, _CLUSTERS, _DRAWS = 2000, 6, 20
_MEASURE = "silhouette of unit groups"


def task_variance(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Variance of each unit in each task, and whether units form groups, more so than those of untrained networks.

    Leaves `share.LAYER` and `clusters.LAYER`.
    """
    outcome, rows = Outcome(), source.thinned(_STEPS, seed=seed)
    for layer in source.layers:
        activity, tasks, episodes = source.layer(layer, rows), source.tasks[rows], source.episodes[rows]
        found = measure(activity, tasks, episodes, _CLUSTERS, seed=seed)
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
    stand_beside(outcome, source, seed, partial(_beside, source, seed), draws=_DRAWS)
    return outcome


def _beside(source: Source, seed: int, layers: Layers, draws: int) -> list[Finding]:
    """How separate the groups of layers (population steps, units) are, at some of these steps."""
    steps = population_steps(source, seed)
    at = source.thinned(_STEPS, steps, seed)
    some, tasks, episodes = np.searchsorted(steps, at), source.tasks[at], source.episodes[at]
    findings = []
    for layer, activity in layers.items():
        found = measure(activity[some], tasks, episodes, _CLUSTERS, draws, seed).silhouette
        estimate = replace(found, nulls={})
        findings.append(Finding(f"{_MEASURE}, {BESIDE}", estimate, "", layer, interval_over=told(source, steps)))
    return findings
