"""Distillation: a student acts, experts say what they would have done, and the student comes to do it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from policies.agent import Agent
from policies.aggregate import Aggregate, minibatches
from policies.auxiliary import EncoderLessons, PrivilegedReadouts
from policies.distributed import ALONE, Ranks
from policies.learner import Learner, Stateful
from policies.multitask import ONE_TASK, Tasks
from policies.rollout import Minibatch, Rollout
from policies.storage import below
from policies.valuation import Valuation
from rodent.errors import UsageError

_AGGREGATE = "rollouts/"  # what a checkpoint calls what is remembered of them


@dataclass(frozen=True)
class DistillationSettings:
    """Settings of the `distill` learner."""

    epochs: int = 2  # passes over as much as a rollout holds, after each
    memory: int = 1  # last rollouts, from all of which is learnt; a checkpoint holds them too
    minibatch: int = 1024  # environment steps a minibatch, about
    gamma: float = 0.98  # discount a control step, of the critic
    lam: float = 0.95  # lambda of the critic's targets
    value: float = 1.0  # weight of the critic's loss
    max_gradient: float = 1.0  # norm to which gradients are clipped
    reward_scale: float = 10.0  # rewards are multiplied by this times (1 - gamma), as in ppo
    rate: float = 1e-3  # learning rate of Adam
    spread_rate: float = 0.01  # learning rate of the logarithm of the actions' standard deviation
    auxiliary: float = 0.0  # weight of telling the privileged senses, which the critic must read (0: nobody asks)
    auxiliary_updates: int = 96  # of the encoders alone, after each rollout once the memory is full
    auxiliary_minibatch: int = 64  # steps in each of them
    auxiliary_steps: int = 8  # of each environment and rollout, which are remembered for them
    auxiliary_memory: int = 96  # steps of each environment that the memory holds; a checkpoint holds them too
    popart: float = 0.1  # with several tasks, share of the newest returns in PopArt's statistics

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not 0 <= value < math.inf:
                raise UsageError(f"distill.{name} must be finite and 0 or more, not {value}")
        if min(self.epochs, self.minibatch, self.memory) < 1:
            raise UsageError(
                "distill needs at least 1 epoch, 1 step a minibatch and 1 rollout of memory, not "
                f"{self.epochs}, {self.minibatch} and {self.memory}"
            )
        for name in ("auxiliary_updates", "auxiliary_minibatch", "auxiliary_steps"):
            if getattr(self, name) < 1:
                raise UsageError(f"distill.{name} must be 1 or more, not {getattr(self, name)}")
        if self.auxiliary_memory < self.auxiliary_steps:
            held = f"the {self.auxiliary_steps} steps that are remembered of a rollout"
            raise UsageError(f"distill.auxiliary_memory must hold {held}, not {self.auxiliary_memory}")
        if not (self.gamma < 1 and self.lam <= 1):
            raise UsageError(f"distill needs gamma below 1 and lam of at most 1, not {self.gamma} and {self.lam}")
        for name in ("max_gradient", "reward_scale", "rate", "spread_rate", "popart"):
            if not getattr(self, name) > 0:
                raise UsageError(f"distill.{name} must be above 0, not {getattr(self, name)}")
        if self.popart > 1:
            raise UsageError(f"distill.popart must be at most 1, not {self.popart}")


class Distillation(Learner):
    """DAgger (Ross, Gordon & Bagnell 2011) on the student's own way: KL(expert || student), task by task, and Adam.

    Meanwhile the critic learns what the student's actions return, as under `ppo`, so that reinforcement learning alone
    can go on from the student.

    With a `memory`, passes are over the last rollouts: the newest alone would be learnt by heart, and forgotten.

    With `auxiliary`, the student learns besides to tell the privileged senses (see `PrivilegedReadouts`): its policy in
    the same loss, and its encoders by themselves from a memory of single steps (see `EncoderLessons`).
    """

    name: ClassVar[str] = "distill"
    settings_type = DistillationSettings

    def __init__(
        self, agent: Agent, settings: DistillationSettings, tasks: Tasks = ONE_TASK, ranks: Ranks = ALONE
    ) -> None:
        self.agent = agent
        self.settings = settings
        self.tasks = tasks
        self.ranks = ranks
        self.valuation = Valuation(
            agent, tasks, settings.gamma, settings.lam, settings.reward_scale, settings.popart, ranks
        )
        self.lessons: EncoderLessons | None = None
        if settings.auxiliary:
            self.lessons = EncoderLessons(agent, PrivilegedReadouts(agent, tasks, ranks), settings, tasks, ranks)
        network = [parameter for parameter in self.parameters().values() if parameter is not agent.log_std]
        groups = [{"params": network, "lr": settings.rate}, {"params": [agent.log_std], "lr": settings.spread_rate}]
        self.optimizer = torch.optim.Adam(groups, eps=1e-5, fused=True)
        self.expert_weights = torch.ones(len(tasks.names))
        self.aggregate = Aggregate(settings.memory)

    def value_facts(self) -> dict[str, float | list[float]]:
        return self.valuation.facts()

    def card_facts(self) -> dict[str, str]:
        told = f"privileged senses, read out of its encoders and policy (weight {self.settings.auxiliary:g})"
        return {"learnt_to_tell": told} if self.lessons else {}

    def rank_state(self) -> dict[str, Tensor]:
        aggregate = {f"{_AGGREGATE}{name}": kept for name, kept in self.aggregate.held.items()}
        return (self.lessons.memory if self.lessons else {}) | aggregate

    def load_rank_state(self, state: dict[str, Tensor]) -> None:
        kept = {name: values.clone() for name, values in state.items()}
        self.aggregate.held = below(_AGGREGATE, kept)
        if self.lessons:
            self.lessons.memory = {name: values for name, values in kept.items() if not name.startswith(_AGGREGATE)}

    def modules(self) -> dict[str, Stateful]:
        own: dict[str, Stateful] = {"valuation": self.valuation}
        return own | {"readouts": self.lessons.readouts, "lessons": self.lessons} if self.lessons else own

    def parameters(self) -> dict[str, nn.Parameter]:
        everything = super().parameters()
        if self.lessons is None:
            return everything
        own = {f"readout.{name}": each for name, each in self.lessons.readouts.policy.named_parameters()}
        return {name: each for name, each in everything.items() if name not in self.lessons.parameters} | own

    def fix_rate(self, rate: float | None) -> None:
        if rate is not None:
            self.rate = rate

    def update(self, rollout: Rollout, generator: torch.Generator) -> dict[str, float]:
        _, returns, valued = self.valuation.estimate(rollout)
        if self.lessons:
            self.lessons.readouts.update(rollout)
            valued |= self.lessons.teach(rollout, generator)
        recurrent, size = self.agent.recurrent, self.settings.minibatch
        count = self.settings.epochs * rollout.count_minibatches(size, recurrent)
        everything, targets = self.aggregate.add(rollout, self.valuation.unscale(returns, rollout.tasks))
        targets = self.valuation.rescale(targets, everything.tasks)
        figures: list[dict[str, Tensor]] = []
        for batch in minibatches(everything, targets, count, size, recurrent, generator):
            loss, figure = self._loss(batch)
            figure["gradient_norm"] = self.ranks.part(self._descend(loss, batch))
            figures.append(figure)
        return self._summarise(figures) | valued | {"rate": self.rate}

    def _loss(self, batch: Minibatch) -> tuple[Tensor, dict[str, Tensor]]:
        output = self.agent.unroll(batch.observations, batch.initial_state, batch.starts, batch.pictures)
        imitation_loss, experts = self.towards_experts(batch, output)
        errors = self.agent.of_task(output.value, batch.tasks) - batch.returns
        value_losses = 0.5 * self.tasks.step_weights[batch.tasks] * errors.square()
        value_loss = batch.mean(value_losses)
        loss = imitation_loss + self.settings.value * value_loss
        figures = {"value_loss": value_loss.detach(), "entropy": batch.mean(output.entropy()).detach()}
        losses = {"value_loss": value_losses}
        if self.lessons:
            readouts = self.lessons.readouts
            untold = readouts.errors(readouts.policy(output.hidden), batch.observations, batch.tasks)
            loss = loss + self.settings.auxiliary * batch.mean(self.tasks.step_weights[batch.tasks] * untold)
            losses["policy_error"] = untold
            figures["policy_error"] = batch.mean(untold).detach()
        return loss, figures | self.tasks.figures(losses, batch) | experts

    def _gradient_limits(self) -> list[tuple[list[nn.Parameter], float]]:
        limits = super()._gradient_limits()
        if self.lessons:
            limits.append(([*self.lessons.readouts.policy.parameters()], self.settings.max_gradient))
        return limits
