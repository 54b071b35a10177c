"""Pictures of environments: what dm_control's own model of an arena shows, in the pose of our simulation."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from rodent.engine import State
from rodent.painting import Picture, update_positions
from rodent.rendering import Renderer
from rodent.tasks import Task
from rodent.tasks.base import Origin, arena_rng


class Scenes:
    """One picture after another of some environments.

    Args:
        task: their task; each arena's scene is compiled when it is first drawn, and freed when its environment draws
            another (textures take 5 to 33 MB a scene).
        width: pixels.
        height: pixels.
        camera: see `Renderer.render`.
    """

    def __init__(self, task: Task, width: int, height: int, camera: str) -> None:
        self._task = task
        self._size = (width, height)
        self._camera = camera
        self._drawn: dict[int, tuple[Origin, Renderer, mujoco.MjData]] = {}

    def draw(self, env: int, arena: Origin, state: State) -> Picture:
        """A picture (height, width, 3) uint8 of an environment.

        Args:
            env: which one.
            arena: what its arena is drawn from.
            state: of all environments.
        """
        place, arena = (env, arena) if self._task.varies else (0, Origin(0, 0))
        if place in self._drawn and self._drawn[place][0] != arena:
            self._drawn.pop(place)[1].close()
        if place not in self._drawn:
            scene = self._task.scene(arena_rng(self._task, arena))
            self._drawn[place] = (arena, Renderer(scene, *self._size), mujoco.MjData(scene))
        _, renderer, data = self._drawn[place]
        self._task.dress(renderer.model, {name: state.memory[name][env] for name in self._task.shown})
        data.qpos[:] = state.qpos[env].numpy()
        update_positions(renderer.model, data)
        picture: NDArray[np.uint8] = renderer.render(data, self._camera)
        return picture

    def close(self) -> None:
        """Free the renderers."""
        while self._drawn:
            self._drawn.popitem()[1][1].close()
