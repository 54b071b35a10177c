"""What single units encode: each family's unique contribution to ridge models of their activity."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.encoding import encode
from analysis.inference import UnitEstimates
from analysis.inputs import Array
from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture, UnitFinding, mean_over_units
from analysis.report.source import Source
from analysis.report.stages.families import behaviour_family, families
from analysis.report.stages.sampling import population_steps, told
from analysis.report.stages.untrained import BESIDE, mean_of_units, stand_beside

_STEPS, _UNITS, _COMPONENTS, _DRAWS, _FOLDS = 2000, 16, 8, 100, 3
_UNIQUE, _ALL = "unique variance explained", "all families"


def encoding(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Encoding models of some units of each layer, those that vary little among them as those that vary much.

    Means over units, chosen alike, stand beside those of untrained networks at the steps they were driven through.
    Leaves `chosen.LAYER`: which units.
    """
    outcome, rows = Outcome(), source.thinned(_STEPS, seed=seed)
    features, missing = _features(source, earlier["behaviour"], rows)
    for name, reason in missing.items():
        outcome.missing(f"mean {_UNIQUE}", reason, variable=name, interval_over="units")
    chosen = {layer: _spread(source.layer(layer, rows)) for layer in source.layers}
    activity = np.concatenate([source.layer(layer, rows)[:, units] for layer, units in chosen.items()], axis=1)
    found = encode(
        activity, features, source.episodes[rows], folds=_FOLDS, draws=_DRAWS, seed=seed, tasks=source.tasks[rows]
    )
    ends = np.cumsum([len(units) for units in chosen.values()])
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
            means.setdefault(layer, {})[variable] = mean.value
    at = source.thinned(_STEPS, population_steps(source, seed), seed)
    of_these = _features(source, earlier["behaviour"], at)[0]
    stand_beside(outcome, source, seed, partial(_beside, source, at, of_these, seed))
    outcome.pictures["unique"] = Picture(
        _heat({layer: {k: v for k, v in of.items() if k != _ALL} for layer, of in means.items()}),
        "What is lost of the explained variance of held-out episodes without one family of features, mean over some "
        "of each layer's units; darkest where nothing is lost.",
    )
    return outcome


def _features(source: Source, behaviour: Arrays, rows: NDArray[np.int64]) -> tuple[dict[str, Array], dict[str, str]]:
    """Of each family at these steps, and why one is missing."""
    features, missing = families(source, behaviour, rows, _COMPONENTS)
    doing, unknown = behaviour_family(behaviour, rows, _COMPONENTS)
    return features | doing, missing | unknown


def _beside(
    source: Source, at: NDArray[np.int64], features: Mapping[str, Array], seed: int, layers: Layers, draws: int
) -> list[Finding]:
    """Means over some units of layers (population steps, units), at some of these steps, whose features are given."""
    steps = population_steps(source, seed)
    over, findings, place = f"units (of {told(source, steps)})", [], np.searchsorted(steps, at)
    for layer, activity in layers.items() if features else ():
        some = activity[place]
        of = encode(some[:, _spread(some)], features, source.episodes[at], folds=_FOLDS, draws=0, seed=seed)
        for variable, estimates in {_ALL: of.full, **of.unique}.items():
            measure = f"mean {_UNIQUE if variable != _ALL else 'variance explained'}, {BESIDE}"
            mean = mean_of_units(estimates.value, draws, seed)
            findings.append(Finding(measure, mean, "", layer, variable, over))
    return findings


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
