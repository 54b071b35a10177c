"""The worlds, composed by dm_control, and their compilation into models for the engines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import mujoco
import numpy as np

from rodent.body import build_rat
from rodent.opengl import without_opengl
from rodent.physics import CONTROL_TIMESTEP, PRESETS

if TYPE_CHECKING:
    from dm_control import composer


def compose_corridor(length: float, width: float, target_velocity: float, spawn_x: float) -> composer.Task:
    """dm_control's `RunThroughCorridor` in an `EmptyCorridor`, ending only at a fall below -0.3 m.

    Args:
        length: corridor's length, m.
        width: corridor's width, m.
        target_velocity: m/s along world x.
        spawn_x: where the rat starts, m.
    """
    with without_opengl():
        from dm_control.locomotion.arenas.corridors import EmptyCorridor
        from dm_control.locomotion.tasks.corridors import RunThroughCorridor

    rat = build_rat()
    task = RunThroughCorridor(
        walker=rat,
        arena=EmptyCorridor(corridor_width=width, corridor_length=length),
        walker_spawn_position=(spawn_x, 0, 0),
        walker_spawn_rotation=0,
        target_velocity=target_velocity,
        contact_termination=False,
        terminate_at_height=-0.3,
        physics_timestep=PRESETS["paper"].timestep,
        control_timestep=CONTROL_TIMESTEP,
    )
    rat.observables.egocentric_camera.enabled = False  # the task turns it on; without OpenGL a reset would then fail
    return task


def compile_world(task: composer.Task, rng: np.random.Generator) -> mujoco.MjModel:
    """Draw a composed task's arena and compile it, as dm_control's environment does at a reset."""
    with without_opengl():
        from dm_control import mjcf

    task.initialize_episode_mjcf(np.random.RandomState(rng.integers(2**32)))
    physics = mjcf.Physics.from_mjcf_model(task.root_entity.mjcf_model)
    return physics.model.ptr
