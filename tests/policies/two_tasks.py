"""Two tasks of point masses that look alike, and pay unlike rewards."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from point_mass import LIMIT, PointMasses

from rodent.tasks import Task

RICH = 100.0  # what the second task pays for the same, of the first
TASKS = ("run", "two-tap")


class Paid(PointMasses):
    """The same point masses under a task's name, whose reward has a term of its own and another size.

    With `privileged`, the first task has a sense that the second lacks.
    """

    def __init__(self, name: str, num_envs: int, physics: str, aids: Any, privileged: bool, vision: Any) -> None:
        super().__init__(num_envs, physics, aids, vision=bool(vision))
        self.task = SimpleNamespace(name=name, max_return=float(LIMIT))
        self.pay = RICH if name == TASKS[1] else 1.0
        self.knows = privileged and name == TASKS[0]
        if self.knows:
            self.single_observation_space.spaces["privileged/distance"] = Box(-np.inf, np.inf, (1,))

    def step(self, actions: np.ndarray) -> Any:
        observation, reward, terminated, truncated, info = super().step(actions)
        info["task_reward"] = info["task_reward"] * self.pay
        info["reward_terms"] = {f"near_{self.task.name}": info["task_reward"]}
        return observation, reward * self.pay, terminated, truncated, info

    def _observe(self) -> dict[str, np.ndarray]:
        known = {"privileged/distance": np.linalg.norm(self.position, axis=1, keepdims=True)} if self.knows else {}
        return super()._observe() | known


def make_two_tasks(task: str | Task, envs: int, physics: str, threads: int, aids: Any, **named: Any) -> Paid:
    name = task if isinstance(task, str) else task.name
    return Paid(name, envs, physics, aids, named.get("privileged", False), named.get("vision", False))
