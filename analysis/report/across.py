"""What several sessions say together: numbers over training seeds, and likeness of their layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.drawing import draw_cka
from analysis.inference import Estimate, not_estimable, over_seeds
from analysis.report.findings import Finding, Outcome, Picture
from analysis.report.source import Source, finite_units
from analysis.report.stages.conditions import FEWEST_OF_HALF, Conditions, in_halves, posture_clusters
from analysis.report.stages.geometry import CEILING as RSA_CEILING
from analysis.report.stages.geometry import RSA, Geometry, agreement, bounds, geometry
from analysis.report.stages.information import UNIT
from analysis.similarity import cka, cka_ceiling, dissimilarities, rsa

NAME, TITLE = "seeds", "Over sessions"
_STEPS = 4000  # of each session
_SEEDS = "numbers over seeds"
_CKA, _BIASED = "unbiased linear CKA between sessions", "biased linear CKA between sessions"
_PAIR_CEILING = "noise ceiling of the unbiased linear CKA between sessions"
_CEILING = "noise ceiling of the unbiased linear CKA with all sessions"
_RSA, _RSA_CEILING = f"{RSA} between sessions", f"{RSA_CEILING} between sessions"
_MODEL, _MODEL_CEILING = f"{RSA} with postures, of all sessions", f"{RSA_CEILING}, of all sessions"
_Key = tuple[str, str, str, str]
_Values = Sequence[Mapping[str, NDArray[Any]]]
"""Of each session, the activity (steps, units) of its layers by name."""


def across(sources: Sequence[Source], found: Sequence[Mapping[str, Sequence[Finding]]], seed: int) -> Outcome:
    """Each number over the sessions, with an interval over them; CKA and RSA between their layers.

    Only networks that differ by their training seed alone are seeds: the numbers of others are not put together.
    Layers of any two sessions are compared.

    Args:
        sources: the sessions.
        found: of each, a stage's name to its findings.
        seed: of clusters and permutations.
    """
    outcome = Outcome()
    if reason := _no_seeds(sources):
        outcome.missing(_SEEDS, reason)
    else:
        _over_seeds(sources, found, outcome)
    _likeness(sources, outcome, seed)
    return outcome


def _no_seeds(sources: Sequence[Source]) -> str:
    """Why these sessions are not of networks that differ by their seed alone; empty where they are."""
    protocols = [source.session.protocol for source in sources]
    weights = [protocol.get("weights_sha256") for protocol in protocols]
    if len(set(weights)) < len(weights):
        return "two sessions are of one network; an interval over seeds needs one of each"
    policies = [protocol["policy"] for protocol in protocols]
    alike = {
        "agent": [policy["agent"] for policy in policies],
        "settings": [policy["settings"] for policy in policies],
        "senses": [policy["senses"] for policy in policies],
        "training tasks": [sorted(policy.get("tasks", ())) for policy in policies],
        "state, trained or untrained": ["untrained_seed" in policy for policy in policies],
        "widths of layers": [{name: layer.shape[1:] for name, layer in s.session.layers.items()} for s in sources],
    }
    for what, values in alike.items():
        for source, value in zip(sources, values, strict=True):
            if value != values[0]:
                return f"{sources[0].name} and {source.name} differ in their {what}: these are no seeds of one training"
    return ""


def _over_seeds(sources: Sequence[Source], found: Sequence[Mapping[str, Sequence[Finding]]], outcome: Outcome) -> None:
    for stage in dict.fromkeys(name for each in found for name in each):
        tables = [{_key(each): each.estimate for each in mine.get(stage, ())} for mine in found]
        for key in dict.fromkeys(key for table in tables for key in table):
            measure, task, layer, variable = key
            estimates = [table[key] for table in tables if key in table]
            if len(estimates) < len(sources) or UNIT in layer:  # units of two networks are strangers
                continue
            about = {"task": task, "layer": layer, "variable": variable}
            known = [each for each in estimates if each.estimable]
            count = f"{len(known)} seeds" if len(known) == len(sources) else f"{len(known)} of {len(sources)} seeds"
            told = over_seeds(estimates)
            if len(known) == 1:
                told = not_estimable(f"{count}: the number is not estimable in the others")
            outcome.findings.append(Finding(f"{stage}: {measure}", told, interval_over=count, **about))


def _key(finding: Finding) -> _Key:
    return finding.measure, finding.task, finding.layer, finding.variable


def _likeness(sources: Sequence[Source], outcome: Outcome, seed: int) -> None:
    """Mean activities over clusters of posture that sessions share, each task's apart, and distances between them."""
    rows = [source.thinned(_STEPS, seed=seed) for source in sources]
    postures = [source.posture[mine] for source, mine in zip(sources, rows, strict=True)]
    labels = posture_clusters(postures, seed)
    if not labels:
        reason = f"{sum(map(len, rows))} steps in all; needs 160 for 8 clusters of posture"
        outcome.missing(_CKA, reason, interval_over="clusters")
        return
    values = [
        {layer: finite_units(source.layer(layer, mine)) for layer in source.layers}
        for source, mine in zip(sources, rows, strict=True)
    ]
    tasks = [source.tasks[mine] for source, mine in zip(sources, rows, strict=True)]
    episodes = [source.episodes[mine] for source, mine in zip(sources, rows, strict=True)]
    parts = [in_halves(*each) for each in zip(labels, tasks, episodes, strict=True)]

    def halves(chosen: Sequence[int]) -> Conditions:
        """The conditions of these sessions in halves, two of each."""
        both = [half for k in chosen for half in parts[k]]
        return Conditions.of(both, [tasks[k] for k in chosen for _ in range(2)], FEWEST_OF_HALF)

    shared = Conditions.of(labels, tasks)
    outcome.findings += _ceilings(values, shared)
    outcome.findings += _with_postures(values, postures, episodes, halves(range(len(sources))), seed)
    for i, j in combinations(range(len(sources)), 2):
        pair = f"{sources[i].name} and {sources[j].name}"
        of_pair = Conditions.of([labels[i], labels[j]], [tasks[i], tasks[j]])
        two = (values[i], values[j])
        outcome.findings += _distances(two, (episodes[i], episodes[j]), halves((i, j)), pair, seed)
        found = list(_ckas(two, (episodes[i], episodes[j]), of_pair, pair, seed))
        outcome.findings += found
        if not of_pair.reason:
            _draw(sources[i], sources[j], found, outcome)


