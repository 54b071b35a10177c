from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from experience import experience
from point_mass import make_cued, make_point_masses
from scipy.optimize import brentq
from torch import nn

from policies.checkpoint import Checkpoints
from policies.metrics import read_metrics
from policies.mlp import MLPSettings
from policies.multitask import Tasks
from policies.popart import PopArt
from policies.ppo import PPOSettings
from policies.registry import AGENTS
from policies.run_folder import CHECKPOINTS
from policies.training import train
from policies.vmpo import VMPO, Duals, VMPOSettings, hold, weigh
from rodent.errors import UsageError


def divergence_from_even(weights: torch.Tensor) -> float:
    return float((weights * (weights * len(weights)).log()).sum())


def test_the_learnt_temperature_is_that_of_the_closed_form() -> None:
    advantages = torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    limit, duals = 0.1, Duals().double()
    optimizer = torch.optim.Adam(duals.parameters(), lr=0.02)
    for _ in range(600):
        optimizer.zero_grad()
        weigh(advantages, duals.temperature, limit)[1].backward()
        optimizer.step()

    def excess(temperature: float) -> float:
        return divergence_from_even((advantages / temperature).softmax(0)) - limit

    assert duals.temperature.item() == pytest.approx(brentq(excess, 0.1, 100), rel=1e-3)


def test_weights_are_those_of_the_paper_and_carry_no_gradient() -> None:
    advantages, temperature = torch.tensor([1.0, 2.0, 4.0]), torch.tensor(2.0, requires_grad=True)
    weights, loss = weigh(advantages, temperature, 0.1)
    raw = (advantages / 2).exp()
    torch.testing.assert_close(weights, raw / raw.sum())
    assert not weights.requires_grad
    torch.testing.assert_close(loss, 2 * (0.1 + raw.mean().log()), check_stride=False)


def test_a_multiplier_grows_while_its_limit_is_broken_and_falls_while_it_is_kept() -> None:
    for divergence, sign in ((0.5, -1), (0.01, 1)):
        moved = torch.tensor(divergence, requires_grad=True)
        multiplier = torch.tensor(3.0, requires_grad=True)
        hold(moved, multiplier, 0.1).backward()
        assert multiplier.grad is not None and moved.grad is not None
        assert np.sign(multiplier.grad.item()) == sign  # what descends
        assert moved.grad.item() == 3.0


def test_multipliers_whose_limits_were_kept_for_long_are_back_soon_when_these_are_broken() -> None:
    agent, rollout = experience("mlp", MLPSettings(hidden=(4,)))
    learner, settings = VMPO(agent, VMPOSettings()), VMPOSettings()
    (batch,) = rollout.minibatches(rollout.rewards, rollout.rewards, 1, False, torch.Generator())

    def meet(of_limit: float, minibatches: int) -> list[float]:
        duals = learner.duals
        for _ in range(minibatches):
            loss = hold(torch.tensor(of_limit * settings.mean_limit), duals.mean, settings.mean_limit)
            loss = loss + hold(torch.tensor(of_limit * settings.scale_limit), duals.scale, settings.scale_limit)
            learner._descend(loss, batch)
        return [duals.mean.item(), duals.scale.item()]

    assert meet(0.1, 2000) == pytest.approx([0.01, 0.01])
    assert min(meet(2.0, 400)) > 1


def test_limits_hold_the_mean_and_the_scale_apart() -> None:
    moves = {}
    for name, changes in {"free": {}, "mean": {"mean_limit": 1e-6}, "scale": {"scale_limit": 1e-8}}.items():
        agent, rollout = experience()
        settings = VMPOSettings(
            epochs=5,
            minibatch=128,
            rate=3e-3,
            dual_rate=0.1,
            target_period=100,
            **({"mean_limit": 1.0, "scale_limit": 1.0} | changes),
        )
        learner = VMPO(agent, settings)
        for _ in range(4):
            figures = learner.update(rollout, torch.Generator().manual_seed(0))
        moves[name] = figures["kl_mean"], figures["kl_scale"]
    assert moves["mean"][0] < 0.1 * moves["free"][0]
    assert moves["scale"][1] < 0.1 * moves["free"][1]


@pytest.mark.parametrize(("mean_limit", "scale_limit"), [(0.01, 1e-3), (0.04, 4e-3)])
def test_learnt_multipliers_hold_the_divergences_near_their_limits(mean_limit: float, scale_limit: float) -> None:
    agent, rollout = experience("mlp", MLPSettings(hidden=(32,)))
    settings = VMPOSettings(
        epochs=5, minibatch=128, rate=3e-3, dual_rate=0.05, target_period=100,
        mean_limit=mean_limit, scale_limit=scale_limit,
    )  # fmt: skip
    learner, generator = VMPO(agent, settings), torch.Generator().manual_seed(0)
    figures = [learner.update(rollout, generator) for _ in range(20)]  # the first are for the multipliers to settle
    mean, scale = (np.mean([each[name] for each in figures[8:]]) for name in ("kl_mean", "kl_scale"))
    assert 0.8 * mean_limit < mean < 1.25 * mean_limit
    assert 0.5 * scale_limit < scale < 2 * scale_limit  # swings about it: all actions have one scale


