"""How much of each unit's variance is shared: factor analysis with as many factors as predict held-out episodes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from analysis.inference import Estimate
from analysis.populations import shared_variance
from analysis.report.findings import Arrays, Finding, Outcome, UnitFinding, mean_over_units
from analysis.report.source import Source
from analysis.report.stages.sampling import even_steps, told

_STEPS, _UNITS, _FACTORS, _FOLDS, _DRAWS = 1500, 40, 6, 3, 20
_MEASURE = "shared variance"


def factors(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Shared variance of some units of each layer, spread over its columns, in as many steps of each task.

    What sets tasks apart is shared, too. Leaves `chosen.LAYER`: which units.
    """
    outcome, rows = Outcome(), even_steps(source, _STEPS, seed)
    of = told(source, rows)
    for layer in source.layers:
        activity = source.layer(layer, rows)
        units = np.unique(np.linspace(0, activity.shape[1] - 1, min(_UNITS, activity.shape[1])).astype(np.int64))
        found = shared_variance(
            activity[:, units], source.episodes[rows], most_factors=_FACTORS, folds=_FOLDS, draws=_DRAWS, seed=seed
        )
        outcome.arrays[f"chosen.{layer}"] = units
        outcome.units.append(UnitFinding(_MEASURE, found.shared, layer=layer))
        mean = mean_over_units(found.shared)
        outcome.findings.append(Finding(f"mean {_MEASURE}", mean, "", layer, "", f"units (of {of})"))
        if mean.estimable:
            outcome.findings.append(
                Finding("factors that predict best", Estimate(float(found.factors), {}), "", layer, "", of)
            )
    return outcome
