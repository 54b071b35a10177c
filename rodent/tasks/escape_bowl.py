"""Climb out of a bowl of bumpy ground, from a random orientation: dm_control's `rodent_escape_bowl`."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from rodent.arenas import compose_bowl
from rodent.body import PREFIX, Body
from rodent.engine import State
from rodent.relief import POINTS, elevations, heights_around
from rodent.senses import PRIVILEGED, Sense, in_torso_frame, speed_along
from rodent.tasks.base import TIME_LIMIT, Look, Path, Start, Task, physics_spec, scene_spec
from rodent.tasks.parameters import SWITCH, Admissible, parameter
from rodent.ways import easing, toil

if TYPE_CHECKING:
    from dm_control import composer

RESOLUTION = 201  # elevations along each side of the height field
TERRAIN_SIZE = 6.0  # m; half of the height field's side
RIM = 3.0  # m from the middle
BUMP_SCALE = 0.2  # m between bumps
UPRIGHT = np.cos(np.deg2rad(30))  # torso and pelvis may deviate so far from upright at no cost
_LIFT = 0.01  # m; by which a start is raised until nothing touches
_HIGHEST_START = 1.0  # m


@dataclass(frozen=True)
class EscapeBowl(Task):
    """Reward a step: `upright * min(1, d / 6)`, d the head's distance from the world's origin in m.

    `upright` is 1 where torso and pelvis both deviate at most 30 degrees from upright, and falls linearly with the
    cosine of the worse one's deviation to 0 upside down.
    """

    name: ClassVar[str] = "escape-bowl"
    summary: ClassVar[str] = "right oneself and climb out of a bowl of bumpy ground with a radius of 3 m"
    varies: ClassVar[bool] = True

    time_limit: float = parameter(20.0, TIME_LIMIT)
    smoothness: float = parameter(0.5, Admissible(0, 1))  # bumps scale the ground by a random factor from this to 1
    start_distance: float = parameter(0.0, Admissible(0, 4, "m"))  # of starts from the middle, at most
    cue: bool = parameter(False, SWITCH)  # add dm_control's `origin`, the bowl's middle in the torso's frame

    @property
    def max_return(self) -> float:
        return float(self.step_limit)

    def compose(self) -> composer.Task:
        task = compose_bowl(np.zeros((RESOLUTION, RESOLUTION)))
        task.observables[f"{PREFIX}origin"].enabled = self.cue
        return task

    def draw(self, rng: np.random.Generator) -> NDArray[np.float64]:
        rows, columns = np.ogrid[-1 : 1 : RESOLUTION * 1j, -1 : 1 : RESOLUTION * 1j]
        radius = np.clip(np.sqrt(columns**2 + rows**2), 0.1, 1)
        bowl = 0.5 - np.cos(2 * np.pi * radius) / 2
        count = int(2 * TERRAIN_SIZE / BUMP_SCALE)
        bumps = rng.uniform(self.smoothness, 1, (count, count))
        return bowl * ndimage.zoom(bumps, RESOLUTION / count)

    def build(self, arena: NDArray[np.float64], substeps: int = 0) -> mujoco.MjModel:
        model = copy.copy(_flat_world(self))
        model.hfield_data[:] = arena.ravel()
        return model

    def install(self, composed: composer.Task, arena: NDArray[np.float64]) -> None:
        composed.root_entity.terrain = arena

    def scene(self, rng: np.random.Generator) -> mujoco.MjModel:
        terrain = self.draw(copy.deepcopy(rng))
        model = super().scene(rng)
        model.hfield_data[:] = terrain.ravel()  # which dm_control, too, writes after it has compiled
        return model

    def stage(self, arenas: int = 1, terrain_step: int = 1) -> mujoco.MjSpec:
        spec = scene_spec(self)
        first = spec.hfields[0]
        first.nrow = first.ncol = side = (RESOLUTION - 1) // terrain_step + 1
        first.userdata = [0.0] * side**2
        for i in range(1, arenas):
            spec.add_hfield(name=f"terrain {i}", size=first.size, nrow=side, ncol=side, userdata=[0.0] * side**2)
        return spec

    def look(self, stage: mujoco.MjModel, world: mujoco.MjModel) -> Look:
        step = (RESOLUTION - 1) // (stage.hfield_nrow[0] - 1)
        return {"hfield_data": world.hfield_data.reshape(RESOLUTION, RESOLUTION)[::step, ::step].ravel()}

    def start(self, model: mujoco.MjModel, body: Body, rng: np.random.Generator) -> Start:
        """A random orientation in the bowl's middle, or near it, raised until nothing touches anything."""
        orientation = rng.normal(size=4)
        data = mujoco.MjData(model)
        root = body.root_qpos
        data.qpos[root : root + 3] = 0
        if self.start_distance:
            away, angle = self.start_distance * math.sqrt(rng.random()), 2 * math.pi * rng.random()
            data.qpos[root : root + 2] = away * math.cos(angle), away * math.sin(angle)
        data.qpos[root + 3 : root + 7] = orientation / np.linalg.norm(orientation)
        while _touches(model, data) and data.qpos[root + 2] < _HIGHEST_START:
            data.qpos[root + 2] += _LIFT
        return Start(data.qpos.copy(), np.zeros(model.nv))

    def rewards(self, state: State, body: Body) -> dict[str, Tensor]:
        distance = state.site_xpos[:, body.head_site].square().sum(1).sqrt()
        escape = _linear_tolerance(distance, TERRAIN_SIZE, TERRAIN_SIZE)
        upright = _linear_tolerance(state.xmat[:, torch.tensor([body.torso, body.pelvis]), 8], UPRIGHT, 1 + UPRIGHT)
        return {"upright_escape": upright.amin(1) * escape}

    def outcomes(self, body: Body, paths: Sequence[Path]) -> dict[str, np.ndarray]:
        """escaped_fraction: share of episodes in which the head got as far from the world's origin as the rim is."""
        return {"escaped_fraction": np.array([(_farthest(path, body) >= RIM, 1) for path in paths])}

    def cues(self, body: Body) -> tuple[Sense, ...]:
        if not self.cue:
            return ()

        def origin(state: State) -> Tensor:
            return -in_torso_frame(state.xpos[:, body.torso], state, body)

        return (Sense(f"{PREFIX}origin", 3, "m", origin),)

    def progress(self, state: State, body: Body) -> Tensor:
        return speed_along(_outward(state, body), state, body)

    def privileged(self, body: Body) -> tuple[Sense, ...]:
        def outward(state: State) -> Tensor:
            return in_torso_frame(_outward(state, body), state, body)

        def relief(state: State) -> Tensor:
            return heights_around(state.memory["terrain"], TERRAIN_SIZE, state, body)

        def way_out(state: State) -> Tensor:
            easier = easing(state.xpos[:, body.torso, :2], state.memory["toil"], TERRAIN_SIZE)
            direction = torch.nn.functional.normalize(easier)
            return in_torso_frame(torch.cat([direction, torch.zeros_like(direction[:, :1])], 1), state, body)

        return (
            Sense(f"{PRIVILEGED}outward", 3, "1", outward),
            Sense(f"{PRIVILEGED}relief", POINTS, "m", relief),
            Sense(f"{PRIVILEGED}way_out", 3, "1", way_out),
        )

    def chart(self, model: mujoco.MjModel) -> dict[str, np.ndarray]:
        terrain = elevations(model)
        return {"terrain": terrain, "toil": toil(terrain, TERRAIN_SIZE)}

    def landmarks(self, body: Body) -> tuple[Sense, ...]:
        """distance_from_centre: of the head from the world's origin, which the reward counts."""

        def distance_from_centre(state: State) -> Tensor:
            return state.site_xpos[:, body.head_site].norm(dim=1, keepdim=True)

        return (Sense("distance_from_centre", 1, "m", distance_from_centre),)


