"""What layers are compared over: mean activities in clusters of posture, each task's for itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans

from analysis.inputs import Array, Labels
from analysis.similarity import cluster_means

_CLUSTERS = 50
FEWEST_STEPS = 5  # of a cluster in a task
FEWEST = 8  # conditions


@dataclass(frozen=True)
class Conditions:
    """Clusters of posture by task, of one session or of several that share them.

    Attributes:
        of_steps: of each session, (steps,) condition of each step, -1 in those that none holds.
        tasks: (conditions,) task of each.
    """

    of_steps: tuple[Labels, ...]
    tasks: NDArray[Any]

    @classmethod
    def of(cls, labels: Sequence[Labels], tasks: Sequence[NDArray[Any]]) -> Conditions:
        """Those that every session visits in at least `FEWEST_STEPS` steps.

        Args:
            labels: of each session, (steps,) cluster of each step; negative in none.
            tasks: of each session, (steps,) task of each step.
        """
        cells = [list(zip(*(part.tolist() for part in pair), strict=True)) for pair in zip(labels, tasks, strict=True)]
        steps = [Counter(cell) for cell in cells]
        shared = sorted(c for c in steps[0] if c[0] >= 0 and min(each[c] for each in steps) >= FEWEST_STEPS)
        place = {cell: i for i, cell in enumerate(shared)}
        of_steps = tuple(np.array([place.get(each, -1) for each in cell], dtype=np.int64) for cell in cells)
        return cls(of_steps, np.array([task for _, task in shared]))

    @property
    def reason(self) -> str:
        """Why nothing can be compared over them; empty where it can."""
        enough = len(self.tasks) >= FEWEST
        return "" if enough else f"{len(self.tasks)} clusters of posture visited often enough; needs {FEWEST}"

    def means(self, values: NDArray[Any], session: int = 0) -> Array:
        """(conditions, columns) of values (steps, columns) of a session."""
        return cluster_means(values, self.of_steps[session], range(len(self.tasks)))


def posture_clusters(postures: Sequence[Array], seed: int) -> list[Labels]:
    """(steps,) cluster of each step of each session, k-means over all of them; none where there are too few steps."""
    pooled = np.concatenate(postures)
    count = min(_CLUSTERS, len(pooled) // 20)
    if count < FEWEST:
        return []
    model = MiniBatchKMeans(count, n_init=3, random_state=seed, batch_size=4096).fit(pooled)
    return [model.predict(posture).astype(np.int64) for posture in postures]
