"""The worlds, composed by dm_control, and their compilation into models for the engines."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from rodent.body import build_rat
from rodent.opengl import without_opengl
from rodent.physics import CONTROL_TIMESTEP, PRESETS

if TYPE_CHECKING:
    from dm_control import composer

AESTHETIC = "outdoor_natural"  # dm_control's grass and sky
FAR_BELOW = -20.0  # m


def compose_corridor(
    length: float,
    width: float,
    target_velocity: float,
    spawn_x: float,
    platforms: Callable[..., float] | None = None,
    gaps: Callable[..., float] | None = None,
) -> composer.Task:
    """dm_control's `RunThroughCorridor`, ending only at a fall below -0.3 m.

    Args:
        length: corridor's length, m.
        width: corridor's width, m.
        target_velocity: m/s along world x.
        spawn_x: where the rat starts, m.
        platforms: gives the length of one platform after another, a dm_control `Variation` (None: an unbroken floor).
        gaps: gives the length of one gap after another.
    """
    with without_opengl():
        from dm_control.locomotion.arenas.corridors import EmptyCorridor, GapsCorridor
        from dm_control.locomotion.tasks.corridors import RunThroughCorridor

    size = {"corridor_width": width, "corridor_length": length}
    if platforms is None:
        arena = EmptyCorridor(**size)
    else:
        arena = GapsCorridor(platform_length=platforms, gap_length=gaps, aesthetic=AESTHETIC, **size)
    task = RunThroughCorridor(
        walker=build_rat(),
        arena=arena,
        walker_spawn_position=(spawn_x, 0, 0),
        walker_spawn_rotation=0,
        target_velocity=target_velocity,
        contact_termination=False,
        terminate_at_height=-0.3,
        **timesteps(),
    )
    return without_camera(task)


def compose_bowl(terrain: NDArray[np.float64]) -> composer.Task:
    """dm_control's `Escape` from its `Bowl`, whose terrain is given instead of drawn.

    The terrain may be exchanged by setting the arena's attribute `terrain`; it is there from the next episode on.

    Args:
        terrain: elevation of the ground, (201, 201) in [0, 1], as dm_control writes it into `hfield_data`.
    """
    with without_opengl():
        from dm_control.locomotion.arenas.bowl import Bowl
        from dm_control.locomotion.tasks.escape import Escape

    class GivenBowl(Bowl):
        def initialize_episode(self, physics: Any, random_state: Any) -> None:
            physics.model.hfield_data[:] = self.terrain.ravel()
            if physics._contexts:  # dm_control's own asks for new ones, and so fails where there is no OpenGL
                with physics.contexts.gl.make_current() as context:
                    context.call(mujoco.mjr_uploadHField, physics.model.ptr, physics.contexts.mujoco.ptr, 0)

    arena = GivenBowl(size=(20.0, 20.0), aesthetic=AESTHETIC)
    arena.terrain = terrain
    return without_camera(Escape(walker=build_rat(), arena=arena, **timesteps()))


def compose_two_touch() -> composer.Task:
    """dm_control's `TwoTouch` on a plane, whose orbs stand where its attribute `orbs` says instead of anywhere.

    `orbs` is an iterator over the numbers in [-1, 1] that dm_control draws one after the other: x and y of each orb, by
    which it multiplies half the extent of the area where orbs stand, 1.5 m unless the task says otherwise.
    """
    with without_opengl():
        from dm_control.locomotion.arenas.floors import Floor
        from dm_control.locomotion.props.target_sphere import TargetSphereTwoTouch
        from dm_control.locomotion.tasks.reach import TwoTouch

    class Given:
        """What dm_control takes for a random generator."""

        def __init__(self, numbers: Iterator[float]) -> None:
            self.numbers = numbers

        def uniform(self, low: float, high: float) -> float:
            return next(self.numbers)

        def shuffle(self, values: Any) -> None:
            """There is one orb, and nothing to shuffle."""

    class GivenTwoTouch(TwoTouch):
        orbs: Iterator[float]

        def _randomize_targets(self, physics: Any, random_state: Any = None) -> None:
            super()._randomize_targets(physics, Given(self.orbs))  # dm_control's own default is the global np.random

    task = GivenTwoTouch(
        walker=build_rat(),
        arena=Floor(size=(10.0, 10.0), aesthetic=AESTHETIC),
        target_builders=[functools.partial(TargetSphereTwoTouch, radius=0.025)],
        randomize_spawn_rotation=True,
        target_type_rewards=[25.0],
        shuffle_target_builders=False,
        target_area=(1.5, 1.5),
        **timesteps(),
    )
    return without_camera(task)


def compose_maze(cells: int, cell_size: float, wall_height: float, labyrinth: Any) -> composer.Task:
    """dm_control's `ManyGoalsMaze`, in which each orb pays 50, once.

    Args:
        cells: along each side of the maze, walls included.
        cell_size: m.
        wall_height: m.
        labyrinth: a `labmaze` maze of that size; the next one that it generates is the first episode's.
    """
    with without_opengl():
        from dm_control.locomotion.arenas.labmaze_textures import WallTextures
        from dm_control.locomotion.arenas.mazes import RandomMazeWithTargets
        from dm_control.locomotion.props.target_sphere import TargetSphere
        from dm_control.locomotion.tasks.random_goal_maze import ManyGoalsMaze

    arena = RandomMazeWithTargets(
        x_cells=cells,
        y_cells=cells,
        xy_scale=cell_size,
        z_height=wall_height,
        wall_textures=WallTextures(style="style_01"),
        aesthetic=AESTHETIC,
    )
    arena._maze = labyrinth
    orb = functools.partial(TargetSphere, radius=0.05, height_above_ground=0.125, rgb1=(0, 0, 0.4), rgb2=(0, 0, 0.7))
    task = ManyGoalsMaze(
        walker=build_rat(),
        maze_arena=arena,
        target_builder=orb,
        target_reward_scale=50.0,
        contact_termination=False,
        **timesteps(),
    )
    return without_camera(task)


def timesteps() -> dict[str, float]:
    """The arguments of dm_control's tasks that set the paper's physics step and our control step."""
    return {"physics_timestep": PRESETS["paper"].timestep, "control_timestep": CONTROL_TIMESTEP}


def without_camera(task: composer.Task) -> composer.Task:
    """Turn off the camera that dm_control's tasks turn on: without OpenGL a reset would fail."""
    for name, observable in task.observables.items():
        if name.endswith("egocentric_camera"):
            observable.enabled = False
    return task


