"""What uniformly random actions earn, the floor under every return.

    python benchmarks/random_actions.py [TASK ...] [--episodes 20]

Each action is drawn anew at each control step, from -1 to 1. Whole episodes under `paper`, in dm_control's own
environment and in ours; of the same worlds as the cards of shipped policies.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from writing import write_result

from policies.agent import AgentState
from policies.assessment import assess
from policies.mlp import MLPSettings
from policies.observation import ObservationSpec
from policies.play import SIMULATORS
from policies.policy import Policy
from policies.registry import make_agent
from rodent.env import RodentVectorEnv
from rodent.machine import describe_machine
from rodent.tasks import TASKS


@dataclass
class Flags:
    tasks: tyro.conf.Positional[tuple[str, ...]] = tuple(TASKS)
    episodes: int = 20
    seed: int = 1000
    output: Path = Path("benchmarks/results/random_actions.json")


class RandomActions(Policy):
    """Acts without looking."""

    def act(
        self,
        observation: Mapping[str, NDArray[Any]],
        state: AgentState | None = None,
        *,
        generator: torch.Generator | None = None,
        **_unused: Any,
    ) -> tuple[NDArray[np.float32], AgentState]:
        rats = len(next(iter(observation.values())))
        return (2 * torch.rand(rats, len(self.action_names), generator=generator) - 1).numpy(), {}


def random_actions(task: str) -> RandomActions:
    env = RodentVectorEnv(task, 1, "paper", 1, pool=1)
    senses, settings = ObservationSpec.of(env.single_observation_space), MLPSettings((1,))
    names = tuple(actuator.name for actuator in env.body.actuators)
    env.close()
    agent = make_agent("mlp", senses.size, len(names), settings)
    return RandomActions(agent.requires_grad_(False), settings, senses, names, {"tasks": [task]})


def main(flags: Flags) -> None:
    rows = []
    for task in flags.tasks:
        for simulator in SIMULATORS:
            report = assess(random_actions(task), task, flags.episodes, flags.seed, "paper", simulator, False)
            rows.append({name: report[name] for name in ("task", "simulator", "mean_return", "ci95", "returns")})
            print(task, simulator, report["mean_return"], report["ci95"], flush=True)
    result = {"command": " ".join(["python", *sys.argv]), "machine": describe_machine(), "seed": flags.seed}
    write_result(flags.output, result | {"rows": rows})


if __name__ == "__main__":
    main(tyro.cli(Flags))
