"""The environments that training steps: one task or several, under a preset of physics or under several at once."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import gymnasium
import numpy as np
import torch
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from policies.config import Phase, TrainConfig
from policies.distributed import ALONE, Ranks
from policies.multitask import SharedSenses, Tasks, share_space
from policies.policy import Policy
from policies.storage import Arrays, below
from rodent.aids import TrainingAids
from rodent.env import RodentVectorEnv
from rodent.tasks import TASKS, Task
from rodent.vision import VisionSettings

Step = tuple[dict[str, NDArray[np.float64]], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]


class TrainingEnv(Protocol):
    """What training and evaluation need of a vector environment with SAME_STEP autoreset; see `RodentVectorEnv`."""

    num_envs: int
    task: Any
    single_observation_space: gymnasium.Space[Any]
    single_action_space: gymnasium.Space[Any]

    @property
    def body(self) -> Any: ...

    @property
    def pool_seconds(self) -> float: ...

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[np.float64]], dict[str, Any]]: ...

    def step(self, actions: NDArray[Any]) -> Step: ...

    def state_dict(self) -> Arrays: ...

    def load_state_dict(self, state: Arrays) -> None: ...

    def close(self) -> None: ...


class MakeEnv(Protocol):
    """Makes an environment; see `RodentVectorEnv`."""

    def __call__(
        self,
        task: str | Task,
        envs: int,
        physics: str,
        threads: int,
        aids: TrainingAids | None,
        *,
        pool: int = 0,
        pool_seed: int = 0,
        privileged: bool = False,
        vision: bool | VisionSettings = False,
        rest: bool = False,
    ) -> TrainingEnv: ...


def make_rodent_env(
    task: str | Task,
    envs: int,
    physics: str,
    threads: int,
    aids: TrainingAids | None,
    *,
    pool: int = 0,
    pool_seed: int = 0,
    privileged: bool = False,
    vision: bool | VisionSettings = False,
    rest: bool = False,
) -> TrainingEnv:
    """The project's own environment, `RodentVectorEnv`; what is to `rest` begins no next episode by itself."""
    return RodentVectorEnv(
        task,
        envs,
        physics,
        threads,
        AutoresetMode.DISABLED if rest else AutoresetMode.SAME_STEP,
        aids=aids,
        pool=pool,
        pool_seed=pool_seed,
        privileged=privileged,
        vision=vision,
        rest=rest,
    )


def make_training_env(
    make_env: MakeEnv,
    config: TrainConfig,
    phase: Phase,
    experts: Sequence[Policy] = (),
    ranks: Ranks = ALONE,
    pool_seed: int = 0,
) -> TrainingEnv:
    """A rank's share of the environments of one of a configuration's `phases`. All ranks call this.

    Tasks share the environments evenly, and in each task the presets that are joined by `+`. A rank has those under
    which its share falls. What pools of arenas cost is told on standard error.

    Args:
        make_env: makes the environment of one task under one preset.
        config: the configuration.
        phase: one of its `phases`.
        experts: policies whose senses are offered besides.
        ranks: the processes of the run.
        pool_seed: what the pools' arenas are drawn from, which all ranks share.

    Raises:
        UsageError: the tasks do not offer the animal the same senses.
    """
    assert phase.physics is not None
    share = ranks.share(config.envs)
    presets = phase.physics.split("+")
    owned = np.arange(share.start, share.stop)
    privileged = config.privileged or config.privileged_critic or any(e.senses.privileged for e in experts)
    vision = config.sight if config.vision or any(e.senses.sees for e in experts) else False
    envs: list[tuple[str, TrainingEnv]] = []
    for task, rows in zip(config.task, assign_tasks(config).rows, strict=True):
        sizes = [len(np.intersect1d(part, owned)) for part in np.array_split(rows, len(presets))]
        pool = config.pool if TASKS[task].varies else 0
        aids = config.task_aids.get(task, phase.aids)
        for preset, size in zip(presets, sizes, strict=True):
            if not size:
                continue
            made = make_env(
                phase.task(task),
                size,
                preset,
                config.threads,
                aids,
                pool=pool,
                pool_seed=pool_seed,
                privileged=privileged,
                vision=vision,
            )
            envs.append((task, made))
    varying = [(task, env) for task, env in envs if TASKS[task].varies]
    if config.pool and varying and ranks.writes:
        seconds, names = sum(env.pool_seconds for _, env in varying), " and ".join(dict(varying))
        print(f"{config.pool * len(varying)} arenas of {names} compiled in {seconds:.1f} s", file=sys.stderr)
    if len(config.task) > 1:
        offered = _of_all_ranks({task: env.single_observation_space for task, env in envs}, ranks)
        space = ranks.first(lambda: share_space(offered))
        return Mixture([SharedSenses(env, task, space) for task, env in envs])
    return envs[0][1] if len(envs) == 1 else Mixture([env for _, env in envs])


