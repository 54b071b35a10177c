"""Untrained networks in the stages: their layers, and the same numbers of them, beside those recorded."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from analysis.inference import Estimate, ends, not_estimable
from analysis.inputs import Array
from analysis.report.findings import UNTRAINED, Finding, Layers, Outcome
from analysis.report.source import Source
from analysis.report.stages.sampling import population_steps
from analysis.report.threads import one_core_each
from analysis.untrained import untrained_activities, untrained_activity
from rodent.errors import UsageError

GAIN = "gain over an untrained network"
BESIDE = "beside untrained networks"
"""In the name of a measure: of steps that untrained networks were driven through, as a number to hold against them."""
NETWORKS = 12
_THREADS = 2  # that look at one network each
_Numbers = dict[str, Sequence[Finding]]
"""A stage to what it finds in one network."""
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
    fresh = untrained_activities(source.session, population_steps(source, seed), range(seed, seed + NETWORKS))
    failures: dict[str, Exception] = {}
    found: list[_Numbers] = []
    progress(0, NETWORKS)
    try:
        for done, numbers in enumerate(
            _side_by_side(partial(_numbers, source, asked, failures), fresh if asked else ())
        ):
            found.append(numbers)
            progress(done + 1, NETWORKS)
    except UsageError as error:
        for each in asked.values():
            each.missing(UNTRAINED, str(error))
    for name, each in asked.items():
        drawn: _Drawn = defaultdict(list)
        for finding in (finding for numbers in found for finding in numbers.get(name, ())):
            drawn[finding.identity].append(finding.estimate.value)
        each.findings = [_with_control(finding, drawn.get(finding.identity, [])) for finding in each.findings]
    return failures


def _side_by_side(work: Callable[[Layers], _Numbers], networks: Iterable[Layers]) -> Iterator[_Numbers]:
    """What work gives of each network, in their order; as many are looked at as there are threads, the next is driven.

    Most of the work is NumPy's, which lets other threads run; no more networks than that are in memory.
    """
    with one_core_each(_THREADS) as pool:
        waiting: deque[Future[_Numbers]] = deque()
        for layers in networks:
            waiting.append(pool.submit(work, layers))
            if len(waiting) == _THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _numbers(source: Source, asked: Mapping[str, Outcome], failures: dict[str, Exception], layers: Layers) -> _Numbers:
    """What each stage finds in one network, but for those that failed on it or on another."""
    of = {layer: layers[layer] for layer in source.layers if layer in layers}
    found: _Numbers = {}
    for name, outcome in asked.items():
        if name in failures or outcome.of_others is None:
            continue
        try:
            found[name] = outcome.of_others(of)
        except Exception as error:  # whatever it is, the other stages must not be lost
            failures[name] = error
    return found


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
