"""V-MPO (Song et al. 2019) with V-trace (Espeholt et al. 2018) and PopArt (Hessel et al. 2018), from top to bottom."""

from __future__ import annotations

import copy
import math
from dataclasses import asdict, dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from policies.agent import Agent, gaussian_kl
from policies.distributed import ALONE, Ranks
from policies.learner import Learner
from policies.multitask import ONE_TASK, Tasks
from policies.popart import PopArt
from policies.returns import vtrace
from policies.rollout import Minibatch, Rollout
from rodent.errors import UsageError


@dataclass(frozen=True)
class VMPOSettings:
    """Settings of the `vmpo` learner."""

    epochs: int = 3  # passes over each rollout
    minibatch: int = 256  # environment steps a minibatch, about
    target_period: int = 1  # updates that a target network lasts; unlike in Song et al., the agent acts, not the target
    gamma: float = 0.98  # discount a control step
    lam: float = 1.0  # lambda of V-trace
    value: float = 1.0  # weight of the critic's loss
    max_gradient: float = 1.0  # norm to which gradients are clipped
    rate: float = 5e-4  # learning rate of Adam
    dual_rate: float = 0.02  # learning rate of the logarithms of temperature and multipliers
    temperature_limit: float = 0.1  # epsilon_eta: KL by which the weights of the samples may differ from even ones
    mean_limit: float = 0.03  # epsilon_mu: KL by which the mean action may leave the target network's
    scale_limit: float = 1e-4  # epsilon_sigma: KL by which the standard deviation may leave the target network's
    popart: float = 0.1  # share of the newest returns in PopArt's statistics

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if isinstance(value, float) and not 0 <= value < math.inf:
                raise UsageError(f"vmpo.{name} must be finite and 0 or more, not {value}")
        if min(self.epochs, self.minibatch, self.target_period) < 1:
            raise UsageError(
                "vmpo needs at least 1 epoch, 1 step a minibatch and 1 update a target, not "
                f"{self.epochs}, {self.minibatch} and {self.target_period}"
            )
        if not (self.gamma < 1 and self.lam <= 1):
            raise UsageError(f"vmpo needs gamma below 1 and lam of at most 1, not {self.gamma} and {self.lam}")
        if not 0 < self.popart <= 1:
            raise UsageError(f"vmpo.popart must be above 0 and at most 1, not {self.popart}")
        for name in ("rate", "dual_rate", "max_gradient", "temperature_limit", "mean_limit", "scale_limit"):
            if not getattr(self, name) > 0:
                raise UsageError(f"vmpo.{name} must be above 0, not {getattr(self, name)}")


