"""Which of the recorded steps a stage takes, and how its table says so."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.report.source import Source

_STEPS = 40_000  # of a session, of whole populations
_EPISODES = 8  # of a task at least: half of them are dealt among each other for a null of targeted axes


def population_steps(source: Source, seed: int) -> NDArray[np.int64]:
    """The steps, ascending, that the numbers of whole populations are of.

    They are those of whole episodes, as many of each task where they are alike in length. One choice serves all stages
    that stand beside untrained networks, so that each of these is driven once, and as far as they are chosen
    (docs/decisions/0017-untrained-networks-are-driven-once.md).
    """
    each = _STEPS // len(source.task_names)
    return np.sort(np.concatenate([whole_episodes(source, task, each, seed, _EPISODES) for task in source.task_names]))


def whole_episodes(source: Source, task: str, most_steps: int, seed: int, fewest: int = 2) -> NDArray[np.int64]:
    """The steps of episodes of a task that are drawn at random, of the fewest and then as many as fit."""
    rows = source.of_task(task)
    chosen: list[int] = []
    steps = 0
    for episode in np.random.default_rng(seed).permutation(np.unique(source.episodes[rows])).tolist():
        steps += int(source.lengths[episode])
        if len(chosen) >= fewest and steps > most_steps:
            break
        chosen.append(episode)
    return rows[np.isin(source.episodes[rows], chosen)]


def told(source: Source, rows: NDArray[np.int64]) -> str:
    """How much of the session that is: steps, and how many of the episodes of the tasks that they are from."""
    whole = source.lengths[np.unique(source.episodes[rows])].sum() == len(rows)
    steps = "all" if whole else f"{len(rows):,} random"
    return f"{steps} steps of {_episodes_told(source, rows)}"


def windows_told(source: Source, rows: NDArray[np.int64], length: int, most: int) -> str:
    """The same of windows that `equal_windows` takes from those steps, at most so many."""
    there = int((np.bincount(source.episodes[rows]) // length).sum())
    windows = f"all {there}" if there <= most else f"{most} of {there} random"
    return f"{windows} windows of {length} steps of {_episodes_told(source, rows)}"


def _episodes_told(source: Source, rows: NDArray[np.int64]) -> str:
    taken = np.unique(source.episodes[rows])
    there = np.unique(source.episodes[np.isin(source.tasks, np.unique(source.tasks[rows]))])
    return (
        f"all {len(there)} episodes" if len(taken) == len(there) else (f"{len(taken)} of {len(there)} random episodes")
    )