def compile_world(task: composer.Task, rng: np.random.Generator) -> mujoco.MjModel:
    """Draw a composed task's arena and compile it, as dm_control's environment does at a reset."""
    with without_opengl():
        from dm_control import mjcf

    seed = colours_seed(rng)
    with numpys_global_draws_from(seed):  # from which the maze takes its colours
        task.initialize_episode_mjcf(np.random.RandomState(seed))
    physics = mjcf.Physics.from_mjcf_model(task.root_entity.mjcf_model)
    return physics.model.ptr


def colours_seed(rng: np.random.Generator) -> int:
    """What dm_control's own draws of an arena follow from, once `rng` has drawn what is ours; `rng` stays as it is."""
    return int(copy.deepcopy(rng).integers(2**32))


@contextmanager
def numpys_global_draws_from(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator for a while, and then put it back where it was."""
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


def draw_any_arena(task: composer.Task) -> None:
    """Give a composed task some arena, the same each time."""
    with numpys_global_draws_from(0):
        task.initialize_episode_mjcf(np.random.RandomState(0))


def export(task: composer.Task) -> mujoco.MjSpec:
    """The spec of a composed task whose arena has been drawn.

    dm_control's own export, in which every number has 17 digits, so that it compiles to the same bits.
    """
    root = task.root_entity.mjcf_model
    return mujoco.MjSpec.from_string(root.to_xml_string(), assets=root.get_assets())


def without_pictures(task: composer.Task) -> mujoco.MjSpec:
    """The spec of a composed task whose arena has been drawn, without materials, textures and skins."""
    spec = export(task)
    for geom in spec.geoms:
        geom.material = ""
    for element in (*spec.skins, *spec.materials, *spec.textures):
        spec.delete(element)
    return spec


def hide(geom: mujoco.MjsGeom) -> None:
    """Make a geom that only fills up a layout inert, and put it far below everything.

    A geom with neither contype nor conaffinity would be left out of the bounding volumes, whose number is part of the
    layout; this one has a contype that nothing else answers to.
    """
    geom.contype, geom.conaffinity = 1 << 20, 0
    geom.pos = (0, 0, FAR_BELOW)


def textured(spec: mujoco.MjSpec, name: str, texture: str, repeat: tuple[float, float] = (1.0, 1.0)) -> str:
    """Add a material with a texture; returns its name."""
    material = spec.add_material(name=name, texrepeat=repeat)
    material.textures[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)] = texture
    return name


def found_sensor(spec: mujoco.MjSpec, name: str, geom: str, subtree: str = "", samples: int = 0) -> None:
    """Add a sensor that counts a geom's contacts at every physics step.

    Args:
        spec: the world.
        name: the sensor's name.
        geom: the geom.
        subtree: body with whose subtree the contacts count; any by default.
        samples: how many physics steps the simulation's `history` holds.
    """
    sensor = spec.add_sensor(
        name=name, type=mujoco.mjtSensor.mjSENS_CONTACT, objtype=mujoco.mjtObj.mjOBJ_GEOM, objname=geom
    )
    if subtree:
        sensor.reftype, sensor.refname = mujoco.mjtObj.mjOBJ_XBODY, subtree
    sensor.intprm[:3] = (1 << int(mujoco.mjtConDataField.mjCONDATA_FOUND), 0, 1)  # what it reports, no reduction, once
    sensor.nsample = samples