class VMPO(Learner):
    """Maximum a posteriori policy optimisation, on-policy.

    The better half of the samples is made likelier, each by a weight exp(advantage / temperature), while the mean and
    the standard deviation of the actions stay near those of a target network, an older copy of the agent. Temperature
    and the two multipliers that hold the limits are learnt. Before each pass V-trace values the policy as it is now.
    The critic's values, here and in rollouts, are those that PopArt normalises. Of several tasks each has a better
    half, returns and advantages of its own, and a weight in the sum of the losses.
    """

    name: ClassVar[str] = "vmpo"
    settings_type = VMPOSettings

    def __init__(self, agent: Agent, settings: VMPOSettings, tasks: Tasks = ONE_TASK, ranks: Ranks = ALONE) -> None:
        self.agent = agent
        self.settings = settings
        self.tasks = tasks
        self.ranks = ranks
        self.target = copy.deepcopy(agent).requires_grad_(False)
        self.duals = Duals()
        self.popart = PopArt(agent.value_layer, settings.popart)
        self.updates = 0
        groups = [
            {"params": list(agent.parameters()), "lr": settings.rate},
            {"params": list(self.duals.parameters()), "lr": settings.dual_rate, "eps": Duals.EPS},
        ]
        self.optimizer = torch.optim.Adam(groups, eps=1e-5, fused=True)

    def value_facts(self) -> dict[str, float | list[float]]:
        return {"discount": self.settings.gamma} | self.popart.facts()

    def fix_rate(self, rate: float | None) -> None:
        if rate is not None:
            self.rate = rate

    def update(self, rollout: Rollout, generator: torch.Generator) -> dict[str, float]:
        settings, recurrent = self.settings, self.agent.recurrent
        if self.updates % settings.target_period == 0:
            self.target.load_state_dict(self.agent.state_dict())
        self.updates += 1
        tasks = rollout.tasks
        bootstraps = self.popart.denormalise(rollout.next_values, tasks)
        count = rollout.count_minibatches(settings.minibatch, recurrent)
        figures: list[dict[str, Tensor]] = []
        for _ in range(settings.epochs):
            targets, advantages = self._value(rollout, bootstraps)
            self.popart.update_each(targets, tasks, self.ranks)
            advantages, targets = advantages / self.popart.std[tasks], self.popart.normalise(targets, tasks)
            for batch in rollout.minibatches(advantages, targets, count, recurrent, generator):
                loss, figure = self._loss(batch)
                figure["gradient_norm"] = self.ranks.part(self._descend(loss, batch))
                figures.append(figure)
        return self._summarise(figures) | self.popart.figures(self.tasks) | {"rate": self.rate}

    @torch.no_grad()
    def _value(self, rollout: Rollout, bootstraps: Tensor) -> tuple[Tensor, Tensor]:
        """V-trace's targets and advantages of the policy as it is now, (time, envs) each."""
        now = self.agent.unroll(rollout.observations, rollout.initial_state, rollout.starts, rollout.pictures)
        values = self.popart.denormalise(self.agent.of_task(now.value, rollout.tasks), rollout.tasks)
        # The critic says anew what followed within the rollout; beyond it, or beyond a cut, what it said then stands.
        following = torch.cat([values[1:], bootstraps[-1:]])
        next_values = torch.where(rollout.ended, bootstraps, following)
        log_ratios = now.log_prob(rollout.actions) - rollout.log_probs
        terminated, ended, discounts = rollout.terminated, rollout.ended, (self.settings.gamma, self.settings.lam)
        return vtrace(rollout.rewards, values, next_values, log_ratios, terminated, ended, *discounts)

    def _loss(self, batch: Minibatch) -> tuple[Tensor, dict[str, Tensor]]:
        settings, duals, ranks = self.settings, self.duals, self.ranks
        now = self.agent.unroll(batch.observations, batch.initial_state, batch.starts, batch.pictures)
        with torch.no_grad():
            old = self.target.unroll(batch.observations, batch.initial_state, batch.starts, batch.pictures)

        policy_losses, temperature_loss = self._improve(batch, now.log_prob(batch.actions))
        policy_loss = torch.stack([*policy_losses.values()]).sum()

        steps = self.tasks.step_weights[batch.tasks]
        kl_mean = batch.mean(steps * gaussian_kl(old.mean, old.log_std, now.mean, old.log_std))
        kl_scale = batch.mean(steps * gaussian_kl(old.mean, old.log_std, old.mean, now.log_std))
        limit_loss = hold(kl_mean, duals.mean, ranks.part(settings.mean_limit))
        limit_loss = limit_loss + hold(kl_scale, duals.scale, ranks.part(settings.scale_limit))

        value_losses = 0.5 * steps * (self.agent.of_task(now.value, batch.tasks) - batch.returns).square()
        value_loss = batch.mean(value_losses)
        drawn, experts = self.towards_experts(batch, now)
        loss = policy_loss + ranks.part(temperature_loss) + limit_loss + settings.value * value_loss + drawn
        figures = {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "entropy": batch.mean(now.entropy()),
            "kl": kl_mean + kl_scale,
            "kl_mean": kl_mean,
            "kl_scale": kl_scale,
            "temperature": ranks.part(duals.temperature),
            "mean_multiplier": ranks.part(duals.mean),
            "scale_multiplier": ranks.part(duals.scale),
            **self._policy_figures(policy_losses),
            **self.tasks.figures({"value_loss": value_losses}, batch),
            **experts,
        }
        return loss, {name: figure.detach() for name, figure in figures.items()}

    def _improve(self, batch: Minibatch, log_probs: Tensor) -> tuple[dict[int, Tensor], Tensor]:
        """A rank's part of the loss that makes the better half of each task likelier, and all of the temperature's.

        A task counts by its weight and by how many of the minibatch's steps are its own, like all other losses: a
        small minibatch may have none of it and the next one many.

        Args:
            batch: the minibatch.
            log_probs: (time, batch), of its actions.

        Returns:
            The loss of each task that the minibatch has steps of, and that of the temperature.
        """
        log_probs = batch.spread(log_probs).flatten()
        advantages = self.ranks.sum(batch.spread(batch.advantages)).flatten()
        tasks = self.ranks.sum(batch.spread(batch.tasks)).flatten()
        policy_losses: dict[int, Tensor] = {}
        temperature_loss = torch.zeros(())
        for task in tasks.unique().tolist():
            mine = tasks == task
            share = self.tasks.step_weights[task] * mine.float().mean()
            best, index = advantages[mine].topk((int(mine.sum()) + 1) // 2)
            weights, own_loss = weigh(best, self.duals.temperature, self.settings.temperature_limit)
            policy_losses[task] = -share * (weights * log_probs[mine][index]).sum()
            temperature_loss = temperature_loss + share * own_loss
        return policy_losses, temperature_loss

    def _policy_figures(self, losses: dict[int, Tensor]) -> dict[str, Tensor]:
        """The loss of each task for the log, counted as `Tasks.figures` does; nothing if there is one."""
        if len(self.tasks.names) == 1:
            return {}
        rarity = self.tasks.rarity
        return {
            f"{name}.policy_loss": rarity[i] * losses.get(i, torch.zeros(())) for i, name in enumerate(self.tasks.names)
        }

    def _descend(self, loss: Tensor, batch: Minibatch) -> Tensor:
        """Besides, multipliers stay where they can come back from."""
        norm = super()._descend(loss, batch)
        self.duals.keep_above_floor()
        return norm

    def _gradient_limits(self) -> list[tuple[list[nn.Parameter], float]]:
        """Besides, temperature and multipliers, which are not clipped."""
        return [*super()._gradient_limits(), (list(self.duals.parameters()), math.inf)]

    def parameters(self) -> dict[str, nn.Parameter]:
        return super().parameters() | {f"duals.{name}": value for name, value in self.duals.named_parameters()}

    def state_dict(self) -> dict[str, Tensor]:
        """Besides, the count of updates."""
        return super().state_dict() | {"updates": torch.tensor(self.updates)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        super().load_state_dict(state)
        self.updates = int(state["updates"])

    def modules(self) -> dict[str, nn.Module]:
        """The target network, temperature and multipliers, and PopArt's statistics."""
        return {"target": self.target, "duals": self.duals, "popart": self.popart}


class Duals(nn.Module):
    """Temperature and multipliers, each above 0 as the exponential of what is learnt; 1 at first.

    While a limit is kept its multiplier falls, and would without end: then it could not hold the limit when that is
    broken. So multipliers have a floor, and Adam an epsilon that is small beside their gradients there, which are
    multiplier times limit.
    """

    FLOOR = 0.01
    EPS = 1e-8

    def __init__(self) -> None:
        super().__init__()
        self.log_temperature = nn.Parameter(torch.zeros(()))
        self.log_mean = nn.Parameter(torch.zeros(()))
        self.log_scale = nn.Parameter(torch.zeros(()))

    @property
    def temperature(self) -> Tensor:
        """Eta."""
        return self.log_temperature.exp()

    @property
    def mean(self) -> Tensor:
        """Alpha of the mean's limit."""
        return self.log_mean.exp()

    @property
    def scale(self) -> Tensor:
        """Alpha of the standard deviation's limit."""
        return self.log_scale.exp()

    @torch.no_grad()
    def keep_above_floor(self) -> None:
        """Raise a multiplier that has fallen below its floor; the temperature has none."""
        for log_multiplier in (self.log_mean, self.log_scale):
            log_multiplier.clamp_(min=math.log(self.FLOOR))


def weigh(advantages: Tensor, temperature: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """Weights of samples, and the loss that their temperature minimises (Song et al. 2019, equations 4 and 5).

    Where the loss is least, the KL of the weights from even ones is `limit`.

    Args:
        advantages: (n,) of the samples.
        temperature: eta, above 0.
        limit: epsilon.

    Returns:
        Weights (n,) that sum to 1 and carry no gradient, and the loss.
    """
    scaled = advantages / temperature
    loss = temperature * (limit + scaled.logsumexp(0) - math.log(len(scaled)))
    return scaled.detach().softmax(0), loss


def hold(divergence: Tensor, multiplier: Tensor, limit: float) -> Tensor:
    """The loss that holds a divergence below its limit, and whose multiplier grows above it (equation 6)."""
    return multiplier * (limit - divergence.detach()) + multiplier.detach() * divergence
