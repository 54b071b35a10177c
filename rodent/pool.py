"""The arenas of environments: one drawn for each episode, or one of a pool that was compiled beforehand."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from rodent.errors import UsageError
from rodent.physics import Physics
from rodent.tasks import Task, episode_rng


class Arenas:
    """The compiled worlds of some environments.

    Args:
        task: their task.
        physics: their preset.
        pool: 0, or how many arenas the pool has (none where the task's do not vary).
        seed: what the pool's arenas are drawn from.

    `pool` are its models, `places` says which of them an environment has, `first` is a model of the layout, and `name`
    tells of the pool.

    Raises:
        UsageError: a number below 0.
    """

    def __init__(self, task: Task, physics: Physics, pool: int, seed: int) -> None:
        if pool < 0 or seed < 0:
            raise UsageError(f"pool and pool_seed must be 0 or more, not {pool} and {seed}")
        self._task, self._physics, self._seed = task, physics, seed
        self.pool = [self._compile(episode_rng(task, seed, i)) for i in range(pool if task.varies else 0)]
        self.first = self.pool[0] if self.pool else self._compile(np.random.default_rng(0))
        self.places: dict[int, int] = {}
        self.name = f" in {pool} arenas of seed {seed}" if self.pool else ""

    def choose(self, envs: Sequence[int], rngs: Sequence[np.random.Generator]) -> list[mujoco.MjModel]:
        """The arenas of environments' next episodes, each drawn from its episode's generator."""
        if self.pool:
            self.places |= {env: int(rng.integers(len(self.pool))) for env, rng in zip(envs, rngs, strict=True)}
        return self.recall(envs, rngs)

    def recall(self, envs: Sequence[int], rngs: Sequence[np.random.Generator]) -> list[mujoco.MjModel]:
        """The same where `places` is known already; without a pool each is drawn from its episode's generator."""
        if self.pool:
            return [self.pool[self.places[env]] for env in envs]
        return [self._compile(rng) for rng in rngs]

    def key(self, env: int, seed: int, episode: int) -> tuple[int, int]:
        """(seed, episode) from which the arena of an environment is drawn, whose own are given."""
        return (self._seed, self.places[env]) if self.pool else (seed, episode)

    def _compile(self, rng: np.random.Generator) -> mujoco.MjModel:
        return self._physics.apply(self._task.world(rng, self._physics.substeps))
