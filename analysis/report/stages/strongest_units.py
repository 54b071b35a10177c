"""The units that follow a variable most, beside every control: whether what they do is theirs, and of learning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.controls import Control, each_against_controls, other_episodes, other_units, rotation, time_shift_before
from analysis.dealing import CONTROL, with_any
from analysis.drawing import plot_estimates
from analysis.inference import Estimate, not_estimable
from analysis.inputs import Array, Labels, column_reasons
from analysis.report.findings import Arrays, Finding, Outcome, Picture
from analysis.report.source import Source
from analysis.report.stages.chosen import UNITS, Strongest, every_other_episode
from analysis.report.stages.tuning import variables
from analysis.report.stages.untrained import untrained_layers
from analysis.shifts import CONTROL as SHIFTED
from rodent.errors import UsageError

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
        whole = source.layer(layer)
        whole = whole[:, _vary(whole[rows])]
        others = {FRESH: _that_vary(fresh[layer])} if layer in fresh else {}
        found = _beside(source, rows, wanted, whole, {INPUTS: senses, **others}, seed)
        outcome.findings += [Finding(MEASURE, found[name], layer=layer, variable=name) for name in wanted]
        known_ones = {name: found[name] for name in wanted if found[name].estimable}
        if known_ones:
            outcome.pictures[layer] = Picture(_figure(known_ones), f"{layer}: {_CAPTION}")
    return outcome


def _beside(
    source: Source,
    rows: NDArray[np.int64],
    wanted: Mapping[str, Array],
    whole: NDArray,
    references: Mapping[str, NDArray],
    seed: int,
) -> dict[str, Estimate]:
    """Of a layer (steps, units) and each variable (steps,), NaN where it has no meaning, at some rows of them.

    The references (rows, columns) are of these rows alone. Activity is dealt and rolled with the steps at which a
    variable has no meaning; variables that are known in the same episodes are asked of the same surrogates.
    """
    found: dict[str, Estimate] = {}
    together: dict[bytes, tuple[NDArray[np.int64], list[str]]] = {}
    choosing, episodes = every_other_episode(source), source.episodes
    for name, values in wanted.items():
        known = np.isfinite(values[rows])
        at = rows[with_any(known, episodes[rows])]
        if reason := _reason(int(known.sum()), whole.shape[1], episodes[at], choosing[at]):
            found[name] = not_estimable(reason)
        else:
            together.setdefault(at.tobytes(), (at, []))[1].append(name)
    for at, names in together.values():
        asked = Strongest.of([wanted[name][at] for name in names], choosing[at], episodes[at])
        others = {name: each[np.isin(rows, at)] for name, each in references.items()}
        try:
            controls: dict[str, Control] = {
                CONTROL: other_episodes(episodes[at], source.tasks[at]),
                SHIFTED: time_shift_before(whole, episodes, at), ROTATED: rotation,
            }  # fmt: skip
            strengths = each_against_controls(asked, names, whole[at], episodes[at], controls, others, _DRAWS, seed)
            found |= _matched(strengths, asked, whole[at], seed)
        except UsageError as error:
            found |= {name: not_estimable(str(error)) for name in names}
    return found


def _reason(known: int, units: int, episodes: Labels, choosing: NDArray[np.bool_]) -> str:
    """Why no units can be chosen and asked; empty where they can."""
    if known < _FEWEST:
        return f"{known} steps; needs at least {_FEWEST}"
    if units < 2 * UNITS:
        return f"{units} units that vary; needs {2 * UNITS}, to match those chosen"
    if min(len(np.unique(episodes[part])) for part in (choosing, ~choosing)) < 2:
        return "fewer than two episodes to choose units in, or to ask them in"
    return ""


def _matched(strengths: Mapping[str, Estimate], asked: Strongest, activity: NDArray, seed: int) -> dict[str, Estimate]:
    """The same estimates beside units of like variability, which are others for each variable."""
    found, rows = {}, np.arange(len(activity))
    for i, ((name, estimate), chosen) in enumerate(zip(strengths.items(), asked.chosen(activity, rows), strict=True)):
        if not estimate.estimable or not np.isfinite(estimate.value):
            found[name] = not_estimable(estimate.reason or "the variable or the units stand still where they are asked")
            continue
        others, of = other_units(chosen)(activity, _DRAWS, np.random.default_rng(seed)), asked.only(i)
        null = np.array([of(each, rows)[0] for each in others])
        found[name] = replace(estimate, nulls={**estimate.nulls, MATCHED: null})
    return found


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
