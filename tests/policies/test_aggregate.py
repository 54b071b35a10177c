"""A student that remembers learns from its last rollouts, whole or in parts, and from nothing older."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch
from point_mass import make_point_masses
from test_training import assert_same_state, newest

from policies.aggregate import Aggregate, minibatches
from policies.distillation import DistillationSettings
from policies.distributed import Share
from policies.lstm import LSTMSettings
from policies.mlp import MLPSettings
from policies.policy import Policy
from policies.registry import make_agent
from policies.rollout import Minibatch, Rollout
from policies.training import train

TIME, ENVS = 5, 6


def rollout_of(number: int, agent_name: str, share: Share, time: int = TIME) -> Rollout:
    """Every number of which tells the rollout, the step and the environment (of the run) that it is of."""
    agent = make_agent(agent_name, 3, 2, {"mlp": MLPSettings(hidden=(4,)), "lstm": LSTMSettings()}[agent_name])
    rollout = Rollout.empty(time, share.size, agent, share, torch.arange(share.start, share.stop) % 2, True)
    told = 100 * number + 10 * torch.arange(time).unsqueeze(1) + torch.arange(share.start, share.stop)
    for values in (rollout.observations, rollout.actions, rollout.means, rollout.expert_means):
        assert values is not None
        values[:] = told.unsqueeze(-1)
    rollout.rewards[:] = told
    for state in rollout.initial_state.values():
        state[:] = told[0].view(-1, *[1] * (state.dim() - 1))
    return rollout


def drawn(agent_name: str, share: Share, rollouts: int, size: int, count: int = 12) -> list[Minibatch]:
    """Minibatches of 10 steps after so many rollouts, whose returns are their rewards times 1,000."""
    aggregate, generator = Aggregate(size), torch.Generator().manual_seed(0)
    for number in range(rollouts):
        rollout = rollout_of(number, agent_name, share)
        everything, returns = aggregate.add(rollout, 1000 * rollout.rewards)
    return [*minibatches(everything, returns, count, 10, agent_name == "lstm", generator)]


@pytest.mark.parametrize("agent_name", ["mlp", "lstm"])
def test_minibatches_are_of_the_last_rollouts_each_step_with_what_belongs_to_it(agent_name: str) -> None:
    batches = drawn(agent_name, Share(0, ENVS, ENVS), rollouts=5, size=3, count=18)
    assert len(batches) == 18  # of 10 steps: two passes over three rollouts of 30
    seen: Counter[int] = Counter()
    for batch in batches:
        told = batch.observations[..., 0]
        assert torch.equal(batch.returns, 1000 * told) and batch.expert_means is not None
        assert torch.equal(batch.expert_means[..., 1], told)
        assert torch.equal(batch.tasks, (told % 10 % 2).long())
        for state in batch.initial_state.values():
            assert torch.equal(state.flatten(1)[:, 0], told[0])
        if agent_name == "lstm":
            assert torch.equal(told, told[:1] + 10 * torch.arange(TIME).unsqueeze(1))
        seen.update(told.flatten().int().tolist())
    assert set(seen.values()) == {2}
    assert set(seen) == {100 * n + 10 * t + env for n in (2, 3, 4) for t in range(TIME) for env in range(ENVS)}


def test_what_is_not_there_yet_is_not_learnt_from() -> None:
    for batch in drawn("lstm", Share(0, ENVS, ENVS), rollouts=2, size=7):
        assert batch.observations.max() < 200 and (batch.returns == 1000 * batch.observations[..., 0]).all()


@pytest.mark.parametrize("agent_name", ["mlp", "lstm"])
def test_two_ranks_have_the_parts_of_what_one_has(agent_name: str) -> None:
    whole = drawn(agent_name, Share(0, ENVS, ENVS), rollouts=4, size=3)
    parts = [drawn(agent_name, Share(*span, ENVS), rollouts=4, size=3) for span in ((0, 2), (2, ENVS))]
    for all_, *of_ranks in zip(whole, *parts, strict=True):
        assert {part.width for part in of_ranks} == {all_.width}
        for name in ("observations", "returns", "tasks"):
            joined = torch.zeros_like(getattr(all_, name))
            for part in of_ranks:
                joined[:, part.columns] = getattr(part, name)
            assert torch.equal(joined, getattr(all_, name)), name


def test_rollouts_of_another_length_begin_anew() -> None:
    share, aggregate = Share(0, ENVS, ENVS), Aggregate(3)
    for number, time in enumerate((TIME, TIME, 8)):
        rollout = rollout_of(number, "lstm", share, time)
        everything, returns = aggregate.add(rollout, rollout.rewards)
    assert everything.observations.shape[:2] == returns.shape == (8, ENVS)
    assert returns.min() >= 200


def test_a_student_that_remembers_resumes_bit_for_bit_and_comes_to_what_its_expert_does(
    small: Any, tmp_path: Any
) -> None:
    train(small(run_dir=tmp_path / "expert"), make_point_masses)
    common = {
        "agent": "lstm", "learner": "distill", "expert": (str(tmp_path / "expert"),), "steps": 2048,
        "distill": DistillationSettings(memory=3, epochs=6, minibatch=32, rate=3e-3),
    }  # fmt: skip
    train(small(**common, run_dir=tmp_path / "whole"), make_point_masses)
    for steps in (512, 2048):
        train(small(**common | {"steps": steps}, run_dir=tmp_path / "parts", resume=True), make_point_masses)
    assert_same_state(tmp_path / "whole", tmp_path / "parts")
    held = newest(tmp_path / "whole")[0]
    assert held["collector/learner/rollouts/observations"].shape[:2] == (16, 3 * 8)
    assert int(held["collector/learner/rollouts/count"]) == 15  # from the very first nothing but scales is learnt
    rows = (tmp_path / "whole" / "metrics.csv").read_text().splitlines()
    distance = [float(row.split(",")[rows[0].split(",").index("expert_distance")]) for row in rows[2:]]
    assert distance[-1] < 0.5 * distance[0]
    assert Policy.load(tmp_path / "whole").facts["steps"] == 2048