def test_only_the_better_half_is_imitated() -> None:
    agent, rollout = experience()
    learner = VMPO(agent, VMPOSettings())
    (batch,) = rollout.minibatches(rollout.rewards, rollout.rewards, 1, False, torch.Generator())
    worse = batch.advantages < batch.advantages.median()
    gradients = []
    for actions in (batch.actions, torch.where(worse.unsqueeze(-1), batch.actions + 5, batch.actions)):
        learner.optimizer.zero_grad()
        learner._loss(replace(batch, actions=actions))[0].backward()
        gradients.append(agent.actor[0].weight.grad.clone())
    assert torch.equal(*gradients)


def test_a_task_counts_by_its_weight_however_few_of_its_sequences_a_minibatch_has() -> None:
    agent, rollout = experience("lstm")
    rollout.tasks = torch.tensor([0] * 7 + [1] * 4 + [2] * 3 + [3] * 2)
    tasks = Tasks(("run", "run-gaps", "two-tap", "escape-bowl"), rollout.tasks, (1.0, 2.0, 3.0, 4.0))
    learner = VMPO(agent, VMPOSettings(), tasks)
    made, absent, count = torch.zeros(4), 0, 8
    batches = list(rollout.minibatches(rollout.rewards, rollout.rewards, count, True, torch.Generator().manual_seed(0)))
    for batch in batches:  # of two sequences each
        log_probs = torch.zeros_like(batch.returns, requires_grad=True)
        losses, _ = learner._improve(batch, log_probs)
        torch.stack([*losses.values()]).sum().backward()
        made -= torch.stack([log_probs.grad[batch.tasks == task].sum() for task in range(4)]) / count
        absent += 4 - len(losses)
    assert absent >= 2 * count
    torch.testing.assert_close(made, torch.tensor([0.1, 0.2, 0.3, 0.4]))


def test_the_target_network_follows_every_few_updates() -> None:
    agent, rollout = experience()
    learner = VMPO(agent, VMPOSettings(target_period=2))
    first = agent.actor[0].weight.detach().clone()
    for _ in range(2):
        learner.update(rollout, torch.Generator().manual_seed(0))
        assert torch.equal(learner.target.actor[0].weight, first)
    second = agent.actor[0].weight.detach().clone()
    learner.update(rollout, torch.Generator().manual_seed(0))
    assert torch.equal(learner.target.actor[0].weight, second)


