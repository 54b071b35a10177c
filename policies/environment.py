"""The environments that training steps: the task under a preset of physics, or under several at once."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

from policies.config import Phase, TrainConfig
from policies.distributed import Share
from policies.storage import Arrays
from rodent.aids import TrainingAids
from rodent.env import RodentVectorEnv
from rodent.tasks import TASKS, Task

Step = tuple[dict[str, NDArray[np.float64]], NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], dict[str, Any]]


class TrainingEnv(Protocol):
    """What training and evaluation need of a vector environment with SAME_STEP autoreset; see `RodentVectorEnv`."""

    num_envs: int
    task: Any
    single_observation_space: gymnasium.Space[Any]
    single_action_space: gymnasium.Space[Any]

    @property
    def body(self) -> Any: ...

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
        privileged: bool = False,
        vision: bool = False,
    ) -> TrainingEnv: ...


def make_rodent_env(
    task: str | Task,
    envs: int,
    physics: str,
    threads: int,
    aids: TrainingAids | None,
    *,
    pool: int = 0,
    privileged: bool = False,
    vision: bool = False,
) -> TrainingEnv:
    """The project's own environment, `RodentVectorEnv`."""
    return RodentVectorEnv(task, envs, physics, threads, aids=aids, pool=pool, privileged=privileged, vision=vision)


def make_training_env(make_env: MakeEnv, config: TrainConfig, phase: Phase, share: Share | None = None) -> TrainingEnv:
    """The environment of one of a configuration's `phases`. Presets joined by `+` share the environments evenly.

    Of a share of the environments (None: all), it has the presets that these fall under. What the first ones' pool of
    arenas cost is told on standard error.
    """
    assert phase.physics is not None
    share = share or Share(0, config.envs, config.envs)
    presets = phase.physics.split("+")
    own = np.arange(share.start, share.stop)
    sizes = [len(np.intersect1d(part, own)) for part in np.array_split(np.arange(config.envs), len(presets))]
    pool = config.pool if TASKS[config.task].varies else 0
    privileged = config.privileged or config.privileged_critic
    began = time.monotonic()
    envs = [
        make_env(
            phase.task(config.task), size, preset, config.threads, phase.aids,
            pool=pool, privileged=privileged, vision=config.vision,
        )
        for preset, size in zip(presets, sizes, strict=True)
        if size
    ]  # fmt: skip
    if pool and share.start == 0:
        seconds = time.monotonic() - began
        print(f"{pool * len(envs)} arenas of {config.task} compiled in {seconds:.1f} s", file=sys.stderr)
    return envs[0] if len(envs) == 1 else Mixture(envs)


def training_seeds(seed: int, phase: int, count: int) -> list[int]:
    """Seeds of the environments of a phase of a run: far apart, so that no two runs share episodes."""
    return [int(word) for word in np.random.SeedSequence((seed, phase)).generate_state(count)]


def action_names(env: TrainingEnv) -> tuple[str, ...]:
    """The actuators, in the order of the action's numbers."""
    return tuple(actuator.name for actuator in env.body.actuators)


class Mixture:
    """Several vector environments of one task stepped as one: the first ones' environments come first."""

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
            part.load_state_dict({k.removeprefix(f"{i}."): v for k, v in state.items() if k.startswith(f"{i}.")})

    def close(self) -> None:
        for part in self.parts:
            part.close()

    def _join_infos(self, infos: Sequence[dict[str, Any]]) -> dict[str, Any]:
        joined: dict[str, Any] = {"task_reward": np.concatenate([info["task_reward"] for info in infos])}
        for group in ("reward_terms", "shaping_terms", "endings"):
            if group in infos[0]:
                joined[group] = _joined([info[group] for info in infos])
        if any("final_obs" in info for info in infos):
            sizes = [part.num_envs for part in self.parts]
            none = [(np.full(size, None, dtype=object), np.zeros(size, dtype=bool)) for size in sizes]
            finals = [(i.get("final_obs", n[0]), i.get("_final_obs", n[1])) for i, n in zip(infos, none, strict=True)]
            joined["final_obs"] = np.concatenate([final for final, _ in finals])
            joined["_final_obs"] = np.concatenate([mask for _, mask in finals])
        return joined


def _joined(parts: Iterable[dict[str, NDArray[Any]]]) -> dict[str, NDArray[Any]]:
    first, *rest = parts
    return {name: np.concatenate([values, *(part[name] for part in rest)]) for name, values in first.items()}
