"""What single units follow in two variables at once: maps, with how long the rat was where."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from analysis.inputs import Array
from analysis.report.findings import Arrays, Outcome, Picture
from analysis.report.source import Source
from analysis.report.stages.sampling import population_steps
from analysis.report.stages.tuning import beside, record, variables
from analysis.report.stages.untrained import stand_beside
from analysis.tuning import Tuning, plot_tuning
from analysis.tuning import tuning as tune

PAIRS = (
    ("speed (m/s)", "heading (rad)"),
    ("stride phase (rad)", "speed (m/s)"),
    ("turning (rad/s)", "speed (m/s)"),
    ("distance to gap (m)", "speed (m/s)"),
    ("distance to orb (m)", "bearing to orb (rad)"),
)
"""Those of which a session lacks a variable are left out."""
MEASURE = "strength of the map (held-out variance explained)"
STABILITY = "stability (correlation of the maps of two halves of the episodes)"
_BINS, _FEWEST, _DRAWS, _SHOWN = 8, 200, 200, 3


def tuning_maps(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Strength and stability of every unit's map over each pair of variables, as of its curves (`tuning`).

    They are of the population steps: of whole episodes, since what is rolled in time has to be whole.
    Leaves `map.LAYER.PAIR` (units, bins, bins), `occupancy.PAIR` (bins, bins) steps, and `edges.PAIR` (2, bins + 1).
    """
    outcome, known = Outcome(), variables(source, earlier["gait"]["phase"])
    pairs = {f"{one} x {other}": (known[one], known[other]) for one, other in PAIRS if {one, other} <= set(known)}
    rows, asked = population_steps(source, seed), {}
    for name, columns in pairs.items():
        values = np.stack(columns, axis=1)
        count = np.isfinite(values[rows]).all(axis=1).sum()
        if count < _FEWEST:
            outcome.missing(MEASURE, f"{count} steps with both; needs at least {_FEWEST}", variable=name)
            continue
        found = {layer: _of_layer(source, layer, name, rows, values[rows], outcome, seed) for layer in source.layers}
        asked[name] = values
        curves = next(iter(found.values())).curves
        outcome.arrays |= {f"occupancy.{name}": curves.occupancy, f"edges.{name}": np.stack(curves.edges)}
        layer = max(found, key=lambda of: max(found[of].strength.value[found[of].strength.beat], default=-np.inf))
        if found[layer].strength.beat.any():
            outcome.pictures[_file(name)] = _best(name, layer, found[layer])
    stand_beside(outcome, source, seed, partial(beside, source, MEASURE, {n: (asked[n], _BINS) for n in asked}, seed))
    return outcome


def _of_layer(
    source: Source, layer: str, name: str, rows: np.ndarray, values: Array, outcome: Outcome, seed: int
) -> Tuning:
    found = tune(
        source.layer(layer, rows), values, source.episodes[rows], _BINS, _DRAWS, seed, tasks=source.tasks[rows]
    )
    record(found, (MEASURE, STABILITY), layer, name, outcome)
    outcome.arrays[f"map.{layer}.{name}"] = found.curves.curves.astype(np.float32)
    return found


def _file(name: str) -> str:
    """A pair's name without units, as part of a file's."""
    return "-".join(word for word in name.split() if not word.startswith("("))


def _best(name: str, layer: str, found: Tuning) -> Picture:
    """The occupancy, and the maps of the units that beat their null by most."""
    figure = Figure((8.8, 2.7), layout="constrained")
    axes = figure.subplots(1, 1 + _SHOWN)
    edges, occupancy = found.curves.edges, found.curves.occupancy
    image = axes[0].pcolormesh(*edges, np.where(occupancy > 0, occupancy, np.nan).T, cmap="Greys")
    axes[0].set_title("occupancy", fontsize="small")
    figure.colorbar(image, ax=axes[0], label="steps")
    strength = found.strength
    units = np.argsort(-np.where(strength.beat, strength.value, -np.inf))[: min(_SHOWN, strength.beat.sum())]
    for ax, unit in zip(axes[1:], units, strict=False):
        plot_tuning(found, int(unit), ax)
        ax.set_title(f"{layer}, unit {unit}: R² {strength.value[unit]:.2f}", fontsize="small")
        figure.colorbar(ax.collections[0], ax=ax)
    for ax in axes[: 1 + len(units)]:
        ax.set(xlabel=name.split(" x ")[0], ylabel=name.split(" x ")[1])
    for ax in axes[1 + len(units) :]:
        ax.set_visible(False)
    return Picture(
        figure,
        f"How long the rat was where, in {name}, and mean activity there of the units of {layer} that the map explains "
        "best, of those that beat their null; R² is the variance of held-out episodes that it explains, by which they "
        "were chosen: the best of many, it errs upwards. White: never.",
    )
