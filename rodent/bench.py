"""How fast a task runs, beside two measures taken in the same run: the physics limit and dm_control.

The limit is what MuJoCo itself needs for the same steps: bare `mj_step` of the same model from the same states under
the same controls on the same cores, plus the one forward pass that the observation needs; with vision, after them one
picture of each environment by the same renderer with the same flags, of a scene that already shows it. Episodes end and
others begin as often as in the long run. dm_control's environment runs on one core, as it does for its users.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from rodent.dm_control_env import DmControlEnv
from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from rodent.machine import describe_machine, peak_memory_gib
from rodent.physics import CONTROL_TIMESTEP
from rodent.stopwatch import Places, Stopwatch
from rodent.tasks import make_task

_POOL = 64  # arenas, as training has them
_SETTLING_STEPS = 10  # control steps before anything is timed: the rat lands, caches warm


def bench(
    task: str = "run",
    physics: str = "paper",
    envs: int = 256,
    threads: int = 0,
    seconds: float = 20.0,
    progress: Callable[[float], None] = lambda share: None,
    vision: bool = False,
) -> dict[str, Any]:
    """Measure a task.

    Args:
        task: its name.
        physics: a preset's name.
        envs: number of environments.
        threads: worker threads, 0 for every core.
        seconds: about how long to measure ours and the limit, together.
        progress: called with the share that is done, 0 to 1.
        vision: whether each rat gets a picture at each control step (50 Hz).

    Returns:
        The object that `rodent bench --json` prints. Rates count environments times control steps; `reset_ms` is what
        beginning one episode costs, `pool_s` what the arenas' pool does beforehand.

    Raises:
        UsageError: an unknown task or preset, or a count that is not positive; vision where nothing can draw.
    """
    if not 0 < seconds < math.inf:
        raise UsageError(f"seconds must be above 0 and finite, not {seconds}")
    env = RodentVectorEnv(make_task(task), envs, physics, threads, pool=_POOL, vision=vision)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    env._limits[:] = rng.integers(1, env.task.step_limit + 1, envs)  # so that not all end at once
    limit = _BareSimulations(env)
    phases = Stopwatch(parts_of_a_step(env))
    ours = bare = pictures = 0.0
    steps = 0
    for _ in range(_SETTLING_STEPS):
        env.step(_actions(rng, env))
    while ours + bare + pictures < seconds or steps == 0:
        # Short alternating stretches from the same states: whatever else the machine does falls on both alike.
        actions = [_actions(rng, env) for _ in range(5)]
        limit.copy_states()
        bare += _timed(limit.run, actions)
        pictures += len(actions) * _bare_pictures(env)
        with phases:
            ours += _timed(_step_all, env, actions)
        steps += len(actions)
        progress(min(1.0, (ours + bare + pictures) / seconds))
    limit.close()
    rate = steps * envs / ours
    resetting = float(np.mean([_timed(env._begin_episodes, np.array([i])) for i in range(min(envs, 64))]))
    dm_control_rate = _dm_control_rate_of(env, seconds=min(seconds / 4, 5.0))
    return {
        "task": task,
        "physics": physics,
        "vision": env.metadata.get("vision", False),
        "envs": envs,
        "threads": env.engine.threads,
        "control_steps_per_s": round(rate, 1),
        "physics_steps_per_s": round(rate * env.physics.substeps, 1),
        "simulated_s_per_s": round(rate * CONTROL_TIMESTEP, 2),
        "limit_control_steps_per_s": round(steps * envs / (bare + pictures), 1),
        "limit_ratio": round((bare + pictures) / ours, 3),
        "limit_picture_ms": round(1e3 * pictures / (steps * envs), 3) if vision else None,
        "pool_s": round(env.pool_seconds, 2),
        "reset_ms": round(1e3 * resetting, 3),
        "dm_control_control_steps_per_s": dm_control_rate and round(dm_control_rate, 1),
        "dm_control_ratio": dm_control_rate and round(rate / dm_control_rate, 2),
        "phases": phases.shares(ours),
        "peak_memory_gib": round(peak_memory_gib(), 2),
        "machine": describe_machine(),
    }


class _BareSimulations:
    """The environments' simulations, stepped by MuJoCo alone on as many threads, with one MjData a thread.

    Each simulation takes all its steps in one go, so that the MjData stays in the cache, and threads that are done take
    over from those that are not: no engine that returns after each control step can be faster.
    """

    CHUNK = 4  # simulations that a thread takes at a time

    def __init__(self, env: RodentVectorEnv) -> None:
        self._env = env
        self._forward = mujoco.mj_forward if env.task.full_forward else mujoco.mj_step1
        self._chunks = np.array_split(np.arange(env.num_envs), -(-env.num_envs // self.CHUNK))
        self._local = threading.local()
        self._pool = ThreadPoolExecutor(env.engine.threads, initializer=self._make_data)
        self._states = env.engine.snapshot()

    def copy_states(self) -> None:
        self._states = self._env.engine.snapshot()

    def run(self, actions: list[NDArray[np.float64]]) -> None:
        list(self._pool.map(lambda ids: self._step(ids, actions), self._chunks))

    def close(self) -> None:
        self._pool.shutdown()

    def _make_data(self) -> None:
        self._local.data = mujoco.MjData(self._env.engine.model)

    def _step(self, ids: NDArray[np.intp], actions: list[NDArray[np.float64]]) -> None:
        data, substeps = self._local.data, self._env.physics.substeps
        for i in ids:
            model = self._env.engine.model_of(i)  # all of one layout, so that one MjData serves them all
            mujoco.mj_setState(model, data, self._states[i], int(mujoco.mjtState.mjSTATE_INTEGRATION))
            for action in actions:
                data.ctrl[:] = action[i]
                mujoco.mj_step(model, data, substeps)
                self._forward(model, data)


def parts_of_a_step(env: RodentVectorEnv) -> Places:
    """Where the time of `env.step` goes, for a `Stopwatch`.

    What one part does for another, such as the first pictures of episodes in `resets`, counts as the outer one's.
    """
    places: Places = {
        "physics": (env.engine, "step"),
        "senses": (env, "_observe"),
        "rewards": (env, "_score"),
        "resets": (env, "_begin_next"),
    }
    return places | {"pictures": (env.eyes, "look")} if env.eyes else places


def _bare_pictures(env: RodentVectorEnv) -> float:
    """Seconds that the renderer alone needs for one picture of each environment; 0 without vision."""
    spent = 0.0
    if env.eyes:
        for i in range(env.num_envs):
            data = env.eyes.pose(i, env.engine.state)
            spent += _timed(env.eyes.renderer.render, data, "egocentric")
    return spent


def _dm_control_rate_of(env: RodentVectorEnv, seconds: float) -> float | None:
    """dm_control's control steps a second, with pictures where ours have them; None where it cannot draw.

    It opens OpenGL when it is imported, so that with pictures it needs a process of its own.
    """
    if not env.eyes:
        return dm_control_rate(env.task.name, seconds)
    backend = env.eyes.renderer.backend
    if not backend.is_opengl:
        return None
    code = f"from rodent.bench import dm_control_rate; print(dm_control_rate({env.task.name!r}, {seconds}, True))"
    environment = {**os.environ, "MUJOCO_GL": backend.name, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return float(process.stdout.split()[-1])


def dm_control_rate(task: str, seconds: float, vision: bool = False) -> float:
    """Control steps a second of dm_control's environment under random actions, resets included."""
    env, rng = DmControlEnv(task, vision=vision), np.random.default_rng(0)
    env.reset(seed=0)
    steps, spent = 0, 0.0
    while spent < seconds:
        action = rng.uniform(-1, 1, 38)
        start = time.perf_counter()
        _, _, terminated, truncated = env.step(action)
        if terminated or truncated:
            env.reset(seed=0, episode=steps)
        spent += time.perf_counter() - start
        steps += 1
    return steps / spent


def _actions(rng: np.random.Generator, env: RodentVectorEnv) -> NDArray[np.float64]:
    return rng.uniform(-1, 1, env.action_space.shape)


def _step_all(env: RodentVectorEnv, actions: list[NDArray[np.float64]]) -> None:
    for action in actions:
        env.step(action)


def _timed(call: Callable[..., object], *arguments: Any) -> float:
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start
