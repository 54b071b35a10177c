"""What every task is: a world, a start, a reward in named terms, named endings."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import mujoco
import numpy as np
import torch
from torch import Tensor

from rodent.arenas import compile_world, draw_any_arena, export, without_pictures
from rodent.body import Body
from rodent.engine import State
from rodent.physics import CONTROL_TIMESTEP, PRESETS
from rodent.senses import Sense
from rodent.tasks.parameters import Admissible, parameter, parameters

if TYPE_CHECKING:
    from dm_control import composer

Memory = dict[str, Tensor]
"""What a task remembers of an episode; see `Task.begin`."""

Look = dict[str, np.ndarray]
"""What an arena changes of a stage: names of MjModel's fields, and the values that they have; see `Task.look`."""

TIME_LIMIT = Admissible(CONTROL_TIMESTEP, 86_400, "s")
_PAPER_SUBSTEPS = PRESETS["paper"].substeps
_OF_POOLS = 0  # makes spawn keys of three words, which no episode has


class Origin(NamedTuple):
    """What an arena is drawn from: the generator of an episode, or that of a place in a pool."""

    seed: int
    number: int  # of the episode, or of the place in the pool
    pooled: bool = False


class Start(NamedTuple):
    """Where an episode begins."""

    qpos: np.ndarray  # (nq,)
    qvel: np.ndarray  # (nv,)


class Path(NamedTuple):
    """What happened in an episode, as either simulator tells it."""

    model: mujoco.MjModel  # of its world
    qpos: np.ndarray  # (steps, nq), after each control step
    rewards: np.ndarray  # (steps,), the task's own