def _ckas(
    values: _Values, episodes: Sequence[NDArray[np.int64]], shared: Conditions, pair: str, seed: int
) -> Iterator[Finding]:
    """Of each layer of one session with each of the other, under what the noise of both leaves of it."""
    if shared.reason:
        reason = not_estimable(f"{pair} share {shared.reason}")
        yield Finding(_CKA, reason, variable=pair, interval_over="clusters")
        return
    means = [{layer: shared.means(each, at) for layer, each in own.items()} for at, own in enumerate(values)]
    reached = [
        {layer: shared.reliability(each, episodes[at], seed, at) for layer, each in own.items()}
        for at, own in enumerate(values)
    ]
    for first, second in product(*values):
        about = {"layer": first, "variable": f"{second} ({pair})"}
        for measure, unbiased in ((_CKA, True), (_BIASED, False)):
            here, there = means[0][first], means[1][second]
            estimate = cka(here, there, seed=seed, unbiased=unbiased, within=shared.blocks)
            yield Finding(measure, estimate, interval_over="clusters", **about)
        ceiling = reached[0][first] * reached[1][second]
        none = not_estimable("no two halves of a session's episodes agree")
        yield Finding(_PAIR_CEILING, Estimate(ceiling, {}) if np.isfinite(ceiling) else none, **about)


def _distances(
    values: _Values, episodes: Sequence[NDArray[np.int64]], halves: Conditions, pair: str, seed: int
) -> Iterator[Finding]:
    """RSA of each layer of one session with each of the other, between its bounds."""
    if halves.reason:
        reason = f"{pair} share {halves.reason} in each half of the episodes"
        yield Finding(_RSA, not_estimable(reason), variable=pair, interval_over="clusters")
        return
    of = _geometries(values, episodes, halves, seed)
    for first, second in product(*values):
        about = {"layer": first, "variable": f"{second} ({pair})"}
        yield from agreement(of[0][first], of[1][second], halves.blocks, seed, about, (_RSA, _RSA_CEILING))


def _with_postures(
    values: _Values,
    postures: Sequence[NDArray[Any]],
    episodes: Sequence[NDArray[np.int64]],
    halves: Conditions,
    seed: int,
) -> Iterator[Finding]:
    """RSA of a layer of all sessions, as subjects, with the distances between postures, under its noise ceiling."""
    layers = [layer for layer in values[0] if all(layer in own for own in values)]
    if halves.reason:
        reason = not_estimable(f"the sessions share {halves.reason} in each half of the episodes")
        yield from (Finding(_MODEL, reason, layer=layer, interval_over="sessions") for layer in layers)
        return
    means = [halves.means(each, 2 * k + side) for k, each in enumerate(postures) for side in (0, 1)]
    model = dissimilarities(np.mean(means, axis=0))
    of = _geometries(values, episodes, halves, seed, splits=0)
    for layer in layers:
        found = rsa([own[layer].apart for own in of], model, 200, seed, halves.blocks)
        yield Finding(_MODEL, found.agreement, layer=layer, interval_over=f"{len(of)} sessions")
        yield from bounds(found.noise_ceiling, _MODEL_CEILING, {"layer": layer})


def _geometries(
    values: _Values, episodes: Sequence[NDArray[np.int64]], halves: Conditions, seed: int, splits: int = 20
) -> list[dict[str, Geometry]]:
    return [
        {layer: geometry(each, halves, episodes[k], 2 * k, seed, splits) for layer, each in own.items()}
        for k, own in enumerate(values)
    ]


def _ceilings(values: _Values, shared: Conditions) -> Iterator[Finding]:
    """What CKA with all sessions any model of a layer could reach, of layers that all have."""
    for layer in (layer for layer in values[0] if all(layer in own for own in values)):
        if shared.reason:
            yield Finding(_CEILING, not_estimable(f"the sessions share {shared.reason}"), layer=layer)
            continue
        ends = cka_ceiling([shared.means(own[layer], at) for at, own in enumerate(values)])
        for name, end in zip(("lower", "upper"), ends, strict=True):
            known = Estimate(end, {}) if np.isfinite(end) else not_estimable("a session's layer is constant")
            yield Finding(_CEILING, known, layer=layer, variable=f"{name} bound")


def _draw(one: Source, other: Source, found: Sequence[Finding], outcome: Outcome) -> None:
    unbiased = [each.estimate.value for each in found if each.measure == _CKA]
    matrix = np.reshape(unbiased, (len(one.layers), len(other.layers)))
    name = f"cka.{one.name}.{other.name}"
    caption = f"Likeness of each layer of {one.name} (rows) and of {other.name} (columns) over shared postures."
    outcome.arrays[name] = matrix
    outcome.pictures[name] = Picture(draw_cka(matrix, one.layers, other.layers), caption)
