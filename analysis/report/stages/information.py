"""Information of the strongest units about the variables they follow, and of rates where activity is one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from analysis.dealing import CONTROL, Dealing
from analysis.inference import UNKNOWN, Estimate, ends, not_estimable, resampled_rows
from analysis.inputs import Array, Labels
from analysis.report.findings import Arrays, Finding, Outcome
from analysis.report.source import Source
from analysis.report.stages.chosen import every_other_episode, most_modulated
from analysis.report.stages.tuning import BINS, variables
from analysis.report.stages.untrained import UNIT_GAIN, unit_gain, untrained_layers
from analysis.tuning import mutual_information, spatial_information, tuning_curves

_UNITS, _SAMPLES, _DRAWS, _SKAGGS_DRAWS = 3, 1500, 20, 40
_GAIN_STEPS, _GAIN_UNITS = 10_000, 8  # that the comparison with an untrained network takes
UNIT = ", unit "  # in the name of a layer: the number is of that unit alone
_GAIN = f"{UNIT_GAIN} (nats, KSG)"
_MUTUAL, _SKAGGS = "mutual information (nats, KSG)", "Skaggs information (bits per unit of activity)"
_SKAGGS_GAIN = f"{UNIT_GAIN} (bits per unit of activity, Skaggs)"
_SPEED = "speed (m/s)"


def information(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """KSG information of the units with the greatest modulation by each variable; Skaggs' of nowhere negative ones.

    Units are chosen in every other episode of a task and estimated in those between: of many unrelated units, some go
    with any variable in the very steps in which they were chosen. As many of an untrained network are chosen alike,
    and what the recorded ones gain over them is told; of rates, of those of its units that are nowhere negative, too.
    """
    outcome, choosing = Outcome(), every_other_episode(source)
    wanted, rows = variables(source, earlier["gait"]["phase"]), source.thinned(_GAIN_STEPS, seed=seed)
    fresh = untrained_layers(source, rows, seed, outcome, _GAIN)
    for layer in source.layers:
        activity = source.layer(layer)
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
            units = most_modulated(activity[first], values[first], _UNITS)
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
        _skaggs(activity, layer, source, outcome, seed)
        if layer in fresh:
            _skaggs_gain(activity[rows], fresh[layer], layer, source.kinematics[_SPEED][rows], outcome, seed)
    return outcome


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
    units, at = most_modulated(activity[first], values[rows][first], _GAIN_UNITS), rows[known]
    found = mutual_information(
        activity[np.ix_(known, units)], values[at], source.episodes[at], _SAMPLES, draws=0, seed=seed
    )
    return found.value


def _skaggs(activity: NDArray, layer: str, source: Source, outcome: Outcome, seed: int) -> None:
    """The mean over the units that are nowhere negative, about the speed."""
    rates, about = _rates(activity), {"layer": layer, "variable": _SPEED}
    if not rates.shape[1]:
        outcome.missing(_SKAGGS, "signed activity: the information of rates has no meaning", **about)
        return
    speed, rng = source.kinematics[_SPEED], np.random.default_rng(seed)

    def mean(values: Array, rows: Labels) -> float:
        return float(np.nanmean(_bits(rates[rows], values[rows])))

    rows, dealing = np.arange(len(speed)), Dealing.of(source.episodes, source.tasks)
    null = np.array([mean(speed[dealing.steps(order)], rows) for order in dealing.orders(_SKAGGS_DRAWS, rng)])
    interval = UNKNOWN
    if len(source.lengths) > 1:
        drawn = [mean(speed, resampled_rows(source.episodes, rng)) for _ in range(_SKAGGS_DRAWS)]
        interval = ends(np.array(drawn))
    outcome.findings.append(Finding(_SKAGGS, Estimate(mean(speed, rows), {CONTROL: null}, interval), **about))


def _skaggs_gain(activity: NDArray, fresh: NDArray, layer: str, speed: Array, outcome: Outcome, seed: int) -> None:
    """What rates gain over those of an untrained network, from both layers (n, units) at the same steps."""
    own, other, about = _rates(activity), _rates(fresh), {"layer": layer, "variable": _SPEED}
    if not own.shape[1]:
        return  # the row above says why
    if not other.shape[1]:
        outcome.missing(_SKAGGS_GAIN, "every unit of the untrained layer is negative somewhere", **about)
        return
    gain = unit_gain(_bits(own, speed), _bits(other, speed), seed)
    outcome.findings.append(Finding(_SKAGGS_GAIN, gain, interval_over="units", **about))


def _rates(activity: NDArray) -> NDArray:
    """(n, at most 64 of the units that vary and are nowhere negative)."""
    return activity[:, np.flatnonzero((activity.min(axis=0) >= 0) & (np.ptp(activity, axis=0) > 0))[:64]]


def _bits(rates: NDArray, values: Array) -> Array:
    """(units,) Skaggs' information about values (n,)."""
    curves = tuning_curves(rates, values, BINS)
    return spatial_information(curves.curves, curves.occupancy)[1]
