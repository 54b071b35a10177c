from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from experience import experience
from point_mass import make_cued, make_point_masses

from policies.metrics import read_metrics
from policies.ppo import PPO, PPOSettings
from policies.registry import AGENTS
from policies.training import train
from rodent.errors import UsageError


def update(settings: PPOSettings, updates: int = 1) -> dict[str, float]:
    agent, rollout = experience()
    learner = PPO(agent, settings)
    figures: dict[str, float] = {}
    for _ in range(updates):
        figures = learner.update(rollout, torch.Generator().manual_seed(0))
    return figures


def test_a_small_step_raises_the_rate_up_to_its_ceiling() -> None:
    assert update(PPOSettings(rate=1e-6))["rate"] == pytest.approx(1.5e-6)
    assert update(PPOSettings(rate=1e-6, rate_min=1e-7, rate_max=1.2e-6))["rate"] == pytest.approx(1.2e-6)


def test_a_large_step_lowers_the_rate_down_to_its_floor() -> None:
    assert update(PPOSettings(rate=9e-3, kl_stop=100))["rate"] == pytest.approx(6e-3)
    assert update(PPOSettings(rate=9e-3, rate_min=8e-3, rate_max=1, kl_stop=100))["rate"] == pytest.approx(8e-3)


def test_a_fixed_rate_stays_and_the_divergence_ends_the_update() -> None:
    figures = update(PPOSettings(rate=9e-3, rate_rule="fixed", epochs=50))
    assert figures["rate"] == 9e-3
    assert figures["minibatches"] < 50 * 4


def test_an_update_runs_all_epochs_while_the_policy_moves_little() -> None:
    assert update(PPOSettings(rate=1e-6, minibatch=128))["minibatches"] == 3 * 4


def test_a_critic_of_its_own_goes_on_learning_where_the_policy_stops() -> None:
    agent, rollout = experience()
    learner = PPO(agent, PPOSettings(rate=1e-2, minibatch=128, epochs=10))
    moments = learner.optimizer.state
    figures = learner.update(rollout, torch.Generator().manual_seed(0))
    assert figures["minibatches"] < 40 - 1
    assert moments[agent.actor[0].weight]["step"] == figures["minibatches"]
    assert moments[agent.critic[0].weight]["step"] == 40 - 1  # all but the one that showed the divergence


def test_a_critic_that_shares_its_core_stops_with_the_policy() -> None:
    agent, rollout = experience("lstm")
    learner = PPO(agent, PPOSettings(rate=3e-2, minibatch=128, epochs=10))
    figures = learner.update(rollout, torch.Generator().manual_seed(0))
    assert figures["minibatches"] < 40 - 1
    assert all(state["step"] == figures["minibatches"] for state in learner.optimizer.state.values())


def test_a_policy_that_is_far_from_the_one_that_acted_takes_no_step_and_its_critic_all() -> None:
    agent, rollout = experience()
    learner = PPO(agent, PPOSettings())
    with torch.no_grad():
        agent.actor[-1].bias.add_(10)
    before = [parameter.detach().clone() for parameter in agent.actor.parameters()]
    figures = learner.update(rollout, torch.Generator().manual_seed(0))
    assert figures["kl"] > learner.settings.kl_stop and figures["minibatches"] == 0
    assert all(torch.equal(*pair) for pair in zip(before, agent.actor.parameters(), strict=True))
    assert learner.optimizer.state[agent.critic[0].weight]["step"] > 0


@pytest.mark.parametrize("name", AGENTS)
def test_the_update_makes_good_actions_likelier(name: str) -> None:
    agent, rollout = experience(name)
    rollout.rewards[:] = rollout.actions[..., 0]
    before = rollout.means[..., 0].mean().item()
    learner = PPO(agent, PPOSettings(gamma=0.0, rate=1e-3, minibatch=128))
    learner.update(rollout, torch.Generator().manual_seed(0))
    after = agent.unroll(rollout.observations, rollout.initial_state, rollout.starts).mean[..., 0].mean().item()
    assert after > before + 0.01


def test_a_learner_goes_on_from_its_saved_state() -> None:
    agents = []
    for restored in (False, True):
        agent, rollout = experience()
        learner = PPO(agent, PPOSettings())
        learner.update(rollout, torch.Generator().manual_seed(0))
        if restored:
            saved = {name: value.clone() for name, value in learner.state_dict().items()}
            learner = PPO(agent, PPOSettings())
            learner.load_state_dict(saved)
        learner.update(rollout, torch.Generator().manual_seed(1))
        agents.append(agent)
    for ours, theirs in zip(*(agent.parameters() for agent in agents), strict=True):
        assert torch.equal(ours, theirs)


def test_numbers_that_are_not_finite_end_the_update() -> None:
    agent, rollout = experience()
    rollout.rewards[3, 1] = float("inf")
    with pytest.raises(UsageError, match="no longer finite"):
        PPO(agent, PPOSettings()).update(rollout, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "wrong",
    [{"epochs": 0}, {"gamma": 1.0}, {"kl_high": 0.001}, {"rate_min": 1.0}, {"rate_rule": "x"}, {"kl_stop": 1e-9}],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="ppo"):
        replace(PPOSettings(), **wrong)


def test_point_masses_are_mastered_in_seconds(small: Any) -> None:
    config = small(envs=32, rollout=32, steps=60_000, ppo=PPOSettings(gamma=0.9))
    train(config, make_point_masses)
    rows = read_metrics(config.folder / "metrics.csv")
    assert rows[0]["reward"] < 0.25
    assert rows[-1]["reward"] > 0.55


def test_memory_is_learnt_by_the_recurrent_agent_alone(small: Any) -> None:
    rewards = {}
    for agent in ("mlp", "lstm"):
        config = small(
            agent=agent, envs=32, rollout=16, steps=40_000, run_dir=small().folder / agent,
            ppo=PPOSettings(gamma=0.5, rate=1e-3, rate_max=3e-3),
        )  # fmt: skip
        train(config, make_cued)
        rewards[agent] = read_metrics(config.folder / "metrics.csv")[-1]["reward"]
    assert rewards["mlp"] < 0.6  # chance is 0.5, and the first step shows the cue
    assert rewards["lstm"] > 0.75


def test_the_critics_rate_is_its_own_and_never_adapted() -> None:
    agent, rollout = experience()
    learner = PPO(agent, PPOSettings(rate=1e-6, critic_rate=3e-4))
    learner.update(rollout, torch.Generator().manual_seed(0))
    assert [group["lr"] for group in learner.optimizer.param_groups] == [pytest.approx(1.5e-6), 3e-4]


def test_an_error_of_the_critic_does_not_slow_the_policy() -> None:
    steps = []
    for scale in (1.0, 1000.0):
        agent, rollout = experience()
        before = agent.actor[0].weight.detach().clone()
        PPO(agent, PPOSettings(value=scale, epochs=1)).update(rollout, torch.Generator().manual_seed(0))
        steps.append(agent.actor[0].weight.detach() - before)
    assert torch.equal(*steps)
