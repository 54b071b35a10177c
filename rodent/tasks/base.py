"""What every task is: a world, a start, a reward in named terms, named endings."""

from __future__ import annotations

import math
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import mujoco
import numpy as np
from torch import Tensor

from rodent.body import Body
from rodent.engine import State
from rodent.errors import UsageError
from rodent.physics import CONTROL_TIMESTEP

if TYPE_CHECKING:
    from dm_control import composer


class Start(NamedTuple):
    """Where an episode begins."""

    qpos: np.ndarray  # (nq,)
    qvel: np.ndarray  # (nv,)


@dataclass(frozen=True)
class Task(ABC):
    """A task as dm_control defines it. Its fields are its parameters; a subclass adds its own.

    `rewards` and `terminated` act on tensors with a leading environment axis and must not loop over environments.
    """

    name: ClassVar[str]
    summary: ClassVar[str]

    time_limit: float = 30.0  # s

    def __post_init__(self) -> None:
        if not CONTROL_TIMESTEP <= self.time_limit < math.inf:
            raise UsageError(
                f"time_limit must be finite and at least one control step ({CONTROL_TIMESTEP} s), not {self.time_limit}"
            )

    @cached_property
    def step_limit(self) -> int:
        """Control steps after which an episode is truncated."""
        return round(self.time_limit / CONTROL_TIMESTEP)

    @property
    @abstractmethod
    def max_return(self) -> float:
        """The highest return an episode can have."""

    @abstractmethod
    def compose(self) -> composer.Task:
        """dm_control's own task object, from which both simulators get their world."""

    @abstractmethod
    def world(self, rng: np.random.Generator) -> mujoco.MjModel:
        """A compiled world under the `paper` physics, drawn from `rng`."""

    @abstractmethod
    def start(self, model: mujoco.MjModel, body: Body, rng: np.random.Generator) -> Start:
        """The state in which an episode of world `model` begins, drawn from `rng`."""

    @abstractmethod
    def rewards(self, state: State, body: Body) -> dict[str, Tensor]:
        """Named reward terms of a control step, each (envs,) float64; the reward is their sum."""

    @abstractmethod
    def terminated(self, state: State, body: Body) -> dict[str, Tensor]:
        """Named causes for which an episode ends with discount 0, each (envs,) bool."""


def episode_rng(task: Task, seed: int, episode: int) -> np.random.Generator:
    """The generator from which episode `episode` of seed `seed` is drawn, whoever runs it and wherever."""
    key = zlib.crc32(task.name.encode())
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(key, episode)))
