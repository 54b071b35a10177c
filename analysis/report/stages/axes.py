"""Axes of a population that carry given things: demixed and targeted components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.dpca import dpca
from analysis.drawing import plot_estimates
from analysis.inference import Estimate, not_estimable
from analysis.inputs import Array
from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture
from analysis.report.source import Source, principal
from analysis.report.stages.beside import BESIDE, recorded
from analysis.report.stages.sampling import population_steps, told
from analysis.targeted import Targeted, targeted_axes

_STEPS, _COMPONENTS, _PHASES, _SPEEDS = 3000, 12, 8, 3
_DRAWS = (200, 100)  # of targeted and of demixed axes
_DEMIXED, _TARGETED = "variance rebuilt by demixed components (dPCA)", "held-out correlation along the targeted axis"


def axes(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Demixed components of task (or speed, of one task) and stride phase; targeted axes of the body's variables.

    Both stand beside those of senses, joints and untrained networks.

    Leaves `axis.LAYER.VARIABLE` (units,).
    """
    outcome, steps = Outcome(), population_steps(source, seed)
    rows = source.thinned(_STEPS, steps, seed)
    over = f"episodes ({told(source, rows)})"
    names, conditions = _conditions(source, steps, earlier["gait"]["phase"][steps])
    repeat = _repeat(source, steps)

    def found_in(activity: NDArray[Any], layer: str, draws: tuple[int, int]) -> tuple[Targeted, list[Finding]]:
        targeted = _targeted(source, activity[np.searchsorted(steps, rows)], rows, seed, draws[0])
        found = [Finding(_TARGETED, each, "", layer, name, over) for name, each in targeted.encoded.items()]
        return targeted, found + _demixed(activity, names, conditions, repeat, layer, seed, draws[1])

    for layer in [*source.layers, *BESIDE]:
        targeted, found = found_in(recorded(source, layer, steps), layer, _DRAWS)
        outcome.findings += found
        outcome.arrays |= {f"axis.{layer}.{name}": axis for name, axis in targeted.axes.items()}

    def of_others(layers: Layers) -> list[Finding]:
        return [each for layer, activity in layers.items() for each in found_in(activity, layer, (0, 0))[1]]

    outcome.of_others = of_others
    for name, measure, caption in (("targeted", _TARGETED, _ALONG), ("demixed", _DEMIXED, _REBUILT)):
        known = [each for each in outcome.findings if each.measure == measure and each.estimate.estimable]
        if known:
            outcome.pictures[name] = Picture(_drawn(known, measure), caption)
    return outcome


def _drawn(findings: Sequence[Finding], measure: str) -> Figure:
    """A panel a variable: its number in each layer, beside the nulls."""
    variables = list(dict.fromkeys(each.variable for each in findings))
    figure = Figure((1.0 + 2.6 * len(variables), 3.4), layout="constrained")
    for ax, variable in zip(np.atleast_1d(figure.subplots(1, len(variables), sharey=True)), variables, strict=True):
        of: dict[str, Estimate] = {each.layer: each.estimate for each in findings if each.variable == variable}
        plot_estimates(of, "", ax)
        ax.set_title(variable, fontsize="small")
        ax.tick_params(labelsize="x-small")
    figure.supylabel(measure, fontsize="small")
    return figure


_ALONG = (
    "How well each variable is read along its targeted axis in held-out episodes, of each layer, the senses and the "
    "joints; bars beside: the variable of other episodes."
)
_REBUILT = (
    "How much of what depends on a condition its demixed components rebuild from the activity of held-out repeats, of "
    "each layer, the senses and the joints; bars beside: permuted conditions."
)


def _targeted(source: Source, activity: NDArray[Any], rows: NDArray[np.int64], seed: int, draws: int) -> Targeted:
    """Axes of the body's variables in the activity at some steps."""
    variables = {name: source.kinematics[name][rows] for name in ("speed (m/s)", "turning (rad/s)", "height (m)")}
    return targeted_axes(
        activity, variables, source.episodes[rows], _COMPONENTS, draws=draws, seed=seed, tasks=source.tasks[rows]
    )


def _demixed(
    activity: NDArray[Any],
    names: tuple[str, str],
    conditions: NDArray[np.int64],
    repeat: NDArray[np.int64],
    layer: str,
    seed: int,
    draws: int,
) -> list[Finding]:
    """What demixed components rebuild of a layer's activity, or why nothing can be."""
    scores, _, _ = principal(activity, _COMPONENTS)
    repeats = _repeats(scores, conditions, repeat) if scores.size else np.empty((0, 1, 1, 1))
    if len(repeats) < 2:
        reason = f"{len(repeats)} repeats that visited every condition; needs 2"
        return [Finding(_DEMIXED, not_estimable(reason), layer=layer)]
    found = dpca(repeats, names, min(3, scores.shape[1]), draws=draws, seed=seed).explained
    return [Finding(_DEMIXED, each, "", layer, name, "repeats") for name, each in found.items()]


def _conditions(source: Source, steps: NDArray[np.int64], phase: Array) -> tuple[tuple[str, str], NDArray[np.int64]]:
    """Names of the two axes, and (steps, 2) indices along them, -1 where there is none."""
    bins = np.full(len(phase), -1)
    striding = np.isfinite(phase)
    bins[striding] = np.minimum((phase[striding] / (2 * np.pi) * _PHASES).astype(np.int64), _PHASES - 1)
    if len(source.task_names) > 1:
        tasks = np.unique(source.tasks[steps], return_inverse=True)[1]
        return ("task", "stride phase"), np.stack([tasks, bins], axis=1)
    speed = source.kinematics["speed (m/s)"][steps]
    edges = np.quantile(speed[striding], np.linspace(0, 1, _SPEEDS + 1)[1:-1]) if striding.any() else [0.0, 0.0]
    return ("speed", "stride phase"), np.stack([np.digitize(speed, edges), bins], axis=1)


def _repeat(source: Source, steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """(steps,) which repeat each step is of: the k-th of the chosen episodes of its task."""
    found = np.empty(len(steps), dtype=np.int64)
    for task in source.task_names:
        mine = source.tasks[steps] == task
        found[mine] = np.unique(source.episodes[steps[mine]], return_inverse=True)[1]
    return found


def _repeats(scores: Array, conditions: NDArray[np.int64], repeat: NDArray[np.int64]) -> Array:
    """(repeats, first, second, components) means of each condition, of the repeats that visited all of them."""
    found, count = [], int(conditions[:, 0].max(initial=0)) + 1
    for k in range(int(repeat.max(initial=-1)) + 1):
        inside = (repeat == k) & (conditions >= 0).all(axis=1)
        cell = conditions[inside, 0] * _PHASES + conditions[inside, 1]
        visits = np.bincount(cell, minlength=count * _PHASES)
        if (visits > 0).all():
            sums = np.zeros((count * _PHASES, scores.shape[1]))
            np.add.at(sums, cell, scores[inside])
            found.append((sums / visits[:, None]).reshape(count, _PHASES, -1))
    return np.array(found).reshape(len(found), count, _PHASES, scores.shape[1])
