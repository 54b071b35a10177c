"""How long units resemble themselves, layer by layer, beside the senses and the joints."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from analysis.inference import Estimate, not_estimable
from analysis.inputs import Array
from analysis.report.findings import Arrays, Finding, Outcome, Picture, UnitFinding
from analysis.report.source import TIMESTEP, Source
from analysis.timescales import unit_timescales

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
                "median timescale (s)", _median(found.value, found.null, found.reasons, seed), "", name, "", "units"
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


def _median(values: Array, null: Array, reasons: tuple[str, ...], seed: int) -> Estimate:
    known = np.isfinite(values)
    if not known.any():
        return not_estimable(next(filter(None, reasons), "no unit is estimable"))
    kept, rng = values[known], np.random.default_rng(seed)
    low, high = np.quantile(np.median(kept[rng.integers(len(kept), size=(500, len(kept)))], axis=1), [0.025, 0.975])
    noise = np.nanmedian(null[:, known], axis=1)
    return Estimate(float(np.median(kept)), {"white noise": noise}, (float(low), float(high)))


def _boxes(values: Mapping[str, Array]) -> Figure:
    figure = Figure((5.6, 3.2), layout="constrained")
    ax = figure.add_subplot()
    ax.boxplot(list(values.values()), showfliers=False)
    ax.axhline(TIMESTEP, color="grey", lw=0.8, ls=":")
    ax.set_yscale("log")
    ax.set_ylabel("timescale (s)")
    ax.set_xticks(range(1, len(values) + 1), list(values), rotation=30, ha="right", fontsize="small")
    return figure
