"""dm_control's own environment behind the same few calls, so that any policy can be tried in the original."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from rodent.arenas import colours_seed, numpys_global_draws_from
from rodent.body import Body, describe
from rodent.engine import ARRAYS, State
from rodent.errors import UsageError
from rodent.opengl import without_opengl
from rodent.tasks import Task, episode_rng, make_task
from rodent.vision import VisionSettings, vision_settings

Observation = dict[str, NDArray[np.float64]]


class DmControlEnv:
    """One rat in `dm_control.composer.Environment`, beginning each episode in the world and start that ours draws.

    Args:
        task: a task's name, or a task.
        privileged: add the task's privileged senses, computed from dm_control's physics and its task.
        vision: let dm_control add its own pictures, `walker/egocentric_camera` (64, 64, 3) uint8. It opens OpenGL when
            it is imported, of the kind that `MUJOCO_GL` names. Of settings only `every` counts: in between the last
            picture stays.

    `environment` is dm_control's own object. Observations are ours in name, order and shape: (size,) each.
    """

    def __init__(
        self, task: str | Task = "run", privileged: bool = False, vision: bool | VisionSettings = False
    ) -> None:
        with without_opengl():
            from dm_control import composer
        self.task = make_task(task) if isinstance(task, str) else task
        composed = self.task.compose()
        settings = vision_settings(vision)
        for name, observable in composed.observables.items():
            if name.endswith("egocentric_camera"):
                observable.enabled = settings is not None
                if settings:  # dm_control would draw a picture that is not looked at, too
                    observable.update_interval = settings.every * composed.physics_steps_per_control_step
        self.environment = composer.Environment(
            composed,
            time_limit=self.task.time_limit,
            random_state=0,  # whatever is drawn from it is replaced by our own draws below
            strip_singleton_obs_buffer_dim=True,
            raise_exception_on_physics_error=False,
        )
        self.environment.add_extra_hook("initialize_episode", self._write_start)
        self.privileged = privileged
        self._body: Body | None = None

    def reset(self, seed: int, episode: int = 0) -> Observation:
        """Begin episode `episode` of seed `seed`: the same world and start as `RodentVectorEnv` gives it."""
        rng = episode_rng(self.task, seed, episode)
        arena = self.task.draw(rng)
        colours = colours_seed(rng)
        model = self.task.build(arena)
        if self._body is None:
            self._body = describe(model)
        self._start = self.task.start(model, self._body, rng)
        self.task.install(self.environment.task, arena)
        remembered = self.task.begin(model, rng)
        self.task.instruct(self.environment.task, remembered)
        known = remembered | self.task.chart(model) if self.privileged else {}
        self._memory = {name: torch.from_numpy(np.array(value)[None]) for name, value in known.items()}
        with numpys_global_draws_from(colours):  # of the maze
            return self._observation(self.environment.reset().observation)

    def step(self, action: ArrayLike) -> tuple[Observation, float, bool, bool]:
        """One control step.

        Args:
            action: (38,) in [-1, 1].

        Returns:
            observation, reward, terminated (discount 0), truncated (ended with discount 1).
        """
        action = np.asarray(action, dtype=np.float64)
        expected = self.environment.action_spec().shape
        if action.shape != expected or not np.isfinite(action).all():
            raise UsageError(f"an action must be {expected[0]} finite numbers, not of shape {action.shape}: {action}")
        step = self.environment.step(action)
        terminated = bool(step.last() and step.discount == 0)
        return self._observation(step.observation), float(step.reward), terminated, bool(step.last() and not terminated)

    @property
    def qpos(self) -> NDArray[np.float64]:
        """The simulation's generalised positions, (nq,), a copy."""
        return self.environment.physics.data.qpos.copy()

    def _observation(self, observation: dict[str, NDArray[np.float64]]) -> Observation:
        """Ours: without dm_control's empty entries, scalars as vectors, cues in their alphabetical place."""
        ours = {name: np.atleast_1d(value) for name, value in observation.items() if np.size(value)}
        if self.privileged:
            ours |= self._privileged_senses()
        return dict(sorted(ours.items()))

    def _privileged_senses(self) -> Observation:
        assert self._body is not None
        physics = self.environment.physics
        self.task.recall(self.environment.task, physics, self._memory)
        data = physics.data.ptr
        arrays: dict[str, Any] = {
            name: torch.from_numpy(np.array(getattr(data, name), dtype=np.float64)[None]) for name in ARRAYS
        }
        state = State(**arrays, memory=self._memory)
        return {sense.name: sense.read(state)[0].numpy() for sense in self.task.privileged(self._body)}

    def _write_start(self, physics: Any, random_state: Any) -> None:
        del random_state  # the start follows from (task, seed, episode) alone
        physics.data.qpos[:] = self._start.qpos
        physics.data.qvel[:] = self._start.qvel
