"""The same policy of more units, for benchmarks that need a thousand of them."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from policies.mlp import MLPAgent
from policies.policy import Policy
from policies.registry import make_agent
from rodent.errors import UsageError


def widened(policy: Policy, units: int) -> Policy:
    """The same policy of more hidden units: some are there twice and share their outgoing weights (Chen et al. 2016).

    The critic, which recordings of the shipped policies leave out, begins anew.
    """
    agent = policy.agent
    if not isinstance(agent, MLPAgent):
        raise UsageError(f"only policies of the agent mlp can be widened here, not {agent.name}")
    before, rng = policy.settings.hidden, np.random.default_rng(0)
    settings = replace(policy.settings, hidden=tuple(max(n, round(n * units / sum(before))) for n in before))
    wide = make_agent(agent.name, agent.observation_size, agent.action_size, settings, policy.senses.critic_size)
    kept = {name: value for name, value in agent.state_dict().items() if not name.startswith("critic.")}
    came = np.arange(agent.observation_size)  # which old unit each new one of the layer before is
    for name, layer in agent.actor.named_children():
        if isinstance(layer, nn.Linear):
            old, new = layer.out_features, getattr(wide.actor, name).out_features
            left = np.concatenate([np.arange(old), rng.integers(old, size=new - old)])
            shares = torch.from_numpy(np.bincount(came)[came]).float()
            kept[f"actor.{name}.weight"] = layer.weight[left][:, came] / shares
            kept[f"actor.{name}.bias"] = layer.bias[left]
            came = left
    wide.load_state_dict(kept, strict=False)
    return replace(policy, agent=wide.requires_grad_(False), settings=settings)