def assign_tasks(config: TrainConfig) -> Tasks:
    """The tasks of a run: each has a stretch of the environments, as even as can be."""
    parts = np.array_split(np.arange(config.envs), len(config.task))
    ids = torch.from_numpy(np.repeat(np.arange(len(parts)), [len(part) for part in parts]))
    return Tasks(config.task, ids, config.task_weights or (1.0,) * len(config.task))


def offered_by_task(env: TrainingEnv, tasks: Sequence[str], ranks: Ranks = ALONE) -> dict[str, gymnasium.Space[Any]]:
    """What each of `tasks` itself offers in the environments that `make_training_env` made, of all ranks."""
    parts = [part for part in getattr(env, "parts", ()) if isinstance(part, SharedSenses)]
    if not parts:
        return dict.fromkeys(tasks, env.single_observation_space)
    return _of_all_ranks({part.name: part.env.single_observation_space for part in parts}, ranks)


def _of_all_ranks(spaces: dict[str, gymnasium.Space[Any]], ranks: Ranks) -> dict[str, gymnasium.Space[Any]]:
    """Spaces by task, with those of the tasks that only other ranks have."""
    everyone = ranks.gather(spaces)
    return ranks.first(lambda: {task: space for theirs in everyone for task, space in theirs.items()})


def training_seeds(seed: int, phase: int, count: int) -> list[int]:
    """Seeds of the environments of a phase of a run: far apart, so that no two runs share episodes."""
    return [int(word) for word in np.random.SeedSequence((seed, phase)).generate_state(count)]


def action_names(env: TrainingEnv) -> tuple[str, ...]:
    """The actuators, in the order of the action's numbers."""
    return tuple(actuator.name for actuator in env.body.actuators)


class Mixture:
    """Several vector environments stepped as one: the first ones' environments come first.

    What only some of them tell, such as another task's reward terms, is zero or false for the others.
    """

    def __init__(self, parts: Sequence[TrainingEnv]) -> None:
        self.parts = parts
        self.num_envs = sum(part.num_envs for part in parts)
        self.task = parts[0].task
        self.single_observation_space = parts[0].single_observation_space
        self.single_action_space = parts[0].single_action_space
        self._edges = np.cumsum([part.num_envs for part in parts])[:-1]

    @property
    def body(self) -> Any:
        return self.parts[0].body

    @property
    def pool_seconds(self) -> float:
        return sum(part.pool_seconds for part in self.parts)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[np.float64]], dict[str, Any]]:
        seeds: list[int | None] | None = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
        cuts = [0, *self._edges, self.num_envs]
        observations = []
        for part, low, high in zip(self.parts, cuts[:-1], cuts[1:], strict=True):
            observations.append(part.reset(seed=None if seeds is None else seeds[low:high], options=options)[0])
        return _joined(observations), {}

    def step(self, actions: NDArray[Any]) -> Step:
        steps = [part.step(each) for part, each in zip(self.parts, np.split(actions, self._edges), strict=True)]
        observations, rewards, terminated, truncated, infos = zip(*steps, strict=True)
        info = self._join_infos(infos)
        return (
            _joined(observations),
            np.concatenate(rewards),
            np.concatenate(terminated),
            np.concatenate(truncated),
            info,
        )

    def state_dict(self) -> Arrays:
        return {f"{i}.{k}": v for i, part in enumerate(self.parts) for k, v in part.state_dict().items()}

    def load_state_dict(self, state: Arrays) -> None:
        for i, part in enumerate(self.parts):
            part.load_state_dict(below(f"{i}.", state))

    def close(self) -> None:
        for part in self.parts:
            part.close()

    def _join_infos(self, infos: Sequence[dict[str, Any]]) -> dict[str, Any]:
        sizes = [part.num_envs for part in self.parts]
        joined: dict[str, Any] = {"task_reward": np.concatenate([info["task_reward"] for info in infos])}
        for group in ("reward_terms", "shaping_terms", "endings"):
            if group in infos[0]:
                joined[group] = _joined(_completed([info[group] for info in infos], sizes))
        if any("final_obs" in info for info in infos):
            none = [(np.full(size, None, dtype=object), np.zeros(size, dtype=bool)) for size in sizes]
            finals = [(i.get("final_obs", n[0]), i.get("_final_obs", n[1])) for i, n in zip(infos, none, strict=True)]
            joined["final_obs"] = np.concatenate([final for final, _ in finals])
            joined["_final_obs"] = np.concatenate([mask for _, mask in finals])
        return joined


def _joined(parts: Iterable[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    first, *rest = parts
    return {name: np.concatenate([values, *(part[name] for part in rest)]) for name, values in first.items()}


def _completed(parts: Sequence[dict[str, NDArray[Any]]], sizes: Sequence[int]) -> list[dict[str, NDArray[Any]]]:
    """Each part (size,) under all the names that any has: zeros, or false, under those that it has not."""
    names = {name: values.dtype for part in parts for name, values in part.items()}
    return [
        {name: part[name] if name in part else np.zeros(size, kind) for name, kind in names.items()}
        for part, size in zip(parts, sizes, strict=True)
    ]
