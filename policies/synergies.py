"""Synergies: the principal components of what a policy tells the actuators while it acts."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from policies.environment import MakeEnv
from policies.policy import Policy
from rodent.symmetry import Mirror

_ENVS = 32
_SETTLED, _STEPS = 50, 250  # control steps: from when the stride is steady, and to when it is watched
_LEAST_VARIANCE = 1e-4  # of the controls along a synergy, since the drive along it is told in spreads


def measure_synergies(
    policy: Policy, physics: str, make_env: MakeEnv, threads: int = 1, mirror: Mirror | None = None
) -> tuple[Tensor, Tensor]:
    """Watch a policy's mean action in its own task, from the 50th control step to the 250th of 32 rats.

    Args:
        policy: the policy.
        physics: preset.
        make_env: makes the environment.
        threads: of the simulation.
        mirror: the reflection of an action. Given, every synergy is its own mirror image or its opposite's: what was
            watched counts as if it had been seen in a mirror as well.

    Returns:
        Synergies (A, A), a unit vector in each column, and the standard deviation (A,) of the controls along each; the
        largest first. The numbers of a vector sum to 0 or more.
    """
    env = make_env(policy.task, _ENVS, physics, threads, None, vision=policy.sight, privileged=policy.senses.privileged)
    observation, state = env.reset(seed=0)[0], None
    seen = []
    for t in range(_STEPS):
        action, state = policy.act(observation, state)
        observation = env.step(action)[0]
        if t >= _SETTLED:
            seen.append(action)
    env.close()
    covariance = np.cov(np.concatenate(seen).T.astype(np.float64))
    if mirror is not None:
        reflected = covariance[np.ix_(mirror.index, mirror.index)] * np.outer(mirror.sign, mirror.sign)
        covariance = (covariance + reflected) / 2
    variance, axes = np.linalg.eigh(covariance)
    axes = axes[:, ::-1] * np.where(axes[:, ::-1].sum(0) < 0, -1.0, 1.0)
    spread = np.sqrt(variance[::-1].clip(_LEAST_VARIANCE))
    return torch.from_numpy(axes.astype(np.float32)), torch.from_numpy(spread.astype(np.float32))
