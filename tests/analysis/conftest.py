"""Small recorded sessions, made once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from analysis.nwb_record import record
from policies.lstm import LSTMSettings
from policies.merel2020 import Merel2020Settings
from policies.mlp import MLPSettings
from policies.observation import ObservationSpec
from policies.policy import Policy
from policies.registry import make_agent
from rodent.env import RodentVectorEnv
from rodent.tasks.run import Run
from rodent.vision import PICTURE, SIZE

torch.set_num_threads(1)

STEPS = 45  # in the sessions that are shared
FACTS = {"tasks": ["run"], "discount": 0.9, "reward_scale": 0.5}


@dataclass(frozen=True)
class Fleeting(Run):
    """A run that is over, as by a fall, after a time that each episode draws."""

    def begin(self, model: Any, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"span": np.array(rng.uniform(0.1, 0.4))}

    def terminated(self, state: Any, body: Any) -> dict[str, Any]:
        return {"fell": state.time > state.memory["span"]}


SETTINGS = {
    "mlp": MLPSettings(hidden=(16, 8)),
    "lstm": LSTMSettings(encoder=(16,), core=8, head=(16,)),
    "merel2020": Merel2020Settings(
        channels=(4, 4), vision=6, proprioception=(12, 10), core=8, critic=(7,), policy=(9, 5)
    ),
}  # fmt: skip


def make_policy(
    agent: str = "mlp",
    critic_senses: tuple[tuple[str, int], ...] = (),
    facts: dict[str, Any] | None = None,
    sees: bool = False,
) -> Policy:
    """An untrained policy that says something; with several tasks among its facts it values each."""
    env, told = RodentVectorEnv("run"), dict(facts or FACTS)
    picture = (PICTURE, (SIZE, SIZE, 3)) if sees else None
    senses = ObservationSpec(ObservationSpec.of(env.single_observation_space).senses, critic_senses, picture)
    torch.manual_seed(0)
    settings, shape = SETTINGS[agent], picture[1] if picture else None
    network = make_agent(agent, senses.size, 38, settings, senses.critic_size, shape, len(told["tasks"]))
    torch.nn.init.normal_(network.actor[-1].weight, std=0.3)
    torch.nn.init.normal_(network.critic[-1].weight, std=0.3)
    names = tuple(actuator.name for actuator in env.body.actuators)
    return Policy(network.requires_grad_(False), settings, senses, names, told)


@pytest.fixture(scope="session")
def mlp() -> Policy:
    return make_policy()


@pytest.fixture(scope="session")
def lstm() -> Policy:
    return make_policy("lstm")


@pytest.fixture(scope="session")
def mlp_session(mlp: Policy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three episodes each of a task that ends early and of two-tap, and synthetic spikes."""
    path = tmp_path_factory.mktemp("mlp") / "session.nwb"
    return record(mlp, path, [Fleeting(), "two-tap"], 3, seed=3, steps=STEPS, threads=1, spikes=5.0)


@pytest.fixture(scope="session")
def lstm_session(lstm: Policy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two episodes of run with sampled actions."""
    path = tmp_path_factory.mktemp("lstm") / "session.nwb"
    return record(lstm, path, ["run"], 2, seed=3, steps=STEPS, threads=1, sample=True)
