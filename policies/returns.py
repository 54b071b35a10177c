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


def vtrace(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    log_ratios: Tensor,
    terminated: Tensor,
    ended: Tensor,
    gamma: float,
    lam: float = 1.0,
    rho_limit: float = 1.0,
    c_limit: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """V-trace (Espeholt et al. 2018, equation 1) over (time, envs): returns of one policy from another's actions.

    Of a policy's own actions the advantages are those of `generalized_advantages`.

    Truncations and terminations are as in `generalized_advantages`, whose arguments these are, and:

    Args:
        rewards: (time, envs).
        values: of the observations acted on.
        next_values: of the observations that followed; whatever stands where an episode terminated is not read.
        log_ratios: logarithm of how much likelier the actions are under the policy than under the one that took them.
        terminated: bool, the episode ended there for good (discount 0).
        ended: bool, the episode ended there, terminated or truncated.
        gamma: discount.
        lam: decay of the estimator's memory, lambda (their remark 2).
        rho_limit: ceiling of the ratio that weighs an error; the policy that is valued depends on it.
        c_limit: ceiling of the ratio that lets later errors through; only the speed depends on it.

    Returns:
        Targets of the critic, and advantages r + gamma * (lambda * target + (1 - lambda) * value of what followed) -
        value, without the ratio that a policy gradient multiplies them by, (time, envs) each.
    """
    ratios = log_ratios.exp()
    discounted = gamma * next_values.masked_fill(terminated, 0.0)
    errors = ratios.clamp(max=rho_limit) * (rewards + discounted - values)
    decay = gamma * lam * ratios.clamp(max=c_limit) * (~ended).to(values.dtype)
    corrections = torch.empty_like(errors)
    correction = torch.zeros_like(errors[0])
    for t in reversed(range(len(errors))):
        correction = errors[t] + decay[t] * correction
        corrections[t] = correction
    targets = values + corrections
    followed = torch.cat([targets[1:], next_values[-1:]])
    followed = torch.where(ended, next_values, lam * followed + (1 - lam) * next_values).masked_fill(terminated, 0.0)
    return targets, rewards + gamma * followed - values
