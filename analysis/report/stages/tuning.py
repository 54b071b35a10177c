"""What single units follow: speed, turning, height, heading, phase of the stride and time since an event."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from analysis.inputs import Array, Labels
from analysis.report.findings import Arrays, Finding, Outcome, Picture, UnitFinding, mean_over_units
from analysis.report.source import TIMESTEP, Source
from analysis.tuning import Tuning, plot_tuning
from analysis.tuning import tuning as tune

BINS = 12
_EVENT_WINDOW = 2.0  # s after an event
MEASURE = "tuning strength (held-out variance explained)"


def tuning(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Tuning strength of every unit of every layer to each variable, over all tasks together.

    Leaves the curves of each layer and variable, `curve.LAYER.VARIABLE` (units, bins), and `edges.VARIABLE`.
    """
    outcome, wanted = Outcome(), variables(source, earlier["gait"]["phase"])
    strongest: dict[str, tuple[float, str, Tuning]] = {}
    for layer in source.layers:
        activity = source.layer(layer)
        for name, values in wanted.items():
            known = np.flatnonzero(np.isfinite(values))
            if len(known) < 200:
                outcome.missing(
                    MEASURE, f"{len(known)} steps with {name}; needs at least 200", layer=layer, variable=name
                )
                continue
            found = tune(
                activity[known], values[known], source.episodes[known], bins=BINS, seed=seed, tasks=source.tasks[known]
            )
            outcome.units.append(UnitFinding(MEASURE, found.strength, layer=layer, variable=name))
            mean = mean_over_units(found.strength)
            outcome.findings.append(Finding(f"mean {MEASURE}", mean, "", layer, name, "units"))
            outcome.arrays[f"curve.{layer}.{name}"] = found.curves.curves.astype(np.float32)
            outcome.arrays[f"edges.{name}"] = found.curves.edges[0]
            best = max(found.strength.value[found.strength.beat], default=-np.inf)
            if best > strongest.get(name, (-np.inf,))[0]:
                strongest[name] = (float(best), layer, found)
    for name, (_, layer, found) in strongest.items():
        outcome.pictures[f"best-{name.split(' (')[0].replace(' ', '-')}"] = _best(name, layer, found)
    return outcome


def variables(source: Source, phase: Array) -> dict[str, Array]:
    """(steps,) each, NaN where it has no meaning."""
    found = {**source.kinematics, "stride phase (rad)": phase}
    for name, events in source.events().items():
        found[f"time since {name} (s)"] = _time_since(source, events)
    return found


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
