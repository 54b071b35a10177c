"""What a student learns besides its expert's actions: to tell what the expert senses and it does not."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from policies.agent import Agent
from policies.distributed import ALONE, Ranks
from policies.finite import NotFiniteError
from policies.learner import take_gradients
from policies.multitask import ONE_TASK, Tasks
from policies.observation import Normaliser
from policies.pictures import latest_pictures
from policies.rollout import Rollout
from rodent.errors import UsageError

if TYPE_CHECKING:
    from policies.distillation import DistillationSettings

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
    """What teaches the encoders, and them alone: to tell the privileged senses, step by step, by an Adam of their own.

    Steps are drawn from a memory of the last rollouts. In one rollout each rat sees a second of its life over and over:
    encoders that learn from it alone learn it by heart. So there are fewer updates while the memory fills, each step
    in it being drawn as often as later. Outside of `teach` they want no gradient: what other losses
    would tell them is mostly noise, which Adam makes as large as any signal.

    Args:
        agent: whose encoders they are.
        readouts: what is read from the features.
        settings: `rate`, `max_gradient`, and those that are named `auxiliary_...`.
        tasks: of the run.
        ranks: learn together.
    """

    def __init__(
        self,
        agent: Agent,
        readouts: PrivilegedReadouts,
        settings: DistillationSettings,
        tasks: Tasks = ONE_TASK,
        ranks: Ranks = ALONE,
    ) -> None:
        self.agent, self.readouts, self.settings, self.tasks, self.ranks = agent, readouts, settings, tasks, ranks
        encoders = {id(parameter) for parameter in agent.encoder_parameters()}
        self.parameters = {
            **{name: parameter for name, parameter in agent.named_parameters() if id(parameter) in encoders},
            **{f"features.{name}": parameter for name, parameter in readouts.features.named_parameters()},
        }
        self.optimizer = torch.optim.Adam(self.parameters.values(), settings.rate, eps=1e-5, fused=True)
        self.memory: dict[str, Tensor] = {}
        """The last steps of each environment, (slots, envs, ...)."""
        self.remembered = 0
        """How many there were, forgotten ones included."""
        self._want_gradients(False)

    def teach(self, rollout: Rollout, generator: torch.Generator) -> dict[str, float]:
        """Returns `feature_error`, the mean of `PrivilegedReadouts.errors` on the way, also by task."""
        self._remember(rollout, generator)
        settings = self.settings
        slots = min(self.remembered, settings.auxiliary_memory)
        sums = torch.zeros(2, len(self.tasks.names))
        self._want_gradients(True)
        for _ in range(math.ceil(settings.auxiliary_updates * slots / settings.auxiliary_memory)):
            size = (settings.auxiliary_minibatch,)
            _, index = rollout.share.own(torch.randint(slots * rollout.share.total, size, generator=generator))
            sums += self._learn({name: kept.flatten(0, 1)[index] for name, kept in self.memory.items()})
        self._want_gradients(False)
        total, of_each = self.ranks.sum(sums)
        errors = (total / of_each.clamp(min=1)).tolist()
        named = self.tasks.label([{"feature_error": error} for error in errors])
        return {"feature_error": float(total.sum() / of_each.sum())} | named

    def _remember(self, rollout: Rollout, generator: torch.Generator) -> None:
        """Put some steps of each environment where the oldest are."""
        settings, time, share = self.settings, len(rollout.rewards), rollout.share
        kept: dict[str, Tensor] = {"observations": rollout.observations, "tasks": rollout.tasks.expand(time, -1)}
        if rollout.pictures is not None:
            kept["pictures"] = rollout.pictures
        if not self.memory:
            shape = (settings.auxiliary_memory, share.size)
            self.memory = {name: values.new_zeros(*shape, *values.shape[2:]) for name, values in kept.items()}
            self.remembered = 0
        times = torch.arange(time).unsqueeze(1).expand(-1, share.size)
        latest = times if rollout.pictures is None else latest_pictures(rollout.pictures)
        lots = torch.rand(time, share.total, generator=generator)[:, share.start : share.stop]
        lots = lots + (latest != times)  # steps whose picture is new are drawn first
        steps = latest.gather(0, lots.argsort(0)[: settings.auxiliary_steps])
        slots = (self.remembered + torch.arange(len(steps))) % settings.auxiliary_memory
        for name, values in kept.items():
            self.memory[name][slots] = values[steps, torch.arange(share.size)]
        self.remembered += len(steps)

    def _learn(self, steps: dict[str, Tensor]) -> Tensor:
        """A step of the optimiser on some steps, and (2, tasks) the sums of their errors and how many they are.

        Raises:
            NotFiniteError: the loss or a gradient is not finite, on every rank. Then there is no step.
        """
        observations, tasks = steps["observations"], steps["tasks"]
        said = self.readouts.features(self.agent.features(observations, steps.get("pictures")))
        errors = self.readouts.errors(said, observations, tasks)
        loss = (self.tasks.step_weights[tasks] * errors).sum() / self.settings.auxiliary_minibatch
        limits = [([*self.parameters.values()], self.settings.max_gradient)]
        numbers = take_gradients(loss, self.optimizer, self.parameters.values(), limits, self.ranks)
        if not torch.isfinite(numbers).all():
            arrays = {name: values.numpy() for name, values in steps.items()}
            raise NotFiniteError("distill", arrays, self.settings.auxiliary_minibatch)
        self.optimizer.step()
        of_task = torch.nn.functional.one_hot(tasks, len(self.tasks.names)).float()
        return torch.stack([errors.detach() @ of_task, of_task.sum(0)])

    def _want_gradients(self, wanted: bool) -> None:
        self.optimizer.zero_grad()
        for parameter in self.parameters.values():
            parameter.requires_grad_(wanted)

    def state_dict(self) -> dict[str, Tensor]:
        """The optimiser's moments by parameter, and how much was remembered; the memory itself is each rank's own."""
        moments = {
            f"{moment}.{name}": value
            for name, parameter in self.parameters.items()
            for moment, value in self.optimizer.state.get(parameter, {}).items()
        }
        return {"remembered": torch.tensor(self.remembered)} | moments

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """The inverse of `state_dict`."""
        self.remembered = int(state["remembered"])
        for key, value in state.items():
            moment, _, name = key.partition(".")
            if name:
                self.optimizer.state[self.parameters[name]][moment] = value.clone()
