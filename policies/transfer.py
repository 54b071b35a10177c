"""Starts an agent from the weights of a policy that may have read less, or known other tasks."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from policies.agent import Agent
from policies.observation import ObservationSpec
from policies.policy import Policy
from rodent.errors import UsageError

STATISTICS = ("normaliser.mean", "normaliser.variance", "normaliser.count")


@torch.no_grad()
def copy_weights(source: Policy, agent: Agent, senses: ObservationSpec) -> None:
    """Copy a policy's weights into an agent of the same kind and the same layers.

    A sense that the policy did not read gets no weight at first, so that the agent acts as the policy did until it
    learns what the sense is good for. The same holds of the critic; what only the policy's critic read is left out.
    Where either critic has an estimate for each of several tasks, see `keep_values`.

    Args:
        source: the policy.
        agent: the agent, as made for `senses`.
        senses: what the agent reads: at least what the policy does.

    Raises:
        ValueError: the policy has other layers.
    """
    _copy(source.agent, source.senses, agent, senses)


def _copy(source: Agent, read: ObservationSpec, agent: Agent, senses: ObservationSpec) -> None:
    theirs, ours = source.state_dict(), agent.state_dict()
    if theirs.keys() != ours.keys():
        raise ValueError("other layers")
    values = () if source.tasks == agent.tasks == 1 else _value_parameters(agent)
    before, after = source.inputs(read), agent.inputs(senses)
    for name in theirs.keys() - {*agent.MIRROR, *STATISTICS, *values}:
        if name.startswith(tuple(f"{part}." for part in agent.PARTS)):
            continue
        weights = _move(theirs[name], before[name], after[name]) if name in after else theirs[name]
        if ours[name].shape != weights.shape:
            raise ValueError(f"{name} has the shape {tuple(weights.shape)}, not {tuple(ours[name].shape)}")
        ours[name].copy_(weights)
    _copy_statistics(source, read, agent, senses)
    for part in agent.PARTS:
        _copy(getattr(source, part), of_policy(read), getattr(agent, part), of_policy(senses))


def of_policy(senses: ObservationSpec) -> ObservationSpec:
    """Without what only the critic reads."""
    return replace(senses, critic_senses=())


def rename_senses(senses: ObservationSpec, names: Mapping[str, str]) -> ObservationSpec:
    """What a policy reads, with other senses in the place of some, so that `copy_weights` lets these take over.

    Args:
        senses: what the policy reads.
        names: of some of them, and of those that take their places.

    Raises:
        UsageError: the policy does not read one of them, or reads one that is to take a place.
    """
    known = dict(senses.senses + senses.critic_senses)
    if strangers := [name for name in names if name not in known]:
        raise UsageError(f"init_senses name {strangers[0]}, and the policy reads {', '.join(known)}")
    if twice := [name for name in names.values() if name in known or [*names.values()].count(name) > 1]:
        raise UsageError(f"init_senses would have {twice[0]} read twice")

    def rename(group: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
        return tuple((names.get(name, name), size) for name, size in group)

    return replace(senses, senses=rename(senses.senses), critic_senses=rename(senses.critic_senses))


@torch.no_grad()
def keep_values(source: Policy, agent: Agent, means: Mapping[str, Any], tasks: Sequence[str]) -> None:
    """Let an agent's critic mean what the policy's did, whatever size of values its learner works with.

    Returns are compared by the reward a step that they amount to, return x (1 - discount), so that another discount
    changes nothing at first. Of a task that the policy had no estimate of, the value is zero at first; if both know one
    task alone, it is taken for the same.

    A policy that does not say what its values mean keeps them as they are.

    Args:
        source: the policy whose weights the agent has by `copy_weights`.
        agent: the agent.
        means: `Learner.value_facts` of its learner.
        tasks: what its critic is to have an estimate of.
    """
    known = list(source.facts.get("tasks", [])) if source.agent.tasks > 1 or len(tasks) > 1 else list(tasks)
    theirs, ours = source.agent.value_layer, agent.value_layer
    after = _units(means, len(tasks))
    before = _units(source.facts, source.agent.tasks) if "discount" in source.facts else after[:1] * source.agent.tasks
    for row, task in enumerate(tasks):
        place = known.index(task) if task in known[: source.agent.tasks] else None
        if place is None:
            ours.weight[row], ours.bias[row] = 0.0, -after[row][1] / after[row][0]
        elif agent.tasks > 1 or source.agent.tasks > 1 or before[place] != after[row]:
            (scale, shift), (our_scale, our_shift) = before[place], after[row]
            ours.weight[row] = theirs.weight[place] * (scale / our_scale)
            ours.bias[row] = (theirs.bias[place] * scale + shift - our_shift) / our_scale


def _units(facts: Mapping[str, Any], count: int) -> list[tuple[float, float]]:
    """Scale and shift of what each of a critic's outputs means: output x scale + shift is a reward a step."""
    unit = 1 - float(facts["discount"])
    if "value_std" in facts:
        pairs = zip(facts["value_std"], facts["value_mean"], strict=True)
        return [(round(unit * std, 12), unit * mean) for std, mean in pairs]
    return [(round(unit / float(facts["reward_scale"]), 12), 0.0)] * count


def _value_parameters(agent: Agent) -> set[str]:
    """The names of the weights of the critic's last layer."""
    own = {id(parameter) for parameter in agent.value_layer.parameters()}
    return {name for name, parameter in agent.named_parameters() if id(parameter) in own}


def _copy_statistics(source: Agent, read: ObservationSpec, agent: Agent, senses: ObservationSpec) -> None:
    """Copy the normaliser's: what the policy did not read begins at mean 0 and variance 1."""
    before, after = read.numbers("all"), senses.numbers("all")
    theirs, ours = source.normaliser, agent.normaliser
    known = torch.tensor([number in before for number in after])
    ours.mean.copy_(_move(theirs.mean, before, after))
    ours.variance.copy_(torch.where(known, _move(theirs.variance, before, after), torch.ones(len(after)).double()))
    ours.count.copy_(theirs.count)


def _move(weights: Tensor, before: Sequence[Hashable], after: Sequence[Hashable]) -> Tensor:
    """Weights (..., k + numbers before) whose last columns read `before`, as (..., k + numbers after) for `after`."""
    others = weights.shape[-1] - len(before)
    column = {number: others + i for i, number in enumerate(before)}
    moved = weights.new_zeros(*weights.shape[:-1], others + len(after))
    moved[..., :others] = weights[..., :others]
    for i, number in enumerate(after):
        if number in column:
            moved[..., others + i] = weights[..., column[number]]
    return moved