def _outward(state: State, body: Body) -> Tensor:
    """The horizontal direction (envs, 3) that leads from the bowl's middle to the torso."""
    direction = state.xpos[:, body.torso].clone()
    direction[:, 2] = 0
    return direction / direction.norm(dim=1, keepdim=True).clamp(min=1e-6)


@cache
def _flat_world(task: EscapeBowl) -> mujoco.MjModel:
    model: mujoco.MjModel = physics_spec(task).compile()
    return model


def _touches(model: mujoco.MjModel, data: mujoco.MjData) -> bool:
    """Whether anything touches anything in the pose `data.qpos`."""
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    mujoco.mj_collision(model, data)
    return bool(data.ncon)


def _farthest(path: Path, body: Body) -> float:
    """The head's greatest distance from the world's origin, m."""
    data, distances = mujoco.MjData(path.model), []
    for position in path.qpos:
        data.qpos[:] = position
        mujoco.mj_kinematics(path.model, data)
        distances.append(float(np.linalg.norm(data.site_xpos[body.head_site])))
    return max(distances)


def _linear_tolerance(values: Tensor, lowest: float, margin: float) -> Tensor:
    """dm_control's `rewards.tolerance`: 1 from `lowest` on, falling linearly to 0 at `lowest - margin`."""
    return (1 - (lowest - values).clamp(min=0) / margin).clamp(min=0)
