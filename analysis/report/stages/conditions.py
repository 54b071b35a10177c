"""What layers are compared over: mean activities in clusters of posture, each task's for itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

from analysis.clustered import cluster_means, reliability
from analysis.inputs import Array, Labels
from analysis.similarity import blocks

_CLUSTERS = 50
FEWEST_STEPS = 5  # of a cluster in a task
FEWEST_OF_HALF = 2  # steps: distances that halves give are not biased by noise
FEWEST = 8  # conditions


@dataclass(frozen=True)
class Conditions:
    """Clusters of posture by task, of one session or of several that share them.

    Attributes:
        of_steps: of each session, (steps,) condition of each step, -1 in those that none holds.
        tasks: (conditions,) task of each.
        steps: (conditions,) the fewest of each in any session.
    """

    of_steps: tuple[Labels, ...]
    tasks: NDArray[Any]
    steps: Labels

    @classmethod
    def of(
        cls, labels: Sequence[Labels], tasks: Sequence[NDArray[Any]], fewest_steps: int = FEWEST_STEPS
    ) -> Conditions:
        """Those that every session visits in so many steps at least.

        Args:
            labels: of each session, (steps,) cluster of each step; negative in none.
            tasks: of each session, (steps,) task of each step.
            fewest_steps: of a condition.
        """
        cells = [list(zip(*(part.tolist() for part in pair), strict=True)) for pair in zip(labels, tasks, strict=True)]
        steps = [Counter(cell) for cell in cells]
        shared = sorted(c for c in steps[0] if c[0] >= 0 and min(each[c] for each in steps) >= fewest_steps)
        place = {cell: i for i, cell in enumerate(shared)}
        of_steps = tuple(np.array([place.get(each, -1) for each in cell], dtype=np.int64) for cell in cells)
        fewest = np.array([min(each[cell] for each in steps) for cell in shared], dtype=np.int64)
        return cls(of_steps, np.array([task for _, task in shared]), fewest)

    @classmethod
    def of_halves(cls, labels: Labels, tasks: NDArray[Any], episodes: Labels) -> Conditions:
        """Those that two halves of the episodes of each task visit, the halves as if they were two sessions.

        Args:
            labels: (steps,) cluster of each step.
            tasks: (steps,) task of each step.
            episodes: (steps,) episode of each step.
        """
        return cls.of(in_halves(labels, tasks, episodes), [tasks, tasks], FEWEST_OF_HALF)

    @property
    def blocks(self) -> Labels:
        """(conditions,) labels for a null to permute within: of one task, and of like many steps."""
        return blocks(self.steps, self.tasks)

    def reliability(self, values: NDArray[Any], episodes: Labels, seed: int, session: int = 0) -> float:
        """The CKA of a session's means with the same without noise (`clustered.reliability`)."""
        known = self.of_steps[session] >= 0
        return reliability(values[known], self.of_steps[session][known], episodes[known], seed)

    @property
    def reason(self) -> str:
        """Why nothing can be compared over them; empty where it can."""
        enough = len(self.tasks) >= FEWEST
        return "" if enough else f"{len(self.tasks)} clusters of posture visited often enough; needs {FEWEST}"

    def means(self, values: NDArray[Any], session: int = 0) -> Array:
        """(conditions, columns) of values (steps, columns) of a session."""
        return cluster_means(values, self.of_steps[session], range(len(self.tasks)))


def in_halves(labels: Labels, tasks: NDArray[Any], episodes: Labels) -> list[Labels]:
    """(steps,) labels of the steps of either half of each task's episodes, every other one; -1 in the other half's."""
    half = np.empty(len(labels), dtype=np.int64)
    for task in np.unique(tasks):
        mine = tasks == task
        half[mine] = np.unique(episodes[mine], return_inverse=True)[1] % 2
    return [np.where(half == side, labels, -1) for side in (0, 1)]


def posture_clusters(postures: Sequence[Array], seed: int) -> list[Labels]:
    """(steps,) cluster of each step of each session, k-means over all of them; none where there are too few steps."""
    pooled = np.concatenate(postures)
    count = min(_CLUSTERS, len(pooled) // 20)
    if count < FEWEST:
        return []
    model = MiniBatchKMeans(count, n_init=3, random_state=seed, batch_size=4096).fit(pooled)
    return [model.predict(posture).astype(np.int64) for posture in postures]
