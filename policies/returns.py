"""Estimates of advantage and return, as pure functions of a rollout's tensors."""

from __future__ import annotations

import torch
from torch import Tensor


def generalized_advantages(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    ended: Tensor,
    gamma: float,
    lam: float,
) -> Tensor:
    """Generalised advantage estimation (Schulman et al. 2016, equation 16) over (time, envs) tensors.

    A truncated episode is bootstrapped: its `next_values` is the value of the observation in which it was cut off, not
    of the one that begins the next episode. Returns to train the critic with are `advantages + values`.

    Args:
        rewards: (time, envs).
        values: of the observations acted on.
        next_values: of the observations that followed; whatever stands where an episode terminated is not read.
        terminated: bool, the episode ended there for good (discount 0).
        ended: bool, the episode ended there, terminated or truncated.
        gamma: discount.
        lam: decay of the estimator's memory, lambda.

    Returns:
        Advantages, (time, envs).
    """
    errors = rewards + gamma * next_values.masked_fill(terminated, 0.0) - values
    decay = gamma * lam * (~ended).to(values.dtype)
    advantages = torch.empty_like(errors)
    advantage = torch.zeros_like(errors[0])
    for t in reversed(range(len(errors))):
        advantage = errors[t] + decay[t] * advantage
        advantages[t] = advantage
    return advantages
