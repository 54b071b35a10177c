"""How populations move: rotations, flow, linear dynamics and modes, beside the same of the senses and the joints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.dmd import LinearDynamics, bop_dmd, hankel_dmd, linear_dynamics
from analysis.flow import FlowField, flow_field, plot_flow
from analysis.inference import Estimate
from analysis.inputs import Array, Labels
from analysis.jpca import JPCA, jpca, plot_jpca
from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture
from analysis.report.source import TIMESTEP, Source, equal_windows, principal
from analysis.report.stages.beside import BESIDE, recorded
from analysis.report.stages.sampling import population_steps, told

Result = TypeVar("Result")

_COMPONENTS, _WINDOW, _WINDOWS = 6, 25, 150  # of half a second
_BAGS, _DELAYS = 10, 10  # of BOP-DMD; steps of each delay vector of Hankel DMD
_DRAWS = {"rotation": 100, "flow": 50, "linear": 60}  # of nulls
_ROTATION = "skew R2 (jPCA)"
_FULL = "full R2 (linear, of the same fit)"
_FREQUENCY = "jPCA frequency (Hz)"
_FLOW = "flow field, variance of the velocity explained"
_LINEAR = "linear dynamics, variance of the change explained"
_HERTZ = " frequency (Hz)"
_MODES, _HANKEL = f"BOP-DMD{_HERTZ}", f"Hankel DMD{_HERTZ}"


def dynamics(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Rotations, flow, linear dynamics and modes of each layer in each task; all but modes beside untrained networks.

    Leaves `planes.TASK.LAYER` (planes, 2, components) of jPCA on the principal components and their `frequencies`.
    """
    outcome = Outcome()
    rotations: dict[str, dict[str, JPCA]] = {}
    flows: dict[str, dict[str, FlowField]] = {}
    steps = population_steps(source, seed)
    chosen = {task: steps[source.tasks[steps] == task] for task in source.task_names}
    for task, layer in product(source.task_names, [*source.layers, *BESIDE]):
        rows = chosen[task]
        scores, _, _ = principal(recorded(source, layer, rows), _COMPONENTS)
        about = {"task": task, "layer": layer, "interval_over": f"episodes ({told(source, rows)})"}
        if reason := _reason(scores):
            for measure in (_ROTATION, _FULL, _FREQUENCY, _FLOW, _LINEAR, _MODES, _HANKEL):
                outcome.missing(measure, reason, **about)
            continue
        rotation, flow, linear = _moving(scores, source.episodes[rows], seed)
        outcome.findings += _findings(rotation, flow, linear, about)
        outcome.arrays[f"planes.{task}.{layer}"] = rotation.planes
        outcome.arrays[f"frequencies.{task}.{layer}"] = np.array([each.value for each in rotation.frequencies])
        if rotation.skew_r2.estimable:
            rotations.setdefault(task, {})[layer] = rotation
        if np.isfinite(flow.velocity).any():
            flows.setdefault(task, {})[layer] = flow
        _modes(scores, source.episodes[rows], about, outcome, seed)

    def of_others(layers: Layers) -> list[Finding]:
        found = []
        for (task, rows), (layer, activity) in product(chosen.items(), layers.items()):
            scores, _, _ = principal(activity[source.tasks[steps] == task], _COMPONENTS)
            if not _reason(scores):
                again = _moving(scores, source.episodes[rows], seed, with_nulls=False)
                found += _findings(*again, {"task": task, "layer": layer})
        return found

    outcome.of_others = of_others
    of = {task: told(source, rows) for task, rows in chosen.items()}
    for task, each in rotations.items():
        outcome.pictures[f"rotations.{task}"] = Picture(_grid(each, plot_jpca), _ROTATIONS.format(task, of[task]))
    for task, fields in flows.items():
        outcome.pictures[f"flow.{task}"] = Picture(_grid(fields, plot_flow), _FLOWS.format(task, of[task]))
    return outcome


