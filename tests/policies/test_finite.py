"""Numbers that are lost: no step is made from them, nothing of them is saved, and what made them is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from experience import experience
from point_mass import PointMasses, make_point_masses
from test_training import assert_same_state, newest

from policies.agent import Agent
from policies.distillation import Distillation, DistillationSettings
from policies.finite import NotFiniteError, arrays_of, keep_batch
from policies.learner import Learner
from policies.policy import Policy
from policies.ppo import PPO, PPOSettings
from policies.registry import LEARNERS
from policies.rollout import Rollout
from policies.stopping import StopRequest
from policies.storage import read_tensors
from policies.training import TrainingRun, train
from policies.vmpo import VMPO, VMPOSettings
from rodent.errors import UsageError

STEPS = 32 * 16  # of `experience`
ONE_STEP: dict[str, Any] = {
    "ppo": (PPO, PPOSettings(epochs=1, minibatch=STEPS)),
    "vmpo": (VMPO, VMPOSettings(epochs=1, minibatch=STEPS)),
    "distill": (Distillation, DistillationSettings(epochs=1, minibatch=STEPS)),
}


def make(name: str, agent_name: str = "mlp") -> tuple[Learner, Agent, Rollout]:
    """A learner that makes one step of a rollout, and that draws to experts whose every action is zero."""
    agent, rollout = experience(agent_name)
    rollout.expert_means, rollout.expert_log_stds = (torch.zeros_like(rollout.actions) for _ in range(2))
    kind, settings = ONE_STEP[name]
    return kind(agent, settings), agent, rollout


def weights(agent: Agent) -> dict[str, torch.Tensor]:
    """All but the critic's last layer, which PopArt moves by itself."""
    layer = {id(parameter) for parameter in agent.value_layer.parameters()}
    return {name: p.detach().clone() for name, p in agent.named_parameters() if id(p) not in layer}


def assert_unchanged(agent: Agent, before: dict[str, torch.Tensor]) -> None:
    for name, value in weights(agent).items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("lost", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", LEARNERS)
def test_a_loss_that_is_not_finite_ends_the_update_before_its_very_first_step(name: str, lost: float) -> None:
    learner, agent, rollout = make(name)
    before = weights(agent)
    rollout.rewards[3, 1] = lost
    with pytest.raises(NotFiniteError, match=rf"no longer finite: .* a lower {name}\.rate$") as caught:
        learner.update(rollout, torch.Generator().manual_seed(0))
    assert_unchanged(agent, before)
    returns = caught.value.arrays["returns"]
    assert caught.value.width == returns.shape[1] == STEPS
    assert not np.isfinite(returns).all()


@pytest.mark.parametrize("name", LEARNERS)
def test_a_gradient_that_is_not_finite_under_a_finite_loss_ends_the_update(name: str) -> None:
    learner, agent, rollout = make(name)
    (batch,) = rollout.minibatches(rollout.rewards, rollout.rewards, 1, False, torch.Generator())
    before = weights(agent)
    for parameter in learner.parameters().values():
        steep = (parameter - parameter.detach()).sqrt().sum()  # is 0, and grows infinitely fast
        with pytest.raises(NotFiniteError):
            learner._descend(steep, batch)
    assert_unchanged(agent, before)


def test_a_critic_that_learns_alone_is_watched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    agent, rollout = experience()
    learner = PPO(agent, PPOSettings(rate=1e-2, minibatch=128, epochs=10))
    say = agent.value
    monkeypatch.setattr(agent, "value", lambda observations: say(observations) * torch.nan)
    with pytest.raises(NotFiniteError):
        learner.update(rollout, torch.Generator().manual_seed(0))
    assert all(parameter.isfinite().all() for parameter in agent.parameters())


class Poisoned(PointMasses):
    """Pays one environment what is no number, from the third rollout of 16 steps on."""

    taken = 0

    def step(self, actions: np.ndarray) -> Any:
        observation, reward, *rest = super().step(actions)
        self.taken += 1
        if self.taken > 2 * 16:
            reward = np.where(np.arange(self.num_envs) == 2, np.nan, reward)
        return observation, reward, *rest


def make_poisoned(task: str, envs: int, physics: str, threads: int, aids: Any, **named: Any) -> PointMasses:
    return Poisoned(envs, physics, aids)


@pytest.mark.parametrize(("agent", "learner"), [("mlp", "ppo"), ("lstm", "ppo"), ("lstm", "vmpo")])
def test_a_run_that_loses_its_numbers_keeps_the_batch_and_goes_on_from_its_last_checkpoint(
    small: Any, tmp_path: Path, agent: str, learner: str
) -> None:
    common = {"agent": agent, "learner": learner, "checkpoint_every": 128}
    train(small(**common, run_dir=tmp_path / "whole"), make_point_masses)
    config = small(**common, run_dir=tmp_path / "parts")
    run, kept = TrainingRun(config, make_poisoned), tmp_path / "parts" / "not_finite.safetensors"
    with pytest.raises(UsageError, match=r"no longer finite: .*; the batch that made them is .*") as caught:
        run.go(StopRequest())
    assert str(caught.value).endswith(str(kept)) and "\n" not in str(caught.value)
    batch, facts = read_tensors(kept)
    assert facts == {"learner": learner, "steps": 256, "width": batch["0/returns"].shape[1]}
    assert np.isnan(batch["0/returns"]).any()
    held = {column.tobytes() for column in batch["0/observations"].swapaxes(0, 1)}
    there = run.rollout.observations if agent == "lstm" else run.rollout.observations.flatten(0, 1)[None]
    assert len(held) == facts["width"] and held <= {column.numpy().tobytes() for column in there.swapaxes(0, 1)}
    assert ("0/initial_state/core.h" in batch) == (agent == "lstm")
    assert newest(tmp_path / "parts")[1]["steps"] == Policy.load(tmp_path / "parts").facts["steps"] == 256
    train(replace(config, resume=True), make_point_masses)
    assert_same_state(tmp_path / "whole", tmp_path / "parts")
    train(replace(config, overwrite=True, steps=128), make_point_masses)
    assert not kept.exists()


def test_numbers_that_are_not_finite_are_never_saved(small: Any, tmp_path: Path) -> None:
    class Blurred(PointMasses):
        def step(self, actions: np.ndarray) -> Any:
            observation, *rest = super().step(np.nan_to_num(actions))
            observation["cue"][0] = np.nan
            return observation, *rest

    with pytest.raises(UsageError, match=r"no longer finite \(normaliser\.mean\), and are not saved"):
        train(
            small(checkpoint_every=128),
            lambda task, envs, physics, threads, aids, **named: Blurred(envs, physics, aids),
        )
    assert not (tmp_path / "run" / "checkpoints").exists() and not (tmp_path / "run" / "policy").exists()


def test_a_batch_that_cannot_be_written_does_not_hide_what_made_it(tmp_path: Path) -> None:
    _, rollout = experience()
    (batch,) = rollout.minibatches(rollout.rewards, rollout.rewards, 1, False, torch.Generator())
    said = keep_batch(tmp_path / "gone" / "batch.safetensors", [arrays_of(batch)], {})
    assert said.startswith("the batch that made them could not be written to") and said.endswith(
        "No such file or directory"
    )
