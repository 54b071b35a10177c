"""Kickstarting (Schmitt et al. 2018): besides its own loss, a learner is drawn to experts, ever less as it learns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from policies.agent import gaussian_kl
from policies.rollout import Minibatch
from rodent.errors import UsageError


@dataclass(frozen=True)
class KickstartSettings:
    """How strongly experts draw a learner that has losses of its own (`distill` has none but this)."""

    weights: tuple[float, ...] = (0.005,)  # of KL(expert || agent) in the loss: one for all tasks, or one each
    steps: int | None = None  # environment steps in which the weights fall to 0, in a straight line (None: they stay)

    def __post_init__(self) -> None:
        if not self.weights or not all(0 <= weight < math.inf for weight in self.weights):
            raise UsageError(f"kickstart.weights must be finite and 0 or more, not {self.weights}")
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"kickstart.steps must be 1 or more, not {self.steps}")

    def at(self, steps: int, guided: Tensor) -> Tensor:
        """The weights in force after so many environment steps, (tasks,).

        Args:
            steps: of the run so far.
            guided: (tasks,) bool, which tasks have an expert.
        """
        left = 1.0 if self.steps is None else max(0.0, 1 - steps / self.steps)
        return torch.tensor(self.weights).expand(len(guided)) * guided * left


def expert_divergence(batch: Minibatch, mean: Tensor, log_std: Tensor) -> Tensor:
    """KL(expert || agent) of each step, (time, batch); meaningless where a task has no expert.

    Args:
        batch: with what the experts said.
        mean: (time, batch, A), of the agent's controls.
        log_std: (time, batch, A), likewise; see `Agent.over_controls`.

    Where it is least, the agent's variance is the expert's and the mean square of what lies between their means: an
    agent that is far from its expert stays broad.
    """
    assert batch.expert_means is not None and batch.expert_log_stds is not None
    return gaussian_kl(batch.expert_means, batch.expert_log_stds, mean, log_std)


@torch.no_grad()
def expert_distance(batch: Minibatch, mean: Tensor) -> Tensor:
    """Root mean square over actuators of what lies between expert's and agent's mean actions, (time, batch)."""
    assert batch.expert_means is not None
    return (batch.expert_means - mean).square().mean(-1).sqrt()
