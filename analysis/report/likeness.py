"""How alike the layers of several sessions are, beside their senses and joints, and networks that never learnt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.drawing import draw_cka
from analysis.inference import Estimate, not_estimable
from analysis.inputs import Array, Labels
from analysis.report.findings import UNTRAINED, Finding, Outcome, Picture
from analysis.report.source import Source, finite_units
from analysis.report.stages.beside import BESIDE, recorded
from analysis.report.stages.conditions import FEWEST_OF_HALF, Conditions, in_halves, posture_clusters
from analysis.report.stages.geometry import CEILING as RSA_CEILING
from analysis.report.stages.geometry import RSA, Geometry, agreement, agreement_alone, bounds, geometry
from analysis.report.stages.sampling import population_steps
from analysis.similarity import cka, cka_ceiling, dissimilarities, linear_cka, rsa
from analysis.untrained import untrained_activities
from rodent.errors import UsageError

_STEPS = 4000  # of each session
_NETWORKS = 5  # that never learnt, of each session: each is driven once more through as many steps as a report's are
_CKA, _BIASED = "unbiased linear CKA between sessions", "biased linear CKA between sessions"
_PAIR_CEILING = "noise ceiling of the unbiased linear CKA between sessions"
_CEILING = "noise ceiling of the unbiased linear CKA with all sessions"
_RSA, _RSA_CEILING = f"{RSA} between sessions", f"{RSA_CEILING} between sessions"
_MODEL, _MODEL_CEILING = f"{RSA} with postures, of all sessions", f"{RSA_CEILING}, of all sessions"

Values = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class _Part:
    """What is taken of a session.

    Attributes:
        episodes: (steps,) of each step taken.
        tasks: (steps,) of each.
        posture: (steps, coordinates).
        values: activity (steps, units) of layers, senses and joints by name.
        fresh: the same of the layers of each network that never learnt; none where none can be driven.
        labels: (steps,) cluster of posture.
    """

    source: Source
    episodes: Labels
    tasks: NDArray[Any]
    posture: Array
    values: Values
    fresh: Sequence[Values]
    labels: Labels

    @property
    def layers(self) -> list[str]:
        return self.source.layers

    @property
    def halves(self) -> list[Labels]:
        return in_halves(self.labels, self.tasks, self.episodes)


def likeness(sources: Sequence[Source], outcome: Outcome, seed: int) -> None:
    """Mean activities over clusters of posture that sessions share, each task's apart, and distances between them.

    Two sessions whose rats sense and move alike have layers that are alike, whatever they learnt. So their senses and
    joints stand beside, and as a control networks of either architecture that never learnt, driven through the senses
    of either session, with weights of their own.

    Args:
        sources: the sessions.
        outcome: to add to.
        seed: of clusters, permutations and weights.
    """
    rows = [source.thinned(_STEPS, population_steps(source, seed), seed) for source in sources]
    postures = [source.posture[mine] for source, mine in zip(sources, rows, strict=True)]
    clusters = posture_clusters(postures, seed)
    if not clusters:
        reason = f"{sum(map(len, rows))} steps in all; needs 160 for 8 clusters of posture"
        outcome.missing(_CKA, reason, interval_over="clusters")
        return
    parts = []
    for k, (source, mine) in enumerate(zip(sources, rows, strict=True)):
        values = {name: finite_units(recorded(source, name, mine)) for name in [*source.layers, *BESIDE]}
        fresh = _fresh(source, mine, seed + k * (_NETWORKS + 1), outcome)  # a recorded one may skip one of its seeds
        parts.append(_Part(source, source.episodes[mine], source.tasks[mine], postures[k], values, fresh, clusters[k]))
    outcome.findings += _ceilings(parts, _shared(parts))
    outcome.findings += _with_postures(parts, seed)
    for pair in combinations(parts, 2):
        outcome.findings += _distances(pair, seed)
        found = list(_ckas(pair, seed))
        outcome.findings += found
        if not _shared(pair).reason:
            _draw(pair, found, outcome)


def _fresh(source: Source, rows: NDArray[np.int64], seed: int, outcome: Outcome) -> list[Values]:
    """The layers of networks that never learnt, each with weights that no other session's have."""
    try:
        every = untrained_activities(source.session, rows, range(seed, seed + _NETWORKS))
        return [{name: layers[name] for name in source.layers if name in layers} for layers in every]
    except UsageError as error:
        outcome.missing(UNTRAINED, f"{source.name}: {error}")
        return []


