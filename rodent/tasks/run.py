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
from rodent.senses import PRIVILEGED, Sense, in_torso_frame
from rodent.tasks.base import Start, Task
from rodent.tasks.parameters import Admissible, parameter

if TYPE_CHECKING:
    from dm_control import composer

SPAWN_X = 5.0  # m
FALL_HEIGHT = -0.3  # m
TARGET_VELOCITY = Admissible(0, math.inf, "m/s", above=True)


@dataclass(frozen=True)
class Run(Task):
    """Reward a step: `max(0, 1 - |vx - v| / v)`, vx the torso's subtree velocity along world x, v the target."""

    name: ClassVar[str] = "run"
    summary: ClassVar[str] = "run along a flat corridor of 40 x 2 m at 1 m/s"
    full_forward: ClassVar[bool] = True  # dm_control's corridor writes `ctrl` in a way that makes it run one

    target_velocity: float = parameter(1.0, TARGET_VELOCITY)
    pose_noise: float = parameter(0.02, Admissible(0, 0.2, "rad"))  # each hinge starts within this of its rest angle

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

    def progress(self, state: State, body: Body) -> Tensor:
        return state.subtree_linvel[:, body.torso, 0]

    def privileged(self, body: Body) -> tuple[Sense, ...]:
        return where_in_corridor(body)


def velocity_reward(state: State, body: Body, target: float) -> Tensor:
    """dm_control's linear tolerance around a velocity along world x: (envs,) in [0, 1]."""
    error = (state.subtree_linvel[:, body.torso, 0] - target).abs() / target
    return (1 - error).clamp(min=0)


def where_in_corridor(body: Body) -> tuple[Sense, ...]:
    """Privileged senses: which way the corridor leads, and where its midline is."""

    def forward(state: State) -> Tensor:
        return state.xmat[:, body.torso, :3].clone()

    def midline(state: State) -> Tensor:
        sideways = torch.zeros_like(state.xpos[:, body.torso])
        sideways[:, 1] = -state.xpos[:, body.torso, 1]
        return in_torso_frame(sideways, state, body)

    return Sense(f"{PRIVILEGED}forward", 3, "1", forward), Sense(f"{PRIVILEGED}midline", 3, "m", midline)


def fell_off(state: State, body: Body) -> Tensor:
    """Where an end effector is below the corridor: (envs,) bool."""
    return (state.xpos[:, torch.from_numpy(body.end_effectors), 2] < FALL_HEIGHT).any(1)
