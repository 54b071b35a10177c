"""Agents that start from the weights of policies that read less."""

from __future__ import annotations

import pytest
import torch

from policies.agent import Agent
from policies.observation import ObservationSpec
from policies.policy import Policy
from policies.registry import AGENTS, make_agent
from policies.transfer import copy_weights, rename_senses
from rodent.errors import UsageError

LESS = ObservationSpec((("joints", 3), ("touch", 1)), (("heading", 2),))
MORE = ObservationSpec((("floor", 4), ("joints", 3), ("touch", 1)), (("depth", 1), ("heading", 2)))


def make(name: str, senses: ObservationSpec, seed: int) -> Agent:
    torch.manual_seed(seed)
    agent = make_agent(name, senses.size, 2, AGENTS[name].settings_type(), senses.critic_size)
    agent.normaliser.update(torch.randn(50, senses.size + senses.critic_size) * 3 + 1)
    return agent


@pytest.mark.parametrize("name", AGENTS)
def test_it_acts_and_values_as_the_policy_did_whatever_else_it_reads(name: str) -> None:
    old, new = make(name, LESS, 0), make(name, MORE, 1)
    copy_weights(Policy(old, AGENTS[name].settings_type(), LESS, ("a", "b")), new, MORE)
    joints, touch, heading, floor, depth = (torch.randn(5, size) for size in (3, 1, 2, 4, 1))
    then = old.step(torch.cat([joints, touch, heading], 1), old.initial(5))[0]
    now = new.step(torch.cat([floor, joints, touch, depth, heading], 1), new.initial(5))[0]
    for before, after in zip(then, now, strict=True):
        torch.testing.assert_close(after, before)


@pytest.mark.parametrize("name", AGENTS)
def test_what_it_did_not_read_begins_unscaled_and_the_rest_as_it_was(name: str) -> None:
    old, new = make(name, LESS, 0), make(name, MORE, 1)
    copy_weights(Policy(old, AGENTS[name].settings_type(), LESS, ("a", "b")), new, MORE)
    assert torch.equal(new.normaliser.mean[4:8], old.normaliser.mean[:4])
    assert torch.equal(new.normaliser.variance[9:], old.normaliser.variance[4:])
    assert new.normaliser.mean[:4].tolist() == [0.0] * 4 and new.normaliser.variance[:4].tolist() == [1.0] * 4
    assert new.normaliser.count == 50


@pytest.mark.parametrize("name", AGENTS)
def test_a_sense_that_takes_the_place_of_another_gets_its_weights_and_statistics(name: str) -> None:
    old = make(name, LESS, 0)
    read = rename_senses(LESS, {"touch": "contact", "joints": "floor"})
    assert read == ObservationSpec((("floor", 3), ("contact", 1)), (("heading", 2),))
    policy = Policy(old, AGENTS[name].settings_type(), read, ("a", "b"))
    offered = ObservationSpec((("contact", 1), ("floor", 3), ("joints", 3), ("touch", 1)), (("heading", 2), ("way", 1)))
    new = make(name, offered, 1)
    copy_weights(policy, new, offered)
    joints, touch, heading, others = (torch.randn(5, size) for size in (3, 1, 2, 5))
    then = old.step(torch.cat([joints, touch, heading], 1), old.initial(5))[0]
    now = new.step(torch.cat([touch, joints, others[:, :4], heading, others[:, 4:]], 1), new.initial(5))[0]
    for before, after in zip(then, now, strict=True):
        torch.testing.assert_close(after, before)
    assert torch.equal(new.normaliser.mean[1:4], old.normaliser.mean[:3])


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ({"smell": "taste"}, "init_senses name smell, and the policy reads joints, touch, heading"),
        ({"joints": "touch"}, "init_senses would have touch read twice"),
        ({"joints": "floor", "heading": "floor"}, "init_senses would have floor read twice"),
    ],
)
def test_a_place_that_is_not_there_or_taken_is_refused(names: dict[str, str], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        rename_senses(LESS, names)
