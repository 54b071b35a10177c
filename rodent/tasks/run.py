"""Run down an empty corridor at a target speed: the warm-up, dm_control's `RunThroughCorridor`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import mujoco
import numpy as np
import torch
from torch import Tensor

from rodent.arenas import compose_corridor
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
    full_forward: ClassVar[bool] = True  # dm_control's corridor writes `ctrl` in a way that makes it run one

    target_velocity: float = 1.0  # m/s
    pose_noise: float = 0.02  # rad; each hinge starts within this of its rest angle, so that episodes differ

    def __post_init__(self) -> None:
        super().__post_init__()
        check_target_velocity(self.target_velocity)
        if not 0 <= self.pose_noise <= 0.2:
            raise UsageError(f"pose_noise must lie in [0, 0.2] rad, not {self.pose_noise}")

    @property
    def max_return(self) -> float:
        return float(self.step_limit)

    def compose(self) -> composer.Task:
        return compose_corridor(length=40, width=2, target_velocity=self.target_velocity, spawn_x=SPAWN_X)

    def start(self, model: mujoco.MjModel, body: Body, rng: np.random.Generator) -> Start:
        qpos = model.qpos0.copy()
        qpos[body.root_qpos : body.root_qpos + 7] = (SPAWN_X, 0, 0, 1, 0, 0, 0)
        noise = rng.uniform(-self.pose_noise, self.pose_noise, len(body.hinge_qpos))
        qpos[body.hinge_qpos] = np.clip(qpos[body.hinge_qpos] + noise, *body.hinge_range.T)
        return Start(qpos, np.zeros(model.nv))

    def rewards(self, state: State, body: Body) -> dict[str, Tensor]:
        return {"velocity": velocity_reward(state, body, self.target_velocity)}

    def terminated(self, state: State, body: Body) -> dict[str, Tensor]:
        return {"fell_off": fell_off(state, body)}


def velocity_reward(state: State, body: Body, target: float) -> Tensor:
    """dm_control's linear tolerance around a velocity along world x: (envs,) in [0, 1]."""
    error = (state.subtree_linvel[:, body.torso, 0] - target).abs() / target
    return (1 - error).clamp(min=0)


def fell_off(state: State, body: Body) -> Tensor:
    """Where an end effector is below the corridor: (envs,) bool."""
    return (state.xpos[:, torch.from_numpy(body.end_effectors), 2] < FALL_HEIGHT).any(1)


def check_target_velocity(velocity: float) -> None:
    """Raise a UsageError unless it is above 0 m/s and finite."""
    if not 0 < velocity < math.inf:
        raise UsageError(f"target_velocity must be above 0 m/s, not {velocity}")
