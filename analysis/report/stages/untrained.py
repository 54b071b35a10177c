"""The untrained network in the stages: its layers beside those recorded, and what single units gain over its units."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.inference import Estimate, bootstrap_weights, ends, not_estimable
from analysis.inputs import Array
from analysis.report.findings import UNTRAINED, Finding, Layers, Outcome
from analysis.report.source import Source
from analysis.report.stages.sampling import population_steps
from analysis.untrained import untrained_activities, untrained_activity
from rodent.errors import UsageError

GAIN, UNIT_GAIN = "gain over an untrained network", "gain over an untrained network, mean over units"
MIXED = "units mixed with an untrained network's"
"""The control that deals the units of both networks to two layers."""
NETWORKS = 20
_Drawn = dict[tuple[str, str, str, str], list[float]]
"""What a number is of to its values in untrained networks."""


def untrained_layers(
    source: Source, rows: NDArray[np.int64], seed: int, outcome: Outcome, measure: str
) -> dict[str, NDArray[np.float32]]:
    """A layer's name to what an untrained network does in it at these steps; none, and a row that says why, where it
    cannot be driven.
    """
    try:
        return untrained_activity(source.session, rows, seed)
    except UsageError as error:
        outcome.missing(measure, str(error))
        return {}


def beside_untrained(source: Source, outcomes: Mapping[str, Outcome], seed: int) -> dict[str, Exception]:
    """Give the numbers of whole populations what the same analyses find in networks that never learnt, as a control.

    Such numbers have no parts that could be swapped between two networks: each draw of the control is a network of the
    same architecture with weights of its own. One after the other is driven, once, and every stage looks at it.

    Args:
        source: the session.
        outcomes: by stage; their findings that `of_others` gives again get the control, or the outcome a row that says
            why no network can be driven.
        seed: of the first network, and of the steps that they are driven through.

    Returns:
        Of the stages that failed on a network, why.
    """
    asked = {name: each for name, each in outcomes.items() if any(f.estimate.estimable for f in each.findings)}
    drawn: dict[str, _Drawn] = {name: defaultdict(list) for name in asked}
    failures: dict[str, Exception] = {}
    fresh = untrained_activities(source.session, population_steps(source, seed), range(seed, seed + NETWORKS))
    try:
        for layers in fresh if asked else ():
            of = {layer: layers[layer] for layer in source.layers if layer in layers}
            for name in [name for name in asked if name not in failures]:
                try:
                    _draw(asked[name], of, drawn[name])
                except Exception as error:  # whatever it is, the other stages must not be lost
                    failures[name] = error
    except UsageError as error:
        for each in asked.values():
            each.missing(UNTRAINED, str(error))
    for name, each in asked.items():
        each.findings = [_with_control(finding, drawn[name].get(_about(finding), [])) for finding in each.findings]
    return failures


def _draw(outcome: Outcome, layers: Layers, drawn: _Drawn) -> None:
    for each in outcome.of_others(layers) if outcome.of_others else ():
        drawn[_about(each)].append(each.estimate.value)


def _about(finding: Finding) -> tuple[str, str, str, str]:
    return finding.measure, finding.task, finding.layer, finding.variable


def _with_control(finding: Finding, values: list[float]) -> Finding:
    known = np.array(values)[np.isfinite(values)]
    if not finding.estimate.estimable or not len(known):
        return finding
    return replace(finding, estimate=replace(finding.estimate, nulls={**finding.estimate.nulls, UNTRAINED: known}))


def unit_gain(own: Array, other: Array, seed: int, draws: int = 1000) -> Estimate:
    """How much more variance is explained of a layer's units, on average, than of those of the untrained network.

    What predicts held-out episodes worse than their mean explains nothing, however much worse it is: it counts as 0.

    Args:
        own: (units,) variance explained, of the recorded layer; NaN where it cannot be estimated.
        other: (units,) of the untrained one.
        seed: of the null, which deals the units of both to two layers, and of the units drawn for the interval.
        draws: of both.
    """
    own, other = (np.maximum(each[np.isfinite(each)], 0.0) for each in (own, other))
    if reason := _none_known(own, other):
        return not_estimable(reason)
    rng, both = np.random.default_rng(seed), np.concatenate([own, other])
    mixed = rng.permuted(np.tile(both, (draws, 1)), axis=1)
    null = mixed[:, : len(own)].mean(axis=1) - mixed[:, len(own) :].mean(axis=1)
    drawn = [rng.choice(each, size=(draws, len(each))).mean(axis=1) for each in (own, other)]
    return Estimate(float(own.mean() - other.mean()), {MIXED: null}, ends(drawn[0] - drawn[1]))


def share_slower(own: Array, other: Array, seed: int, draws: int = 1000) -> Estimate:
    """In which share of the pairs of a layer's unit and one of the untrained network the layer's is slower.

    Half where both are alike (Mann and Whitney 1947). Ranks alone count, so units that never decay may take part.

    Args:
        own: (units,) timescales of the recorded layer, infinite where a unit never decays; NaN where there is none.
        other: (units,) of the untrained one.
        seed: of the null, which deals the units of both to two layers, and of the units drawn for the interval.
        draws: of both.
    """
    own, other = (each[~np.isnan(each)] for each in (own, other))
    if reason := _none_known(own, other):
        return not_estimable(reason)
    rng, slower = np.random.default_rng(seed), (own[:, None] > other) + 0.5 * (own[:, None] == other)
    mixed = rng.permuted(np.tile(stats.rankdata(np.concatenate([own, other])), (draws, 1)), axis=1)
    null = (mixed[:, : len(own)].sum(axis=1) - len(own) * (len(own) + 1) / 2) / slower.size
    drawn = [bootstrap_weights(len(each), draws, rng) for each in (own, other)]
    return Estimate(
        float(slower.mean()), {MIXED: null}, ends(((drawn[0] @ slower) * drawn[1]).sum(axis=1) / slower.size)
    )


def _none_known(own: Array, other: Array) -> str:
    """Why two layers cannot be compared; empty where they can."""
    if len(own) and len(other):
        return ""
    return f"no unit of the {'untrained ' if len(own) else ''}layer is estimable"
