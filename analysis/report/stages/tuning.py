"""What single units follow: the body's movement, phases, the reward, distances in the task, and time since an event."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.gait import oscillation_phase
from analysis.inputs import Array, Labels
from analysis.report.findings import Arrays, Finding, Outcome, Picture, UnitFinding, mean_over_units
from analysis.report.source import TIMESTEP, Source
from analysis.report.stages.untrained import UNIT_GAIN, unit_gain, untrained_layers
from analysis.tuning import Tuning, plot_tuning
from analysis.tuning import tuning as tune

BINS = 12
_GAIN_STEPS = 10_000  # that the comparison with an untrained network takes
_EVENT_WINDOW = 2.0  # s after an event
_JOINT = "hip_L_extend"  # whose phase counts
_DISTANCE, _SINCE = "distance to gap or target", "time since tap or another rare reward"
_REWARD = "reward"
MEASURE = "tuning strength (held-out variance explained)"
STABILITY = "stability (correlation of the curves of two halves of the episodes)"


def tuning(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Tuning strength of every unit of every layer to each variable, over all tasks together.

    What a layer's units gain over those of an untrained network is told on some of the steps, the same for both.
    Leaves the curves of each layer and variable, `curve.LAYER.VARIABLE` (units, bins), and `edges.VARIABLE`.
    """
    outcome, wanted = Outcome(), variables(source, earlier["gait"]["phase"])
    rows = source.thinned(_GAIN_STEPS, seed=seed)
    fresh = untrained_layers(source, rows, seed, outcome, UNIT_GAIN)
    strongest: dict[str, tuple[float, str, Tuning]] = {}
    for layer in source.layers:
        activity = source.layer(layer)
        some = activity[rows]
        for name, values in wanted.items():
            known = np.flatnonzero(np.isfinite(values))
            if len(known) < 200:
                outcome.missing(
                    MEASURE, f"{len(known)} steps with {name}; needs at least 200", layer=layer, variable=name
                )
                continue
            bins = _bins(name, values[known])
            found = tune(
                activity[known], values[known], source.episodes[known], bins, seed=seed, tasks=source.tasks[known]
            )
            outcome.units.append(UnitFinding(MEASURE, found.strength, layer=layer, variable=name))
            mean = mean_over_units(found.strength)
            outcome.findings.append(Finding(f"mean {MEASURE}", mean, "", layer, name, "units"))
            outcome.units.append(UnitFinding(STABILITY, found.stability, layer=layer, variable=name))
            steady = mean_over_units(found.stability)
            outcome.findings.append(Finding(f"mean {STABILITY}", steady, "", layer, name, "units"))
            if layer in fresh:
                own = _strengths(source, some, rows, values, bins)
                other = _strengths(source, fresh[layer], rows, values, bins)
                outcome.findings.append(Finding(UNIT_GAIN, unit_gain(own, other, seed), "", layer, name, "units"))
            outcome.arrays[f"curve.{layer}.{name}"] = found.curves.curves.astype(np.float32)
            outcome.arrays[f"edges.{name}"] = found.curves.edges[0]
            best = max(found.strength.value[found.strength.beat], default=-np.inf)
            if best > strongest.get(name, (-np.inf,))[0]:
                strongest[name] = (float(best), layer, found)
    _what_tasks_lack(source, outcome)
    for name, (_, layer, found) in strongest.items():
        outcome.pictures[f"best-{name.split(' (')[0].replace(' ', '-')}"] = _best(name, layer, found)
    return outcome


def variables(source: Source, phase: Array) -> dict[str, Array]:
    """(steps,) each, NaN where it has no meaning."""
    found = {**source.kinematics, "stride phase (rad)": phase, f"phase of {_JOINT} (rad)": _joint_phase(source)}
    found |= {_REWARD: source.reward, **source.landmarks}
    for name, events in source.events().items():
        found[f"time since {name} (s)"] = _time_since(source, events)
    return found


def _strengths(
    source: Source, activity: NDArray[np.float32], rows: NDArray[np.int64], values: Array, bins: int | list[Array]
) -> Array:
    """(units,) of activity at these steps, without a null."""
    return tune(activity, values[rows], source.episodes[rows], bins, draws=0).strength.value


def _bins(name: str, values: Array) -> int | list[Array]:
    """Of even width, but for the reward, most of whose values are alike where it is paid in lumps: of even number."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)))
    return [edges] if name == _REWARD and len(edges) > 2 else BINS


def _joint_phase(source: Source) -> Array:
    return oscillation_phase(source.joint(_JOINT), source.episodes, TIMESTEP)


def _what_tasks_lack(source: Source, outcome: Outcome) -> None:
    """Rows that say which tasks have nothing to be far from, and no event to count the time from."""
    events = np.concatenate([np.zeros(0, np.int64), *source.events().values()])
    for task in source.task_names:
        rows = source.of_task(task)
        if not any(np.isfinite(values[rows]).any() for values in source.landmarks.values()):
            outcome.missing(MEASURE, f"nothing recorded in {task} is a gap or a target", task=task, variable=_DISTANCE)
        if not np.isin(events, rows).any():
            outcome.missing(MEASURE, f"no reward was paid in {task} that comes seldom", task=task, variable=_SINCE)


def _time_since(source: Source, events: Labels) -> Array:
    """Seconds since the last event of the same episode, NaN from `_EVENT_WINDOW` on."""
    steps = np.arange(len(source.episodes))
    last = np.full(len(steps), -1)
    last[events] = events
    last = np.maximum.accumulate(last)
    since = TIMESTEP * (steps - last)
    same = (last >= 0) & (source.episodes[np.maximum(last, 0)] == source.episodes)
    return np.where(same & (since < _EVENT_WINDOW), since, np.nan)


def _best(name: str, layer: str, found: Tuning) -> Picture:
    figure = Figure((6.6, 2.6), layout="constrained")
    axes = figure.subplots(1, 3)
    units = np.argsort(-np.where(found.strength.beat, found.strength.value, -np.inf))[
        : min(3, found.strength.beat.sum())
    ]
    for ax, unit in zip(axes, units, strict=False):
        plot_tuning(found, int(unit), ax).get_lines()[0].set(marker="o", ms=3)
        ax.set_xlabel(name)
        ax.set_title(f"{layer}, unit {unit}: R² {found.strength.value[unit]:.2f}", fontsize="small")
    for ax in axes[len(units) :]:
        ax.set_visible(False)
    return Picture(
        figure,
        f"The units of {layer} that follow {name} best, of those that beat their null: mean activity against it; R² is "
        "the variance of held-out episodes that this curve explains.",
    )
