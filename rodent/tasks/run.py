"""Run down an empty corridor at a target speed: the warm-up, dm_control's `RunThroughCorridor`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import mujoco
import numpy as np
import torch
from torch import Tensor

from rodent.arenas import compile_world, compose_corridor
from rodent.body import Body
from rodent.engine import State
from rodent.errors import UsageError
from rodent.tasks.base import Start, Task

if TYPE_CHECKING:
    from dm_control import composer

SPAWN_X = 5.0  # m
FALL_HEIGHT = -0.3  # m


@dataclass(frozen=True)
class Run(Task):
    """Reward a step: `max(0, 1 - |vx - v| / v)`, vx the torso's subtree velocity along world x, v the target."""

    name: ClassVar[str] = "run"
    summary: ClassVar[str] = "run along a flat corridor of 40 x 2 m at 1 m/s"

    target_velocity: float = 1.0  # m/s
    pose_noise: float = 0.02  # rad; each hinge starts within this of its rest angle, so that episodes differ

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.target_velocity > 0:
            raise UsageError(f"target_velocity must be above 0 m/s, not {self.target_velocity}")
        if not 0 <= self.pose_noise <= 0.2:
            raise UsageError(f"pose_noise must lie in [0, 0.2] rad, not {self.pose_noise}")

    @property
    def max_return(self) -> float:
        return float(self.step_limit)

    def compose(self) -> composer.Task:
        return compose_corridor(length=40, width=2, target_velocity=self.target_velocity, spawn_x=SPAWN_X)

    def world(self, rng: np.random.Generator) -> mujoco.MjModel:
        return compile_world(self.compose(), rng)

    def start(self, model: mujoco.MjModel, body: Body, rng: np.random.Generator) -> Start:
        qpos = model.qpos0.copy()
        qpos[body.root_qpos : body.root_qpos + 7] = (SPAWN_X, 0, 0, 1, 0, 0, 0)
        noise = rng.uniform(-self.pose_noise, self.pose_noise, len(body.hinge_qpos))
        qpos[body.hinge_qpos] = np.clip(qpos[body.hinge_qpos] + noise, *body.hinge_range.T)
        return Start(qpos, np.zeros(model.nv))

    def rewards(self, state: State, body: Body) -> dict[str, Tensor]:
        forward_velocity = state.subtree_linvel[:, body.torso, 0]
        error = (forward_velocity - self.target_velocity).abs() / self.target_velocity
        return {"velocity": (1 - error).clamp(min=0)}

    def terminated(self, state: State, body: Body) -> dict[str, Tensor]:
        heights = state.xpos[:, torch.from_numpy(body.end_effectors), 2]
        return {"fell_off": (heights < FALL_HEIGHT).any(1)}
