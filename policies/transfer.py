"""Starts an agent from the weights of a policy that may have read less."""

from __future__ import annotations

import torch
from torch import Tensor

from policies.agent import Agent
from policies.observation import ObservationSpec
from policies.policy import Policy

STATISTICS = ("normaliser.mean", "normaliser.variance", "normaliser.count")


@torch.no_grad()
def copy_weights(source: Policy, agent: Agent, senses: ObservationSpec) -> None:
    """Copy a policy's weights into an agent of the same kind and the same layers.

    A sense that the policy did not read gets no weight at first, so that the agent acts as the policy did until it
    learns what the sense is good for. The same holds of the critic; what only the policy's critic read is left out.

    Args:
        source: the policy.
        agent: the agent, as made for `senses`.
        senses: what the agent reads: at least what the policy does.

    Raises:
        ValueError: the policy has other layers.
    """
    theirs, ours = source.agent.state_dict(), agent.state_dict()
    if theirs.keys() != ours.keys():
        raise ValueError("other layers")
    for name in theirs.keys() - {*agent.MIRROR, *STATISTICS}:
        weights = theirs[name]
        if reads := agent.READS.get(name):
            weights = _move(weights, _numbers(source.senses, reads), _numbers(senses, reads))
        if ours[name].shape != weights.shape:
            raise ValueError(f"{name} has the shape {tuple(weights.shape)}, not {tuple(ours[name].shape)}")
        ours[name].copy_(weights)
    _copy_statistics(source, agent, senses)


def _copy_statistics(source: Policy, agent: Agent, senses: ObservationSpec) -> None:
    """Copy the normaliser's: what the policy did not read begins at mean 0 and variance 1."""
    before, after = _numbers(source.senses, "all"), _numbers(senses, "all")
    theirs, ours = source.agent.normaliser, agent.normaliser
    known = torch.tensor([number in before for number in after])
    ours.mean.copy_(_move(theirs.mean, before, after))
    ours.variance.copy_(torch.where(known, _move(theirs.variance, before, after), torch.ones(len(after)).double()))
    ours.count.copy_(theirs.count)


def _numbers(senses: ObservationSpec, reads: str) -> list[tuple[str, int]]:
    """The numbers that an input reads, each by its sense and its index in it."""
    groups = {"policy": senses.senses, "all": senses.senses + senses.critic_senses, "critic": senses.critic_senses}
    return [(name, i) for name, size in groups[reads] for i in range(size)]


def _move(weights: Tensor, before: list[tuple[str, int]], after: list[tuple[str, int]]) -> Tensor:
    """Weights (..., k + numbers before) whose last columns read `before`, as (..., k + numbers after) for `after`."""
    others = weights.shape[-1] - len(before)
    column = {number: others + i for i, number in enumerate(before)}
    moved = weights.new_zeros(*weights.shape[:-1], others + len(after))
    moved[..., :others] = weights[..., :others]
    for i, number in enumerate(after):
        if number in column:
            moved[..., others + i] = weights[..., column[number]]
    return moved
