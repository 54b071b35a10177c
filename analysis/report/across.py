"""What several sessions say together: numbers over training seeds, and likeness of their layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from analysis.drawing import draw_cka
from analysis.inference import Estimate, not_estimable, over_seeds
from analysis.inputs import Labels
from analysis.report.findings import Finding, Outcome, Picture
from analysis.report.source import Source, finite_units
from analysis.report.stages.conditions import Conditions, posture_clusters
from analysis.report.stages.information import UNIT
from analysis.similarity import cka, cka_ceiling

NAME, TITLE = "seeds", "Over sessions"
_STEPS = 4000  # of each session
_CKA, _BIASED = "unbiased linear CKA between sessions", "biased linear CKA between sessions"
_CEILING = "noise ceiling of the unbiased linear CKA with all sessions"
_Key = tuple[str, str, str, str]


def across(sources: Sequence[Source], found: Sequence[Mapping[str, Sequence[Finding]]], seed: int) -> Outcome:
    """Each number over the sessions, with an interval over them; CKA between their layers.

    Sessions of one network are no seeds: their numbers are not put together. A layer that some sessions lack is
    compared with those of the others by CKA, and its other numbers are marked as not estimable.

    Args:
        sources: the sessions.
        found: of each, a stage's name to its findings.
        seed: of clusters and permutations.
    """
    outcome = Outcome()
    weights = [source.session.protocol.get("weights_sha256") for source in sources]
    if len(set(weights)) < len(weights):
        outcome.missing(
            "numbers over seeds", "two sessions are of one network; an interval over seeds needs one of each"
        )
    else:
        _over_seeds(sources, found, outcome)
    _likeness(sources, outcome, seed)
    return outcome


def _over_seeds(sources: Sequence[Source], found: Sequence[Mapping[str, Sequence[Finding]]], outcome: Outcome) -> None:
    lacking: dict[str, str] = {}
    for layer in dict.fromkeys(layer for source in sources for layer in source.layers):
        without = [source.name for source in sources if layer not in source.layers]
        if without:
            lacking[layer] = f"unlike layers: {', '.join(without)} has no {layer}"
            outcome.missing("numbers over seeds", lacking[layer], layer=layer)
    for stage in dict.fromkeys(name for each in found for name in each):
        tables = [{_key(each): each.estimate for each in mine.get(stage, ())} for mine in found]
        for key in dict.fromkeys(key for table in tables for key in table):
            measure, task, layer, variable = key
            estimates = [table[key] for table in tables if key in table]
            if (
                layer in lacking or len(estimates) < len(sources) or UNIT in layer
            ):  # units of two networks are strangers
                continue
            about = {"task": task, "layer": layer, "variable": variable}
            outcome.findings.append(
                Finding(f"{stage}: {measure}", over_seeds(estimates), interval_over="seeds", **about)
            )


def _key(finding: Finding) -> _Key:
    return finding.measure, finding.task, finding.layer, finding.variable


def _likeness(sources: Sequence[Source], outcome: Outcome, seed: int) -> None:
    """Mean activities over clusters of posture that sessions share, each task's apart."""
    rows = [source.thinned(_STEPS, seed=seed) for source in sources]
    postures = [source.posture[mine] for source, mine in zip(sources, rows, strict=True)]
    labels = posture_clusters(postures, seed)
    if not labels:
        reason = f"{sum(map(len, rows))} steps in all; needs 160 for 8 clusters of posture"
        outcome.missing(_CKA, reason, interval_over="clusters")
        return
    _ceilings(sources, rows, labels, outcome)
    for (i, one), (j, other) in combinations(enumerate(sources), 2):
        pair, both = f"{one.name} and {other.name}", ((i, one), (j, other))
        shared = Conditions.of([labels[k] for k, _ in both], [source.tasks[rows[k]] for k, source in both])
        if shared.reason:
            outcome.missing(_CKA, f"{pair} share {shared.reason}", variable=pair, interval_over="clusters")
            continue
        means = [
            {layer: shared.means(finite_units(source.layer(layer, rows[k])), at) for layer in source.layers}
            for at, (k, source) in enumerate(both)
        ]
        matrix = np.full((len(one.layers), len(other.layers)), np.nan)
        for a, first in enumerate(one.layers):
            for b, second in enumerate(other.layers):
                for measure, unbiased in ((_CKA, True), (_BIASED, False)):
                    estimate = cka(
                        means[0][first], means[1][second], seed=seed, unbiased=unbiased, within=shared.blocks
                    )
                    outcome.findings.append(_pair(measure, estimate, first, second, pair))
                    if unbiased:
                        matrix[a, b] = estimate.value
        outcome.arrays[f"cka.{one.name}.{other.name}"] = matrix
        caption = f"Likeness of each layer of {one.name} (rows) and of {other.name} (columns) over shared postures."
        outcome.pictures[f"cka.{one.name}.{other.name}"] = Picture(draw_cka(matrix, one.layers, other.layers), caption)


def _ceilings(
    sources: Sequence[Source], rows: Sequence[NDArray[np.int64]], labels: Sequence[Labels], outcome: Outcome
) -> None:
    """Add what CKA with all sessions any model of a layer could reach, of layers that all have."""
    shared = Conditions.of(labels, [source.tasks[mine] for source, mine in zip(sources, rows, strict=True)])
    for layer in sources[0].layers:
        if not all(layer in source.layers for source in sources):
            continue
        if shared.reason:
            outcome.missing(_CEILING, f"the sessions share {shared.reason}", layer=layer)
            continue
        values = [finite_units(source.layer(layer, mine)) for source, mine in zip(sources, rows, strict=True)]
        ends = cka_ceiling([shared.means(each, at) for at, each in enumerate(values)])
        for name, end in zip(("lower", "upper"), ends, strict=True):
            known = Estimate(end, {}) if np.isfinite(end) else not_estimable("a session's layer is constant")
            outcome.findings.append(Finding(_CEILING, known, layer=layer, variable=f"{name} bound"))


def _pair(measure: str, estimate: Estimate, first: str, second: str, pair: str) -> Finding:
    return Finding(measure, estimate, layer=first, variable=f"{second} ({pair})", interval_over="clusters")
