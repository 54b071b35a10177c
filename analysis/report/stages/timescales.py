"""How long units resemble themselves, layer by layer, beside the senses and the joints."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from analysis.inference import Estimate, not_estimable
from analysis.inputs import Array
from analysis.report.findings import Arrays, Finding, Outcome, Picture, UnitFinding
from analysis.report.source import TIMESTEP, Source
from analysis.timescales import NO_DECAY, unit_timescales

_DRAWS = 20


def timescales(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """The decay time of every unit; the median of each layer."""
    outcome, values = Outcome(), {}
    for name in [*source.layers, "senses", "joint angles"]:
        activity = source.layer(name) if name in source.layers else _body(source, name)
        found = unit_timescales(activity, source.episodes, TIMESTEP, draws=_DRAWS, seed=seed).tau
        outcome.units.append(UnitFinding("timescale (s)", found, layer=name))
        outcome.findings.append(
            Finding(
                "median timescale (s)",
                median_of_units(found.value, found.null, found.reasons, seed),
                "",
                name,
                "",
                "units",
            )
        )
        if (known := found.value[np.isfinite(found.value)]).size:
            values[name] = known
    if values:
        caption = (
            "Timescales of each layer's units (boxes: quartiles), beside those of the senses and the joints. Dotted: "
            "one control step; what lies below has forgotten itself within one."
        )
        outcome.pictures["layers"] = Picture(_boxes(values), caption)
    return outcome


def _body(source: Source, name: str) -> Array:
    return source.senses if name == "senses" else source.series("joint_angles")


def median_of_units(values: Array, null: Array, reasons: tuple[str, ...], seed: int) -> Estimate:
    """The median over a layer's units, beside that of white noise; the interval draws units.

    Units that never decay count as slower than all others: without them slow layers would look fast.

    Args:
        values: (units,) s; NaN where there is none.
        null: (draws, units) of white noise.
        reasons: (units,) why there is none.
        seed: of the draws.
    """
    known, slower = np.isfinite(values), np.array([reason == NO_DECAY for reason in reasons])
    if not known.any():
        return not_estimable(next(filter(None, reasons), "no unit is estimable"))
    kept, rng = np.where(slower, np.inf, values)[known | slower], np.random.default_rng(seed)
    middle = np.median(kept)
    if not np.isfinite(middle):
        return not_estimable(f"{slower.sum()} of {len(kept)} units show {NO_DECAY}")
    drawn = np.median(kept[rng.integers(len(kept), size=(500, len(kept)))], axis=1)
    low, high = np.quantile(drawn, [0.025, 0.975], method="nearest")
    noise = np.nanmedian(null[:, known], axis=1)
    return Estimate(float(middle), {"white noise": noise}, (float(low), float(high)))


def _boxes(values: Mapping[str, Array]) -> Figure:
    figure = Figure((5.6, 3.2), layout="constrained")
    ax = figure.add_subplot()
    ax.boxplot(list(values.values()), showfliers=False)
    ax.axhline(TIMESTEP, color="grey", lw=0.8, ls=":")
    ax.set_yscale("log")
    ax.set_ylabel("timescale (s)")
    ax.set_xticks(range(1, len(values) + 1), list(values), rotation=30, ha="right", fontsize="small")
    return figure
