"""The arenas of environments: one drawn for each episode, or one of a pool that was compiled beforehand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from numbers import Integral

import mujoco
import numpy as np

from rodent.errors import UsageError
from rodent.physics import Physics
from rodent.tasks import Task
from rodent.tasks.base import Origin, arena_rng


class Arenas:
    """The compiled worlds of some environments.

    Args:
        task: their task.
        physics: their preset.
        pool: 0, or how many arenas the pool has (none where the task's do not vary).
        seed: what the pool's arenas are drawn from, which are none of any episode's.

    `pool` are its models, `places` says which of them an environment has, `first` is a model of the layout, `name`
    tells of the pool and `seconds` what it took to compile.

    Raises:
        UsageError: a number that is no integer of 0 or more.
    """

    def __init__(self, task: Task, physics: Physics, pool: int, seed: int) -> None:
        for name, value in (("pool", pool), ("pool_seed", seed)):
            if not isinstance(value, Integral) or value < 0:
                raise UsageError(f"{name} must be an integer of 0 or more, not {value!r}")
        self._task, self._physics, self._seed = task, physics, seed
        began = time.monotonic()
        origins = [Origin(seed, i, pooled=True) for i in range(pool if task.varies else 0)]
        self.pool = [self._compile(arena_rng(task, origin)) for origin in origins]
        self.seconds = time.monotonic() - began
        self.first = self.pool[0] if self.pool else self._compile(np.random.default_rng(0))
        self.places: dict[int, int] = {}
        self.name = f" in {pool} arenas of pool seed {seed}" if self.pool else ""

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

    def origin(self, env: int, seed: int, episode: int) -> Origin:
        """What the arena of an environment is drawn from, whose own seed and episode are given."""
        return Origin(self._seed, self.places[env], pooled=True) if self.pool else Origin(seed, episode)

    def _compile(self, rng: np.random.Generator) -> mujoco.MjModel:
        return self._physics.apply(self._task.world(rng, self._physics.substeps))
