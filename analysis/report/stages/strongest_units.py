"""The units that follow a variable most, beside every control: whether what they do is theirs, and of learning."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.controls import Control, against_controls, other_episodes, other_units, rotation, time_shift_before
from analysis.dealing import CONTROL, with_any
from analysis.drawing import plot_estimates
from analysis.inference import Estimate, not_estimable
from analysis.inputs import Array, column_reasons
from analysis.report.findings import Arrays, Finding, Outcome, Picture
from analysis.report.source import Source
from analysis.report.stages.chosen import every_other_episode, most_modulated
from analysis.report.stages.tuning import BINS, variables
from analysis.report.stages.untrained import untrained_layers
from analysis.shifts import CONTROL as SHIFTED
from analysis.tuning import tuning as tune
from rodent.errors import UsageError

UNITS = 3
MEASURE = f"tuning strength of the {UNITS} strongest units (held-out variance explained)"
MATCHED, ROTATED = "units of like variability", "random directions of the layer"
FRESH, INPUTS = "untrained network, the same episodes drawn", "inputs, the same episodes drawn"
_STEPS, _FEWEST, _DRAWS = 2000, 200, 100


def strongest_units(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Mean tuning strength of the units that are modulated most, chosen in some episodes and asked in the others.

    Beside it, each chosen and asked in the same way: the layer of other episodes; the layer rolled within each episode;
    random directions of the layer, which say whether single units are anything special; other units as variable as
    those chosen; the units of an untrained network; and the senses, which say what a unit may have from its inputs.
    """
    outcome, rows = Outcome(), source.thinned(_STEPS, seed=seed)
    fresh = untrained_layers(source, rows, seed, outcome, MEASURE)
    senses = _that_vary(source.senses[rows])
    wanted = variables(source, earlier["gait"]["phase"])
    for layer in source.layers:
        whole, found = source.layer(layer), {}
        whole = whole[:, _vary(whole[rows])]
        others = {FRESH: _that_vary(fresh[layer])} if layer in fresh else {}
        for name, values in wanted.items():
            found[name] = _beside(source, rows, values, whole, {INPUTS: senses, **others}, seed)
            outcome.findings.append(Finding(MEASURE, found[name], layer=layer, variable=name))
        known_ones = {name: each for name, each in found.items() if each.estimable}
        if known_ones:
            outcome.pictures[layer] = Picture(_figure(known_ones), f"{layer}: {_CAPTION}")
    return outcome


def _beside(
    source: Source,
    rows: NDArray[np.int64],
    values: Array,
    whole: NDArray,
    references: Mapping[str, NDArray],
    seed: int,
) -> Estimate:
    """Of a layer (steps, units) and a variable (steps,), NaN where it has no meaning, at some rows of them.

    The references (rows, columns) are of these rows alone. Activity is dealt and rolled with the steps at which the
    variable has no meaning.
    """
    known = np.isfinite(values[rows])
    at = rows[with_any(known, source.episodes[rows])]
    choosing, episodes, tasks = every_other_episode(source)[at], source.episodes[at], source.tasks[at]
    if known.sum() < _FEWEST:
        return not_estimable(f"{known.sum()} steps; needs at least {_FEWEST}")
    if whole.shape[1] < 2 * UNITS:
        return not_estimable(f"{whole.shape[1]} units that vary; needs {2 * UNITS}, to match those chosen")
    if min(len(np.unique(episodes[part])) for part in (choosing, ~choosing)) < 2:
        return not_estimable("fewer than two episodes to choose units in, or to ask them in")
    activity, statistic = whole[at], partial(_strength, values=values[at], choosing=choosing, episodes=episodes)
    chosen = most_modulated(activity[choosing], values[at][choosing], UNITS)
    try:
        controls: dict[str, Control] = {
            CONTROL: other_episodes(episodes, tasks), SHIFTED: time_shift_before(whole, source.episodes, at),
            MATCHED: other_units(chosen), ROTATED: rotation,
        }  # fmt: skip
    except UsageError as error:
        return not_estimable(str(error))
    others = {name: each[np.isin(rows, at)] for name, each in references.items()}
    return against_controls(statistic, activity, episodes, controls, others, _DRAWS, seed)


def _strength(
    activity: NDArray, rows: NDArray[np.int64], values: Array, choosing: NDArray[np.bool_], episodes: NDArray[np.int64]
) -> float:
    """Mean strength in the steps that are not for choosing of the units that are modulated most in those that are."""
    first = choosing[rows]
    if not first.any() or first.all():  # of episodes that were drawn with replacement
        return float("nan")
    units = most_modulated(activity[first], values[rows[first]], UNITS)
    asked = rows[~first]
    found = tune(activity[np.ix_(~first, units)], values[asked], episodes[asked], BINS, draws=0).strength.value
    return float(found[np.isfinite(found)].mean()) if np.isfinite(found).any() else float("nan")


def _that_vary(activity: NDArray) -> NDArray:
    """(n, the columns that are finite throughout and not constant); a column of zeros where there is none."""
    known = activity[:, _vary(activity)]
    return known if known.shape[1] else np.zeros((len(activity), 1))


def _vary(activity: NDArray) -> NDArray[np.bool_]:
    return np.array([not reason for reason in column_reasons(activity)])


def _figure(found: Mapping[str, Estimate]) -> Figure:
    figure = Figure((1.6 + 0.75 * len(found), 4.6), layout="constrained")
    ax = plot_estimates(found, "held-out variance explained", figure.add_subplot())
    ax.axhline(0, color="gray", lw=0.5, zorder=0)
    ax.set_ylim(bottom=max(ax.get_ylim()[0], -1.0))  # whatever is worse than the mean by more says no more
    if (legend := ax.get_legend()) is not None:  # it would cover the bars
        legend.remove()
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize="small", loc="outside lower center", ncols=2)
    return figure


_CAPTION = (
    f"how well each variable explains the {UNITS} units that follow it most, in episodes in which they were not chosen "
    "(dots, with 95 % intervals over episodes), and the middle 95 % of each control (bars)."
)
