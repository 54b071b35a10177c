"""Whether a layer uses the same dimensions in different tasks, and answers to the same postures in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.alignment import SharedSpace, aligned, correspondence, principal_angles
from analysis.drawing import plot_estimates
from analysis.inference import Estimate, not_estimable
from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture
from analysis.report.source import Source, finite_units, principal
from analysis.report.stages.beside import BESIDE, recorded
from analysis.report.stages.conditions import Conditions, posture_clusters
from analysis.report.stages.sampling import population_steps, told

_STEPS, _COMPONENTS = 500, 6
_DRAWS, _RESAMPLES = 200, 30  # of nulls; and of intervals, each of which decomposes two tasks
_CLUSTERED = 6000  # steps whose postures are clustered
_MEASURE = "alignment of subspaces (mean squared cosine)"
_SEPARATION = "1 - alignment of subspaces"
_CEILING = "split-half ceiling of the alignment of subspaces"
_CCA, _PROCRUSTES = "mean canonical correlation of answers to postures", "Procrustes fit of answers to postures"


def alignment(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Principal angles, CCA and Procrustes of each pair of tasks, layer by layer, beside the senses and the joints.

    Untrained networks stand beside all but the angles' ceiling. Leaves `angles.LAYER.TASK.TASK`, radians.
    """
    outcome = Outcome()
    shown: dict[str, dict[str, SharedSpace]] = {}
    if len(source.task_names) < 2:
        outcome.missing(_MEASURE, "one task: nothing to align")
        return outcome
    steps = population_steps(source, seed)
    rows = {task: source.thinned(_STEPS, steps[source.tasks[steps] == task], seed) for task in source.task_names}
    sample = source.thinned(_CLUSTERED, steps, seed)
    pairs = _shared_postures(source, sample, seed)
    for layer in [*source.layers, *BESIDE]:
        values = recorded(source, layer, np.arange(len(source.episodes)))
        for (one, other), shared in pairs.items():
            episodes = (source.episodes[rows[one]], source.episodes[rows[other]])
            parts = (values[rows[one]], values[rows[other]])
            components = min(_COMPONENTS, values.shape[1])
            found = principal_angles(*parts, episodes, components, _DRAWS, seed, _RESAMPLES)
            estimates = {_MEASURE: found.alignment, _SEPARATION: found.separation, _CEILING: found.ceiling}
            pair = f"{one} and {other}"
            over = f"episodes ({told(source, np.union1d(rows[one], rows[other]))})"
            outcome.findings += [Finding(name, each, "", layer, pair, over) for name, each in estimates.items()]
            shown.setdefault(pair, {})[layer] = found
            outcome.arrays[f"angles.{layer}.{one}.{other}"] = np.asarray(found.angles)
            answers = _answers(finite_units(values[sample]), shared, seed)
            outcome.findings += [Finding(name, each, "", layer, pair, "clusters") for name, each in answers.items()]

    def of_others(layers: Layers) -> list[Finding]:
        found = []
        for layer, activity in layers.items():
            thin = {task: activity[np.searchsorted(steps, mine)] for task, mine in rows.items()}
            found += _angles_alone(thin, layer)
            values = finite_units(activity[np.searchsorted(steps, sample)])
            for pair, shared in pairs.items():
                answers = _answers(values, shared, seed, draws=0)
                found += [Finding(name, each, "", layer, " and ".join(pair)) for name, each in answers.items()]
        return found

    outcome.of_others = of_others
    for pair, layers in shown.items():
        if known := {layer: each for layer, each in layers.items() if each.alignment.estimable}:
            outcome.pictures[pair.replace(" ", "-")] = Picture(_aligned(known), _ALIGNED.format(pair))
    return outcome


def _aligned(layers: Mapping[str, SharedSpace]) -> Figure:
    figure = Figure((1.5 + 0.9 * len(layers), 3.4), layout="constrained")
    ax = plot_estimates({layer: each.alignment for layer, each in layers.items()}, _MEASURE, figure.add_subplot())
    for x, each in enumerate(layers.values()):
        ax.plot([x - 0.3, x + 0.3], [each.ceiling.value] * 2, color="grey", ls=":")
    ax.set_ylim(0, 1.03)
    return figure


_ALIGNED = (
    "{}: how much of the leading dimensions each layer, the senses and the joints share. Dotted: halves of one task's "
    "episodes, which noise alone keeps below 1. The null, random subspaces of the same covariance, is near 1 where "
    "both tasks fill the same few dimensions: not to beat it says nothing there, and the distance to the dotted line "
    "tells."
)


def _shared_postures(source: Source, sample: NDArray[np.int64], seed: int) -> dict[tuple[str, str], Conditions]:
    """Of each pair of tasks, the clusters of posture that both visit, the two tasks as if they were two sessions."""
    tasks, found = source.tasks[sample], posture_clusters([source.posture[sample]], seed)
    labels = found[0] if found else np.full(len(sample), -1)
    return {
        pair: Conditions.of(
            [np.where(tasks == task, labels, -1) for task in pair], [np.full(len(labels), "both")] * len(pair)
        )
        for pair in combinations(source.task_names, 2)
    }


def _angles_alone(parts: Mapping[str, NDArray[Any]], layer: str) -> list[Finding]:
    """The alignment of each pair of tasks, without nulls, of the layer's activity (steps, units) in each task."""
    found, components = [], min(_COMPONENTS, next(iter(parts.values())).shape[1])
    axes = {task: principal(part, components)[1] for task, part in parts.items()}
    for one, other in combinations(axes, 2):
        if len(axes[one]) == len(axes[other]) == components:
            value, pair = aligned(axes[one], axes[other]), f"{one} and {other}"
            found.append(Finding(_MEASURE, Estimate(value, {}), "", layer, pair))
            found.append(Finding(_SEPARATION, Estimate(1 - value, {}), "", layer, pair))
    return found


def _answers(values: NDArray[Any], shared: Conditions, seed: int, draws: int = _DRAWS) -> dict[str, Estimate]:
    """How far the mean answers to the postures of two tasks are one another's, turned."""
    if shared.reason:
        return dict.fromkeys((_CCA, _PROCRUSTES), not_estimable(shared.reason))
    here, there = (shared.means(values, at) for at in (0, 1))
    found = correspondence(here, there, None, min(_COMPONENTS, values.shape[1]), draws, seed, shared.blocks)
    return {_CCA: found.correlation, _PROCRUSTES: found.procrustes}
