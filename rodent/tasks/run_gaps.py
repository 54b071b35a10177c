"""Run down a corridor over gaps at a target speed: dm_control's `rodent_run_gaps`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import mujoco
import numpy as np
import torch
from torch import Tensor

from rodent.arenas import compose_corridor, hide
from rodent.body import Body
from rodent.engine import State
from rodent.senses import PRIVILEGED, Sense
from rodent.tasks.base import Look, Path, Start, Task, physics_spec, scene_spec
from rodent.tasks.parameters import Admissible, Range, bounds, parameter
from rodent.tasks.run import SPAWN_X, TARGET_VELOCITY, fell_off, velocity_reward, where_in_corridor

if TYPE_CHECKING:
    from dm_control import composer

LENGTH = 40.0  # m
WIDTH = 2.0  # m
FIRST_PLATFORM = 6.0  # m
THICKNESS = 0.16  # m; half of a platform's
CELL = 0.04  # m, of the floor along world x
LOOKED_AT = -0.15 + CELL * torch.arange(26, dtype=torch.float64)  # m from the torso along world x: middles of cells
_SHORTEST_PLATFORM = 0.1  # m
_NARROWEST_GAP = 1e-6  # m; less is rounding between platforms that touch


@dataclass(frozen=True)
class Platforms:
    """The floor of a corridor from its start: platform, gap, platform, gap, ..."""

    lengths: np.ndarray  # m; the first is always `FIRST_PLATFORM`
    gaps: np.ndarray  # m; one after each platform

    @property
    def begins(self) -> list[float]:
        """Where each platform begins along world x, m, summed in dm_control's order."""
        x = [0.0, FIRST_PLATFORM]
        for length, gap in zip(self.lengths[1:], self.gaps[1:], strict=True):
            x.append(x[-1] + (length + gap))
        return x[: len(self.lengths)]


