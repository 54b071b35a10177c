"""Proximal policy optimisation (Schulman et al. 2017), to be read from top to bottom."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from policies.agent import Agent, Output, gaussian_kl
from policies.distributed import ALONE, Ranks
from policies.learner import Learner
from policies.multitask import ONE_TASK, Tasks
from policies.rollout import Minibatch, Rollout
from policies.valuation import Valuation
from rodent.errors import UsageError


@dataclass(frozen=True)
class PPOSettings:
    """Settings of the `ppo` learner."""

    epochs: int = 3  # passes over each rollout
    minibatch: int = 1024  # environment steps a minibatch, about
    gamma: float = 0.98  # discount a control step
    lam: float = 0.95  # lambda of the advantage estimator
    clip: float = 0.2  # of the probability ratio
    entropy: float = 0.0  # weight of the entropy bonus
    value: float = 1.0  # weight of the critic's loss
    max_gradient: float = 1.0  # norm to which gradients are clipped
    reward_scale: float = 10.0  # rewards are multiplied by this times (1 - gamma)
    rate: float = 3e-4  # learning rate of Adam at first
    critic_rate: float = 5e-4  # learning rate of a critic that shares nothing with the policy; it is never adapted
    rate_rule: Literal["adaptive", "fixed"] = "adaptive"  # adaptive: keep an update's KL between kl_low and kl_high
    rate_min: float = 3e-5  # floor of the adaptive rate
    rate_max: float = 1e-3  # ceiling of the adaptive rate
    kl_low: float = 0.01  # an update that moved the policy by less raises the rate
    kl_high: float = 0.02  # an update that moved it by more lowers the rate
    kl_stop: float = 0.06  # an update that has moved it by more ends at once, under either rule
    popart: float = 0.1  # with several tasks, share of the newest returns in PopArt's statistics

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, float) and not 0 <= value < math.inf:
                raise UsageError(f"ppo.{name} must be finite and 0 or more, not {value}")
        if not (self.clip > 0 and self.max_gradient > 0):
            raise UsageError(f"ppo needs clip and max_gradient above 0, not {self.clip} and {self.max_gradient}")
        if min(self.epochs, self.minibatch) < 1:
            raise UsageError(
                f"ppo needs at least 1 epoch and 1 step a minibatch, not {self.epochs} and {self.minibatch}"
            )
        if not (0 <= self.gamma < 1 and 0 <= self.lam <= 1):
            raise UsageError(f"ppo needs gamma in [0, 1) and lam in [0, 1], not {self.gamma} and {self.lam}")
        if not (0 < self.rate_min <= self.rate_max and self.rate > 0 and self.critic_rate > 0):
            raise UsageError(
                f"ppo needs 0 < rate_min <= rate_max and rates above 0, not {self.rate_min}, {self.rate_max}, "
                f"{self.rate}, {self.critic_rate}"
            )
        if not 0 < self.kl_low <= self.kl_high <= self.kl_stop:
            raise UsageError(
                f"ppo needs 0 < kl_low <= kl_high <= kl_stop, not {self.kl_low}, {self.kl_high}, {self.kl_stop}"
            )
        if not self.reward_scale > 0:
            raise UsageError(f"ppo.reward_scale must be above 0, not {self.reward_scale}")
        if not 0 < self.popart <= 1:
            raise UsageError(f"ppo.popart must be above 0 and at most 1, not {self.popart}")
        if self.rate_rule not in ("adaptive", "fixed"):
            raise UsageError(f"ppo.rate_rule is adaptive or fixed, not {self.rate_rule!r}")


class PPO(Learner):
    """Clipped surrogate objective, generalised advantages, Adam.

    Rewards are scaled by `reward_scale` (1 - gamma) before anything else, so that returns are of order one when
    learning begins, whatever the horizon. The critic starts at zero: one that starts with values of its own drowns the
    first advantages in its errors. An update ends for the policy at a KL of `kl_stop`; a critic that shares nothing
    with the policy goes through the rest of the passes, but for the minibatch at which that was found: a policy on the
    move needs a critic that keeps up.

    Of several tasks each has returns (see `Valuation`) and advantages normalised on their own, and a weight in the mean
    of the losses.
    """

    name: ClassVar[str] = "ppo"
    settings_type = PPOSettings

    RATE_FACTOR = 1.5

    def __init__(self, agent: Agent, settings: PPOSettings, tasks: Tasks = ONE_TASK, ranks: Ranks = ALONE) -> None:
        self.agent = agent
        self.settings = settings
        self.tasks = tasks
        self.ranks = ranks
        self.valuation = Valuation(
            agent, tasks, settings.gamma, settings.lam, settings.reward_scale, settings.popart, ranks
        )
        critic = agent.critic_parameters()
        policy = agent.parameters_but(critic)
        groups = [{"params": policy, "lr": settings.rate}, {"params": critic, "lr": settings.critic_rate}]
        self.optimizer = torch.optim.Adam([group for group in groups if group["params"]], eps=1e-5, fused=True)
        self._critic_learns_alone = bool(critic)
        self._adapts = settings.rate_rule == "adaptive"

    def value_facts(self) -> dict[str, float | list[float]]:
        return self.valuation.facts()

    def modules(self) -> dict[str, nn.Module]:
        return {"valuation": self.valuation}

    def fix_rate(self, rate: float | None) -> None:
        self._adapts = rate is None and self.settings.rate_rule == "adaptive"
        if rate is not None:
            self.rate = rate

    def update(self, rollout: Rollout, generator: torch.Generator) -> dict[str, float]:
        settings, ranks = self.settings, self.ranks
        advantages, returns, valued = self.valuation.estimate(rollout)
        normalised = self.tasks.each(advantages, rollout.tasks, lambda a: (a - ranks.mean(a)) / (ranks.std(a) + 1e-8))

        recurrent = self.agent.recurrent
        count = rollout.count_minibatches(settings.minibatch, recurrent)
        batches = (
            batch
            for _ in range(settings.epochs)
            for batch in rollout.minibatches(normalised, returns, count, recurrent, generator)
        )
        figures: list[dict[str, Tensor]] = []
        divergences: list[float] = []
        for batch in batches:
            output = self.agent.unroll(batch.observations, batch.initial_state, batch.starts, batch.pictures)
            divergences.append(self._divergence(batch, output))
            if divergences[-1] > settings.kl_stop:
                break
            loss, figure = self._loss(batch, output)
            figure["gradient_norm"] = ranks.part(self._descend(loss, batch))
            figures.append(figure)
        if self._critic_learns_alone:
            for batch in batches:  # the policy has moved far enough; the critic learns from what is left
                value_losses = self._value_loss(self.agent.value(batch.observations), batch)
                self._descend(settings.value * batch.mean(value_losses), batch)
        divergence = divergences[-1]
        if self._adapts:
            self._adapt_rate(divergence)

        last = {"kl": divergence, "minibatches": float(len(figures)), "rate": self.rate}
        return (self._summarise(figures) if figures else {}) | valued | last

    def _divergence(self, batch: Minibatch, output: Output) -> float:
        """How far the policy has moved since it acted: mean KL(old || new)."""
        with torch.no_grad():
            kl = batch.mean(gaussian_kl(batch.means, batch.log_stds, output.mean, output.log_std))
            divergence = self.ranks.sum(kl)
        self._check_finite(divergence, batch)
        return divergence.item()

    def _loss(self, batch: Minibatch, output: Output) -> tuple[Tensor, dict[str, Tensor]]:
        ratio = (output.log_prob(batch.actions) - batch.log_probs).exp()
        clipped = ratio.clamp(1 - self.settings.clip, 1 + self.settings.clip)
        weights = self.tasks.step_weights[batch.tasks]
        policy_losses = -weights * torch.minimum(ratio * batch.advantages, clipped * batch.advantages)
        value_losses = self._value_loss(output.value, batch)
        policy_loss, value_loss = batch.mean(policy_losses), batch.mean(value_losses)
        entropy = batch.mean(output.entropy())
        drawn, experts = self.towards_experts(batch, output)
        loss = policy_loss + self.settings.value * value_loss - self.settings.entropy * entropy + drawn
        figures = {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "entropy": entropy,
            "clip_fraction": batch.mean((ratio != clipped).float()),
            **self.tasks.figures({"policy_loss": policy_losses, "value_loss": value_losses}, batch),
            **experts,
        }
        return loss, {name: figure.detach() for name, figure in figures.items()}

    def _value_loss(self, value: Tensor, batch: Minibatch) -> Tensor:
        errors = self.agent.of_task(value, batch.tasks) - batch.returns
        return 0.5 * self.tasks.step_weights[batch.tasks] * errors.square()

    def _adapt_rate(self, divergence: float) -> None:
        if divergence > self.settings.kl_high:
            self.rate = max(self.rate / self.RATE_FACTOR, self.settings.rate_min)
        elif divergence < self.settings.kl_low:
            self.rate = min(self.rate * self.RATE_FACTOR, self.settings.rate_max)
