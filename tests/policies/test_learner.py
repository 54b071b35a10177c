"""What all learners have in common: steps down their losses, and what experts add to these."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from experience import ENVS, experience
from test_finite import make

from policies.agent import Output, gaussian_kl
from policies.multitask import Tasks
from policies.ppo import PPO, PPOSettings
from policies.registry import LEARNERS


def clipped(name: str, agent_name: str, policy: float, value: float) -> dict[str, torch.Tensor]:
    """The gradients that a step is made from, where the losses of policy and value count for so much."""
    learner, agent, rollout = make(name, agent_name)
    (batch,) = rollout.minibatches(rollout.rewards, rollout.rewards, 1, agent.recurrent, torch.Generator())
    output = agent.unroll(batch.observations, batch.initial_state, batch.starts)
    learner._descend(policy * -output.log_prob(batch.actions).mean() + value * output.value.square().mean(), batch)
    return {name: p.grad.clone() for name, p in agent.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("agent", ["mlp", "merel2020"])
@pytest.mark.parametrize("name", LEARNERS)
def test_no_loss_slows_what_another_trains(name: str, agent: str) -> None:
    plain, much, little = (clipped(name, agent, *weights) for weights in ((1.0, 1.0), (1e4, 1.0), (1.0, 1e4)))
    by_value = [each for each in plain if each.startswith(("core.", "critic."))]
    by_policy = [each for each in plain if each.startswith(("policy.", "actor.", "log_std"))]
    assert by_value and by_policy
    for each in by_value:
        assert torch.equal(much[each], plain[each]), each
    for each in by_policy:
        assert torch.equal(little[each], plain[each]), each
    limit = torch.cat([much[each].flatten() for each in by_policy]).norm()
    assert limit == pytest.approx(1.0, rel=1e-3)  # clipped all the same


def teach(coefficients: tuple[float, ...]) -> tuple[Any, Any, Output, torch.Tensor]:
    """A learner of three tasks, a minibatch of them, an output that keeps gradients, and its KL from the experts."""
    agent, rollout = experience()
    rollout.tasks = torch.tensor([0] * 7 + [1] * 5 + [2] * (ENVS - 12))
    generator = torch.Generator().manual_seed(0)
    shape = rollout.actions.shape
    rollout.expert_means = torch.randn(shape, generator=generator)
    rollout.expert_log_stds = -torch.rand(shape, generator=generator)
    tasks = Tasks(("run", "run-gaps", "two-tap"), rollout.tasks, (1.0, 1.0, 3.0))
    learner = PPO(agent, PPOSettings(), tasks)
    learner.expert_weights = torch.tensor(coefficients)
    (batch,) = rollout.minibatches(rollout.rewards, rollout.rewards, 1, False, generator)
    mean, log_std = batch.means.clone().requires_grad_(), batch.log_stds.clone().requires_grad_()
    divergence = gaussian_kl(batch.expert_means, batch.expert_log_stds, mean, log_std)
    return learner, batch, Output(mean, log_std, torch.zeros(mean.shape[:-1])), divergence


def test_experts_draw_each_task_by_its_own_coefficient() -> None:
    learner, batch, output, divergence = teach((0.4, 0.0, 0.1))
    drawn, figures = learner.towards_experts(batch, output)
    of_tasks = [divergence[batch.tasks == task].mean() for task in range(3)]
    expected = 0.2 * 0.4 * of_tasks[0] + 0.6 * 0.1 * of_tasks[2]  # a fifth and three fifths are their tasks' shares
    torch.testing.assert_close(drawn, expected)
    assert figures.keys() == {
        f"{task}{figure}" for task in ("", "run.", "two-tap.") for figure in ("expert_kl", "expert_distance")
    }
    torch.testing.assert_close(figures["two-tap.expert_kl"], of_tasks[2])


def test_experts_leave_the_steps_of_an_unguided_task_alone() -> None:
    learner, batch, output, _ = teach((0.4, 0.0, 0.1))
    learner.towards_experts(batch, output)[0].backward()
    for gradient in (output.mean.grad, output.log_std.grad):
        sizes = [gradient[batch.tasks == task].abs() for task in range(3)]
        assert not sizes[1].any() and sizes[0].any(-1).all() and sizes[2].any(-1).all()