@dataclass(frozen=True)
class RunGaps(Task):
    """Reward a step: `max(0, 1 - |vx - v| / v)`, vx the torso's subtree velocity along world x, v the target.

    The second platform touches the first, as in dm_control, so that the first gap opens behind it.
    """

    name: ClassVar[str] = "run-gaps"
    summary: ClassVar[str] = "run along a corridor of 40 x 2 m at 1 m/s, over gaps"
    varies: ClassVar[bool] = True
    full_forward: ClassVar[bool] = True  # as in `Run`

    target_velocity: float = parameter(1.0, TARGET_VELOCITY)
    # Each platform's and each gap's length is drawn from these.
    platform_length: Range = parameter((0.4, 0.8), Admissible(_SHORTEST_PLATFORM, LENGTH, "m", "range"))
    gap_length: Range = parameter((0.05, 0.2), Admissible(0, LENGTH, "m", "range"))

    @property
    def max_return(self) -> float:
        return float(self.step_limit)

    def compose(self) -> composer.Task:
        platforms, gaps = _InTurn(bounds(self.platform_length)), _InTurn(bounds(self.gap_length))
        return compose_corridor(LENGTH, WIDTH, self.target_velocity, SPAWN_X, platforms, gaps)

    def draw(self, rng: np.random.Generator) -> Platforms:
        lengths, gaps, x = [FIRST_PLATFORM], [0.0], FIRST_PLATFORM
        while x < LENGTH:
            lengths.append(rng.uniform(*bounds(self.platform_length)))
            gaps.append(rng.uniform(*bounds(self.gap_length)))
            x += lengths[-1] + gaps[-1]
        return Platforms(np.array(lengths), np.array(gaps))

    def build(self, arena: Platforms, substeps: int = 0) -> mujoco.MjModel:
        spec = physics_spec(self).copy()
        ground = spec.body("ground")
        for geom in ground.geoms:
            spec.delete(geom)
        for begin, length in zip(arena.begins, arena.lengths, strict=True):
            geom = ground.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX)
            geom.pos, geom.size = (begin + length / 2, 0, -THICKNESS), (length / 2, WIDTH / 2, THICKNESS)
        for _ in range(self._most_platforms - len(arena.lengths)):
            hide(ground.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=(THICKNESS,) * 3))
        return spec.compile()

    def install(self, composed: composer.Task, arena: Platforms) -> None:
        corridor = composed.root_entity
        corridor._platform_length = _InTurn(arena.lengths[1:])
        corridor._gap_length = _InTurn(arena.gaps[1:])

    def stage(self, arenas: int = 1, terrain_step: int = 1) -> mujoco.MjSpec:
        spec = scene_spec(self)
        ground = spec.body("ground")
        material = ground.geoms[0].material
        for geom in ground.geoms:
            spec.delete(geom)
        for _ in range(self._most_platforms):
            ground.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=(THICKNESS,) * 3, material=material)
        return spec

    def look(self, stage: mujoco.MjModel, world: mujoco.MjModel) -> Look:
        boxes, floor = _floor(stage), _floor(world)
        look = {name: getattr(stage, name).copy() for name in ("geom_pos", "geom_size", "geom_rgba")}
        look["geom_pos"][boxes], look["geom_size"][boxes] = world.geom_pos[floor], world.geom_size[floor]
        look["geom_rgba"][boxes, 3] = world.geom_conaffinity[floor] > 0
        return look

    def start(self, model: mujoco.MjModel, body: Body, rng: np.random.Generator) -> Start:
        qpos = model.qpos0.copy()
        qpos[body.root_qpos : body.root_qpos + 7] = (SPAWN_X, 0, 0, 1, 0, 0, 0)
        return Start(qpos, np.zeros(model.nv))

    def rewards(self, state: State, body: Body) -> dict[str, Tensor]:
        return {"velocity": velocity_reward(state, body, self.target_velocity)}

    def terminated(self, state: State, body: Body) -> dict[str, Tensor]:
        return {"fell_off": fell_off(state, body)}

    def outcomes(self, body: Body, paths: Sequence[Path]) -> dict[str, np.ndarray]:
        """gaps_crossed: mean number of gaps that lie behind the torso at an episode's end."""
        return {"gaps_crossed": np.array([(self._gaps_behind(path, body), 1) for path in paths])}

    def _gaps_behind(self, path: Path, body: Body) -> int:
        return int((self.gaps(path.model)[:, 1] <= path.qpos[-1, body.root_qpos]).sum())

    def gaps(self, model: mujoco.MjModel) -> np.ndarray:
        """(gaps, 2) where each gap of a world begins and ends along world x, m, in order."""
        floor = self.chart(model)
        edges = np.stack([floor["ends"][:-1], floor["begins"][1:]], axis=1)
        edges = edges[np.isfinite(edges).all(axis=1)]  # the others are of platforms that are no more than padding
        gaps: np.ndarray = edges[edges[:, 1] - edges[:, 0] > _NARROWEST_GAP]
        return gaps

    def chart(self, model: mujoco.MjModel) -> dict[str, np.ndarray]:
        geoms = _floor(model)
        middle, half = model.geom_pos[geoms, 0], model.geom_size[geoms, 0]
        real = model.geom_conaffinity[geoms] > 0
        return {
            "begins": np.where(real, middle - half, np.inf),  # m, of each platform along world x, in order
            "ends": np.where(real, middle + half, np.inf),
        }

    def progress(self, state: State, body: Body) -> Tensor:
        return state.subtree_linvel[:, body.torso, 0]

    def privileged(self, body: Body) -> tuple[Sense, ...]:
        def floor_ahead(state: State) -> Tensor:
            begins, ends = state.memory["begins"], state.memory["ends"]
            lengths = (ends - begins).nan_to_num()  # of a platform that is no more than padding: inf - inf
            before = lengths.cumsum(1) - lengths

            def floor_until(x: Tensor) -> Tensor:
                platform = (torch.searchsorted(begins, x, right=True) - 1).clamp(min=0)
                on_it = torch.minimum(x, ends.gather(1, platform)) - begins.gather(1, platform)
                return before.gather(1, platform) + on_it.clamp(min=0)

            middles = state.xpos[:, body.torso, :1] + LOOKED_AT
            return (floor_until(middles + CELL / 2) - floor_until(middles - CELL / 2)) / CELL

        ahead = Sense(f"{PRIVILEGED}floor_ahead", len(LOOKED_AT), "share of 4 cm", floor_ahead)
        return ahead, *where_in_corridor(body)

    def landmarks(self, body: Body) -> tuple[Sense, ...]:
        """distance_to_gap: along world x from the torso to the near edge of the next gap; negative while over it."""

        def distance_to_gap(state: State) -> Tensor:
            near, far = state.memory["ends"][:, :-1], state.memory["begins"][:, 1:]
            x = state.xpos[:, body.torso, :1]
            ahead = far.isfinite() & (far - near > _NARROWEST_GAP) & (far > x)
            distance = torch.where(ahead, near - x, math.inf).amin(1, keepdim=True)
            return torch.where(distance.isfinite(), distance, math.nan)

        return (Sense("distance_to_gap", 1, "m", distance_to_gap),)

    @cached_property
    def _most_platforms(self) -> int:
        """As many as `draw` gives where all are shortest: summed as there, since rounding can make one more."""
        count, x = 1, FIRST_PLATFORM
        while x < LENGTH:
            count, x = count + 1, x + (bounds(self.platform_length)[0] + bounds(self.gap_length)[0])
        return count


def _floor(model: mujoco.MjModel) -> slice:
    """The platforms' geoms."""
    ground = model.body("ground")
    return slice(int(ground.geomadr[0]), int(ground.geomadr[0] + ground.geomnum[0]))


class _InTurn:
    """A dm_control `Variation` that gives some values in turn, and then goes on with the last."""

    def __init__(self, values: Any) -> None:
        self._values = [float(value) for value in values]

    def __call__(self, initial_value: Any = None, current_value: Any = None, random_state: Any = None) -> float:
        return self._values.pop(0) if len(self._values) > 1 else self._values[0]