def _reason(scores: Array) -> str:
    return "" if scores.shape[1] == _COMPONENTS else f"rank {scores.shape[1]}; needs {_COMPONENTS}"


def _moving(
    scores: Array, episodes: Labels, seed: int, with_nulls: bool = True
) -> tuple[JPCA, FlowField, LinearDynamics]:
    """Rotations, the flow field and linear dynamics of states; without the draws of nulls where none are wanted."""
    windows, of_episode = equal_windows(scores, episodes, _WINDOW, _WINDOWS, np.random.default_rng(seed))
    draws = _DRAWS if with_nulls else dict.fromkeys(_DRAWS, 0)
    return (
        jpca(windows, TIMESTEP, _COMPONENTS, draws=draws["rotation"], seed=seed, groups=of_episode),
        flow_field(scores[:, :2], episodes, TIMESTEP, draws=draws["flow"], seed=seed),
        linear_dynamics(scores, episodes, draws=draws["linear"], seed=seed),
    )


def _findings(rotation: JPCA, flow: FlowField, linear: LinearDynamics, about: Mapping[str, str]) -> list[Finding]:
    return [
        Finding(_ROTATION, rotation.skew_r2, **about),
        Finding(_FULL, rotation.full_r2, **about),
        *(
            Finding(_FREQUENCY, frequency, variable=f"plane {i + 1}", **about)
            for i, frequency in enumerate(rotation.frequencies)
        ),
        Finding(_FLOW, flow.consistency, **about),
        Finding(_LINEAR, linear.predicted, **about),
    ]


def _modes(scores: Array, episodes: Labels, about: Mapping[str, str], outcome: Outcome, seed: int) -> None:
    """BOP-DMD and Hankel DMD of the longest of these episodes: what they agree on does not hang on the method."""
    path = scores[episodes == np.bincount(episodes).argmax()]
    found = {_MODES: bop_dmd(path, TIMESTEP, _COMPONENTS, _BAGS, seed)}
    found[_HANKEL] = hankel_dmd(path, TIMESTEP, _COMPONENTS, _DELAYS)
    for measure, modes in found.items():
        over = "bags of steps of the longest episode" if measure == _MODES else ""
        named = {**about, "interval_over": over}
        rebuilt = f"variance of the episode that modes rebuild ({measure.removesuffix(_HERTZ)})"
        if modes.reason:
            outcome.missing(measure, modes.reason, **named)
            continue
        outcome.findings.append(Finding(rebuilt, Estimate(modes.reconstruction, {}), **named))
        for i, (frequency, (low, high)) in enumerate(zip(modes.frequencies, modes.frequency_interval.T, strict=True)):
            estimate = Estimate(float(frequency), {}, (float(low), float(high)))
            outcome.findings.append(Finding(measure, estimate, variable=f"mode {i + 1}", **named))


def _grid(found: Mapping[str, Result], plot: Callable[[Result, Axes], Axes]) -> Figure:
    columns = min(4, len(found))
    rows = -(-len(found) // columns)
    figure = Figure((2.4 * columns, 2.5 * rows), layout="constrained")
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    for ax, (layer, each) in zip(axes, found.items(), strict=False):
        plot(each, ax)
        ax.set_title("\n".join(filter(None, (layer, ax.get_title()))), fontsize="small")
        ax.tick_params(labelsize="x-small")
        ax.xaxis.label.set_size("small")
        ax.yaxis.label.set_size("small")
    for ax in axes[len(found) :]:
        ax.set_visible(False)
    return figure


_ROTATIONS = (
    "{}, {}: windows of half a second on the fastest rotation plane of each layer (jPCA on six principal components; "
    "its frequency and the skew R² of all planes above it), beside the senses and the joints, from which rotations may "
    "be inherited. Dots: where windows begin."
)
_FLOWS = (
    "{}, {}: mean velocity on the first two principal components of each layer, of senses and joint angles; grey: "
    "how often the state was there."
)
