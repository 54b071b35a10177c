"""Lets a policy act through whole episodes of the bare task, in either simulator, and keeps the path."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context

import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from policies.observation import ObservationSpec
from policies.policy import Policy
from policies.threads import torch_threads
from rodent.dm_control_env import DmControlEnv
from rodent.engine import available_cores
from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from rodent.opengl import opengl_kind
from rodent.rendering import probe
from rodent.seeds import check_seed
from rodent.tasks import Task, make_task
from rodent.vision import VisionSettings

SIMULATORS = ("rodent", "dm_control")
MOST_EPISODES = 10_000  # more is a slip of the keyboard, and would fill the memory before anything is said


@dataclass(frozen=True)
class Episode:
    """What happened from an episode's first action to its end."""

    index: int
    """Which episode of its seed: the world follows from (task, seed, index)."""
    qpos: NDArray[np.float64]
    """(steps + 1, nq), at the start and after each step."""
    actions: NDArray[np.float64]
    """(steps, A), as the policy gave them, within [-1, 1]."""
    rewards: NDArray[np.float64]
    """(steps,), the task's own."""
    shown: list[dict[str, torch.Tensor]]
    """After each step, what the task remembers and pictures show (see `Task.shown`); none from dm_control."""
    ending: str
    """The cause of the end, or "cut" where the caller's `steps` ran out first."""