def test_the_value_of_what_followed_is_said_anew_but_beyond_a_cut_and_the_rollout() -> None:
    agent, rollout = experience()
    learner = VMPO(agent, VMPOSettings(gamma=0.9))
    rollout.truncated[3, 0], rollout.terminated[5, 1] = True, True
    rollout.starts[4, 0], rollout.starts[6, 1] = True, True
    rollout.log_probs += 0.3 * torch.randn_like(rollout.log_probs)
    then = torch.randn_like(rollout.next_values)  # what the critic said of it when it was seen
    targets, advantages = learner._value(rollout, then)
    with torch.no_grad():
        now = agent.unroll(rollout.observations, rollout.initial_state, rollout.starts)
    ratios = (now.log_prob(rollout.actions) - rollout.log_probs).exp().clamp(max=1)
    for env in range(rollout.share.size):
        for t in range(len(rollout.rewards)):
            target, weight, advantage = now.value[t, env], torch.tensor(1.0), None
            for later in range(t, len(rollout.rewards)):  # the sum of the paper's equation 1
                cut = rollout.ended[later, env] or later + 1 == len(rollout.rewards)
                followed = then[later, env] if cut else now.value[later + 1, env]
                followed = 0.0 if rollout.terminated[later, env] else followed
                weight = weight * ratios[later, env]
                error = rollout.rewards[later, env] + 0.9 * followed - now.value[later, env]
                target = target + 0.9 ** (later - t) * weight * error
                if later == t:
                    beyond = followed if cut else targets[t + 1, env]
                    advantage = rollout.rewards[t, env] + 0.9 * beyond - now.value[t, env]
                if cut:
                    break
            torch.testing.assert_close(targets[t, env], target, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(advantages[t, env], advantage, rtol=1e-4, atol=1e-4)


def test_popart_changes_the_scale_and_no_value_of_any_task() -> None:
    torch.manual_seed(0)
    layer, features = nn.Linear(5, 2), torch.randn(20, 5)
    popart = PopArt(layer, 0.1)

    def values() -> torch.Tensor:
        with torch.no_grad():
            said = layer(features)
        return torch.stack([popart.denormalise(said[:, task], task) for task in range(2)])

    before = values()
    for returns in (100 + 30 * torch.randn(2000), 90 + 20 * torch.randn(2000)):
        popart.update(returns, task=1)
        torch.testing.assert_close(values(), before, rtol=1e-4, atol=1e-4)
    assert popart.mean[0] == 0 and popart.std[0] == 1
    assert popart.mean[1] == pytest.approx(95, abs=2) and popart.std[1] == pytest.approx(26, abs=2)
    normalised = popart.normalise(torch.tensor([95.0]), task=1)
    torch.testing.assert_close(popart.denormalise(normalised, 1), torch.tensor([95.0]))


def test_popart_learns_from_rewards_of_any_size_alike() -> None:
    steps = []
    for size in (1.0, 1000.0):
        agent, rollout = experience()
        rollout.rewards *= size
        rollout.values.zero_(), rollout.next_values.zero_()
        nn.init.zeros_(agent.value_layer.weight)
        before = agent.actor[0].weight.detach().clone()
        VMPO(agent, VMPOSettings(epochs=1)).update(rollout, torch.Generator().manual_seed(0))
        steps.append(agent.actor[0].weight.detach() - before)
    torch.testing.assert_close(*steps, rtol=1e-2, atol=1e-5)


@pytest.mark.parametrize("name", AGENTS)
def test_the_update_makes_good_actions_likelier(name: str) -> None:
    agent, rollout = experience(name)
    rollout.rewards[:] = rollout.actions[..., 0]
    before = rollout.means[..., 0].mean().item()
    VMPO(agent, VMPOSettings(gamma=0.0, rate=1e-3)).update(rollout, torch.Generator().manual_seed(0))
    after = agent.unroll(rollout.observations, rollout.initial_state, rollout.starts).mean[..., 0].mean().item()
    assert after > before + 0.01


@pytest.mark.parametrize("name", AGENTS)
def test_a_run_resumes_bit_for_bit(name: str, small: Any, begun: list[int], tmp_path: Path) -> None:
    common = {"agent": name, "learner": "vmpo", "checkpoint_every": 256, "vmpo": VMPOSettings(target_period=3)}
    train(small(**common, run_dir=tmp_path / "whole"), make_point_masses)
    train(small(**common, run_dir=tmp_path / "parts", steps=256), make_point_masses)
    train(small(**common, run_dir=tmp_path / "parts", resume=True), make_point_masses)
    assert begun == [0, 0, 256]
    ours, theirs = (Checkpoints(tmp_path / folder / CHECKPOINTS, 3).read_newest() for folder in ("whole", "parts"))
    assert ours and theirs and ours[1]["steps"] == theirs[1]["steps"] == 512
    assert ours[0].keys() == theirs[0].keys()
    assert {"learner/duals/log_temperature", "learner/popart/mean", "learner/updates"} < ours[0].keys()
    for key in ours[0]:
        np.testing.assert_array_equal(ours[0][key], theirs[0][key], err_msg=key)


def test_point_masses_are_mastered_as_well_as_by_ppo(small: Any, tmp_path: Path) -> None:
    rewards = {}
    for learner in ("ppo", "vmpo"):
        settings = {"ppo": PPOSettings(gamma=0.9), "vmpo": VMPOSettings(gamma=0.9)}
        config = small(envs=32, rollout=32, steps=60_000, learner=learner, run_dir=tmp_path / learner, **settings)
        train(config, make_point_masses)
        rewards[learner] = read_metrics(config.folder / "metrics.csv")[-1]["reward"]
    assert rewards["vmpo"] > 0.95 * rewards["ppo"] > 0.5


def test_the_papers_agent_and_learner_remember_together(small: Any) -> None:
    config = small(
        agent="merel2020", learner="vmpo", envs=32, rollout=16, steps=24_000, vmpo=VMPOSettings(gamma=0.5, rate=2e-3)
    )
    train(config, make_cued)
    assert read_metrics(config.folder / "metrics.csv")[-1]["reward"] > 0.7  # without memory, 0.5


def test_numbers_that_are_not_finite_end_the_update() -> None:
    agent, rollout = experience()
    rollout.rewards[3, 1] = float("inf")
    with pytest.raises(UsageError, match="no longer finite"):
        VMPO(agent, VMPOSettings()).update(rollout, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"gamma": 1.0},
        {"lam": 1.1},
        {"popart": 0.0},
        {"mean_limit": 0.0},
        {"rate": -1.0},
        {"target_period": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="vmpo"):
        replace(VMPOSettings(), **wrong)
