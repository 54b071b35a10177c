"""How populations move: rotations, flow, linear dynamics and modes, beside the same of the senses and the joints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.dmd import LinearDynamics, bop_dmd, hankel_dmd, linear_dynamics
from analysis.drawing import plot_estimates
from analysis.flow import FlowField, flow_field, plot_flow
from analysis.inference import Estimate, not_estimable
from analysis.inputs import Array, Labels
from analysis.jpca import JPCA, frequencies_without, jpca, plot_jpca
from analysis.paired import paired_difference
from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture
from analysis.report.source import TIMESTEP, Source, equal_windows, principal
from analysis.report.stages.beside import BESIDE, recorded
from analysis.report.stages.drawn_modes import mode_pictures
from analysis.report.stages.layer_pairs import layer_pairs
from analysis.report.stages.sampling import population_steps, told, windows_told

Result = TypeVar("Result")

_COMPONENTS, _WINDOW, _WINDOWS = 6, 25, 150  # of half a second
_BAGS, _DELAYS = 10, 10  # of BOP-DMD; steps of each delay vector of Hankel DMD
_DRAWS = {"rotation": 100, "flow": 50, "linear": 60}  # of nulls
_ROTATION = "skew R2 (jPCA)"
_FULL = "full R2 (linear, of the same fit)"
_FREQUENCY = "jPCA frequency (Hz)"
_VARIANCE = "variance in the plane (jPCA), of that of six principal components"
_FASTER = "jPCA frequency, less that of another layer (Hz)"
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
    linears: dict[str, dict[str, Estimate]] = {}
    states: dict[str, dict[str, Array]] = {task: {} for task in source.task_names}
    steps = population_steps(source, seed)
    chosen = {task: steps[source.tasks[steps] == task] for task in source.task_names}
    for task, layer in product(source.task_names, [*source.layers, *BESIDE]):
        rows = chosen[task]
        scores, _, _ = principal(recorded(source, layer, rows), _COMPONENTS)
        if layer in source.layers:
            states[task][layer] = scores
        about = {"task": task, "layer": layer}
        over = (f"episodes ({told(source, rows)})", f"episodes ({windows_told(source, rows, _WINDOW, _WINDOWS)})")
        if not scores.size:
            for measure in (_ROTATION, _FULL, _FREQUENCY, _VARIANCE, _FLOW, _LINEAR, _MODES, _HANKEL):
                outcome.missing(measure, "constant", **about)
            continue
        rotation, flow, linear = _moving(scores, source.episodes[rows], seed)
        outcome.findings += _findings(rotation, flow, linear, about, over)
        outcome.arrays[f"planes.{task}.{layer}"] = rotation.planes
        outcome.arrays[f"frequencies.{task}.{layer}"] = np.array([each.value for each in rotation.frequencies])
        if rotation.skew_r2.estimable:
            rotations.setdefault(task, {})[layer] = rotation
        if np.isfinite(flow.velocity).any():
            flows.setdefault(task, {})[layer] = flow
        if linear.predicted.estimable:
            linears.setdefault(task, {})[layer] = linear.predicted
        _modes(scores, source.episodes[rows], about, outcome, seed)
    for task, each in states.items():
        told_windows = f"episodes ({windows_told(source, chosen[task], _WINDOW, _WINDOWS)})"
        about = {"task": task, "interval_over": told_windows}
        outcome.findings += _faster(each, source.episodes[chosen[task]], seed, about)

    def of_others(layers: Layers) -> list[Finding]:
        found = []
        for task, rows in chosen.items():
            known = {}
            for layer, activity in layers.items():
                known[layer], _, _ = principal(activity[source.tasks[steps] == task], _COMPONENTS)
                if known[layer].size:
                    again = _moving(known[layer], source.episodes[rows], seed, with_nulls=False)
                    found += _findings(*again, {"task": task, "layer": layer})
            found += _faster(known, source.episodes[rows], seed, {"task": task}, with_null=False)
        return found

    outcome.of_others = of_others
    outcome.pictures |= _pictures(
        rotations, flows, linears, {task: told(source, rows) for task, rows in chosen.items()}
    )
    outcome.pictures |= mode_pictures(outcome.findings, (_MODES, _HANKEL))
    return outcome


def _pictures(
    rotations: Mapping[str, Mapping[str, JPCA]],
    flows: Mapping[str, Mapping[str, FlowField]],
    linears: Mapping[str, Mapping[str, Estimate]],
    of: Mapping[str, str],
) -> dict[str, Picture]:
    """Of each task, by its name."""
    found = {}
    for task, each in rotations.items():
        found[f"rotations.{task}"] = Picture(_grid(each, plot_jpca), _ROTATIONS.format(task, of[task]))
    for task, fields in flows.items():
        found[f"flow.{task}"] = Picture(_grid(fields, plot_flow), _FLOWS.format(task, of[task]))
    for task, predicted in linears.items():
        figure = Figure((1.6 + 0.7 * len(predicted), 3.2), layout="constrained")
        plot_estimates(predicted, "change explained", figure.add_subplot())
        found[f"linear.{task}"] = Picture(figure, _LINEARS.format(task, of[task]))
    return found


def _faster(
    states: Mapping[str, Array], episodes: Labels, seed: int, about: Mapping[str, str], with_null: bool = True
) -> Iterator[Finding]:
    """How much faster each plane of one layer turns than that of another, in either direction, of their scores."""
    found, lacking = {}, {}
    for layer, scores in states.items():
        if scores.shape[1] < _COMPONENTS:
            lacking[layer] = not_estimable(f"{layer} has rank {scores.shape[1]}; needs {_COMPONENTS}")
        windows, of = equal_windows(scores, episodes, _WINDOW, _WINDOWS, np.random.default_rng(seed))
        if not len(windows):
            lacking[layer] = not_estimable(f"no episode is as long as a window, {_WINDOW} steps")
        found[layer] = frequencies_without(windows, TIMESTEP, _COMPONENTS, of)
    for one, other in layer_pairs(list(found)):
        (first, without), (second, left) = found[one], found[other]
        for plane, difference in enumerate((first - second).tolist()):
            estimate = lacking.get(one) or lacking.get(other) or Estimate(difference, {})
            if with_null and estimate.estimable:
                parts = (without[:, plane], left[:, plane])
                estimate = paired_difference((first[plane], second[plane]), parts, seed=seed)
            yield Finding(_FASTER, estimate, layer=one, variable=f"plane {plane + 1}, less {other}", **about)


def _moving(
    scores: Array, episodes: Labels, seed: int, with_nulls: bool = True
) -> tuple[JPCA, FlowField, LinearDynamics]:
    """Rotations, the flow field and linear dynamics of states; without the draws of nulls where none are wanted.

    Of fewer components than six no rotation is estimable, but what two tell, and linear dynamics of what there are, is.
    """
    windows, of_episode = equal_windows(scores, episodes, _WINDOW, _WINDOWS, np.random.default_rng(seed))
    draws = _DRAWS if with_nulls else dict.fromkeys(_DRAWS, 0)
    return (
        jpca(windows, TIMESTEP, _COMPONENTS, draws=draws["rotation"], seed=seed, groups=of_episode),
        flow_field(scores[:, :2], episodes, TIMESTEP, draws=draws["flow"], seed=seed),
        linear_dynamics(scores, episodes, draws=draws["linear"], seed=seed),
    )


def _findings(
    rotation: JPCA,
    flow: FlowField,
    linear: LinearDynamics,
    about: Mapping[str, str],
    over: tuple[str, str] = ("", ""),
) -> list[Finding]:
    """Their numbers; intervals are over the first of `over`, those of windows over the second."""
    steps, windows = ({**about, "interval_over": each} for each in over)
    return [
        Finding(_ROTATION, rotation.skew_r2, **windows),
        Finding(_FULL, rotation.full_r2, **windows),
        *(
            Finding(_FREQUENCY, frequency, variable=f"plane {i + 1}", **windows)
            for i, frequency in enumerate(rotation.frequencies)
        ),
        *(
            Finding(_VARIANCE, share, variable=f"plane {i + 1}", **windows)
            for i, share in enumerate(rotation.variances)
        ),
        Finding(_FLOW, flow.consistency, **steps),
        Finding(_LINEAR, linear.predicted, **steps),
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
    "its frequency, its share of their variance and the skew R² of all planes above it), beside the senses and the "
    "joints, from which rotations may be inherited. Dots: where windows begin."
)
_LINEARS = (
    "{}, {}: how much of the change from step to step linear dynamics explain in held-out episodes, of each layer, the "
    "senses and the joints; bars beside: changes rolled within episodes; each component predicted from itself alone."
)
_FLOWS = (
    "{}, {}: mean velocity on the first two principal components of each layer, of senses and joint angles; grey: "
    "how often the state was there."
)
