"""Information of the strongest units about the variables they follow, and of rates where activity is one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from analysis.dealing import CONTROL, Dealing
from analysis.inference import UNKNOWN, Estimate, not_estimable, percentile_interval, resampled_rows
from analysis.inputs import Array, Labels
from analysis.report.findings import Arrays, Finding, Outcome
from analysis.report.source import Source
from analysis.report.stages.tuning import BINS, variables
from analysis.report.stages.untrained import UNIT_GAIN, unit_gain, untrained_layers
from analysis.tuning import mutual_information, spatial_information, tuning_curves

_UNITS, _SAMPLES, _DRAWS, _SKAGGS_DRAWS = 3, 1500, 20, 40
_GAIN_STEPS, _GAIN_UNITS = 10_000, 8  # that the comparison with an untrained network takes
UNIT = ", unit "  # in the name of a layer: the number is of that unit alone
_GAIN = f"{UNIT_GAIN} (nats, KSG)"
_MUTUAL, _SKAGGS = "mutual information (nats, KSG)", "Skaggs information (bits per unit of activity)"


def information(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """KSG information of the units with the greatest modulation by each variable; Skaggs' of nowhere negative ones.

    Units are chosen in every other episode of a task and estimated in those between: of many unrelated units, some go
    with any variable in the very steps in which they were chosen. As many of an untrained network are chosen alike,
    and what the recorded ones gain over them is told. (Rates have no such control: fresh units are signed.)
    """
    outcome, choosing = Outcome(), _every_other_episode(source)
    wanted, rows = variables(source, earlier["gait"]["phase"]), source.thinned(_GAIN_STEPS)
    fresh = untrained_layers(source, rows, seed, outcome, _GAIN)
    for layer in source.layers:
        activity = source.layer(layer)
        positive = np.flatnonzero((activity.min(axis=0) >= 0) & (np.ptp(activity, axis=0) > 0))
        for name, values in wanted.items():
            curves = earlier["tuning"].get(f"curve.{layer}.{name}")
            if curves is None:
                outcome.missing(_MUTUAL, f"no tuning curves for {name}", layer=layer, variable=name)
                continue
            finite = np.isfinite(values)
            first, known = np.flatnonzero(finite & choosing), np.flatnonzero(finite & ~choosing)
            if not (len(first) and len(known)):
                reason = "one episode of each task: none is left once units are chosen"
                outcome.missing(_MUTUAL, reason, layer=layer, variable=name)
                continue
            if layer in fresh:
                own, other = (
                    _informed(source, of, rows, values, choosing, seed) for of in (activity[rows], fresh[layer])
                )
                outcome.findings.append(Finding(_GAIN, unit_gain(own, other, seed), "", layer, name, "units"))
            units = _most_modulated(activity[first], values[first], _UNITS)
            found = mutual_information(
                activity[np.ix_(known, units)], values[known], source.episodes[known],
                samples=_SAMPLES, draws=_DRAWS, seed=seed, tasks=source.tasks[known],
            )  # fmt: skip
            for i, unit in enumerate(units):
                low, high = found.interval[:, i]
                reason = found.reasons[i]
                null = {found.control: found.null[:, i]}
                value = Estimate(float(found.value[i]), null, (float(low), float(high)))
                about = {"layer": f"{layer}{UNIT}{unit}", "variable": name, "interval_over": "steps"}
                outcome.findings.append(Finding(_MUTUAL, not_estimable(reason) if reason else value, **about))
        _skaggs(activity, positive, layer, source, outcome, seed)
    return outcome


def _every_other_episode(source: Source) -> NDArray[np.bool_]:
    """(steps,) whether a step is of the first, third, ... episode of its task."""
    first = np.zeros(len(source.episodes), dtype=bool)
    for task in source.task_names:
        rows = source.of_task(task)
        first[rows] = np.unique(source.episodes[rows], return_inverse=True)[1] % 2 == 0
    return first


def _informed(
    source: Source,
    activity: NDArray,
    rows: NDArray[np.int64],
    values: Array,
    choosing: NDArray[np.bool_],
    seed: int,
) -> Array:
    """(units,) information of a layer's most modulated units, from its activity at some rows; none of too few."""
    finite = np.isfinite(values[rows])
    first, known = np.flatnonzero(finite & choosing[rows]), np.flatnonzero(finite & ~choosing[rows])
    if not (len(first) and len(known)):
        return np.empty(0)
    units, at = _most_modulated(activity[first], values[rows][first], _GAIN_UNITS), rows[known]
    found = mutual_information(
        activity[np.ix_(known, units)], values[at], source.episodes[at], _SAMPLES, draws=0, seed=seed
    )
    return found.value


def _most_modulated(activity: NDArray, values: Array, count: int) -> Labels:
    """The units whose curves vary most, in units of their own spread."""
    curves = tuning_curves(activity, values, BINS).curves
    strength = np.nan_to_num(np.nanstd(curves, axis=1) / (activity.std(axis=0) + 1e-12))
    return np.argsort(-strength, kind="stable")[:count].astype(np.int64)


def _skaggs(activity: NDArray, positive: Labels, layer: str, source: Source, outcome: Outcome, seed: int) -> None:
    """The mean over the units that are nowhere negative, about the speed."""
    about = {"layer": layer, "variable": "speed (m/s)"}
    if not len(positive):
        outcome.missing(_SKAGGS, "signed activity: the information of rates has no meaning", **about)
        return
    speed, rng = source.kinematics["speed (m/s)"], np.random.default_rng(seed)
    rates = activity[:, positive[:64]]

    def mean(values: Array, rows: Labels) -> float:
        curves = tuning_curves(rates[rows], values[rows], BINS)
        return float(np.nanmean(spatial_information(curves.curves, curves.occupancy)[1]))

    rows, dealing = np.arange(len(speed)), Dealing.of(source.episodes, source.tasks)
    null = np.array([mean(speed[dealing.steps(order)], rows) for order in dealing.orders(_SKAGGS_DRAWS, rng)])
    low, high = UNKNOWN
    if len(source.lengths) > 1:
        drawn = [mean(speed, resampled_rows(source.episodes, rng)) for _ in range(_SKAGGS_DRAWS)]
        low, high = percentile_interval(np.array(drawn))
    estimate = Estimate(mean(speed, rows), {CONTROL: null}, (float(low), float(high)))
    outcome.findings.append(Finding(_SKAGGS, estimate, **about))
