"""Axes of a population that carry given things: demixed and targeted components."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from analysis.dpca import dpca
from analysis.inference import not_estimable
from analysis.inputs import Array
from analysis.report.findings import Arrays, Finding, Outcome
from analysis.report.source import Source, principal
from analysis.report.stages.untrained import Layers, beside_untrained
from analysis.targeted import Targeted, targeted_axes

_STEPS, _COMPONENTS, _PHASES, _SPEEDS = 3000, 12, 8, 3
_DEMIXED, _TARGETED = "variance rebuilt by demixed components (dPCA)", "held-out correlation along the targeted axis"


def axes(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Demixed components of task (or speed, of one task) and stride phase; targeted axes of the body's variables.

    Both stand beside those of untrained networks.

    Leaves `axis.LAYER.VARIABLE` (units,).
    """
    outcome, rows = Outcome(), source.thinned(_STEPS)
    names, conditions = _conditions(source, earlier["gait"]["phase"])
    for layer in source.layers:
        activity = source.layer(layer)
        found = _targeted(source, activity[rows], rows, seed)
        outcome.findings += [Finding(_TARGETED, each, "", layer, name) for name, each in found.encoded.items()]
        outcome.arrays |= {f"axis.{layer}.{name}": axis for name, axis in found.axes.items()}
        outcome.findings += _demixed(source, activity, names, conditions, layer, seed)

    def of_untrained(layers: Layers) -> list[Finding]:
        found = []
        for layer, activity in layers.items():
            again = _targeted(source, activity[rows], rows, seed, draws=0).encoded
            found += [Finding(_TARGETED, each, "", layer, name) for name, each in again.items()]
            found += _demixed(source, activity, names, conditions, layer, seed, draws=0)
        return found

    beside_untrained(source, np.arange(len(source.episodes)), seed, outcome, of_untrained)
    return outcome


def _targeted(
    source: Source, activity: NDArray[np.float32], rows: NDArray[np.int64], seed: int, draws: int = 60
) -> Targeted:
    """Axes of the body's variables in the activity at some steps."""
    variables = {name: source.kinematics[name][rows] for name in ("speed (m/s)", "turning (rad/s)", "height (m)")}
    return targeted_axes(
        activity, variables, source.episodes[rows], _COMPONENTS, draws=draws, seed=seed, tasks=source.tasks[rows]
    )


def _demixed(
    source: Source,
    activity: NDArray[np.float32],
    names: tuple[str, str],
    conditions: NDArray[np.int64],
    layer: str,
    seed: int,
    draws: int = 40,
) -> list[Finding]:
    """What demixed components rebuild of a layer's activity, or why nothing can be."""
    scores, _, _ = principal(activity, _COMPONENTS)
    repeats = _repeats(scores, conditions, source) if scores.size else np.empty((0, 1, 1, 1))
    if len(repeats) < 2:
        reason = f"{len(repeats)} repeats that visited every condition; needs 2"
        return [Finding(_DEMIXED, not_estimable(reason), layer=layer)]
    found = dpca(repeats, names, min(3, scores.shape[1]), draws=draws, seed=seed).explained
    return [Finding(_DEMIXED, each, "", layer, name, "repeats") for name, each in found.items()]


def _conditions(source: Source, phase: Array) -> tuple[tuple[str, str], NDArray[np.int64]]:
    """Names of the two axes, and (steps, 2) indices along them, -1 where there is none."""
    bins = np.full(len(phase), -1)
    striding = np.isfinite(phase)
    bins[striding] = np.minimum((phase[striding] / (2 * np.pi) * _PHASES).astype(np.int64), _PHASES - 1)
    if len(source.task_names) > 1:
        return ("task", "stride phase"), np.stack([np.unique(source.tasks, return_inverse=True)[1], bins], axis=1)
    speed = source.kinematics["speed (m/s)"]
    edges = np.quantile(speed[striding], np.linspace(0, 1, _SPEEDS + 1)[1:-1]) if striding.any() else [0.0, 0.0]
    return ("speed", "stride phase"), np.stack([np.digitize(speed, edges), bins], axis=1)


def _repeats(scores: Array, conditions: NDArray[np.int64], source: Source) -> Array:
    """(repeats, first, second, components) means of each condition, of the repeats that visited all of them.

    A repeat is the k-th episode of each task, or one episode where there is one task.
    """
    order = np.concatenate([np.arange((source.session.trials["task"] == task).sum()) for task in source.task_names])
    by_task = np.argsort([source.task_names.index(t) for t in source.session.trials["task"]], kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[by_task] = order
    repeat, count = place[source.episodes], int(conditions[:, 0].max(initial=0)) + 1
    found = []
    for k in range(int(place.max(initial=-1)) + 1):
        inside = (repeat == k) & (conditions >= 0).all(axis=1)
        cell = conditions[inside, 0] * _PHASES + conditions[inside, 1]
        visits = np.bincount(cell, minlength=count * _PHASES)
        if (visits > 0).all():
            sums = np.zeros((count * _PHASES, scores.shape[1]))
            np.add.at(sums, cell, scores[inside])
            found.append((sums / visits[:, None]).reshape(count, _PHASES, -1))
    return np.array(found).reshape(len(found), count, _PHASES, scores.shape[1])
