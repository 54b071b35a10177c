"""How well a policy does: whole episodes of the bare task, each in a world of its own."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from policies.agent import AgentState
from policies.environment import MakeEnv, make_rodent_env
from policies.intervals import bootstrap_ci95
from policies.observation import ObservationSpec
from policies.policy import Policy
from policies.threads import torch_threads
from rodent.vision import EXACT, describe_vision, vision_settings


@dataclass(frozen=True)
class Evaluation:
    """Episodes 0 to n - 1 of a seed."""

    task: str
    physics: str
    seed: int
    deterministic: bool
    returns: NDArray[np.float64]
    """(episodes,), the task's own reward summed."""
    lengths: NDArray[np.int64]
    """(episodes,), control steps."""
    endings: dict[str, int]
    """Episodes by what ended them."""
    max_return: float
    vision: dict[str, Any] | None = None
    """What drew the pictures of a policy that sees; see `describe_vision`."""

    @property
    def mean_return(self) -> float:
        """Mean over episodes."""
        return float(self.returns.mean())

    @property
    def ci95(self) -> tuple[float, float]:
        """Interval of the mean, NaN of one episode; see `bootstrap_ci95`."""
        return bootstrap_ci95(self.returns)

    def to_json(self) -> dict[str, Any]:
        """JSON-compatible summary."""
        return {
            "task": self.task,
            "physics": self.physics,
            "seed": self.seed,
            "deterministic": self.deterministic,
            "episodes": len(self.returns),
            "returns": [round(float(value), 3) for value in self.returns],
            "mean_return": round(self.mean_return, 3),
            "ci95": [round(bound, 3) for bound in self.ci95] if len(self.returns) > 1 else None,
            "max_return": self.max_return,
            "endings": self.endings,
            **({"vision": self.vision} if self.vision else {}),
        }


def evaluate(
    policy: Policy,
    task: str,
    episodes: int = 20,
    seed: int = 0,
    physics: str = "paper",
    deterministic: bool = True,
    threads: int = 0,
    make_env: MakeEnv = make_rodent_env,
) -> Evaluation:
    """Run each episode once, all at the same time, without training aids.

    Args:
        policy: acts.
        task: a task's name.
        episodes: how many; episode k of a seed is the same world everywhere.
        seed: of the worlds, and of the noise if there is any.
        physics: a preset's name.
        deterministic: take mean actions; else sample.
        threads: of the simulation, 0 for every core.
        make_env: makes the environment.

    Raises:
        UsageError: the environment does not offer the senses that the policy reads.
    """
    sees, told = policy.sight, policy.senses.privileged
    env = make_env(task, episodes, physics, threads, None, privileged=told, vision=sees, rest=True)
    policy.senses.check(ObservationSpec.of(env.single_observation_space))
    generator = torch.Generator().manual_seed(seed)
    observation, _ = env.reset(seed=[seed] * episodes, options={"episode": np.arange(episodes)})
    state: AgentState | None = None
    running = np.ones(episodes, dtype=bool)
    returns, lengths = np.zeros(episodes), np.zeros(episodes, dtype=np.int64)
    endings: Counter[str] = Counter()
    while running.any():
        with torch_threads(1):
            action, state = policy.act(observation, state, deterministic=deterministic, generator=generator)
        observation, _, terminated, truncated, info = env.step(action)
        returns += np.where(running, info["task_reward"], 0.0)
        lengths += running
        ended = running & (terminated | truncated)
        endings.update({cause: int((mask & ended).sum()) for cause, mask in info["endings"].items()})
        running &= ~ended
    env.close()
    counts = {cause: count for cause, count in endings.items() if count}
    highest, sight = float(env.task.max_return), described_sight(policy)
    return Evaluation(task, physics, seed, deterministic, returns, lengths, counts, highest, sight)


def described_sight(policy: Policy, simulator: str = "rodent") -> dict[str, Any] | None:
    """What draws the pictures of a policy that sees, and how: dm_control in its own way. None of one that does not."""
    sight = vision_settings(policy.sight)
    if sight and simulator == "dm_control":
        sight = replace(EXACT, every=sight.every)
    return describe_vision(sight) if sight else None
