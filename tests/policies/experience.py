"""A rollout of point masses, for tests of what learners make of one."""

from __future__ import annotations

from typing import Any

import torch
from point_mass import PointMasses

from policies.agent import Agent
from policies.collector import Collector
from policies.observation import ObservationSpec
from policies.registry import AGENTS, make_agent
from policies.rollout import Rollout

ENVS = 16


def experience(name: str = "mlp", settings: Any = None, taught: bool = False) -> tuple[Agent, Rollout]:
    """An agent and what it did; `taught`: with room for what experts say, who here say nothing but zeros."""
    torch.manual_seed(0)
    env = PointMasses(ENVS)
    senses = ObservationSpec.of(env.single_observation_space)
    agent = make_agent(name, senses.size, 2, settings or AGENTS[name].settings_type())
    rollout = Rollout.empty(32, ENVS, agent, with_experts=taught)
    Collector(env, agent, senses, list(range(ENVS)), torch.Generator().manual_seed(0)).collect(rollout)
    return agent, rollout
