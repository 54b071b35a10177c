"""A policy's score and how it moved, in our simulator or in dm_control's: what `rodent evaluate` reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from policies.evaluation import Evaluation, described_sight
from policies.intervals import bootstrap_ci95
from policies.play import check_playing, play
from policies.policy import Policy
from rodent.body import describe
from rodent.measures import measure_episode, tally_measures
from rodent.physics import find_physics
from rodent.tasks import Path, episode_rng, make_task


def assess(
    policy: Policy,
    task_name: str,
    episodes: int = 20,
    seed: int = 0,
    physics: str = "paper",
    simulator: str = "rodent",
    deterministic: bool = True,
    threads: int = 0,
    progress: Callable[[float], None] = lambda share: None,
) -> dict[str, Any]:
    """Run whole episodes of the bare task and measure them; see `play` for the arguments and errors.

    Returns:
        The object that `rodent evaluate --json` prints, but for the policy's name. `measures` are the task's outcomes
        (see `outcomes` of each task) and means over episodes of how the rat moved (see `measure_episode`), None for
        what could never be estimated; `measures_ci95` their 95 % intervals, bootstrapped over the episodes, of
        those that are known in two of them at least; `ci95` of a single episode is None.
    """
    check_playing(episodes, seed, threads=threads)
    task = make_task(task_name)
    indices = list(range(episodes))
    played = play(policy, task, indices, seed, physics, simulator, deterministic, threads, progress=progress)
    evaluation = Evaluation(
        task=task.name,
        physics=physics,
        seed=seed,
        deterministic=deterministic,
        returns=np.array([episode.rewards.sum() for episode in played]),
        lengths=np.array([len(episode.rewards) for episode in played]),
        endings=dict(Counter(episode.ending for episode in played)),
        max_return=task.max_return,
        vision=described_sight(policy, simulator),
    )
    models = [
        find_physics(physics).apply(task.world(episode_rng(task, seed, k))) for k in (indices if task.varies else [0])
    ]
    body = describe(models[0])
    paths = [Path(models[k % len(models)], episode.qpos[1:], episode.rewards) for k, episode in enumerate(played)]
    moved = [
        measure_episode(path.model, body, path.qpos, episode.actions)
        for path, episode in zip(paths, played, strict=True)
    ]
    measures = _estimate(task.outcomes(body, paths) | tally_measures(moved))
    return evaluation.to_json() | {"simulator": simulator} | measures


def _estimate(tallies: dict[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """`measures` and `measures_ci95` of `assess`, from (episodes, 2) each: how much, and out of how many."""
    known = {name: tally.astype(float).T for name, tally in tallies.items() if tally[:, 1].any()}
    bounds = {name: list(bootstrap_ci95(*tally)) for name, tally in known.items()}
    return {
        "measures": {name: float(np.divide(*known[name].sum(1))) if name in known else None for name in tallies},
        "measures_ci95": {name: each for name, each in bounds.items() if np.isfinite(each).all()},
    }