@dataclass(frozen=True)
class Task(ABC):
    """A task as dm_control defines it. Its fields are its parameters, made by `parameter`; a subclass adds its own.

    Methods that take a `State` act on tensors with a leading environment axis and must not loop over environments.
    The others draw or build one arena or one episode.
    """

    name: ClassVar[str]
    summary: ClassVar[str]

    varies: ClassVar[bool] = False
    """Whether each episode has an arena of its own."""
    full_forward: ClassVar[bool] = False
    """Whether dm_control runs a full forward pass at the end of each control step, so that accelerometer and touch are
    those of the new state. Without it they are one substep old."""
    shown: ClassVar[tuple[str, ...]] = ()
    """What is remembered that pictures show: the entries of `state.memory` that `dress` reads."""
    expanded: ClassVar[tuple[str, ...]] = ()
    """Fields of the model that each simulation has for itself (only where `varies` is false); see `State.model`."""

    time_limit: float = parameter(30.0, TIME_LIMIT)

    def __post_init__(self) -> None:
        for name, admissible in parameters(self).items():
            admissible.check(name, getattr(self, name))

    @cached_property
    def step_limit(self) -> int:
        """Control steps after which an episode is truncated."""
        return round(self.time_limit / CONTROL_TIMESTEP)

    @property
    @abstractmethod
    def max_return(self) -> float:
        """The highest return an episode can have."""

    @property
    def reward_range(self) -> tuple[float, float]:
        """The lowest and the highest reward of a control step."""
        return 0.0, 1.0

    @abstractmethod
    def compose(self) -> composer.Task:
        """dm_control's own task object, from which both simulators get their world."""

    def draw(self, rng: np.random.Generator) -> Any:
        """What is random about an arena, drawn from `rng` by dm_control's distributions; nothing by default."""
        del rng

    def build(self, arena: Any, substeps: int = _PAPER_SUBSTEPS) -> mujoco.MjModel:
        """The compiled model of a drawn arena under the `paper` physics, without what only pictures need.

        Args:
            arena: what `draw` gave.
            substeps: physics steps in a control step, of which sensors with a history remember each.
        """
        del arena, substeps
        return physics_spec(self).compile()

    def install(self, composed: composer.Task, arena: Any) -> None:
        """Make dm_control's own task have a drawn arena from its next `initialize_episode_mjcf` on."""
        del composed, arena

    def instruct(self, composed: composer.Task, remembered: Mapping[str, np.ndarray]) -> None:
        """Make dm_control's own task begin its next episode with what `begin` gave."""
        del composed, remembered

    def world(self, rng: np.random.Generator, substeps: int = _PAPER_SUBSTEPS) -> mujoco.MjModel:
        """An arena's physics, drawn from `rng`; see `build`. All arenas of a task have one layout."""
        return self.build(self.draw(rng), substeps)

    def scene(self, rng: np.random.Generator) -> mujoco.MjModel:
        """The same arena as `world` gives for the same `rng`, as dm_control's environment compiles it, to be drawn.

        It has all textures, and the same qpos.
        """
        composed = self.compose()
        self.install(composed, self.draw(rng))
        return compile_world(composed, rng)

    def stage(self, arenas: int = 1, terrain_step: int = 1) -> mujoco.MjSpec:
        """A scene in which each arena can be shown after the other; see `look`.

        Its compiled model needs `geom_sameframe` 0 throughout, or MuJoCo would not read where geoms are put.

        Args:
            arenas: how many height fields it holds, where the task has any.
            terrain_step: they have every `terrain_step`-th row and column of the terrain.
        """
        del arenas, terrain_step
        return scene_spec(self)

    def look(self, stage: mujoco.MjModel, world: mujoco.MjModel) -> Look:
        """How a stage shows the arena of a physics model `world`, by values that take a fraction of a millisecond.

        `hfield_data` means one of the stage's height fields; all else are whole fields. Nothing is changed.
        """
        del stage, world
        return {}

    def dress(self, scene: mujoco.MjModel, memory: Memory) -> None:
        """Let a scene or a stage show the entries `shown` of an episode's memory, each without the environment axis."""
        del scene, memory

    @abstractmethod
    def start(self, model: mujoco.MjModel, body: Body, rng: np.random.Generator) -> Start:
        """The state in which an episode of world `model` begins, drawn from `rng`."""

    def begin(self, model: mujoco.MjModel, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """What `state.memory` holds of an episode of world `model` when it begins: name -> array of one fixed shape."""
        del model, rng
        return {}

    def prepare(self, state: State) -> None:
        """Change the worlds, where the task does so, before a control step."""
        del state

    def advance(self, state: State) -> Tensor | None:
        """Bring `state.memory` up to date after a control step.

        Returns:
            (envs,) bool: where dm_control runs a full forward pass before it observes; None for nowhere.
        """
        del state
        return None

    def chart(self, model: mujoco.MjModel) -> dict[str, np.ndarray]:
        """What privileged senses and landmarks need to know of world `model` besides; it joins `state.memory`."""
        del model
        return {}

    def recall(self, composed: composer.Task, physics: Any, memory: Memory) -> None:
        """Read what privileged senses need from dm_control's own task into the memory of one environment."""
        del composed, physics, memory

    @abstractmethod
    def rewards(self, state: State, body: Body) -> dict[str, Tensor]:
        """Named reward terms of a control step, each (envs,) float64; the reward is their sum."""

    def terminated(self, state: State, body: Body) -> dict[str, Tensor]:
        """Named causes for which an episode ends with discount 0, each (envs,) bool."""
        del state, body
        return {}

    def truncated(self, state: State) -> dict[str, Tensor]:
        """Named causes, beside the time limit, for which an episode ends with discount 1, each (envs,) bool."""
        del state
        return {}

    @abstractmethod
    def progress(self, state: State, body: Body) -> Tensor:
        """Speed (envs,) in m/s towards where the task leads, for training aids; it may read the `chart`."""

    def nearness(self, state: State, body: Body) -> Tensor:
        """How near a paw is to what it should touch now, (envs,) from 0 to 1, for training aids, which pay its change.

        It is 1 after the touch, and stays the same in tasks where nothing is to be touched.
        """
        del body
        return torch.zeros_like(state.time)

    def haste(self, state: State) -> Tensor:
        """By how many seconds (envs,) a touch of the last control step came too soon, for training aids; mostly 0."""
        return torch.zeros_like(state.time)

    def outcomes(self, body: Body, paths: Sequence[Path]) -> dict[str, np.ndarray]:
        """What came of some episodes, in the task's own terms: by name (episodes, 2), how much and out of how many.

        The outcome is the ratio of their sums over the episodes, and cannot be estimated if the second is zero.
        """
        del body, paths
        return {}

    def cues(self, body: Body) -> tuple[Sense, ...]:
        """Observables of dm_control's that tell the agent its task or its state: none unless a parameter asks."""
        del body
        return ()

    def privileged(self, body: Body) -> tuple[Sense, ...]:
        """What no animal senses, for experts and critics: of `State`, its `memory` and the `chart`."""
        del body
        return ()

    def landmarks(self, body: Body) -> tuple[Sense, ...]:
        """Where the rat is in terms of the task, for who watches it: of `State`, its `memory` and the `chart`.

        One number each, NaN while there is nothing to be far from. Tasks that have alike things name them alike.
        """
        del body
        return ()


@lru_cache(maxsize=16)
def physics_spec(task: Task) -> mujoco.MjSpec:
    """The spec of a world of `task`, from dm_control's own export, without what only pictures need; do not edit it.

    It takes a second to make, a copy of it milliseconds to compile.
    """
    composed = task.compose()
    draw_any_arena(composed)
    return without_pictures(composed)


def scene_spec(task: Task) -> mujoco.MjSpec:
    """The spec of some arena of `task` with all textures and with the rat."""
    composed = task.compose()
    draw_any_arena(composed)
    return export(composed)


def episode_rng(task: Task, seed: int, episode: int) -> np.random.Generator:
    """The generator from which episode `episode` of seed `seed` is drawn, whoever runs it and wherever.

    The arena is drawn first (of a task whose arenas vary), then the start, then what `begin` draws.
    """
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=(_key(task), episode)))


def arena_rng(task: Task, origin: Origin) -> np.random.Generator:
    """The generator from which an arena is drawn: no pool shares one with any episode, which evaluations may run."""
    if not origin.pooled:
        return episode_rng(task, origin.seed, origin.number)
    key = (_key(task), _OF_POOLS, origin.number)
    return np.random.default_rng(np.random.SeedSequence(entropy=origin.seed, spawn_key=key))


def _key(task: Task) -> int:
    return zlib.crc32(task.name.encode())
