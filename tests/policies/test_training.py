from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from policies.config import EvaluationSettings, Phase, TrainConfig
from policies.metrics import read_metrics
from policies.mlp import MLPSettings
from policies.policy import Policy
from policies.storage import read_tensors
from policies.training import train
from rodent.aids import TrainingAids
from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from tests.policies.point_mass import PointMasses, make_point_masses


def newest(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays, content = read_tensors(max((folder / "checkpoints").glob("*.safetensors")))
    return arrays, content["facts"] | {"texts": content["texts"]}


def assert_same_state(one: Path, other: Path) -> None:
    ours, our_facts = newest(one)
    theirs, their_facts = newest(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)
    for name in ("steps", "phase", "texts"):
        assert our_facts[name] == their_facts[name]


def assert_same_learning(one: Path, other: Path) -> None:
    wall_time = {"seconds", "steps_per_s", "collecting"}
    for ours, theirs in zip(read_metrics(one / "metrics.csv"), read_metrics(other / "metrics.csv"), strict=True):
        assert {k: v for k, v in ours.items() if k not in wall_time} == {
            k: v for k, v in theirs.items() if k not in wall_time
        }


@pytest.mark.parametrize("agent", ["mlp", "lstm"])
def test_a_resumed_run_continues_bit_for_bit(small: Any, tmp_path: Path, agent: str) -> None:
    schedule = (Phase(steps=640), Phase(steps=512, physics="paper", action_std=0.2), Phase(steps=512, rate=1e-4))
    whole = small(agent=agent, steps=1664, schedule=schedule, run_dir=tmp_path / "whole")
    train(whole, make_point_masses)
    for steps in (384, 896, 1664):  # stops within the first and within the annealed phase
        train(replace(whole, steps=steps, run_dir=tmp_path / "parts", resume=True), make_point_masses)
    assert_same_state(tmp_path / "whole", tmp_path / "parts")
    assert_same_learning(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("agent", ["mlp", "lstm"])
def test_the_rodent_itself_resumes_bit_for_bit(small: Any, tmp_path: Path, agent: str) -> None:
    aids = TrainingAids(episode_seconds=0.2, upright=0.1, jerk=0.1)
    whole = small(agent=agent, steps=256, envs=4, rollout=16, aids=aids, run_dir=tmp_path / "whole")
    train(whole)
    for steps in (128, 256):
        train(replace(whole, steps=steps, run_dir=tmp_path / "parts", resume=True))
    assert_same_state(tmp_path / "whole", tmp_path / "parts")
    assert_same_learning(tmp_path / "whole", tmp_path / "parts")