def _shared(parts: Sequence[_Part]) -> Conditions:
    return Conditions.of([part.labels for part in parts], [part.tasks for part in parts])


def _shared_halves(parts: Sequence[_Part]) -> Conditions:
    """The conditions of these sessions in halves, two of each."""
    both = [half for part in parts for half in part.halves]
    return Conditions.of(both, [part.tasks for part in parts for _ in range(2)], FEWEST_OF_HALF)


def _told(parts: Sequence[_Part]) -> str:
    return " and ".join(part.source.name for part in parts)


def _compared(pair: Sequence[_Part]) -> Iterator[tuple[str, str]]:
    """Each layer of one with each of the other, and what the two felt and how they moved."""
    yield from product(pair[0].layers, pair[1].layers)
    yield from ((name, name) for name in BESIDE)


def _beside_fresh(estimate: Estimate, drawn: Sequence[float]) -> Estimate:
    """An estimate with networks that never learnt as a further control."""
    known = np.array(drawn)[np.isfinite(drawn)]
    if not estimate.estimable or not len(known):
        return estimate
    return replace(estimate, nulls={**estimate.nulls, UNTRAINED: known})


def _ckas(pair: Sequence[_Part], seed: int) -> Iterator[Finding]:
    """Of each layer of one session with each of the other, under what the noise of both leaves of it."""
    shared, name = _shared(pair), _told(pair)
    if shared.reason:
        reason = not_estimable(f"{name} share {shared.reason}")
        yield Finding(_CKA, reason, variable=name, interval_over="clusters")
        return
    means = [{layer: shared.means(each, at) for layer, each in part.values.items()} for at, part in enumerate(pair)]
    fresh = [
        [{layer: shared.means(each, at) for layer, each in network.items()} for network in part.fresh]
        for at, part in enumerate(pair)
    ]
    reached = [
        {layer: shared.reliability(each, part.episodes, seed, at) for layer, each in part.values.items()}
        for at, part in enumerate(pair)
    ]
    for first, second in _compared(pair):
        about = {"layer": first, "variable": f"{second} ({name})"}
        for measure, unbiased in ((_CKA, True), (_BIASED, False)):
            here, there = means[0][first], means[1][second]
            estimate = cka(here, there, seed=seed, unbiased=unbiased, within=shared.blocks)
            drawn = [
                linear_cka(one[first], other[second], unbiased)
                for one, other in zip(*fresh, strict=False)
                if first in one and second in other
            ]
            yield Finding(measure, _beside_fresh(estimate, drawn), interval_over="clusters", **about)
        ceiling = reached[0][first] * reached[1][second]
        none = not_estimable("no two halves of a session's episodes agree")
        yield Finding(_PAIR_CEILING, Estimate(ceiling, {}) if np.isfinite(ceiling) else none, **about)


def _distances(pair: Sequence[_Part], seed: int) -> Iterator[Finding]:
    """RSA of each layer of one session with each of the other, between its bounds."""
    halves, name = _shared_halves(pair), _told(pair)
    if halves.reason:
        reason = f"{name} share {halves.reason} in each half of the episodes"
        yield Finding(_RSA, not_estimable(reason), variable=name, interval_over="clusters")
        return
    of, fresh = _geometries(pair, halves, seed), _fresh_geometries(pair, halves, seed)
    for first, second in _compared(pair):
        about = {"layer": first, "variable": f"{second} ({name})"}
        agreed, *ends = agreement(of[0][first], of[1][second], halves.blocks, seed, about, (_RSA, _RSA_CEILING))
        drawn = [
            agreement_alone(one[first], other[second]).value
            for one, other in zip(*fresh, strict=False)
            if first in one and second in other
        ]
        yield replace(agreed, estimate=_beside_fresh(agreed.estimate, drawn))
        yield from ends


