"""What the rats see: 64x64 pictures from their eyes, at a rate of their own, of worlds that share one set of textures.

Each world is a stage (`Task.stage`), compiled once, which shows one environment after the other: what differs between
their arenas is a few arrays (`Task.look`). A picture then costs little more than MuJoCo's own drawing of it:
`rodent bench --vision` measures both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from rodent.body import PREFIX
from rodent.engine import State
from rodent.errors import UsageError
from rodent.painting import update_positions
from rodent.randomisation import RANDOMISED, Randomisation, add_textures
from rodent.rendering import Renderer, probe
from rodent.tasks import Task
from rodent.tasks.base import Look

PICTURE = f"{PREFIX}egocentric_camera"  # dm_control's name of the observable
SIZE = 64  # pixels, along each side


@dataclass(frozen=True)
class VisionSettings:
    """How the rats see. By default as fast as can be; `EXACT` are dm_control's own pictures.

    Raises:
        UsageError: a value that is not admissible.
    """

    every: int = 1  # control steps from one picture to the next; in between the last one stays
    shadows: bool = False  # whether lights cast them
    antialias: bool = False  # whether edges are smoothed
    shadow_map: int | None = None  # pixels along each side of a shadow map: fewer are quicker (None: MuJoCo's own)
    terrain_step: int = 2  # the bowl is drawn from each such row and column of its elevations: 1, 2, 4, 5, 8, 10
    randomisation: Randomisation | None = None  # of lights, textures and colours, for each episode

    def __post_init__(self) -> None:
        if not isinstance(self.every, int) or self.every < 1:
            raise UsageError(f"vision's every must be an integer of at least 1 control step, not {self.every!r}")
        if self.shadow_map is not None and (not isinstance(self.shadow_map, int) or self.shadow_map < 1):
            raise UsageError(
                f"vision's shadow_map must be None or an integer of at least 1 pixel, not {self.shadow_map!r}"
            )
        if self.terrain_step not in (1, 2, 4, 5, 8, 10):
            raise UsageError(f"vision's terrain_step must be 1, 2, 4, 5, 8 or 10, not {self.terrain_step!r}")


EXACT = VisionSettings(shadows=True, antialias=True, terrain_step=1)
_COARSE = 512  # pixels of a shadow map: a picture with shadows takes half as long, and hardly looks otherwise


def training_vision(every: int = 1, antialias: bool = False, shadows: bool = False) -> VisionSettings:
    """How rats see in training, and a policy in our simulator that learnt so: as in dm_control, as far as is told."""
    return VisionSettings(every, shadows, antialias, _COARSE if shadows else None)


def vision_settings(vision: bool | VisionSettings) -> VisionSettings | None:
    """What the argument `vision` of an environment means: True is the defaults, False none.

    Raises:
        UsageError: it is something else.
    """
    if not isinstance(vision, bool | VisionSettings):
        raise UsageError(f"vision must be True, False or VisionSettings, not {vision!r}")
    return (VisionSettings() if vision else None) if isinstance(vision, bool) else vision


def describe_vision(settings: VisionSettings) -> dict[str, Any]:
    """The renderer of this computer, its flags and the settings, ready for JSON: all that pictures depend on."""
    return {**probe().describe(SIZE, SIZE, settings.shadows, settings.antialias), **asdict(settings)}


class Eyes:
    """The eyes of some environments' rats.

    Args:
        task: their task.
        num_envs: how many.
        settings: how they see.
        pool: the physics models of the arenas that they share; none where each has its own.

    `pictures` (envs, 64, 64, 3), uint8 RGB, is what each saw last.

    Raises:
        UsageError: this computer has no renderer at all.
    """

    def __init__(
        self, task: Task, num_envs: int, settings: VisionSettings, pool: Sequence[mujoco.MjModel] = ()
    ) -> None:
        self.settings = settings
        self.pictures = np.zeros((num_envs, SIZE, SIZE, 3), np.uint8)
        self._task = task
        spec = task.stage((len(pool) or num_envs) if task.varies else 1, settings.terrain_step)
        if settings.randomisation:
            add_textures(spec)
        if settings.shadow_map:
            spec.visual.quality.shadowsize = settings.shadow_map
        self.stage = spec.compile()
        self.stage.geom_sameframe[:] = 0
        self._data = mujoco.MjData(self.stage)
        self.renderer = Renderer(self.stage, SIZE, SIZE, shadows=settings.shadows, antialias=settings.antialias)
        self._plain: Look = {name: getattr(self.stage, name).copy() for name in RANDOMISED}
        self._looks: list[Look] = [{} for _ in range(num_envs)]
        self._pool = [self._look(place, world) for place, world in enumerate(pool)]
        self._shown: Look = {}

    @property
    def description(self) -> dict[str, Any]:
        """See `describe_vision`."""
        return describe_vision(self.settings)

    def begin(self, env: int, world: mujoco.MjModel, place: int, rng: np.random.Generator) -> None:
        """Let an environment have another episode.

        Args:
            env: which one.
            world: the physics model of its arena.
            place: which of the pool that is, if there is one.
            rng: what the episode's randomisation is drawn from.
        """
        look = self._pool[place] if self._pool else self._look(env, world)
        if self.settings.randomisation:
            look = {**self._plain, **look}
            look |= self.settings.randomisation.draw(self.stage, look, rng)
        self._looks[env] = look

    def look(self, ids: NDArray[np.intp], state: State) -> None:
        """Renew the pictures of some environments; `state` is that of all."""
        for i in ids:
            self.pose(i, state)
            self.pictures[i] = self.renderer.render(self._data, "egocentric")

    def pose(self, env: int, state: State) -> mujoco.MjData:
        """Let the stage show an environment, and return its data."""
        if self._looks[env] is not self._shown:
            self._show(self._looks[env])
        self._task.dress(self.stage, {name: state.memory[name][env] for name in self._task.shown})
        self._data.qpos[:] = state.qpos[env].numpy()
        update_positions(self.stage, self._data)
        return self._data

    def close(self) -> None:
        """Free the renderer."""
        self.renderer.close()

    def _show(self, look: Look) -> None:
        for name, values in look.items():
            getattr(self.stage, name)[:] = values
        self._shown = look

    def _look(self, place: int, world: mujoco.MjModel) -> Look:
        """How the stage shows an arena; one with a terrain has it in the stage's height field number `place`."""
        self._show(self._plain)
        look = self._task.look(self.stage, world)
        if "hfield_data" in look:
            heights, start = look.pop("hfield_data"), self.stage.hfield_adr[place]
            self.stage.hfield_data[start : start + len(heights)] = heights
            self.renderer.read_height_field(place)
            is_terrain = self.stage.geom_type == mujoco.mjtGeom.mjGEOM_HFIELD
            look["geom_dataid"] = np.where(is_terrain, place, self.stage.geom_dataid)
        return look
