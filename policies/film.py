"""Films of a policy, and the live view."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
from numpy.typing import NDArray

from policies.observation import ObservationSpec
from policies.play import Episode, play
from policies.policy import Policy
from rodent.body import Body, describe
from rodent.cameras import CAMERAS
from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from rodent.physics import CONTROL_TIMESTEP
from rodent.rendering import probe
from rodent.tasks import episode_rng, make_task
from rodent.video import Telemetry, check_film, film_states
from rodent.viewer import display, view


def film_policy(
    policy: str,
    output: Path,
    task: str | None = None,
    camera: str = "side",
    seconds: float = 10.0,
    seed: int = 0,
    episode: int = 0,
    physics: str = "paper",
    width: int = 640,
    height: int = 480,
    fps: float = 25.0,
    sample: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Let a policy act through the first seconds of an episode and film it in real time.

    Args:
        policy: a policy, a run folder, or the name of a shipped policy.
        output: .mp4, .webm or .gif.
        task: the task (None: the policy's own).
        camera: one of `rodent.cameras.CAMERAS`.
        seconds: length of the film at most; it ends with the episode.
        seed: of the world and the start.
        episode: which episode of the seed.
        physics: a preset's name.
        width: pixels, even.
        height: pixels, even.
        fps: frames a second, at most 50.
        sample: sample actions instead of taking their mean.
        progress: called with (frames drawn, frames in all).

    Returns:
        How the film was made; see `film_states`.

    Raises:
        UsageError: whatever of these cannot be used; it is found out before anything is simulated.
    """
    if camera not in CAMERAS:
        raise UsageError(f"unknown camera {camera!r}: choose one of {', '.join(CAMERAS)}")
    if not CONTROL_TIMESTEP <= seconds < math.inf:
        raise UsageError(f"a film must last at least {CONTROL_TIMESTEP} s and end, not {seconds} s")
    if episode < 0:
        raise UsageError(f"an episode's index must be 0 or more, not {episode}")
    check_film(output, fps, width, height)
    actor = Policy.load(policy)
    chosen = make_task(actor.task if task is None else task)
    steps = round(min(seconds / CONTROL_TIMESTEP, chosen.step_limit))
    (played,) = play(actor, chosen, [episode], seed, physics, deterministic=not sample, steps=steps)
    scene = chosen.scene(episode_rng(chosen, seed, episode))
    return film_states(
        scene,
        played.qpos[1:],
        output,
        camera,
        fps=fps,
        width=width,
        height=height,
        antialias=probe().is_opengl,  # the ray tracer would need several times as long
        telemetry=Telemetry(chosen.name, played.rewards, _speed(played, describe(scene))),
        progress=progress,
        dress=lambda step: chosen.dress(scene, played.shown[step]),
    )


def view_policy(policy: str, task: str | None = None, seed: int = 0, physics: str = "paper") -> None:
    """Watch a policy live, episode after episode, until the window is closed.

    Raises:
        UsageError: there is no display, or a name is unknown.
    """
    if display() is None:
        raise UsageError("no display: a window cannot be opened here; use `rodent render` to make a film instead")
    actor = Policy.load(policy)
    chosen = make_task(actor.task if task is None else task)
    mode = "Disabled" if chosen.varies else "SameStep"
    env = RodentVectorEnv(
        chosen, 1, physics, autoreset_mode=mode, privileged=actor.senses.privileged, vision=actor.sight
    )
    actor.senses.check(ObservationSpec.of(env.single_observation_space))
    scene = chosen.scene(episode_rng(chosen, seed, 0))
    view(scene, _live(actor, env, seed, scene))


def _live(policy: Policy, env: RodentVectorEnv, seed: int, scene: mujoco.MjModel) -> Iterator[NDArray[np.float64]]:
    """Qpos (nq,) of one control step after another; of one episode alone where the next has another arena."""
    observation, _ = env.reset(seed=[seed])
    state = None
    while True:
        action, state = policy.act(observation, state)
        observation, _, terminated, truncated, _ = env.step(action)
        env.task.dress(scene, {name: env.engine.state.memory[name][0] for name in env.task.shown})
        yield env.qpos[0]
        if terminated[0] or truncated[0]:
            if env.task.varies:
                return
            state = None


def _speed(episode: Episode, body: Body) -> NDArray[np.float64]:
    """Horizontal speed of the torso in each control step, over the last 0.2 s, m/s. (steps,)."""
    position = episode.qpos[:, body.root_qpos : body.root_qpos + 2]
    end = np.arange(1, len(position))
    begin = np.maximum(end - 10, 0)
    moved = np.linalg.norm(position[end] - position[begin], axis=1)
    return moved / ((end - begin) * CONTROL_TIMESTEP)
