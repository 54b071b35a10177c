"""Pictures on their way from the environment to the agent, the rollout, the checkpoint and the policy's file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from point_mass import LIMIT, PICTURE, PointMasses, make_point_masses

from policies.checkpoint import Checkpoints
from policies.collector import Collector
from policies.config import TrainConfig
from policies.evaluation import described_sight, evaluate
from policies.merel2020 import Merel2020Agent, Merel2020Settings
from policies.observation import ObservationSpec
from policies.play import play
from policies.policy import Policy
from policies.registry import make_agent
from policies.rollout import Rollout
from policies.run_folder import CHECKPOINTS
from policies.training import train
from rodent.errors import UsageError
from rodent.vision import EXACT, VisionSettings, describe_vision, training_vision

ENVS, TIME = 4, 25
SETTINGS = Merel2020Settings(channels=(4,), vision=5, proprioception=(8,), core=6, critic=(), policy=(7,))


def make(envs: int = ENVS) -> tuple[PointMasses, ObservationSpec, Merel2020Agent]:
    torch.manual_seed(0)
    env = PointMasses(envs, vision=True)
    senses = ObservationSpec.of(env.single_observation_space)
    assert senses.picture == (PICTURE, (8, 8, 3)) and senses.size == 5
    return env, senses, Merel2020Agent(senses.size, 2, SETTINGS, picture_shape=senses.picture[1])


def test_what_was_recorded_is_what_unrolling_its_pictures_gives() -> None:
    env, senses, agent = make()
    rollout = Rollout.empty(TIME, ENVS, agent)
    collector = Collector(env, agent, senses, list(range(ENVS)), torch.Generator().manual_seed(0))
    for _ in range(2):
        collector.collect(rollout)
    assert rollout.pictures is not None and len(rollout.pictures.unique()) > 10
    output = agent.unroll(rollout.observations, rollout.initial_state, rollout.starts, rollout.pictures)
    torch.testing.assert_close(output.mean, rollout.means)
    torch.testing.assert_close(output.value, rollout.values)
    marks = torch.zeros(TIME, ENVS)
    (batch,) = rollout.minibatches(marks, marks, 1, True, torch.Generator())
    assert batch.pictures is not None and batch.pictures.shape == (TIME, ENVS, 8, 8, 3)


def test_a_final_picture_counts_in_the_value_after_a_truncation() -> None:
    env, senses, agent = make()
    rollout = Rollout.empty(TIME, ENVS, agent)
    Collector(env, agent, senses, list(range(ENVS)), torch.Generator().manual_seed(0)).collect(rollout)
    env, _, _ = make()
    observation, _ = env.reset(seed=list(range(ENVS)))
    state, info = agent.initial(ENVS), {}
    with torch.no_grad():
        for t in range(LIMIT):
            _, state = agent.step(senses.flatten(observation), state, senses.look(observation))
            observation, _, _, truncated, info = env.step(rollout.actions[t].clamp(-1, 1).numpy())
        last, where = info["final_obs"][truncated], torch.from_numpy(truncated)
        state = {name: value[where] for name, value in state.items()}
        value = agent.step(senses.flatten_each(last), state, senses.look_each(last))[0].value
    torch.testing.assert_close(rollout.next_values[LIMIT - 1][where], value)


def test_a_run_that_sees_resumes_bit_for_bit(small: Any, begun: list[int], tmp_path: Path) -> None:
    common = {"agent": "merel2020", "merel2020": SETTINGS, "vision": True, "checkpoint_every": 256}
    whole = small(**common, run_dir=tmp_path / "whole")
    train(whole, make_point_masses)
    train(small(**common, run_dir=tmp_path / "parts", steps=256), make_point_masses)
    train(small(**common, run_dir=tmp_path / "parts", resume=True), make_point_masses)
    assert begun == [0, 0, 256]
    ours, theirs = (Checkpoints(tmp_path / name / CHECKPOINTS, 3).read_newest() for name in ("whole", "parts"))
    assert ours and theirs and ours[1]["steps"] == theirs[1]["steps"] == 512
    assert ours[0].keys() == theirs[0].keys() and "collector/picture" in ours[0]
    for name in ours[0]:
        np.testing.assert_array_equal(ours[0][name], theirs[0][name])


def test_a_policy_that_sees_is_saved_loaded_and_evaluated(tmp_path: Path) -> None:
    env, senses, agent = make()
    Policy(agent, SETTINGS, senses, ("a", "b"), {"tasks": ["run"]}).save(tmp_path)
    assert "3 senses and a picture of 8x8 pixels" in (tmp_path / "README.md").read_text()
    policy = Policy.load(tmp_path)
    observation, _ = env.reset(seed=0)
    with torch.no_grad():
        expected = agent.step(senses.flatten(observation), agent.initial(ENVS), senses.look(observation))[0].mean
    np.testing.assert_array_equal(policy.act(observation)[0], expected.clamp(-1, 1).numpy())
    assert evaluate(policy, "run", episodes=2, make_env=make_point_masses).lengths.max() <= LIMIT


def test_a_policy_that_sees_is_refused_where_there_is_nothing_to_see() -> None:
    _, senses, agent = make()
    policy = Policy(agent, SETTINGS, senses, ("a", "b"))
    message = "^the policy sees, and the environment gives no picture eye of 8x8x3: make it with vision=True$"
    blind = PointMasses(2)
    with pytest.raises(UsageError, match=message):
        policy.senses.check(ObservationSpec.of(blind.single_observation_space))
    with pytest.raises(UsageError, match=message):
        policy.act(blind.reset(seed=0)[0])


def test_a_policy_that_does_not_see_may_act_where_there_is_something_to_see() -> None:
    _, senses, _ = make()
    ObservationSpec.of(PointMasses(2).single_observation_space).check(senses)


def test_weights_of_an_agent_that_sees_are_no_start_for_one_that_does_not(small: Any, tmp_path: Path) -> None:
    common = {"agent": "merel2020", "merel2020": SETTINGS, "steps": 128}
    for vision, advice in ((True, "give --vision"), (False, "leave out --vision")):
        old = tmp_path / f"{vision}"
        train(small(**common, vision=vision, run_dir=old), make_point_masses)
        with pytest.raises(UsageError, match=f"differ in what they see: {advice}$"):
            train(
                small(**common, vision=not vision, run_dir=tmp_path / f"from-{vision}", init_from=str(old)),
                make_point_masses,
            )


def test_pictures_come_as_often_and_as_smooth_as_a_policy_was_trained_with(small: Any, tmp_path: Path) -> None:
    asked = []

    def make(task: str, envs: int, physics: str, threads: int, aids: Any, **named: Any) -> PointMasses:
        asked.append(named["vision"])
        return make_point_masses(task, envs, physics, threads, aids, **named)

    train(
        small(
            agent="merel2020", merel2020=SETTINGS, vision=True, picture_every=5, antialias=True, shadows=True, steps=128
        ),
        make,
    )
    assert asked == [training_vision(5, True, True)]
    policy = Policy.load(tmp_path / "run")
    drawn = policy.facts["vision"]
    assert drawn == describe_vision(training_vision(5, True, True))
    card = (tmp_path / "run" / "policy" / "README.md").read_text()
    assert (
        f"a picture of 8x8 pixels drawn by {drawn['renderer']} with smooth edges and shadows, which stays for 5 steps,"
        in card
    )
    told = evaluate(policy, "run", episodes=2, make_env=make).to_json()
    assert asked[1:] == [training_vision(5, True, True)] and told["vision"] == drawn


def test_dm_controls_pictures_are_told_as_it_draws_them() -> None:
    _, senses, agent = make()
    policy = Policy(agent, SETTINGS, senses, ("a", "b"), {"picture_every": 3})
    assert described_sight(policy) == describe_vision(VisionSettings(every=3))
    assert described_sight(policy, "dm_control") == describe_vision(replace(EXACT, every=3))


def test_an_agent_that_cannot_see_is_not_asked_to() -> None:
    with pytest.raises(UsageError, match="agent lstm can't see: leave out --vision, or give --agent merel2020"):
        TrainConfig(agent="lstm", vision=True)
    with pytest.raises(UsageError, match="agent mlp can't see: choose one of merel2020"):
        make_agent("mlp", 3, 2, None, picture_shape=(8, 8, 3))


def test_dm_control_is_not_asked_to_draw_without_opengl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    _, senses, agent = make()
    with pytest.raises(UsageError, match=r"^dm_control draws what a policy sees by OpenGL, and none works here: use"):
        play(Policy(agent, SETTINGS, senses, ("a", "b")), "run", [0], simulator="dm_control")