def play(
    policy: Policy,
    task: str | Task,
    episodes: list[int],
    seed: int = 0,
    physics: str = "paper",
    simulator: str = "rodent",
    deterministic: bool = True,
    threads: int = 0,
    steps: int | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> list[Episode]:
    """Run some episodes of a seed, each once, without training aids.

    Args:
        policy: acts.
        task: a task or its name.
        episodes: their indices; the same index is the same world and start in either simulator.
        seed: of the worlds, and of the actions' noise if there is any.
        physics: a preset's name; dm_control knows `paper` alone.
        simulator: "rodent" (all episodes at once) or "dm_control" (one after the other on each core).
        deterministic: take mean actions; else sample.
        threads: threads or processes, 0 for every core.
        steps: cut episodes after so many control steps.
        progress: called with the share that is done, 0 to 1.

    Raises:
        UsageError: an unknown simulator; a policy that reads senses which the task does not offer, or that is to see
            in dm_control where no OpenGL works.
    """
    if simulator not in SIMULATORS:
        raise UsageError(f"unknown simulator {simulator!r}: choose one of {', '.join(SIMULATORS)}")
    check_playing(len(episodes), seed, steps, threads)
    task = make_task(task) if isinstance(task, str) else task
    limit = min(task.step_limit, steps or task.step_limit)
    if simulator == "dm_control":
        if physics != "paper":
            raise UsageError(f"dm_control simulates the paper's physics alone: leave out physics {physics!r}")
        return _play_in_dm_control(policy, task, episodes, seed, deterministic, threads, limit, progress)
    env = RodentVectorEnv(
        task,
        len(episodes),
        physics,
        threads,
        AutoresetMode.DISABLED,
        privileged=policy.senses.privileged,
        vision=policy.sight,
        rest=True,  # what follows an episode counts for nothing
    )
    policy.senses.check(ObservationSpec.of(env.single_observation_space))
    return _play_together(policy, env, episodes, seed, deterministic, limit, progress)


def check_playing(episodes: int, seed: int, steps: int | None = None, threads: int = 0) -> None:
    """Complain of what no episodes can be played with; see `play`.

    Raises:
        UsageError: one of them is out of its range.
    """
    if not 1 <= episodes <= MOST_EPISODES:
        raise UsageError(f"the number of episodes must be 1 to {MOST_EPISODES:,}, not {episodes:,}")
    check_seed(seed)
    if steps is not None and steps < 1:
        raise UsageError(f"an episode must have at least 1 control step, not {steps}")
    if threads < 0:
        raise UsageError(f"the number of threads must be 0 (all cores) or more, not {threads}")


def _play_together(
    policy: Policy,
    env: RodentVectorEnv,
    episodes: list[int],
    seed: int,
    deterministic: bool,
    limit: int,
    progress: Callable[[float], None],
) -> list[Episode]:
    count = len(episodes)
    generator = torch.Generator().manual_seed(seed)
    observation, _ = env.reset(seed=[seed] * count, options={"episode": np.array(episodes)})
    recorders = [_Recorder(index, env.qpos[i]) for i, index in enumerate(episodes)]
    state = None
    for t in range(limit):
        progress(t / limit)
        with torch_threads(1):  # such small products: more threads only wait for each other
            action, state = policy.act(observation, state, deterministic=deterministic, generator=generator)
        observation, _, _, _, info = env.step(action)
        qpos = env.qpos
        for i, recorder in enumerate(recorders):
            if not recorder.ending:
                causes = [cause for cause, mask in info["endings"].items() if mask[i]]
                recorder.add(qpos[i], action[i], info["task_reward"][i], causes[0] if causes else "")
                recorder.show({name: env.engine.state.memory[name][i].clone() for name in env.task.shown})
        if all(recorder.ending for recorder in recorders):
            break
    env.close()
    return [recorder.episode() for recorder in recorders]


def _play_in_dm_control(
    policy: Policy,
    task: Task,
    episodes: list[int],
    seed: int,
    deterministic: bool,
    threads: int,
    limit: int,
    progress: Callable[[float], None],
) -> list[Episode]:
    workers = min(threads or available_cores(), len(episodes))
    opengl = opengl_kind(_opengl_of_dm_control()) if policy.senses.sees else nullcontext()
    # Fresh interpreters: a forked one would inherit locks of the threads that simulate.
    with opengl, ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        parts = [pool.submit(_dm_control_worker, policy, task, k, seed, deterministic, limit) for k in episodes]
        try:
            for done, _ in enumerate(as_completed(parts), start=1):
                progress(done / len(parts))
        except BaseException:  # such as Ctrl-C: episodes that have not begun shall not
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [part.result() for part in parts]


def _opengl_of_dm_control() -> str:
    backend = probe()
    if not backend.is_opengl:
        raise UsageError("dm_control draws what a policy sees by OpenGL, and none works here: use --simulator rodent")
    return backend.name


def _dm_control_worker(policy: Policy, task: Task, episode: int, seed: int, deterministic: bool, limit: int) -> Episode:
    torch.set_num_threads(1)
    env = _dm_control_env(task, policy.senses.privileged, policy.sight)
    return _play_one(policy, env, episode, seed, deterministic, limit)


@cache
def _dm_control_env(task: Task, privileged: bool, vision: bool | VisionSettings) -> DmControlEnv:
    """One a process: composing it takes longer than resetting it."""
    return DmControlEnv(task, privileged, vision)


def _play_one(policy: Policy, env: DmControlEnv, index: int, seed: int, deterministic: bool, limit: int) -> Episode:
    generator = torch.Generator().manual_seed(seed + index)
    observation = env.reset(seed, index)
    recorder = _Recorder(index, env.qpos)
    state = None
    for t in range(limit):
        batch = {name: value[None] for name, value in observation.items()}
        action, state = policy.act(batch, state, deterministic=deterministic, generator=generator)
        observation, reward, terminated, truncated = env.step(action[0])
        # dm_control names no causes.
        at_limit = "time_limit" if t + 1 >= env.task.step_limit else "truncated"
        ending = "terminated" if terminated else at_limit if truncated else ""
        recorder.add(env.qpos, action[0], reward, ending)
        if ending:
            break
    return recorder.episode()


class _Recorder:
    """An episode in the making."""

    def __init__(self, index: int, start: NDArray[np.float64]) -> None:
        self.index = index
        self.ending = ""
        self._qpos = [start]
        self._actions: list[NDArray[np.float32]] = []
        self._rewards: list[float] = []
        self._shown: list[dict[str, torch.Tensor]] = []

    def add(self, qpos: NDArray[np.float64], action: NDArray[np.float32], reward: float, ending: str) -> None:
        self._qpos.append(qpos)
        self._actions.append(action)
        self._rewards.append(reward)
        self.ending = ending

    def show(self, memory: dict[str, torch.Tensor]) -> None:
        self._shown.append(memory)

    def episode(self) -> Episode:
        return Episode(
            self.index,
            np.array(self._qpos),
            np.array(self._actions, dtype=np.float64),
            np.array(self._rewards),
            self._shown,
            self.ending or "cut",
        )
