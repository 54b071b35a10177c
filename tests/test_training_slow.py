"""The loop on real input: a rat that is trained gets better at running."""

import csv
import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from policies.config import EvaluationSettings, TrainConfig, load_yaml
from policies.metrics import read_metrics
from policies.mlp import MLPSettings
from policies.policy import Policy
from policies.ppo import PPOSettings
from policies.training import train
from rodent.aids import TrainingAids
from rodent.env import RodentVectorEnv

pytestmark = pytest.mark.slow
CONFIGS = Path(__file__).parents[1] / "assets" / "configs"


def test_two_hundred_thousand_steps_quadruple_the_reward(tmp_path):
    config = TrainConfig(
        steps=200_000,
        run_dir=tmp_path / "run",
        aids=TrainingAids(upright=0.05, jerk=0.05, backward=0.2, end_on_back=True),
        mlp=MLPSettings(symmetric=True),
        ppo=PPOSettings(epochs=6, minibatch=1024, rate_rule="fixed"),
        evaluation=EvaluationSettings(episodes=0),
    )
    train(config)
    with (tmp_path / "run" / "metrics.csv").open() as file:
        rewards = [float(row["reward"]) for row in csv.DictReader(file)]
    assert np.mean(rewards[-3:]) > 4 * rewards[0]
    Policy.load(tmp_path / "run")


def test_the_student_in_the_box_learns_from_both_experts_in_both_phases(tmp_path, monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disabled")  # the ray tracer draws
    config = load_yaml(CONFIGS / "student.yaml")
    short = tuple(replace(phase, steps=2 * 4 * 10) for phase in config.schedule)  # two rollouts each
    small = {"envs": 4, "rollout": 10, "pool": 1, "threads": 1, "run_dir": tmp_path / "run"}
    train(replace(config, schedule=short, steps=160, **small))
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert [row["phase"] for row in rows] == [0, 0, 1, 1]
    assert "expert_kl" not in rows[0]  # which is for the normaliser
    for row in rows[1:]:
        assert all(0 < row[f"{task}.expert_kl"] < np.inf for task in config.task)
    student = Policy.load(tmp_path / "run")
    assert student.senses.sees and not student.senses.privileged and student.tasks == [*config.task]
    assert student.facts["physics"] == ["fast", "fast+paper"] and student.facts["picture_every"] == 5
    assert student.facts["vision"]["renderer"] == "warp"


def test_a_hundred_thousand_violent_steps_neither_crash_nor_eat_memory():
    env = RodentVectorEnv("run", 256, "fast")
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    memory = []
    for t in range(400):
        scale = (0.3, 1.0, 50.0)[t % 3]  # moderate, saturated, far outside the range
        _, reward, *_ = env.step(rng.uniform(-scale, scale, (256, 38)))
        assert np.isfinite(reward).all()
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert memory[-1] <= 1.02 * memory[100]