def _with_postures(parts: Sequence[_Part], seed: int) -> Iterator[Finding]:
    """RSA of a layer of all sessions, as subjects, with the distances between postures, under its noise ceiling."""
    halves, layers = _shared_halves(parts), _of_all(parts)
    if halves.reason:
        reason = not_estimable(f"the sessions share {halves.reason} in each half of the episodes")
        yield from (Finding(_MODEL, reason, layer=layer, interval_over="sessions") for layer in layers)
        return
    means = [halves.means(part.posture, 2 * k + side) for k, part in enumerate(parts) for side in (0, 1)]
    model = dissimilarities(np.mean(means, axis=0))
    of, fresh = _geometries(parts, halves, seed, splits=0), _fresh_geometries(parts, halves, seed)
    for layer in layers:
        found = rsa([own[layer].apart for own in of], model, 200, seed, halves.blocks)
        drawn = [
            rsa([own[layer].apart for own in networks], model, draws=0).agreement.value
            for networks in zip(*fresh, strict=False)
            if all(layer in own for own in networks)
        ]
        yield Finding(_MODEL, _beside_fresh(found.agreement, drawn), layer=layer, interval_over=f"{len(of)} sessions")
        yield from bounds(found.noise_ceiling, _MODEL_CEILING, {"layer": layer})


def _of_all(parts: Sequence[_Part]) -> list[str]:
    """The layers that all sessions have, and what stands beside them."""
    return [name for name in parts[0].values if all(name in part.values for part in parts)]


def _geometries(parts: Sequence[_Part], halves: Conditions, seed: int, splits: int = 20) -> list[dict[str, Geometry]]:
    return [
        {name: geometry(each, halves, part.episodes, 2 * k, seed, splits) for name, each in part.values.items()}
        for k, part in enumerate(parts)
    ]


def _fresh_geometries(parts: Sequence[_Part], halves: Conditions, seed: int) -> list[list[dict[str, Geometry]]]:
    """Of each session, those of each network that never learnt."""
    return [
        [
            {name: geometry(each, halves, part.episodes, 2 * k, seed, splits=0) for name, each in network.items()}
            for network in part.fresh
        ]
        for k, part in enumerate(parts)
    ]


def _ceilings(parts: Sequence[_Part], shared: Conditions) -> Iterator[Finding]:
    """What CKA with all sessions any model of a layer could reach, of layers that all have."""
    for layer in _of_all(parts):
        if shared.reason:
            yield Finding(_CEILING, not_estimable(f"the sessions share {shared.reason}"), layer=layer)
            continue
        ends = cka_ceiling([shared.means(part.values[layer], at) for at, part in enumerate(parts)])
        for name, end in zip(("lower", "upper"), ends, strict=True):
            known = Estimate(end, {}) if np.isfinite(end) else not_estimable("a session's layer is constant")
            yield Finding(_CEILING, known, layer=layer, variable=f"{name} bound")


def _draw(pair: Sequence[_Part], found: Sequence[Finding], outcome: Outcome) -> None:
    unbiased = [each.estimate.value for each in found if each.measure == _CKA and each.layer not in BESIDE]
    one, other = pair
    matrix = np.reshape(unbiased, (len(one.layers), len(other.layers)))
    name = f"cka.{one.source.name}.{other.source.name}"
    outcome.arrays[name] = matrix
    caption = _CAPTION.format(one.source.name, other.source.name)
    outcome.pictures[name] = Picture(draw_cka(matrix, one.layers, other.layers), caption)


_CAPTION = (
    "Likeness of each layer of {} (rows) and of {} (columns) over shared postures; the table has that of what the two "
    "sense and of how they move, and of networks that never learnt."
)
