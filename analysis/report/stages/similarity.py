"""Which layers resemble which features, each other, and themselves in other tasks: the protocol, CKA and RSA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, product

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.drawing import draw_cka
from analysis.inference import Estimate, not_estimable
from analysis.inputs import Array
from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture
from analysis.report.source import Source, finite_units
from analysis.report.stages.between_tasks import between_tasks
from analysis.report.stages.conditions import Conditions
from analysis.report.stages.families import families
from analysis.report.stages.sampling import population_steps, told
from analysis.similarity import (
    Protocol,
    cka,
    cluster_means,
    clustered_similarity,
    crossed_dissimilarities,
    linear_cka,
    rsa,
)

_STEPS, _COMPONENTS, _CLUSTERS = 6000, 15, 50
_CKA, _BIASED, _RSA = "unbiased linear CKA", "biased linear CKA", "correlation of dissimilarities (RSA)"
_CEILING = "noise ceiling of the unbiased linear CKA"


def similarity(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Similarity over clusters of behaviour. What sets tasks apart belongs to every null but untrained networks.

    Leaves `cka` (layers, layers) in the order of the session's layers.
    """
    outcome, steps = Outcome(), population_steps(source, seed)
    rows, over = source.thinned(_STEPS, steps), f"episodes ({told(source, steps)})"
    features, missing = families(source, earlier["behaviour"], rows, _COMPONENTS)
    for name, reason in missing.items():
        outcome.missing(_CKA, reason, variable=name)
    clusters = min(_CLUSTERS, len(rows) // 10)
    layers = {name: finite_units(source.layer(name, rows)) for name in source.layers}
    found = clustered_similarity(
        features, layers, source.episodes[rows], clusters=clusters, seed=seed, tasks=source.tasks[rows]
    )
    for (feature, layer), estimate in found.agreement.items():
        ceiling = _ceiling(found.ceiling[feature, layer], estimate)
        for measure, each in ((_CKA, estimate), (_BIASED, found.biased[feature, layer]), (_CEILING, ceiling)):
            outcome.findings.append(Finding(measure, each, layer=layer, variable=feature, interval_over=over))
    labels = found.clusters["pose"] if "pose" in found.clusters else next(iter(found.clusters.values()))
    conditions = Conditions.of([labels], [source.tasks[rows]])
    halves = Conditions.of_halves(labels, source.tasks[rows], source.episodes[rows])
    _distances(layers, features, halves, seed, outcome)
    matrix = _between_layers(layers, conditions, seed, outcome)

    def of_others(fresh: Layers) -> list[Finding]:
        thin = {name: values[np.searchsorted(steps, rows)] for name, values in fresh.items()}
        between = _between_layers_values(thin, conditions)
        return [*_protocol_values(thin, found, features), *_distance_values(thin, features, halves), *between]

    outcome.of_others = of_others
    between_tasks(source, rows, labels, layers | features, seed, outcome)
    outcome.arrays["cka"] = matrix
    outcome.pictures["layers"] = Picture(draw_cka(matrix, list(layers), list(layers)), _LAYERS)
    outcome.pictures["features"] = Picture(_features(found, list(layers), list(features)), _FEATURES)
    return outcome


def _distances(
    layers: Mapping[str, NDArray], features: Mapping[str, NDArray], halves: Conditions, seed: int, outcome: Outcome
) -> None:
    """Add RSA of layers with features, over distances between conditions that noise does not bias."""
    if halves.reason:
        for layer, feature in product(layers, features):
            reason = f"{halves.reason} in each half of the episodes"
            outcome.missing(_RSA, reason, layer=layer, variable=feature, interval_over="clusters")
        return
    apart = {name: _apart(halves, values) for name, values in {**layers, **features}.items()}
    for layer, feature in product(layers, features):
        model = rsa(apart[layer], apart[feature], seed=seed, within=halves.blocks)
        outcome.findings.append(Finding(_RSA, model.agreement, layer=layer, variable=feature, interval_over="clusters"))


def _apart(halves: Conditions, values: NDArray) -> Array:
    return crossed_dissimilarities(halves.means(values, 0), halves.means(values, 1))


def _between_layers(layers: Mapping[str, NDArray], conditions: Conditions, seed: int, outcome: Outcome) -> Array:
    """Add CKA of layers with each other, which is given as (layers, layers), too."""
    pairs = list(combinations(enumerate(layers), 2))
    matrix = np.where(np.eye(len(layers)) > 0, 1.0, np.nan)
    if conditions.reason:
        for (_, one), (_, other) in pairs:
            about = {"layer": one, "variable": f"layer {other}", "interval_over": "clusters"}
            outcome.missing(_CKA, conditions.reason, **about)
        return matrix
    means = {name: conditions.means(values) for name, values in layers.items()}
    for (i, one), (j, other) in pairs:
        for measure in (_BIASED, _CKA):
            estimate = cka(means[one], means[other], seed=seed, unbiased=measure == _CKA, within=conditions.blocks)
            outcome.findings.append(
                Finding(measure, estimate, layer=one, variable=f"layer {other}", interval_over="clusters")
            )
        matrix[i, j] = matrix[j, i] = estimate.value
    return matrix


def _protocol_values(
    layers: Mapping[str, NDArray], found: Protocol, features: Mapping[str, NDArray]
) -> Iterator[Finding]:
    """Of other layers over the same clusters of each family, the values alone."""
    for feature, labels in found.clusters.items():
        clusters = np.unique(labels).tolist()
        behaviour = cluster_means(features[feature], labels, clusters)
        for layer, values in layers.items():
            yield from _ckas(behaviour, cluster_means(values, labels, clusters), layer, feature)


def _distance_values(
    layers: Mapping[str, NDArray], features: Mapping[str, NDArray], halves: Conditions
) -> Iterator[Finding]:
    """What `_distances` finds in other layers, the values alone."""
    if not halves.reason:
        apart = {name: _apart(halves, values) for name, values in {**layers, **features}.items()}
        for layer, feature in product(layers, features):
            yield Finding(_RSA, rsa(apart[layer], apart[feature], draws=0).agreement, layer=layer, variable=feature)


def _between_layers_values(layers: Mapping[str, NDArray], conditions: Conditions) -> Iterator[Finding]:
    """What `_between_layers` finds in other layers, the values alone."""
    if not conditions.reason:
        means = {name: conditions.means(values) for name, values in layers.items()}
        for one, other in combinations(layers, 2):
            yield from _ckas(means[one], means[other], one, f"layer {other}")


def _ckas(first: Array, second: Array, layer: str, variable: str) -> Iterator[Finding]:
    for measure in (_CKA, _BIASED):
        value = linear_cka(first, second, unbiased=measure == _CKA)
        yield Finding(measure, Estimate(value, {}), layer=layer, variable=variable)


def _ceiling(ceiling: float, agreement: Estimate) -> Estimate:
    if np.isfinite(ceiling):
        return Estimate(ceiling, {})
    return not_estimable(agreement.reason or "no two halves of the episodes agree")


def _features(found: Protocol, layers: list[str], features: list[str]) -> Figure:
    figure = Figure((6.4, 3.2), layout="constrained")
    ax = figure.add_subplot()
    for i, feature in enumerate(features):
        estimates = [found.agreement[feature, layer] for layer in layers]
        at = np.arange(len(layers)) + 0.08 * (i - len(features) / 2)
        ax.plot(at, [estimate.value for estimate in estimates], "o", ms=4, color=f"C{i}", label=feature)
        for x, estimate in zip(at, estimates, strict=True):
            ax.plot([x, x], estimate.interval, lw=1, color=f"C{i}")
        ax.plot(at, [found.ceiling[feature, layer] for layer in layers], "_", ms=7, color=f"C{i}")
    ax.set_xticks(range(len(layers)), layers, rotation=30, ha="right", fontsize="small")
    ax.axhline(0, color="grey", lw=0.8)
    ax.set_ylabel("unbiased linear CKA")
    ax.legend(frameon=False, fontsize="x-small", bbox_to_anchor=(1, 1), loc="upper left")
    return figure


_LAYERS = (
    "Similarity of the layers' mean activities over clusters of posture, each task's apart; the null permutes them "
    "within tasks and among those of like many steps, since layers that merely know the task, and means that are alike "
    "noisy, resemble each other."
)
_FEATURES = (
    "Similarity of each layer with each family of features, over k-means clusters of the family (the paper's "
    "protocol); bars: 95 % intervals over episodes; dashes: what means without noise would reach."
)
