"""Untrained networks in the stages: their layers, and the same numbers of them, beside those recorded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from analysis.inference import Estimate, ends, not_estimable
from analysis.inputs import Array
from analysis.report.findings import UNTRAINED, Finding, Layers, Outcome
from analysis.report.source import Source
from analysis.report.stages.sampling import population_steps
from analysis.untrained import untrained_activities, untrained_activity
from rodent.errors import UsageError

GAIN = "gain over an untrained network"
BESIDE = "beside untrained networks"
"""In the name of a measure: of steps that untrained networks were driven through, as a number to hold against them."""
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


def beside_untrained(
    source: Source,
    outcomes: Mapping[str, Outcome],
    seed: int,
    progress: Callable[[int, int], None] = lambda done, count: None,
) -> dict[str, Exception]:
    """Give the numbers of layers what the same analyses find in networks that never learnt, as a control.

    Each draw of the control is a network of the same architecture with weights of its own: units of one network are no
    replicates of what a network does. One after the other is driven, once, and every stage looks at it.

    Args:
        source: the session.
        outcomes: by stage; their findings that `of_others` gives again get the control, or the outcome a row that says
            why no network can be driven.
        seed: of the first network, and of the steps that they are driven through.
        progress: called with how many of the networks are done, and of how many.

    Returns:
        Of the stages that failed on a network, why.
    """
    asked = {name: each for name, each in outcomes.items() if any(f.estimate.estimable for f in each.findings)}
    drawn: dict[str, _Drawn] = {name: defaultdict(list) for name in asked}
    failures: dict[str, Exception] = {}
    fresh = untrained_activities(source.session, population_steps(source, seed), range(seed, seed + NETWORKS))
    progress(0, NETWORKS)
    try:
        for done, layers in enumerate(fresh if asked else ()):
            of = {layer: layers[layer] for layer in source.layers if layer in layers}
            for name in [name for name in asked if name not in failures]:
                try:
                    _draw(asked[name], of, drawn[name])
                except Exception as error:  # whatever it is, the other stages must not be lost
                    failures[name] = error
            progress(done + 1, NETWORKS)
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


def stand_beside(
    outcome: Outcome, source: Source, seed: int, numbers: Callable[[Layers, int], Sequence[Finding]], draws: int = 200
) -> None:
    """Add what is found in the recorded layers at the population steps, and let untrained networks be asked the same.

    Args:
        outcome: to add to.
        source: the session.
        seed: of the steps.
        numbers: of layers (steps, units) at `population_steps`, with so many draws for their intervals.
        draws: of the recorded layers; networks have none, since their spread is the control.
    """
    steps = population_steps(source, seed)
    outcome.findings += numbers({name: source.layer(name, steps).astype(np.float32) for name in source.layers}, draws)
    outcome.of_others = lambda layers: numbers(layers, 0)


def mean_of_units(values: Array, draws: int, seed: int) -> Estimate:
    """The mean over a layer's units of what is explained of them or tells of a variable, without a null.

    What predicts held-out episodes worse than their mean explains nothing, however much worse it is: it counts as 0.

    Args:
        values: (units,); NaN where it cannot be estimated.
        draws: of units for the interval.
        seed: of the draws.
    """
    known = np.maximum(values[np.isfinite(values)], 0.0)
    if not len(known):
        return not_estimable("no unit of the layer is estimable")
    drawn = np.random.default_rng(seed).choice(known, size=(draws, len(known))).mean(axis=1)
    return Estimate(float(known.mean()), {}, ends(drawn))
