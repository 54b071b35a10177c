from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from point_mass import LIMIT, PointMasses, make_point_masses

from policies.evaluation import evaluate
from policies.mlp import MLPSettings
from policies.observation import ObservationSpec
from policies.policy import Policy
from policies.registry import make_agent
from rodent.errors import UsageError


def make(env: Any) -> Policy:
    torch.manual_seed(0)
    senses = ObservationSpec.of(env.single_observation_space)
    names = tuple(actuator.name for actuator in env.body.actuators)
    settings = MLPSettings(hidden=(8,), initial_std=1.0)
    return Policy(make_agent("mlp", senses.size, len(names), settings), settings, senses, names)


POLICY = make(PointMasses(1))


def test_each_episode_counts_once_and_to_its_end() -> None:
    result = evaluate(POLICY, "run", episodes=5, seed=3, make_env=make_point_masses)
    returns = []
    for k in range(5):
        env = PointMasses(1)
        observation, _ = env.reset(seed=[3], options={"episode": np.array([k])})
        total, ended = 0.0, False
        while not ended:
            action, _ = POLICY.act(observation)
            observation, reward, terminated, truncated, _ = env.step(action)
            total += reward[0]
            ended = bool(terminated[0] | truncated[0])
        returns.append(total)
    np.testing.assert_allclose(result.returns, returns, rtol=1e-5)
    assert result.lengths.max() <= LIMIT
    assert sum(result.endings.values()) == 5


def test_an_ended_episode_earns_no_more() -> None:
    def make_falling(task: str, envs: int, physics: str, threads: int, aids: Any, **named: Any) -> PointMasses:
        class Falling(PointMasses):
            def step(self, actions: np.ndarray) -> Any:
                self.position[0] = 2.5  # environment 0 ends at once, again and again
                return super().step(actions)

        return Falling(envs, physics, aids)

    result = evaluate(POLICY, "run", episodes=3, make_env=make_falling)
    assert result.lengths[0] == 1 and result.returns[0] < 1e-6
    assert result.endings["out"] >= 1


def test_a_seed_gives_the_same_returns_again() -> None:
    options: dict[str, Any] = {"episodes": 4, "deterministic": False, "make_env": make_point_masses}
    one, same = (evaluate(POLICY, "run", seed=1, **options) for _ in range(2))
    np.testing.assert_array_equal(one.returns, same.returns)
    assert not np.array_equal(one.returns, evaluate(POLICY, "run", seed=2, **options).returns)


def test_evaluations_have_no_training_aids_and_no_pool_of_arenas() -> None:
    seen = []

    def make_env(task: str, envs: int, physics: str, threads: int, aids: Any, **named: Any) -> PointMasses:
        seen.append((task, envs, physics, aids, named.get("pool", 0)))
        return PointMasses(envs, physics, aids)

    evaluate(POLICY, "run", episodes=2, physics="fast", make_env=make_env)
    assert seen == [("run", 2, "fast", None, 0)]


def test_the_summary_is_plain_data() -> None:
    told = evaluate(POLICY, "run", episodes=4, make_env=make_point_masses).to_json()
    assert told["mean_return"] == pytest.approx(np.mean(told["returns"]), abs=1e-3)
    assert told["ci95"][0] <= told["mean_return"] <= told["ci95"][1]
    assert told["max_return"] == LIMIT and told["episodes"] == 4


def test_an_environment_with_other_senses_is_refused() -> None:
    with pytest.raises(UsageError, match="position is missing"):
        evaluate(POLICY, "run", episodes=1)


def test_the_rodent_is_evaluated_in_its_own_world() -> None:
    from rodent.env import RodentVectorEnv
    from rodent.tasks import Run

    def make_short(task: str, envs: int, physics: str, threads: int, aids: Any, **named: Any) -> Any:
        return RodentVectorEnv(Run(time_limit=0.2), envs, physics, threads, aids=aids)

    policy = make(RodentVectorEnv("run", 1, "fast", 1))
    result = evaluate(policy, "run", episodes=2, physics="fast", threads=1, make_env=make_short)
    assert result.lengths.tolist() == [10, 10] and result.endings == {"time_limit": 2}
