"""What is asked of features and policy besides the actions, and who learns from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from two_tasks import TASKS

from policies.agent import Agent
from policies.auxiliary import EncoderLessons, PrivilegedReadouts
from policies.distillation import DistillationSettings
from policies.finite import NotFiniteError
from policies.merel2020 import Merel2020Settings
from policies.multitask import Tasks
from policies.pictures import latest_pictures
from policies.registry import make_agent
from policies.rollout import Rollout

SEEING = Merel2020Settings(channels=(4,), vision=8, proprioception=(16,), core=8, critic=(8,), policy=(16,))


def test_what_is_told_is_measured_in_the_variance_that_it_has_in_its_task() -> None:
    agent = make_agent("merel2020", 5, 2, SEEING, critic_size=3)
    readouts = PrivilegedReadouts(agent, Tasks(TASKS, torch.tensor([0] * 6 + [1] * 6)))
    rollout = Rollout.empty(50, 12, agent, tasks=torch.tensor([0] * 6 + [1] * 6))
    rollout.observations.normal_()
    rollout.observations[:, :6, 5] *= 100  # the first sense is of the first task alone
    rollout.observations[:, :6, 6:] = 0
    rollout.observations[:, 6:, 5] = 7
    readouts.update(rollout)
    tasks = rollout.tasks.expand(50, -1)
    silent = readouts.errors(torch.zeros(50, 12, 3), rollout.observations, tasks)
    assert [float(silent[:, mine].mean()) for mine in (slice(6), slice(6, 12))] == pytest.approx([1, 1], rel=1e-5)
    said = torch.zeros(50, 12, 3)
    said[:, :6, 0] = rollout.observations[:, :6, 5] / 100
    said[:, 6:, 1:] = rollout.observations[:, 6:, 6:]
    said[:, 6:, 0] = 55  # nobody asks
    assert float(readouts.errors(said, rollout.observations, tasks).max()) < 0.1


@pytest.mark.parametrize("wiring", ["merel2020", "shared"])
def test_what_is_told_trains_encoders_and_policy_and_the_core_where_it_is_shared(wiring: Any) -> None:
    settings = replace(SEEING, policy=(16, 8), wiring=wiring)
    agent = make_agent("merel2020", 5, 2, settings, critic_size=3, picture_shape=(8, 8, 3))
    readouts = PrivilegedReadouts(agent)
    torch.nn.init.normal_(readouts.policy.weight)
    observations, starts = torch.randn(4, 6, 8), torch.zeros(4, 6, dtype=torch.bool)
    pictures = torch.randint(0, 256, (4, 6, 8, 8, 3), dtype=torch.uint8)
    hidden = agent.unroll(observations, agent.initial(6), starts, pictures).hidden
    assert hidden is not None
    readouts.errors(readouts.policy(hidden), observations, torch.zeros(4, 6, dtype=torch.long)).mean().backward()
    reached = {
        name.split(".")[0] for name, p in agent.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0
    }
    assert reached == {"vision", "proprioception", "policy"} | ({"core"} if wiring == "shared" else set())


def seen(agent: Agent, time: int = 12) -> Rollout:
    """A rollout of four environments, with a new picture at every fourth step."""
    rollout = Rollout.empty(time, 4, agent)
    rollout.observations.normal_()
    pictures = torch.randint(0, 256, (time // 4, 4, 8, 8, 3), dtype=torch.uint8)
    rollout.pictures = pictures.repeat_interleave(4, 0)
    return rollout


def test_encoders_learn_from_steps_of_the_last_rollouts_as_their_pictures_were_new_and_nothing_else_does() -> None:
    torch.manual_seed(0)
    agent = make_agent("merel2020", 5, 2, SEEING, critic_size=3, picture_shape=(8, 8, 3))
    readouts = PrivilegedReadouts(agent)
    torch.nn.init.normal_(readouts.features.weight)
    settings = DistillationSettings(auxiliary=1.0, auxiliary_updates=3, auxiliary_steps=5, auxiliary_memory=12)
    lessons, generator = EncoderLessons(agent, readouts, settings), torch.Generator().manual_seed(0)
    before = {name: parameter.detach().clone() for name, parameter in agent.named_parameters()}
    rollouts, updates = [seen(agent) for _ in range(4)], []
    for rollout in rollouts:
        readouts.update(rollout)
        assert lessons.teach(rollout, generator)["feature_error"] > 0
        updates.append(int(lessons.optimizer.state[readouts.features.weight]["step"]))
    assert updates == [2, 5, 8, 11]  # 5 and 10 of 12 slots are full after the first two
    changed = {name.split(".")[0] for name, p in agent.named_parameters() if not torch.equal(p, before[name])}
    assert changed == {"vision", "proprioception"}
    assert not any(parameter.requires_grad for parameter in agent.encoder_parameters())  # by other losses
    assert latest_pictures(rollouts[0].pictures)[:, 0].tolist() == [0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8]
    ages, times = [], set()
    for slot in range(12):
        for env in range(4):
            kept = lessons.memory["observations"][slot, env]
            ((age, t),) = [
                (i, t) for i, r in enumerate(rollouts) for t in range(12) if torch.equal(r.observations[t, env], kept)
            ]
            assert t % 4 == 0 and torch.equal(lessons.memory["pictures"][slot, env], rollouts[age].pictures[t, env])
            ages.append(age)
            times.add((age, env, t))
    assert {(3, env, t) for env in range(4) for t in (0, 4, 8)} <= times  # each new picture before any other
    assert [ages.count(age) for age in range(4)] == [0, 2 * 4, 5 * 4, 5 * 4]


@pytest.mark.parametrize("lost", [float("nan"), float("inf")])
def test_encoders_whose_error_alone_is_not_finite_make_no_step_and_end_the_run(lost: float) -> None:
    agent = make_agent("merel2020", 5, 2, SEEING, critic_size=3, picture_shape=(8, 8, 3))
    readouts, rollout = PrivilegedReadouts(agent), seen(agent)
    readouts.update(rollout)
    settings = DistillationSettings(auxiliary=1.0, auxiliary_updates=1, auxiliary_minibatch=16)
    lessons = EncoderLessons(agent, readouts, settings)
    torch.nn.init.constant_(readouts.features.bias, lost)
    before = {name: parameter.detach().clone() for name, parameter in agent.named_parameters()}
    with pytest.raises(NotFiniteError, match=r"no longer finite: .* a lower distill\.rate$") as caught:
        lessons.teach(rollout, torch.Generator().manual_seed(0))
    assert all(torch.equal(parameter, before[name]) for name, parameter in agent.named_parameters())
    assert caught.value.width == 16 and caught.value.arrays["pictures"].shape == (16, 8, 8, 3)
