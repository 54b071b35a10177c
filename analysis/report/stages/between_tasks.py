"""How alike a layer's answers to the same postures are in different tasks."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from analysis.inference import Estimate, not_estimable
from analysis.inputs import Labels
from analysis.report.findings import Finding, Outcome
from analysis.report.source import Source
from analysis.report.stages.conditions import FEWEST, FEWEST_STEPS
from analysis.similarity import blocks, cka, cluster_means, reliability

CKA, BIASED = "unbiased linear CKA between tasks", "biased linear CKA between tasks"
CEILING = "noise ceiling of the unbiased linear CKA between tasks"


def between_tasks(
    source: Source,
    rows: NDArray[np.int64],
    labels: Labels,
    values: Mapping[str, NDArray],
    seed: int,
    outcome: Outcome,
) -> None:
    """Add the likeness of mean activities in two tasks, over the clusters that both visit, and what noise allows.

    The paper asks whether a core keeps tasks apart that the policy treats alike. What the rat senses differs between
    tasks, too, so that layers stand beside whatever else is among the values.

    Args:
        source: the session.
        rows: (n,) steps.
        labels: (n,) the cluster of each, shared by all tasks.
        values: layers and features by name, (n, columns) each.
        seed: of the draws.
        outcome: is given the findings.
    """
    if len(source.task_names) < 2:
        outcome.missing(CKA, "one task", interval_over="clusters")
        return
    for one, other in combinations(source.task_names, 2):
        pair = f"{one} and {other}"
        first, second = (np.flatnonzero(source.tasks[rows] == task) for task in (one, other))
        steps = [np.bincount(labels[mine], minlength=labels.max() + 1) for mine in (first, second)]
        fewest = np.minimum(*steps)
        shared = np.flatnonzero(fewest >= FEWEST_STEPS).tolist()
        for name, each in values.items():
            about = {"layer": name, "variable": pair}
            if len(shared) < FEWEST:
                reason = f"{len(shared)} clusters of posture in both; needs {FEWEST}"
                outcome.missing(CKA, reason, interval_over="clusters", **about)
                continue
            here, there = (cluster_means(each[mine], labels[mine], shared) for mine in (first, second))
            for measure, unbiased in ((CKA, True), (BIASED, False)):
                estimate = cka(here, there, seed=seed, unbiased=unbiased, within=blocks(fewest[shared]))
                outcome.findings.append(Finding(measure, estimate, interval_over="clusters", **about))
            ceiling = _ceiling(each, labels, source.episodes[rows], (first, second), seed)
            outcome.findings.append(Finding(CEILING, ceiling, **about))


def _ceiling(
    values: NDArray, labels: Labels, episodes: Labels, tasks: tuple[NDArray[np.int64], ...], seed: int
) -> Estimate:
    """What two tasks with the same means would reach: the product of how far the noise lets each one's reach them."""
    found = [reliability(values[mine], labels[mine], episodes[mine], seed) for mine in tasks]
    known = np.isfinite(found).all()
    return Estimate(float(np.prod(found)), {}) if known else not_estimable("no two halves of a task's episodes agree")
