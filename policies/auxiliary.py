"""What a student learns besides its expert's actions: to tell what the expert senses and it does not."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from policies.agent import Agent
from policies.distributed import ALONE, Ranks
from policies.multitask import ONE_TASK, Tasks
from policies.observation import Normaliser
from policies.rollout import Rollout
from rodent.errors import UsageError

_VARIES = 1e-6  # variance


class PrivilegedReadouts(nn.Module):
    """Linear readouts of the privileged senses, from an agent's features and from what its policy's layers say.

    Their errors teach encoders to look and a policy to remember, which the actions of an expert alone hardly do where
    little of what it does depends on what is seen. They are no part of the agent, and nothing else reads them
    (auxiliary losses: Jaderberg et al. 2017, "Reinforcement learning with unsupervised auxiliary tasks"; of what is
    privileged: Chen et al. 2020, "Learning by cheating").

    Args:
        agent: one with `ENCODERS`, whose critic reads the privileged senses.
        tasks: of the run. A sense that a task does not have, or that never varies in it, is not asked for there.
        ranks: learn together.

    Raises:
        UsageError: the critic reads no privileged sense.
    """

    def __init__(self, agent: Agent, tasks: Tasks = ONE_TASK, ranks: Ranks = ALONE) -> None:
        super().__init__()
        if not agent.critic_size:
            raise UsageError("distill.auxiliary tells privileged senses, and the tasks have none: leave it at 0")
        self._first = agent.observation_size
        self._ranks = ranks
        self.normalisers = nn.ModuleList(Normaliser(agent.critic_size) for _ in tasks.names)
        self.features = nn.Linear(agent.feature_size, agent.critic_size)
        self.policy = nn.Linear(agent.hidden_size, agent.critic_size)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)  # the same on every rank

    def update(self, rollout: Rollout) -> None:
        """Learn of what size the privileged senses are in each task."""
        for task, normaliser in enumerate(self._of_tasks):
            normaliser.update(rollout.observations[:, rollout.tasks == task, self._first :], self._ranks)

    def errors(self, said: Tensor, observations: Tensor, tasks: Tensor) -> Tensor:
        """Mean square of what a readout is off, (...), in variances of each number of what is privileged in its task.

        That is 1 on average of a readout that knows nothing, and 0 in tasks without such senses.

        Args:
            said: (..., P), the readout.
            observations: (..., D + P), as sensed.
            tasks: (...), of each.
        """
        senses = observations[..., self._first :]
        wanted, varies = torch.zeros_like(senses), torch.zeros_like(senses)
        for task, normaliser in enumerate(self._of_tasks):
            mine = tasks == task
            wanted[mine] = normaliser(senses[mine])
            varies[mine] = (normaliser.variance > _VARIES).to(varies.dtype)
        return ((said - wanted).square() * varies).sum(-1) / varies.sum(-1).clamp(min=1)

    @property
    def _of_tasks(self) -> list[Normaliser]:
        return cast(list[Normaliser], [*self.normalisers])


class EncoderLessons:
    """Passes over a rollout in which the encoders alone learn to tell the privileged senses, by an Adam of their own.

    They go over single steps, shuffled, and leave out those whose picture stayed: sequences are full of pictures that
    hardly differ, and encoders learn from those of many times and places at once.

    Args:
        agent: whose encoders they are.
        readouts: what is read from the features.
        rate: learning rate.
        passes: over each rollout.
        minibatch: steps in each, about.
        max_gradient: norm to which gradients are clipped.
        tasks: of the run.
        ranks: learn together.
    """

    def __init__(
        self,
        agent: Agent,
        readouts: PrivilegedReadouts,
        rate: float,
        passes: int,
        minibatch: int,
        max_gradient: float,
        tasks: Tasks = ONE_TASK,
        ranks: Ranks = ALONE,
    ) -> None:
        self.agent, self.readouts, self.tasks, self.ranks = agent, readouts, tasks, ranks
        self.passes, self.minibatch, self.max_gradient = passes, minibatch, max_gradient
        encoders = {id(parameter) for parameter in agent.encoder_parameters()}
        self.parameters = {
            **{name: parameter for name, parameter in agent.named_parameters() if id(parameter) in encoders},
            **{f"features.{name}": parameter for name, parameter in readouts.features.named_parameters()},
        }
        self.optimizer = torch.optim.Adam(self.parameters.values(), rate, eps=1e-5, fused=True)

    def teach(self, rollout: Rollout, generator: torch.Generator) -> dict[str, float]:
        """Returns `feature_error`, the mean of `PrivilegedReadouts.errors` on the way, also by task."""
        fresh = fresh_pictures(rollout)
        steps = len(fresh) * rollout.share.total
        count = max(1, round(steps * float(self.ranks.mean(fresh.float())) / self.minibatch))
        sums = torch.zeros(2, len(self.tasks.names))
        for _ in range(self.passes):
            for members in torch.randperm(steps, generator=generator).tensor_split(count):
                _, index = rollout.share.own(members)
                sums += self._learn(rollout, index[fresh.flatten()[index]])
        total, of_each = self.ranks.sum(sums)
        errors = (total / of_each.clamp(min=1)).tolist()
        named = self.tasks.label([{"feature_error": error} for error in errors])
        return {"feature_error": float(total.sum() / of_each.sum())} | named

    def _learn(self, rollout: Rollout, index: Tensor) -> Tensor:
        """A step of the optimiser on some steps, and (2, tasks) the sums of their errors and how many they are."""
        observations, tasks = rollout.observations.flatten(0, 1)[index], rollout.tasks[index % rollout.share.size]
        pictures = None if rollout.pictures is None else rollout.pictures.flatten(0, 1)[index]
        said = self.readouts.features(self.agent.features(observations, pictures))
        errors = self.readouts.errors(said, observations, tasks)
        everyone = self.ranks.sum(torch.tensor(float(len(index)))).clamp(min=1)
        loss = (self.tasks.step_weights[tasks] * errors).sum() / everyone
        self.optimizer.zero_grad()
        loss.backward()
        total = self.ranks.sum_gradients(self.parameters.values(), loss)
        norm = nn.utils.clip_grad_norm_(self.parameters.values(), self.max_gradient)
        if torch.isfinite(total + norm):  # else the loss proper, which reads the same numbers, tells of it
            self.optimizer.step()
        of_task = torch.nn.functional.one_hot(tasks, len(self.tasks.names)).float()
        return torch.stack([errors.detach() @ of_task, of_task.sum(0)])

    def state_dict(self) -> dict[str, Tensor]:
        """The optimiser's moments, by parameter."""
        return {
            f"{moment}.{name}": value
            for name, parameter in self.parameters.items()
            for moment, value in self.optimizer.state.get(parameter, {}).items()
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state_dict`."""
        for key, value in state.items():
            moment, _, name = key.partition(".")
            self.optimizer.state[self.parameters[name]][moment] = value.clone()


def fresh_pictures(rollout: Rollout) -> Tensor:
    """Where the picture is another than that of the step before, (time, envs) bool; everywhere, of a blind agent."""
    fresh = torch.ones_like(rollout.starts)
    if rollout.pictures is not None:
        fresh[1:] = (rollout.pictures[1:] != rollout.pictures[:-1]).flatten(2).any(-1)
    return fresh
