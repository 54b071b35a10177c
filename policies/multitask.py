"""Several tasks in one network: environments that offer the same senses, and figures and losses kept apart by task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Dict
from numpy.typing import NDArray
from torch import Tensor

from policies.distributed import Share
from policies.storage import Arrays
from rodent.errors import UsageError
from rodent.senses import PRIVILEGED

if TYPE_CHECKING:
    from policies.environment import Step, TrainingEnv
    from policies.rollout import Minibatch


@dataclass(frozen=True)
class Tasks:
    """The tasks of a run, and which of its environments have which. Agents are told nothing of it, but learners are."""

    names: tuple[str, ...]
    ids: Tensor
    """(envs,) int64, into `names`."""
    weights: tuple[float, ...] = (1.0,)
    """How much the losses of each task count, whatever the number of its environments."""

    def of(self, share: Share) -> Tasks:
        """The tasks of a share of the environments. Only the whole run's tell how much a step counts."""
        return replace(self, ids=self.ids[share.start : share.stop])

    @cached_property
    def shares(self) -> Tensor:
        """(tasks,), the weights, scaled to sum to 1."""
        weights = torch.tensor(self.weights)
        return weights / weights.sum()

    @cached_property
    def step_weights(self) -> Tensor:
        """(tasks,), how much a step of each counts in a mean over all steps: 1 where all steps count alike."""
        return self.shares * self.rarity

    @cached_property
    def rarity(self) -> Tensor:
        """(tasks,), how many steps there are of all tasks for one of each."""
        return len(self.ids) / torch.bincount(self.ids, minlength=len(self.names))

    @cached_property
    def rows(self) -> list[NDArray[np.intp]]:
        """The environments of each task."""
        return [np.flatnonzero(self.ids.numpy() == task) for task in range(len(self.names))]

    def each(self, values: Tensor, ids: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Values (time, envs) with a function applied to those of each task apart, (time, envs of it) each.

        Args:
            values: the values.
            ids: (envs,), the environments' tasks.
            function: keeps the shape.
        """
        if len(self.names) == 1:
            return function(values)
        result = torch.empty_like(values)
        for task in range(len(self.names)):
            result[:, ids == task] = function(values[:, ids == task])
        return result

    def label(self, figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
        """Figures of each task as one log: as they are if there is one task, else under `task.figure`."""
        if len(self.names) == 1:
            return dict(figures[0])
        return {f"{task}.{name}": x for task, own in zip(self.names, figures, strict=True) for name, x in own.items()}

    def figures(self, values: Mapping[str, Tensor], batch: Minibatch) -> dict[str, Tensor]:
        """What a minibatch says of the mean of values (time, batch) over each task's steps; nothing if there is one.

        Steps count as if the minibatch had as many of each task as the rollout: means over all minibatches are right.
        """
        if len(self.names) == 1:
            return {}
        return {
            f"{task}.{name}": self.rarity[i] * batch.mean(value.detach() * (batch.tasks == i))
            for name, value in values.items()
            for i, task in enumerate(self.names)
        }


ONE_TASK = Tasks(("",), torch.zeros(1, dtype=torch.long))
"""What a learner has that is told of no others."""


def share_space(spaces: Mapping[str, gymnasium.Space[Any]]) -> Dict:
    """The observation space that environments of several tasks share.

    It holds the senses that all have, and the privileged ones that any has: those are for experts and critics. A sense
    of the animal's own that only some tasks give would tell which task it is.

    Args:
        spaces: of a single environment, by task.

    Raises:
        UsageError: a task gives the animal a sense that another does not.
    """
    offered = {task: space.spaces for task, space in spaces.items() if isinstance(space, Dict)}
    shared: dict[str, gymnasium.Space[Any]] = {}
    for task, senses in offered.items():
        for name, space in senses.items():
            without = [other for other, theirs in offered.items() if theirs.get(name) != space]
            if without and not name.startswith(PRIVILEGED):
                raise UsageError(
                    f"{task} gives the sense {name} and {without[0]} does not: in one network it would tell the task; "
                    "leave the cue out"
                )
            shared[name] = space
    return Dict(shared)


class SharedSenses:
    """An environment of one task among others: it offers all that `share_space` has, and says whose its terms are.

    Privileged senses of other tasks are zero. Terms of rewards and causes of endings are named `task/term`.

    Args:
        env: the environment.
        task: its name.
        space: what is shared.
    """

    def __init__(self, env: TrainingEnv, task: str, space: Dict) -> None:
        self.env = env
        self.name = task
        self.num_envs = env.num_envs
        self.task = env.task
        self.single_observation_space: gymnasium.Space[Any] = space
        self.single_action_space = env.single_action_space
        own = env.single_observation_space
        assert isinstance(own, Dict)
        self._lacking = {name: box.shape or () for name, box in space.spaces.items() if name not in own.spaces}

    @property
    def body(self) -> Any:
        return self.env.body

    @property
    def pool_seconds(self) -> float:
        return self.env.pool_seconds

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        return self._complete(observation, self.num_envs), info

    def step(self, actions: NDArray[Any]) -> Step:
        observation, reward, terminated, truncated, info = self.env.step(actions)
        for group in ("reward_terms", "shaping_terms", "endings"):
            if group in info:
                info[group] = {f"{self.name}/{name}": values for name, values in info[group].items()}
        if "final_obs" in info:
            for i in np.flatnonzero(info["_final_obs"]):
                info["final_obs"][i] = self._complete(info["final_obs"][i])
        return self._complete(observation, self.num_envs), reward, terminated, truncated, info

    def state_dict(self) -> Arrays:
        return self.env.state_dict()

    def load_state_dict(self, state: Arrays) -> None:
        self.env.load_state_dict(state)

    def close(self) -> None:
        self.env.close()

    def _complete(self, observation: Mapping[str, NDArray[Any]], *batch: int) -> dict[str, NDArray[Any]]:
        return dict(observation) | {name: np.zeros((*batch, *shape)) for name, shape in self._lacking.items()}


def own_names(task: str, names: Mapping[str, Any]) -> dict[str, Any]:
    """What is of a task among terms that `SharedSenses` named, under the names that the task gives them."""
    owners = {name: name.rpartition("/") for name in names}
    return {own: names[name] for name, (owner, _, own) in owners.items() if owner in ("", task)}
