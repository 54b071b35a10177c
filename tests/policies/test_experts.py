from pathlib import Path

import numpy as np
import pytest

from policies.config import EvaluationSettings, TrainConfig
from policies.mlp import MLPSettings
from policies.play import SIMULATORS, play
from policies.policy import Policy
from policies.training import train
from rodent.aids import TrainingAids
from rodent.errors import UsageError


@pytest.fixture(scope="module")
def expert(tmp_path_factory) -> Path:
    config = TrainConfig(
        task="run-gaps",
        privileged=True,
        envs=4,
        steps=64,
        rollout=16,
        pool=2,
        threads=1,
        run_dir=tmp_path_factory.mktemp("run") / "expert",
        aids=TrainingAids(episode_seconds=0.2),
        evaluation=EvaluationSettings(episodes=0),
    )
    return train(config)[0]


def test_an_expert_is_trained_in_a_pool_and_evaluated_where_its_senses_are(expert):
    policy = Policy.load(str(expert))
    assert policy.senses.privileged and ("privileged/floor_ahead", 26) in policy.senses.senses
    for simulator in SIMULATORS:
        (episode,) = play(policy, "run-gaps", [0], seed=1, simulator=simulator, steps=3)
        assert len(episode.rewards) == 3


def test_an_expert_of_one_task_cannot_sense_another(expert):
    with pytest.raises(UsageError, match="privileged/floor_ahead is missing"):
        play(Policy.load(str(expert)), "two-tap", [0], steps=1)


def test_a_privileged_critic_leaves_a_policy_that_needs_nothing_privileged(tmp_path):
    config = TrainConfig(
        privileged_critic=True,
        envs=4,
        steps=96,
        rollout=16,
        threads=1,
        run_dir=tmp_path / "run",
        mlp=MLPSettings(symmetric=True),
        aids=TrainingAids(episode_seconds=0.2),
        evaluation=EvaluationSettings(episodes=0),
    )
    policy = Policy.load(train(config)[0])
    assert not policy.senses.privileged and policy.facts["privileged"] is False
    assert policy.senses.critic_senses == (("privileged/forward", 3), ("privileged/midline", 3))
    assert policy.agent.normaliser.mean[-6:].abs().max() > 0.1  # the critic was told, in training
    for simulator in SIMULATORS:
        (episode,) = play(policy, "run", [0], seed=1, simulator=simulator, steps=3)
        assert np.isfinite(episode.actions).all()


def test_reading_and_only_valuing_what_is_privileged_are_two_things():
    with pytest.raises(UsageError, match="give one of them"):
        TrainConfig(privileged=True, privileged_critic=True)
