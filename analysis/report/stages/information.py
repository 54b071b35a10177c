"""Information of the strongest units about the variables they follow, and of rates where activity is one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.inference import Estimate, not_estimable
from analysis.information import mutual_information, plot_information, spatial_information
from analysis.inputs import Array
from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture, UnitFinding, mean_over_units
from analysis.report.source import Source
from analysis.report.stages.chosen import every_other_episode, most_modulated
from analysis.report.stages.sampling import population_steps, told
from analysis.report.stages.tuning import BINS, FEWEST, variables
from analysis.report.stages.untrained import BESIDE, mean_of_units, stand_beside

_UNITS, _SAMPLES, _DRAWS = 3, 1500, 200
_BESIDE_STEPS, _BESIDE_UNITS = 10_000, 4  # that the comparison with untrained networks takes
_RATES = 64  # units that are nowhere negative, at most
UNIT = ", unit "  # in the name of a layer: the number is of that unit alone
_MUTUAL, _SKAGGS = "mutual information (nats, KSG)", "Skaggs information (bits per unit of activity)"
_SPEED = "speed (m/s)"


def information(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """KSG information of the units with the greatest modulation by each variable; Skaggs' of nowhere negative ones.

    Units are chosen in every other episode of a task and estimated in those between: of many unrelated units, some go
    with any variable in the very steps in which they were chosen. Means over a layer's units, chosen alike, stand
    beside those of untrained networks at the steps they were driven through; of rates, of those that have any.
    """
    outcome, choosing = Outcome(), every_other_episode(source)
    wanted = variables(source, earlier["gait"]["phase"])
    for layer in source.layers:
        activity = source.layer(layer)
        for name, values in wanted.items():
            _mutual(source, activity, layer, name, values, choosing, outcome, seed)
        _skaggs(activity, layer, source, outcome, seed)
    stand_beside(outcome, source, seed, partial(_beside, source, wanted, choosing, seed))
    return outcome


def _mutual(
    source: Source,
    activity: NDArray,
    layer: str,
    name: str,
    values: Array,
    choosing: NDArray[np.bool_],
    outcome: Outcome,
    seed: int,
) -> None:
    """Of the units of a layer that a variable modulates most, one by one."""
    finite = np.isfinite(values)
    first, known = np.flatnonzero(finite & choosing), np.flatnonzero(finite & ~choosing)
    if reason := _too_few(int(finite.sum()), name) or _none_left(first, known):
        outcome.missing(_MUTUAL, reason, layer=layer, variable=name)
        return
    units, asked = most_modulated(activity[first], values[first], _UNITS), np.flatnonzero(~choosing)
    found = mutual_information(
        activity[np.ix_(asked, units)], values[asked], source.episodes[asked],
        samples=_SAMPLES, draws=_DRAWS, seed=seed, tasks=source.tasks[asked],
    )  # fmt: skip
    for i, unit in enumerate(units):
        low, high = found.interval[:, i]
        value = Estimate(float(found.value[i]), {found.control: found.null[:, i]}, (float(low), float(high)))
        estimate = not_estimable(found.reasons[i]) if found.reasons[i] else value
        outcome.findings.append(Finding(_MUTUAL, estimate, layer=f"{layer}{UNIT}{unit}", variable=name))


def _too_few(steps: int, name: str) -> str:
    return "" if steps >= FEWEST else f"{steps} steps with {name}; needs at least {FEWEST}"


def _none_left(first: NDArray[np.int64], known: NDArray[np.int64]) -> str:
    return "" if len(first) and len(known) else "one episode of each task: none is left once units are chosen"


def _skaggs(activity: NDArray, layer: str, source: Source, outcome: Outcome, seed: int) -> None:
    """Of the units that are nowhere negative, about the speed, and the mean over them."""
    rates, about = _rates(activity), {"layer": layer, "variable": _SPEED}
    if not rates.shape[1]:
        outcome.missing(_SKAGGS, "signed activity: the information of rates has no meaning", **about)
        return
    found = spatial_information(
        rates, source.kinematics[_SPEED], source.episodes, BINS, _DRAWS, seed, source.tasks
    ).per_spike
    outcome.findings.append(Finding(_SKAGGS, mean_over_units(found), interval_over="units", **about))
    outcome.units.append(UnitFinding(_SKAGGS, found, **about))
    figure = plot_information(found, _SKAGGS).figure
    assert isinstance(figure, Figure)
    caption = (
        f"{layer}: what each unit that is nowhere negative tells of the speed, with its 95 % interval over episodes, "
        "beside the middle 95 % of what it tells of the speed in other episodes; hollow where it does not beat that."
    )
    outcome.pictures[f"rates.{layer}"] = Picture(figure, caption)


def _beside(
    source: Source,
    wanted: Mapping[str, Array],
    choosing: NDArray[np.bool_],
    seed: int,
    layers: Layers,
    draws: int,
) -> list[Finding]:
    """Means over units of layers (population steps, units), at some of these steps."""
    steps = population_steps(source, seed)
    over, findings = f"units (of {told(source, steps)})", []
    some = np.arange(len(steps))[:: -(-len(steps) // _BESIDE_STEPS)]
    at = steps[some]
    for layer, activity in layers.items():
        for name, values in wanted.items():
            finite = np.isfinite(values[at])
            first, known = np.flatnonzero(finite & choosing[at]), np.flatnonzero(finite & ~choosing[at])
            if reason := _too_few(int(finite.sum()), name) or _none_left(first, known):
                estimate = not_estimable(reason)
            else:
                units = most_modulated(activity[some[first]], values[at[first]], _BESIDE_UNITS)
                few, of = activity[np.ix_(some[known], units)], at[known]
                found = mutual_information(few, values[of], source.episodes[of], _SAMPLES, draws=0, seed=seed)
                estimate = mean_of_units(found.value, draws, seed)
            findings.append(Finding(f"mean {_MUTUAL}, {BESIDE}", estimate, "", layer, name, over))
        rates = _rates(activity[some])
        if rates.shape[1]:
            bits = spatial_information(rates, source.kinematics[_SPEED][at], source.episodes[at], BINS, draws=0)
            estimate = mean_of_units(bits.per_spike.value, draws, seed)
            findings.append(Finding(f"mean {_SKAGGS}, {BESIDE}", estimate, "", layer, _SPEED, over))
    return findings


def _rates(activity: NDArray) -> NDArray:
    """(n, at most `_RATES` of the units that vary and are nowhere negative)."""
    return activity[:, np.flatnonzero((activity.min(axis=0) >= 0) & (np.ptp(activity, axis=0) > 0))[:_RATES]]
