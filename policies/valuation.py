"""What a critic is to say of a rollout: returns of scaled rewards, of several tasks each at a scale of its own."""

from __future__ import annotations

from torch import Tensor, nn

from policies.agent import Agent
from policies.distributed import ALONE, Ranks
from policies.multitask import Tasks
from policies.popart import PopArt
from policies.returns import generalized_advantages
from policies.rollout import Rollout


class Valuation(nn.Module):
    """Generalised advantages, and the critic's targets.

    Rewards are scaled by a constant. With several tasks, whose returns differ in size, PopArt normalises those of each.

    Args:
        agent: whose critic it is.
        tasks: of the run.
        gamma: discount.
        lam: lambda of the estimator.
        reward_scale: rewards are multiplied by this times (1 - gamma).
        rate: share of the newest returns in PopArt's statistics.
        ranks: learn together; statistics are of all their returns.
    """

    def __init__(
        self,
        agent: Agent,
        tasks: Tasks,
        gamma: float,
        lam: float,
        reward_scale: float,
        rate: float,
        ranks: Ranks = ALONE,
    ) -> None:
        super().__init__()
        self._tasks = tasks
        self._ranks = ranks
        self._gamma, self._lam, self._reward_scale = gamma, lam, reward_scale
        self.popart = PopArt(agent.value_layer, rate) if agent.tasks > 1 else None

    def estimate(self, rollout: Rollout) -> tuple[Tensor, Tensor, dict[str, float]]:
        """Advantages, and what the critic should say, (time, envs) each, and figures; moves PopArt's statistics."""
        values, following = rollout.values, rollout.next_values
        if self.popart:
            values, following = (self.popart.denormalise(said, rollout.tasks) for said in (values, following))
        advantages = generalized_advantages(
            rollout.rewards * self._reward_scale * (1 - self._gamma),
            values,
            following,
            rollout.terminated,
            rollout.ended,
            self._gamma,
            self._lam,
        )
        targets = advantages + values
        of_task = [rollout.tasks == task for task in range(len(self._tasks.names))]
        figures = self._tasks.label([self._explained(targets[:, mine], values[:, mine]) for mine in of_task])
        if self.popart:
            self.popart.update_each(targets, rollout.tasks, self._ranks)
            targets = self.popart.normalise(targets, rollout.tasks)
            figures |= self.popart.figures(self._tasks)
        return advantages, targets, figures

    def unscale(self, targets: Tensor, tasks: Tensor) -> Tensor:
        """What the critic should say (time, envs), at the scale of returns, which stays as PopArt's statistics move."""
        return self.popart.denormalise(targets, tasks) if self.popart else targets

    def rescale(self, targets: Tensor, tasks: Tensor) -> Tensor:
        """The inverse of `unscale`, by the statistics as they are now."""
        return self.popart.normalise(targets, tasks) if self.popart else targets

    def facts(self) -> dict[str, float | list[float]]:
        """See `Learner.value_facts`."""
        scale = self._reward_scale * (1 - self._gamma)
        if self.popart is None:
            return {"discount": self._gamma, "reward_scale": scale}
        return {"discount": self._gamma} | self.popart.facts(scale)

    def _explained(self, targets: Tensor, values: Tensor) -> dict[str, float]:
        unexplained = self._ranks.var(targets - values) / self._ranks.var(targets).clamp(min=1e-12)
        return {"explained_variance": float(1 - unexplained)}
