"""How much of each unit's variance is shared: factor analysis with as many factors as predict held-out episodes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.drawing import plot_estimates
from analysis.inference import Estimate
from analysis.populations import share_of_factors, shared_variance
from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture, UnitFinding, mean_over_units
from analysis.report.source import Source
from analysis.report.stages.beside import BESIDE, recorded
from analysis.report.stages.sampling import population_steps, told

_STEPS, _UNITS, _FACTORS, _FOLDS = 1500, 40, 6, 3
_DRAWS, _RESAMPLES = 40, 20  # of null and interval; fits of noise take up to a thousand iterations
_SHARED = "shared variance"
_MEASURE = f"mean {_SHARED}"


def factors(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Shared variance of some units of each layer, spread over its columns.

    Senses, joints and untrained networks stand beside; of the latter as many factors are fitted as of the recorded
    layer. Of each task about its own mean: what sets tasks apart is no factor. Leaves `chosen.LAYER`: which units.
    """
    outcome, steps = Outcome(), population_steps(source, seed)
    rows = source.thinned(_STEPS, steps, seed)
    of, chosen, fitted, means = told(source, rows), {}, {}, {}
    for layer in [*source.layers, *BESIDE]:
        activity = recorded(source, layer, rows)
        units = _spread(activity.shape[1])
        found = shared_variance(
            activity[:, units], source.episodes[rows], _FACTORS, _FOLDS, _DRAWS, seed, _RESAMPLES, source.tasks[rows]
        )
        outcome.arrays[f"chosen.{layer}"] = units
        outcome.units.append(UnitFinding(_SHARED, found.shared, layer=layer))
        mean = mean_over_units(found.shared)
        outcome.findings.append(Finding(_MEASURE, mean, "", layer, "", f"units (of {of})"))
        if mean.estimable:
            chosen[layer], fitted[layer], means[layer] = units, found.factors, mean
            outcome.findings.append(
                Finding("factors that predict best", Estimate(float(found.factors), {}), "", layer, "", of)
            )

    def of_others(layers: Layers) -> list[Finding]:
        found = []
        for layer, activity in layers.items():
            if layer in chosen:
                part = activity[np.searchsorted(steps, rows)][:, chosen[layer]]
                shares = share_of_factors(part, fitted[layer], source.tasks[rows])
                known = shares[np.isfinite(shares)]
                mean = Estimate(float(known.mean()) if len(known) else float("nan"), {})
                found.append(Finding(_MEASURE, mean, layer=layer))
        return found

    outcome.of_others = of_others
    if means:
        outcome.pictures["shared"] = Picture(_drawn(means), _CAPTION)
    return outcome


def _spread(columns: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, columns - 1, min(_UNITS, columns)).astype(np.int64))


def _drawn(means: Mapping[str, Estimate]) -> Figure:
    figure = Figure((1.6 + 0.7 * len(means), 3.2), layout="constrained")
    plot_estimates(means, _MEASURE, figure.add_subplot())
    return figure


_CAPTION = (
    "How much of the variance of a unit the factors of its layer carry, mean over units, of each layer, the senses and "
    "the joints, about the mean of each task; bars beside: the same units, each from other episodes of the task."
)
