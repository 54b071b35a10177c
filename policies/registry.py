"""Agents and learners by name. A new one is one new file and one line here."""

from __future__ import annotations

from typing import Any

from policies.agent import Agent
from policies.distillation import Distillation
from policies.distributed import ALONE, Ranks
from policies.learner import Learner
from policies.lstm import LSTMAgent
from policies.merel2020 import Merel2020Agent
from policies.mlp import MLPAgent
from policies.modulated import ModulatedAgent
from policies.multitask import ONE_TASK, Tasks
from policies.observation import ObservationSpec
from policies.ppo import PPO
from policies.vmpo import VMPO
from rodent.errors import UsageError

AGENTS: dict[str, type[Agent]] = {agent.name: agent for agent in (MLPAgent, LSTMAgent, Merel2020Agent, ModulatedAgent)}
LEARNERS: dict[str, type[Learner]] = {learner.name: learner for learner in (PPO, VMPO, Distillation)}


def find_agent(name: str) -> type[Agent]:
    """The class of agents of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in AGENTS:
        raise UsageError(f"unknown agent {name!r}: choose one of {', '.join(AGENTS)}")
    return AGENTS[name]


def find_learner(name: str) -> type[Learner]:
    """The class of learners of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in LEARNERS:
        raise UsageError(f"unknown learner {name!r}: choose one of {', '.join(LEARNERS)}")
    return LEARNERS[name]


def make_agent(
    name: str,
    observation_size: int,
    action_size: int,
    settings: Any,
    critic_size: int = 0,
    picture_shape: tuple[int, int, int] | None = None,
    tasks: int = 1,
    senses: ObservationSpec | None = None,
) -> Agent:
    """A fresh agent; `settings` is an instance of its `settings_type`. See `Agent` for the sizes.

    One that reads senses by their names is told them by `senses`, and without reads them as one.

    Raises:
        UsageError: there is no such agent, it can't see and is to, it is to read a sense that is not there, or it does
            not fit into memory.
    """
    make: Any = find_agent(name)
    picture = {} if picture_shape is None else {"picture_shape": picture_shape}
    named = {"senses": senses} if make.reads_by_name else {}
    if picture and not make.sees:
        raise UsageError(f"agent {name} can't see: choose one of {', '.join(n for n in AGENTS if AGENTS[n].sees)}")
    try:
        agent: Agent = make(observation_size, action_size, settings, critic_size, tasks=tasks, **picture, **named)
    except RuntimeError as error:
        if "allocate memory" not in str(error):
            raise
        raise UsageError(f"an agent {name} of that many units does not fit into memory: give fewer") from None
    return agent


def make_agent_for(senses: ObservationSpec, name: str, action_size: int, settings: Any, tasks: int = 1) -> Agent:
    """A fresh agent that reads `senses`; see `make_agent`."""
    shape = senses.picture[1] if senses.picture else None
    return make_agent(name, senses.size, action_size, settings, senses.critic_size, shape, tasks, senses)


def make_learner(name: str, agent: Agent, settings: Any, tasks: Tasks = ONE_TASK, ranks: Ranks = ALONE) -> Learner:
    """A learner for an agent; `settings` is an instance of its `settings_type`, `tasks` are the run's."""
    return find_learner(name)(agent, settings, tasks, ranks)
