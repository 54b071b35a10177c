"""What single units encode: each family's unique contribution to ridge models of their activity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.encoding import encode
from analysis.inference import UnitEstimates
from analysis.inputs import Array
from analysis.report.findings import Arrays, Finding, Outcome, Picture, UnitFinding, mean_over_units
from analysis.report.source import Source
from analysis.report.stages.families import behaviour_family, families
from analysis.report.stages.untrained import UNIT_GAIN, unit_gain, untrained_layers

_STEPS, _UNITS, _COMPONENTS, _DRAWS, _FOLDS = 2000, 16, 8, 24, 3
_UNIQUE, _ALL = "unique variance explained", "all families"


def encoding(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Encoding models of some units of each layer, those that vary little among them as those that vary much.

    As many of an untrained network's are chosen alike, and what the recorded ones gain over them is told.
    Leaves `chosen.LAYER`: which units.
    """
    outcome, rows = Outcome(), source.thinned(_STEPS, seed=seed)
    features, missing = families(source, earlier["behaviour"], rows, _COMPONENTS)
    doing, unknown = behaviour_family(earlier["behaviour"], rows, _COMPONENTS)
    features, missing = features | doing, missing | unknown
    for name, reason in missing.items():
        outcome.missing(f"mean {_UNIQUE}", reason, variable=name, interval_over="units")
    chosen = {layer: _spread(source.layer(layer, rows)) for layer in source.layers}
    activity = np.concatenate([source.layer(layer, rows)[:, units] for layer, units in chosen.items()], axis=1)
    found = encode(
        activity, features, source.episodes[rows], folds=_FOLDS, draws=_DRAWS, seed=seed, tasks=source.tasks[rows]
    )
    ends = np.cumsum([len(units) for units in chosen.values()])
    fresh = _fresh(source, rows, features, seed, outcome)
    means: dict[str, dict[str, float]] = {}
    for (layer, units), end in zip(chosen.items(), ends, strict=True):
        part = slice(end - len(units), end)
        outcome.arrays[f"chosen.{layer}"] = units
        for variable, estimates in {_ALL: found.full, **found.unique}.items():
            of = _part(estimates, part)
            measure = _UNIQUE if variable != _ALL else "variance explained"
            mean = mean_over_units(of)
            outcome.findings.append(Finding(f"mean {measure}", mean, "", layer, variable, "units"))
            outcome.units.append(UnitFinding(measure, of, "", layer, variable))
            if layer in fresh:
                gain = unit_gain(of.value, fresh[layer][variable], seed)
                outcome.findings.append(Finding(UNIT_GAIN, gain, "", layer, variable, "units"))
            means.setdefault(layer, {})[variable] = mean.value
    outcome.pictures["unique"] = Picture(
        _heat({layer: {k: v for k, v in of.items() if k != _ALL} for layer, of in means.items()}),
        "What is lost of the explained variance of held-out episodes without one family of features, mean over some "
        "of each layer's units; darkest where nothing is lost.",
    )
    return outcome


def _fresh(
    source: Source, rows: NDArray[np.int64], features: Mapping[str, Array], seed: int, outcome: Outcome
) -> dict[str, dict[str, Array]]:
    """An untrained network's layer and what is explained to (units,) values of some of its units."""
    found: dict[str, dict[str, Array]] = {}
    for layer, values in untrained_layers(source, rows, seed, outcome, UNIT_GAIN).items():
        of = encode(values[:, _spread(values)], features, source.episodes[rows], folds=_FOLDS, draws=0, seed=seed)
        found[layer] = {_ALL: of.full.value, **{name: unique.value for name, unique in of.unique.items()}}
    return found


def _spread(activity: NDArray[np.float32]) -> NDArray[np.int64]:
    """Units at even ranks of their variance."""
    order = np.argsort(-activity.var(axis=0), kind="stable")
    return np.sort(order[np.linspace(0, len(order) - 1, min(_UNITS, len(order))).astype(np.int64)])


def _part(estimates: UnitEstimates, part: slice) -> UnitEstimates:
    return UnitEstimates(
        estimates.value[part], estimates.control, estimates.null[:, part], estimates.interval[:, part],
        estimates.reasons[part],
    )  # fmt: skip


def _heat(means: Mapping[str, Mapping[str, float]]) -> Figure:
    figure = Figure((6.2, 1.9 + 0.32 * len(means)), layout="constrained")
    ax, columns = figure.add_subplot(), list(next(iter(means.values())))
    values = np.array([[of[name] for name in columns] for of in means.values()])
    image = ax.imshow(values, aspect="auto", vmin=0, cmap="viridis")
    ax.set_yticks(range(len(means)), list(means), fontsize="small")
    ax.set_xticks(range(len(columns)), columns, rotation=40, ha="right", fontsize="small")
    figure.colorbar(image, label="unique variance")
    return figure
