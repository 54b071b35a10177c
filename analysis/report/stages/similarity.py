"""Which layers resemble which features, each other, and themselves in other tasks: the protocol, CKA and RSA."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage

from analysis.clustered import Protocol, cluster_means, clustered_similarity, clustered_without
from analysis.drawing import draw_cka
from analysis.inference import Estimate, not_estimable
from analysis.inputs import Array, Labels
from analysis.paired import paired_difference
from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture
from analysis.report.source import Source, finite_units
from analysis.report.stages.beside import BESIDE, recorded
from analysis.report.stages.between_tasks import likeness_of_tasks
from analysis.report.stages.conditions import Conditions
from analysis.report.stages.families import families
from analysis.report.stages.geometry import CEILING as RSA_CEILING
from analysis.report.stages.geometry import RSA, Geometry, agreement, agreement_alone, geometry
from analysis.report.stages.layer_pairs import layer_pairs
from analysis.report.stages.sampling import population_steps, told
from analysis.similarity import cka, linear_cka

_STEPS, _COMPONENTS, _CLUSTERS = 6000, 15, 50
_CKA, _BIASED = "unbiased linear CKA", "biased linear CKA"
_CEILING = "noise ceiling of the unbiased linear CKA"
_DIFFERENCE = "unbiased linear CKA, less that of another layer"
_KINEMATICS = "kinematics"  # the families of features that the paper sets layers apart by

Values = Mapping[str, NDArray]


@dataclass(frozen=True)
class _Asked:
    """What layers are compared over, and with: of the recorded network as of others.

    Attributes:
        rows: (n,) steps.
        features: families of features (n, columns) by name.
        missing: families that there are none of, and why, by name.
        beside: senses and joints, as if they were layers.
        conditions: clusters of posture, each task's for itself.
        halves: the same in two halves of the episodes.
        postures: (n,) cluster of posture of each step.
        labels: (n,) cluster of each family of features, by name.
    """

    source: Source
    rows: NDArray[np.int64]
    features: Values
    missing: Mapping[str, str]
    beside: Values
    conditions: Conditions
    halves: Conditions
    postures: Labels
    labels: Mapping[str, Labels]
    seed: int

    @property
    def episodes(self) -> Labels:
        return self.source.episodes[self.rows]

    def pairs(self, layers: Values) -> list[tuple[str, str]]:
        """Layers with each other, and with the senses and the joints."""
        return [pair for pair in combinations([*layers, *self.beside], 2) if pair[0] in layers]


def similarity(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Similarity over clusters of behaviour. What sets tasks apart belongs to every null but untrained networks.

    Senses and joints stand among the layers. Leaves `cka` (names, names) in the order of `names`, and
    `matrix.FEATURES.LAYER` (clusters, clusters), the paper's similarity matrices, and `matrix.FEATURES`.
    """
    outcome, steps = Outcome(), population_steps(source, seed)
    rows = source.thinned(_STEPS, steps, seed)
    over = f"episodes ({told(source, rows)})"
    features, missing = families(source, earlier["behaviour"], rows, _COMPONENTS)
    for name, reason in missing.items():
        outcome.missing(_CKA, reason, variable=name)
    every = {name: finite_units(recorded(source, name, rows)) for name in [*source.layers, *BESIDE]}
    layers, beside = ({n: v for n, v in every.items() if (n in BESIDE) == inside} for inside in (False, True))
    found = clustered_similarity(
        features, every, source.episodes[rows], clusters=min(_CLUSTERS, len(rows) // 10), seed=seed,
        tasks=source.tasks[rows],
    )  # fmt: skip
    for (feature, layer), estimate in found.agreement.items():
        ceiling = _ceiling(found.ceiling[feature, layer], estimate)
        for measure, each in ((_CKA, estimate), (_BIASED, found.biased[feature, layer]), (_CEILING, ceiling)):
            outcome.findings.append(Finding(measure, each, layer=layer, variable=feature, interval_over=over))
        outcome.arrays[f"matrix.{feature}.{layer}"] = found.matrices[feature, layer].astype(np.float32)
    outcome.arrays |= {f"matrix.{feature}": own.astype(np.float32) for feature, own in found.own.items()}
    postures = found.clusters["pose"] if "pose" in found.clusters else next(iter(found.clusters.values()))
    conditions = Conditions.of([postures], [source.tasks[rows]])
    halves = Conditions.of_halves(postures, source.tasks[rows], source.episodes[rows])
    asked = _Asked(source, rows, features, missing, beside, conditions, halves, postures, found.clusters, seed)
    outcome.findings += _differences(layers, asked, over)
    outcome.findings += _distances(layers, asked)
    outcome.findings += _between_layers(layers, asked)
    outcome.findings += _between_families(asked)
    among = every | {name: values for name, values in features.items() if name not in every}
    outcome.findings += likeness_of_tasks(source, rows, postures, among, seed)

    def of_others(fresh: Layers) -> list[Finding]:
        thin = {name: values[np.searchsorted(steps, rows)] for name, values in fresh.items()}
        return _of_others(thin, asked)

    outcome.of_others = of_others
    outcome.arrays["cka"], outcome.arrays["names"] = _matrix(list(every), outcome.findings), np.array(list(every))
    outcome.pictures |= _pictures(found, outcome.arrays["cka"], list(every), list(features))
    return outcome


def _of_others(layers: Values, asked: _Asked) -> list[Finding]:
    """What is found in the layers of another network, the values alone."""
    return [
        *_protocol_values(layers, asked),
        *_differences(layers, asked, "", draws=0),
        *_distances(layers, asked, alone=True),
        *_between_layers(layers, asked, draws=0),
        *likeness_of_tasks(asked.source, asked.rows, asked.postures, layers, asked.seed, draws=0),
    ]


def _differences(layers: Values, asked: _Asked, over: str, draws: int = 1000) -> Iterator[Finding]:
    """How much more one layer goes with fast or slow kinematics than another, in either direction."""
    pairs = layer_pairs(list(layers))
    for feature, reason in {**dict.fromkeys(asked.features, ""), **asked.missing}.items():
        if _KINEMATICS not in feature:
            continue
        if not reason and (asked.labels[feature] < 0).any():
            reason = "too few steps to cluster"
        if reason:
            told = not_estimable(reason)
            yield from (Finding(_DIFFERENCE, told, "", one, f"{feature}, less {other}", over) for one, other in pairs)
            continue
        behaviour, labels = asked.features[feature], asked.labels[feature]
        found = {}
        for layer, values in layers.items():
            if draws:
                found[layer] = clustered_without(behaviour, values, labels, asked.episodes)
            else:
                clusters = np.unique(labels).tolist()
                means = [cluster_means(each, labels, clusters) for each in (behaviour, values)]
                found[layer] = linear_cka(means[0], means[1]), np.empty(0)
        for one, other in pairs:
            (first, without), (second, left) = found[one], found[other]
            estimate = Estimate(first - second, {})
            if draws:
                estimate = paired_difference((first, second), (without, left), draws, asked.seed)
            yield Finding(_DIFFERENCE, estimate, "", one, f"{feature}, less {other}", over)


def _distances(layers: Values, asked: _Asked, alone: bool = False) -> list[Finding]:
    """RSA of layers with features, and of layers with each other, over distances that noise does not bias."""
    halves, measures = asked.halves, (RSA, RSA_CEILING)
    between = [(one, f"layer {other}") for one, other in asked.pairs(layers)]
    if halves.reason:
        reason = not_estimable(f"{halves.reason} in each half of the episodes")
        pairs = [*product([*layers, *asked.beside], asked.features), *between]
        return [] if alone else [Finding(RSA, reason, "", one, other, "clusters") for one, other in pairs]

    def geometries(of: Values) -> dict[str, Geometry]:
        splits = {"splits": 0} if alone else {}
        return {name: geometry(each, halves, asked.episodes, seed=asked.seed, **splits) for name, each in of.items()}

    own = geometries({**layers, **asked.beside})
    others = geometries(asked.features) | {f"layer {name}": each for name, each in own.items()}
    asking = layers if alone else own
    found = []
    for one, other in [*product(asking, asked.features), *between]:
        about = {"layer": one, "variable": other}
        if alone:
            found.append(Finding(RSA, agreement_alone(own[one], others[other]), **about))
        else:
            found += agreement(own[one], others[other], halves.blocks, asked.seed, about, measures)
    return found


def _between_layers(layers: Values, asked: _Asked, draws: int = 200) -> Iterator[Finding]:
    """CKA of layers with each other, with the senses and with the joints, under what noise leaves of it."""
    conditions, every = asked.conditions, {**layers, **asked.beside}
    for one, other in asked.pairs(layers):
        about = {"layer": one, "variable": f"layer {other}"}
        if conditions.reason:
            yield Finding(_CKA, not_estimable(conditions.reason), **about, interval_over="clusters")
            continue
        here, there = (conditions.means(every[name]) for name in (one, other))
        for measure in (_BIASED, _CKA):
            unbiased = measure == _CKA
            estimate = cka(here, there, draws=draws, seed=asked.seed, unbiased=unbiased, within=conditions.blocks)
            yield Finding(measure, estimate, **about, interval_over="clusters")
    if draws and not conditions.reason:
        reached = {name: conditions.reliability(values, asked.episodes, asked.seed) for name, values in every.items()}
        for one, other in asked.pairs(layers):
            ceiling = _ceiling(reached[one] * reached[other], None)
            yield Finding(_CEILING, ceiling, layer=one, variable=f"layer {other}")


def _between_families(asked: _Asked) -> Iterator[Finding]:
    """CKA of families of features with each other: what layers have in common with two of them may be one thing."""
    conditions = asked.conditions
    means = {} if conditions.reason else {name: conditions.means(each) for name, each in asked.features.items()}
    for one, other in combinations(asked.features, 2):
        estimate = not_estimable(conditions.reason)
        if means:
            estimate = cka(means[one], means[other], seed=asked.seed, within=conditions.blocks)
        yield Finding(_CKA, estimate, layer=f"features {one}", variable=f"features {other}", interval_over="clusters")


def _protocol_values(layers: Values, asked: _Asked) -> Iterator[Finding]:
    """The paper's protocol over the same clusters of each family."""
    for feature, labels in asked.labels.items():
        clusters = np.unique(labels).tolist()
        behaviour = cluster_means(asked.features[feature], labels, clusters)
        for layer, values in layers.items():
            vectors = cluster_means(values, labels, clusters)
            for measure in (_CKA, _BIASED):
                value = linear_cka(behaviour, vectors, unbiased=measure == _CKA)
                yield Finding(measure, Estimate(value, {}), layer=layer, variable=feature)


def _matrix(names: Sequence[str], findings: Sequence[Finding]) -> Array:
    """(names, names) unbiased CKA between layers, as found; 1 with themselves."""
    found = {
        (each.layer, each.variable): each.estimate.value for each in findings if each.measure == _CKA and each.layer
    }
    matrix = np.where(np.eye(len(names)) > 0, 1.0, np.nan)
    for (i, one), (j, other) in combinations(enumerate(names), 2):
        matrix[i, j] = matrix[j, i] = found.get((one, f"layer {other}"), np.nan)
    return matrix


def _ceiling(ceiling: float, agreed: Estimate | None) -> Estimate:
    if np.isfinite(ceiling):
        return Estimate(ceiling, {})
    return not_estimable((agreed.reason if agreed else "") or "no two halves of the episodes agree")


def _pictures(found: Protocol, matrix: Array, layers: list[str], features: list[str]) -> dict[str, Picture]:
    pictures = {
        "layers": Picture(draw_cka(matrix, layers, layers), _LAYERS),
        "features": Picture(_features(found, layers, features), _FEATURES),
    }
    if found.own:
        pictures["matrices"] = Picture(_matrices(found, layers, list(found.own)), _MATRICES)
    return pictures


def _matrices(found: Protocol, layers: list[str], features: list[str]) -> Figure:
    """A row a family of features: its own similarity matrix, and those of the layers over its clusters."""
    figure = Figure((1.1 * (len(layers) + 1) + 1.2, 1.1 * len(features) + 0.6), layout="constrained")
    axes = figure.subplots(len(features), len(layers) + 1, squeeze=False)
    for row, feature in zip(axes, features, strict=True):
        own = found.own[feature]
        order = leaves_list(linkage(own, "average")) if np.isfinite(own).all() and len(own) > 1 else np.arange(len(own))
        for ax, matrix in zip(row, [own, *(found.matrices[feature, layer] for layer in layers)], strict=True):
            image = ax.imshow(matrix[np.ix_(order, order)], vmin=-1, vmax=1, cmap="RdBu_r")
            ax.set_xticks([])
            ax.set_yticks([])
        row[0].set_ylabel(feature.split(" (")[0].replace(" ", "\n"), fontsize="x-small")
    for ax, name in zip(axes[0], ["features", *layers], strict=True):
        ax.set_title(name, fontsize="x-small")
    figure.colorbar(image, ax=axes, label="cosine", shrink=0.6)
    return figure


def _features(found: Protocol, layers: list[str], features: list[str]) -> Figure:
    figure = Figure((6.4, 3.2), layout="constrained")
    ax = figure.add_subplot()
    for i, feature in enumerate(features):
        estimates = [found.agreement[feature, layer] for layer in layers]
        at = np.arange(len(layers)) + 0.08 * (i - len(features) / 2)
        ax.plot(at, [estimate.value for estimate in estimates], "o", ms=4, color=f"C{i}", label=feature)
        for x, estimate in zip(at, estimates, strict=True):
            ax.plot([x, x], estimate.interval, lw=1, color=f"C{i}")
            for null in (null for null in estimate.nulls.values() if len(null)):
                ax.plot([x, x], np.nanquantile(null, [0.025, 0.975]), lw=4, alpha=0.25, color=f"C{i}")
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
_MATRICES = (
    "The paper's similarity matrices: cosines of the mean vectors of k-means clusters of a family of features (rows), "
    "of the features themselves (first column) and of each layer, the senses and the joints, in one order of clusters."
)
_FEATURES = (
    "Similarity of each layer with each family of features, over k-means clusters of the family (the paper's "
    "protocol); bars: 95 % intervals over episodes; pale bars: the middle 95 % with the behaviour of other episodes; "
    "dashes: what means without noise would reach."
)
