"""What the rat senses: dm_control's observables, under its names and in its order, on tensors with an env axis.

Each sense is a function of `State`. Values are those of dm_control to the bit, except where a note says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import mujoco
import numpy as np
import torch
from torch import Tensor

from rodent.body import END_EFFECTORS, PREFIX, TOUCH_SENSORS, Body, describe, sensor_slice
from rodent.engine import State

PRIVILEGED = "privileged/"  # how the names of senses begin that no published student may read
_TOUCH_THRESHOLD = 1e-3  # N


@dataclass(frozen=True)
class Sense:
    """One observable."""

    name: str  # dm_control's
    size: int
    unit: str
    read: Callable[[State], Tensor]  # -> (envs, size) float64


class Senses:
    """The rat's proprioceptive, vestibular and touch senses in one compiled model.

    Args:
        model: a model composed by dm_control, with the end effectors' frame sensors that its observables add.
        more: what makes further senses of the body's tables; see `Task.cues`.
    """

    def __init__(self, model: mujoco.MjModel, more: Callable[[Body], Iterable[Sense]] = lambda body: ()) -> None:
        self.body = describe(model)
        senses = [*_proprioception(self.body, model), *_vestibular_and_touch(model), *more(self.body)]
        self.list = tuple(sorted(senses, key=lambda sense: sense.name))

    @property
    def sizes(self) -> dict[str, int]:
        """Size of each sense by name, in dm_control's order (which is alphabetical)."""
        return {sense.name: sense.size for sense in self.list}

    def observe(self, state: State) -> dict[str, Tensor]:
        """Read every sense: name -> (envs, size) float64, a copy."""
        return {sense.name: sense.read(state) for sense in self.list}


def in_torso_frame(vector: Tensor, state: State, body: Body) -> Tensor:
    """Turn vectors (envs, 3) of the world's frame into the torso's."""
    return (vector[:, None] @ state.xmat[:, body.torso].view(-1, 3, 3))[:, 0]


def polar(name: str, offset: Callable[[State], Tensor], body: Body) -> tuple[Sense, Sense]:
    """`distance_to_NAME`, m, and `bearing_to_NAME`, rad, positive to the left of the torso's forward axis.

    Args:
        name: of a thing.
        offset: from the torso to it, (envs, 3) in the world's frame; NaN where there is none.
        body: of the rat.
    """

    def distance(state: State) -> Tensor:
        return offset(state).norm(dim=1, keepdim=True)

    def bearing(state: State) -> Tensor:
        seen = in_torso_frame(offset(state), state, body)
        return torch.atan2(seen[:, 1:2], seen[:, :1])

    return Sense(f"distance_to_{name}", 1, "m", distance), Sense(f"bearing_to_{name}", 1, "rad", bearing)


def speed_along(direction: Tensor, state: State, body: Body) -> Tensor:
    """The rat's speed (envs,) in m/s along the horizontal part of vectors (envs, 3) of the world's frame."""
    flat = direction[:, :2]
    velocity = state.subtree_linvel[:, body.torso, :2]
    return (velocity * flat).sum(1) / flat.norm(dim=1).clamp(min=1e-6)


def _proprioception(body: Body, model: mujoco.MjModel) -> list[Sense]:
    joint_qpos, joint_qvel = torch.from_numpy(body.joint_qpos), torch.from_numpy(body.joint_qvel)
    tendons, appendages = torch.from_numpy(body.tendon_ids), torch.from_numpy(body.appendages)
    end_effectors = torch.cat([_indices(model, f"{name}_end_effector") for name in END_EFFECTORS])

    def appendages_pos(state: State) -> Tensor:
        # The same sum of three products as dm_control's np.dot, but BLAS may order or fuse it otherwise: last bit only.
        offset = state.xpos[:, appendages] - state.xpos[:, body.torso, None]
        return (offset @ state.xmat[:, body.torso].view(-1, 3, 3)).flatten(1)

    return [
        Sense(f"{PREFIX}joints_pos", len(joint_qpos), "rad", lambda s: s.qpos[:, joint_qpos]),
        Sense(f"{PREFIX}joints_vel", len(joint_qvel), "rad/s", lambda s: s.qvel[:, joint_qvel]),
        Sense(f"{PREFIX}tendons_pos", len(tendons), "rad", lambda s: s.ten_length[:, tendons]),
        Sense(f"{PREFIX}tendons_vel", len(tendons), "rad/s", lambda s: s.ten_velocity[:, tendons]),
        Sense(f"{PREFIX}actuator_activation", model.na, "1", lambda s: s.act.clone()),
        Sense(f"{PREFIX}appendages_pos", 3 * len(appendages), "m", appendages_pos),
        Sense(f"{PREFIX}end_effectors_pos", len(end_effectors), "m", lambda s: s.sensordata[:, end_effectors]),
        Sense(f"{PREFIX}body_height", 1, "m", lambda s: s.xpos[:, body.torso, 2:].clone()),
        Sense(f"{PREFIX}world_zaxis", 3, "1", lambda s: s.xmat[:, body.torso, 6:].clone()),
    ]


def _vestibular_and_touch(model: mujoco.MjModel) -> list[Sense]:
    senses = []
    for name, unit in (("accelerometer", "m/s^2"), ("velocimeter", "m/s"), ("gyro", "rad/s")):
        senses.append(Sense(f"{PREFIX}sensors_{name}", 3, unit, _sensor_reader(_indices(model, f"{PREFIX}{name}"))))
    touched = _sensor_reader(torch.cat([_indices(model, name) for name in TOUCH_SENSORS]))
    senses.append(
        Sense(
            f"{PREFIX}sensors_touch",
            len(TOUCH_SENSORS),
            "touched (0 or 1)",
            lambda s: (touched(s) > _TOUCH_THRESHOLD).double(),
        )
    )
    return senses


def _sensor_reader(index: Tensor) -> Callable[[State], Tensor]:
    return lambda state: state.sensordata[:, index]


def _indices(model: mujoco.MjModel, sensor: str) -> Tensor:
    where = sensor_slice(model, sensor)
    return torch.from_numpy(np.arange(where.start, where.stop))
