"""What single units follow: the body's movement, phases, the reward, distances in the task, and time since an event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from analysis.gait import oscillation_phase
from analysis.inference import not_estimable
from analysis.inputs import Array, Labels
from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture, UnitFinding, mean_over_units
from analysis.report.source import TIMESTEP, Source
from analysis.report.stages.sampling import population_steps, told
from analysis.report.stages.untrained import BESIDE, mean_of_units, stand_beside
from analysis.tuning import Tuning, plot_tuning
from analysis.tuning import tuning as tune

BINS = 12
FEWEST = 200  # steps that curves need
_BESIDE_STEPS = 10_000  # that the comparison with untrained networks takes
_EVENT_WINDOW = 2.0  # s after an event
_JOINT = "hip_L_extend"  # whose phase counts
_DISTANCE, _SINCE = "distance to gap or target", "time since tap or another rare reward"
_REWARD = "reward"
MEASURE = "tuning strength (held-out variance explained)"
STABILITY = "stability (correlation of the curves of two halves of the episodes)"


def tuning(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Tuning strength of every unit of every layer to each variable, over all tasks together.

    Means over a layer's units stand beside those of untrained networks at the steps they were driven through.
    Leaves the curves of each layer and variable, `curve.LAYER.VARIABLE` (units, bins), and `edges.VARIABLE`.
    """
    outcome, wanted = Outcome(), variables(source, earlier["gait"]["phase"])
    edges: dict[str, int | list[Array]] = {}
    strongest: dict[str, tuple[float, str, Tuning]] = {}
    for layer in source.layers:
        activity = source.layer(layer)
        for name, values in wanted.items():
            known = np.flatnonzero(np.isfinite(values))
            if len(known) < FEWEST:
                outcome.missing(
                    MEASURE, f"{len(known)} steps with {name}; needs at least {FEWEST}", layer=layer, variable=name
                )
                continue
            bins = edges[name] = _bins(name, values[known])
            found = tune(activity, values, source.episodes, bins, seed=seed, tasks=source.tasks)
            record(found, (MEASURE, STABILITY), layer, name, outcome)
            outcome.arrays[f"curve.{layer}.{name}"] = found.curves.curves.astype(np.float32)
            outcome.arrays[f"edges.{name}"] = found.curves.edges[0]
            best = max(found.strength.value[found.strength.beat], default=-np.inf)
            if best > strongest.get(name, (-np.inf,))[0]:
                strongest[name] = (float(best), layer, found)
    stand_beside(
        outcome, source, seed, partial(beside, source, MEASURE, {n: (wanted[n], edges[n]) for n in edges}, seed)
    )
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


def record(found: Tuning, measures: tuple[str, str], layer: str, variable: str, outcome: Outcome) -> None:
    """Tell strength, beside both of its nulls, and stability: of every unit, and the mean over them."""
    about = {"layer": layer, "variable": variable}
    mean, shifted = mean_over_units(found.strength), mean_over_units(found.shifted)
    both = replace(mean, nulls={**mean.nulls, **shifted.nulls})
    for measure, estimate in zip(measures, (both, mean_over_units(found.stability)), strict=True):
        outcome.findings.append(Finding(f"mean {measure}", estimate, interval_over="units", **about))
    for measure, units in zip((*measures, measures[0]), (found.strength, found.stability, found.shifted), strict=True):
        outcome.units.append(UnitFinding(measure, units, **about))


def beside(
    source: Source,
    measure: str,
    asked: Mapping[str, tuple[Array, int | list[Array]]],
    seed: int,
    layers: Layers,
    draws: int,
) -> list[Finding]:
    """Mean strength of each layer's units, at some of the steps that untrained networks are driven through.

    Args:
        source: the session.
        measure: what strength is called.
        asked: a variable's name to its values (steps,) or (steps, dimensions), and its bins.
        seed: of the steps and of the draws.
        layers: (population steps, units) each.
        draws: of units for the interval.
    """
    steps = population_steps(source, seed)
    over, findings = f"units (of {told(source, steps)})", []
    for name, (values, bins) in asked.items():
        some = np.arange(len(steps))[:: -(-len(steps) // _BESIDE_STEPS)]
        some = some[np.isfinite(values[steps[some]]).reshape(len(some), -1).all(axis=1)]
        at = steps[some]
        for layer, activity in layers.items():
            if len(at) < FEWEST:
                estimate = not_estimable(f"{len(at)} steps with {name}; needs at least {FEWEST}")
            else:
                found = tune(activity[some], values[at], source.episodes[at], bins, draws=0).strength.value
                estimate = mean_of_units(found, draws, seed)
            findings.append(Finding(f"mean {measure}, {BESIDE}", estimate, "", layer, name, over))
    return findings


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
        "the variance of held-out episodes that this curve explains, by which they were chosen: the best of many, it "
        "errs upwards (`strongest_units` asks in other episodes).",
    )
