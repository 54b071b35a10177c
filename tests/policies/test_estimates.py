"""Values are read in the unit that they mean, and prediction errors follow from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from policies.estimates import Estimates
from policies.popart import PopArt

GAMMA = 0.9


def test_a_critic_that_popart_keeps_in_step_is_read_in_each_tasks_own_reward() -> None:
    layer = nn.Linear(3, 2)
    popart, features = PopArt(layer, rate=0.5), torch.randn(6, 3)
    with torch.no_grad():
        before = [popart.denormalise(layer(features)[:, task], task) for task in (0, 1)]
        popart.update(torch.tensor([900.0, 1100.0]), 1)
        facts = {"tasks": ["run", "two-tap"], "discount": GAMMA, **popart.facts()}
        said = layer(features)
        for task, name in enumerate(facts["tasks"]):
            estimates = Estimates.of(facts, name, 2)
            assert estimates and estimates.output == task and estimates.reward_scale == 1
            torch.testing.assert_close(estimates.read(said), before[task], rtol=1e-4, atol=1e-4)


def test_a_reward_that_comes_for_sure_is_no_surprise_and_one_that_stays_away_is_a_loss() -> None:
    rewards = np.array([0.0, 0.0, 5.0])
    values = 2.0 * 5.0 * GAMMA ** np.arange(2, -1, -1)
    estimates = Estimates.of({"tasks": ["run"], "discount": GAMMA, "reward_scale": 2.0}, "run", 1)
    assert estimates
    np.testing.assert_allclose(estimates.errors(rewards, values, 0.0), 0, atol=1e-12)
    np.testing.assert_allclose(estimates.errors(0 * rewards, values, 0.0), [0, 0, -10], atol=1e-12)
    np.testing.assert_allclose(estimates.errors(rewards, values, 3.0), [0, 0, 3 * GAMMA], atol=1e-12)


def test_one_output_speaks_of_any_task_and_several_of_their_own() -> None:
    facts = {"tasks": ["run", "two-tap"], "discount": GAMMA, "value_mean": [0.0, 1.0], "value_std": [1.0, 2.0]}
    assert Estimates.of(facts, "maze-forage", 2) is None
    alone = Estimates.of({**facts, "tasks": ["run"]}, "maze-forage", 1)
    assert alone and alone.output is None and alone.normalised == (0.0, 1.0)


def test_without_what_values_mean_there_are_values_and_no_errors() -> None:
    for facts in ({}, {"discount": GAMMA}, {"reward_scale": 1.0}):
        estimates = Estimates.of(facts, "run", 1)
        assert estimates and torch.equal(estimates.read(torch.ones(2)), torch.ones(2))
        with pytest.raises(ValueError, match="no discount is told"):
            estimates.errors(np.zeros(2), np.zeros(2), 0.0)
