"""How alike a layer's answers to the same postures are in different tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from analysis.clustered import cluster_means, reliability, tasks_without
from analysis.inference import Estimate, not_estimable
from analysis.inputs import Labels
from analysis.paired import paired_difference
from analysis.report.findings import Finding
from analysis.report.source import Source
from analysis.report.stages.conditions import FEWEST, FEWEST_OF_HALF, FEWEST_STEPS, Conditions, in_halves
from analysis.report.stages.geometry import agreement, agreement_alone, geometry
from analysis.report.stages.layer_pairs import layer_pairs
from analysis.report.stages.sampling import told
from analysis.similarity import blocks, cka

CKA, BIASED = "unbiased linear CKA between tasks", "biased linear CKA between tasks"
DIFFERENCE = "unbiased linear CKA between tasks, less that of another layer"
APART = "1 - unbiased linear CKA between tasks"
CEILING = "noise ceiling of the unbiased linear CKA between tasks"
RSA = "correlation of dissimilarities between tasks (RSA)"
RSA_CEILING = "noise ceiling of the correlation of dissimilarities between tasks (RSA)"


@dataclass(frozen=True)
class _Pair:
    """Two tasks, and the clusters of posture that both visit.

    Attributes:
        name: of the pair.
        steps: of either task, which of the rows.
        shared: clusters.
        fewest: (shared,) steps of each, in the task that has fewer.
        halves: the shared clusters in two halves of either task's episodes.
    """

    name: str
    steps: tuple[NDArray[np.int64], NDArray[np.int64]]
    shared: list[int]
    fewest: Labels
    halves: Conditions


def likeness_of_tasks(
    source: Source,
    rows: NDArray[np.int64],
    labels: Labels,
    values: Mapping[str, NDArray],
    seed: int,
    draws: int = 200,
) -> Iterator[Finding]:
    """The likeness of mean activities in two tasks, over the clusters that both visit, and what noise allows.

    The paper asks whether a core keeps tasks apart that the policy treats alike: layers are held against each other,
    too, over the same episodes. What the rat senses differs between tasks, so that layers stand beside whatever else is
    among the values. What is less alike than in untrained networks is told by 1 - CKA.

    Args:
        source: the session.
        rows: (n,) steps.
        labels: (n,) the cluster of each, shared by all tasks.
        values: layers and features by name, (n, columns) each.
        seed: of the draws.
        draws: of nulls and intervals; 0 for the values alone.
    """
    if len(source.task_names) < 2:
        yield Finding(CKA, not_estimable("one task"), interval_over="clusters")
        return
    for tasks in combinations(source.task_names, 2):
        pair = _pair(source, rows, labels, tasks)
        for name, each in values.items():
            about = {"layer": name, "variable": pair.name}
            yield from _ckas(pair, each, labels, about, seed, draws)
            if draws and len(pair.shared) >= FEWEST:
                ceiling = _ceiling(each, labels, source.episodes[rows], pair.steps, seed)
                yield Finding(CEILING, ceiling, **about)
            yield from _distances(pair, each, source.episodes[rows], about, seed, draws)
        layers = {name: each for name, each in values.items() if name in source.layers}
        yield from _differences(source, rows, pair, labels, layers, seed, 5 * draws)


def _pair(source: Source, rows: NDArray[np.int64], labels: Labels, tasks: tuple[str, ...]) -> _Pair:
    first, second = (np.flatnonzero(source.tasks[rows] == task) for task in tasks)
    known = [labels[mine][labels[mine] >= 0] for mine in (first, second)]
    steps = [np.bincount(each, minlength=labels.max() + 1) for each in known]
    fewest = np.minimum(*steps)
    shared = np.flatnonzero(fewest >= FEWEST_STEPS)
    inside = (np.where(source.tasks[rows] == task, labels, -1) for task in tasks)
    parts = [half for each in inside for half in in_halves(each, source.tasks[rows], source.episodes[rows])]
    halves = Conditions.of(parts, [np.full(len(rows), "both")] * len(parts), FEWEST_OF_HALF)
    return _Pair(" and ".join(tasks), (first, second), shared.tolist(), fewest[shared], halves)


def _ckas(
    pair: _Pair, values: NDArray, labels: Labels, about: dict[str, str], seed: int, draws: int
) -> Iterator[Finding]:
    if len(pair.shared) < FEWEST:
        reason = f"{len(pair.shared)} clusters of posture in both; needs {FEWEST}"
        yield Finding(CKA, not_estimable(reason), interval_over="clusters", **about)
        return
    here, there = (cluster_means(values[mine], labels[mine], pair.shared) for mine in pair.steps)
    for measure, unbiased in ((CKA, True), (BIASED, False)):
        estimate = cka(here, there, draws=draws, seed=seed, unbiased=unbiased, within=blocks(pair.fewest))
        yield Finding(measure, estimate, interval_over="clusters", **about)
        if unbiased:
            yield Finding(APART, _less(estimate), interval_over="clusters", **about)


def _differences(
    source: Source,
    rows: NDArray[np.int64],
    pair: _Pair,
    labels: Labels,
    layers: Mapping[str, NDArray],
    seed: int,
    draws: int,
) -> Iterator[Finding]:
    """How much more alike two tasks are in one layer than in another, in either direction."""
    both = np.concatenate(pair.steps)
    over = f"episodes ({told(source, rows[both])})"
    both = both[np.isin(labels[both], pair.shared)]
    second, episodes = np.isin(both, pair.steps[1]), source.episodes[rows[both]]
    pairs = layer_pairs(list(layers))
    enough = len(pair.shared) >= FEWEST
    found = {
        name: tasks_without(each[both], labels[both], episodes, second) if pairs and enough else (np.nan, np.empty(0))
        for name, each in layers.items()
    }
    for one, other in pairs:
        (first, without), (less, left) = found[one], found[other]
        estimate = Estimate(first - less, {})
        if not enough:
            estimate = not_estimable(f"{len(pair.shared)} clusters of posture in both; needs {FEWEST}")
        elif draws:
            estimate = paired_difference((first, less), (without, left), draws, seed)
        yield Finding(DIFFERENCE, estimate, "", one, f"{pair.name}, less {other}", over)


def _less(estimate: Estimate) -> Estimate:
    """1 - the number, without the null that clusters are permuted in: any layer that answers at all would fail it."""
    low, high = estimate.interval
    return replace(estimate, value=1 - estimate.value, nulls={}, interval=(1 - high, 1 - low))


def _distances(
    pair: _Pair, values: NDArray, episodes: Labels, about: dict[str, str], seed: int, draws: int
) -> Iterator[Finding]:
    if pair.halves.reason:
        reason = f"{pair.halves.reason} in each half of either task's episodes"
        yield Finding(RSA, not_estimable(reason), interval_over="clusters", **about)
        return
    splits = {} if draws else {"splits": 0}
    one, other = (geometry(values, pair.halves, episodes, at, seed, **splits) for at in (0, 2))
    if draws:
        yield from agreement(one, other, pair.halves.blocks, seed, about, (RSA, RSA_CEILING))
    else:
        yield Finding(RSA, agreement_alone(one, other), **about)


def _ceiling(
    values: NDArray, labels: Labels, episodes: Labels, tasks: tuple[NDArray[np.int64], ...], seed: int
) -> Estimate:
    """What two tasks with the same means would reach: the product of how far the noise lets each one's reach them."""
    found = [reliability(values[mine], labels[mine], episodes[mine], seed) for mine in tasks]
    known = np.isfinite(found).all()
    return Estimate(float(np.prod(found)), {}) if known else not_estimable("no two halves of a task's episodes agree")
