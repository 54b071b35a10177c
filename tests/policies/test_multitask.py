"""Several tasks in one network: one observation, and everything else apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict
from test_training import assert_same_learning, assert_same_state, newest
from two_tasks import RICH, TASKS, make_two_tasks

from policies.agent import Agent
from policies.collector import Collector
from policies.config import EvaluationSettings, TrainConfig, load_yaml, parse_arguments, to_yaml
from policies.curves import draw_curves
from policies.environment import assign_tasks, make_training_env, offered_by_task
from policies.learner import Learner
from policies.merel2020 import Merel2020Settings
from policies.metrics import read_metrics
from policies.mlp import MLPSettings
from policies.multitask import Tasks, share_space
from policies.observation import ObservationSpec
from policies.policy import Policy
from policies.ppo import PPOSettings
from policies.registry import AGENTS, make_agent, make_learner
from policies.rollout import Rollout
from policies.training import TrainingRun, train
from policies.vmpo import VMPO, VMPOSettings
from rodent.aids import TrainingAids
from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from rodent.tasks import TASKS as WORLDS

LEARNERS = {"ppo": PPOSettings(gamma=0.9, critic_rate=5e-3, minibatch=256), "vmpo": VMPOSettings(gamma=0.9)}


def experience(small: Any, name: str = "mlp", **changes: Any) -> tuple[TrainConfig, Agent, Rollout]:
    config = small(task=TASKS, agent=name, **changes)
    env = make_training_env(make_two_tasks, config, config.phases[0])
    senses = ObservationSpec.of(env.single_observation_space)
    torch.manual_seed(0)
    agent = make_agent(name, senses.size, 2, config.agent_settings, tasks=2)
    tasks = assign_tasks(config)
    rollout = Rollout.empty(32, config.envs, agent, tasks=tasks.ids)
    seeds = list(range(config.envs))
    Collector(env, agent, senses, seeds, torch.Generator().manual_seed(0), tasks).collect(rollout)
    return config, agent, rollout


def learner_of(config: TrainConfig, agent: Agent, **changes: Any) -> Learner:
    settings = replace(config.learner_settings, **changes)
    return make_learner(config.learner, agent, settings, assign_tasks(config))


def test_nothing_in_an_observation_tells_the_task(small: Any) -> None:
    config = small(task=TASKS, envs=6)
    env = make_training_env(make_two_tasks, config, config.phases[0])
    observation, _ = env.reset(seed=[1, 2, 3, 1, 2, 3])
    for _ in range(25):
        for values in observation.values():
            np.testing.assert_array_equal(values[:3], values[3:])
        observation, reward, *_ = env.step(np.tile(np.array([[0.3, -0.2]]), (6, 1)))
        np.testing.assert_allclose(reward[3:], RICH * reward[:3], atol=1)  # shaping is not scaled alike


def test_what_only_a_critic_may_know_is_zero_where_a_task_has_it_not(small: Any) -> None:
    config = small(task=TASKS, envs=4, privileged_critic=True)
    env = make_training_env(make_two_tasks, config, config.phases[0])
    senses = ObservationSpec.of(env.single_observation_space, privileged_critic=True)
    assert senses.critic_senses == (("privileged/distance", 1),)
    assert "privileged/distance" not in dict(senses.senses)
    assert ObservationSpec.of(env.single_observation_space, privileged=False).senses == senses.senses
    observation, _ = env.reset(seed=0)
    ended = 0
    for _ in range(25):
        distance = observation["privileged/distance"]
        assert (distance[:2] > 0).all() and not distance[2:].any()
        observation, *_, info = env.step(np.zeros((4, 2)))
        if "final_obs" in info:
            ended += 1
            assert info["final_obs"][3]["privileged/distance"].tolist() == [0.0]
    assert ended
    own = offered_by_task(env, TASKS)
    assert "privileged/distance" in own["run"].spaces and "privileged/distance" not in own["two-tap"].spaces


def test_a_sense_that_one_task_gives_alone_is_a_cue_and_refused() -> None:
    plain = {"walker/joints_pos": Box(-1, 1, (3,))}
    cued = plain | {"task_logic": Box(-1, 1, (1,))}
    with pytest.raises(UsageError, match=r"two-tap gives the sense task_logic and run does not: .* leave the cue out"):
        share_space({"run": Dict(plain), "two-tap": Dict(cued)})


def test_tasks_and_presets_share_the_environments(small: Any) -> None:
    config = small(task=TASKS, envs=7, physics="fast+paper")
    env = make_training_env(make_two_tasks, config, config.phases[0])
    parts = [(part.name, part.num_envs, part.env.physics) for part in env.parts]
    assert parts == [("run", 2, "fast"), ("run", 2, "paper"), ("two-tap", 2, "fast"), ("two-tap", 1, "paper")]
    assert assign_tasks(config).ids.tolist() == [0, 0, 0, 0, 1, 1, 1]


def test_a_task_may_have_aids_of_its_own(small: Any, tmp_path: Path) -> None:
    config = small(task=TASKS, task_aids={"two-tap": TrainingAids(upright=0.7)})
    env = make_training_env(make_two_tasks, config, config.phases[0])
    assert [part.env.aids.upright for part in env.parts] == [config.aids.upright, 0.7]
    (tmp_path / "config.yaml").write_text(to_yaml(config))
    assert load_yaml(tmp_path / "config.yaml") == config


def test_a_phase_may_change_parameters_of_each_task(small: Any, tmp_path: Path) -> None:
    text = "task: [run, run-gaps]\nschedule: [{parameters: {run: {target_velocity: 0.5}}}]"
    (tmp_path / "config.yaml").write_text(text)
    (phase,) = load_yaml(tmp_path / "config.yaml").phases
    assert phase.task("run").target_velocity == 0.5 and phase.task("run-gaps").target_velocity == 1.0


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("learner", LEARNERS)
def test_returns_and_normalisers_are_each_tasks_own(small: Any, name: str, learner: str) -> None:
    config, agent, rollout = experience(small, name, learner=learner, **{learner: LEARNERS[learner]})
    assert agent.value_layer.out_features == 2
    popart = learner_popart(made := learner_of(config, agent, popart=1.0))
    figures = made.update(rollout, torch.Generator().manual_seed(0))
    facts = made.value_facts()
    assert popart.std[1] / popart.std[0] == pytest.approx(RICH, rel=0.5)
    assert facts["value_std"][1] / facts["value_std"][0] == pytest.approx(RICH, rel=0.5)
    assert {f"{task}.{figure}" for task in TASKS for figure in ("policy_loss", "value_loss", "return_mean")} < (
        figures.keys()
    )
    each = [figures[f"{task}.policy_loss"] for task in TASKS]
    assert each[0] != each[1] and np.mean(each) == pytest.approx(figures["policy_loss"], rel=1e-4)
    assert (
        0.1 < figures["two-tap.value_loss"] / figures["run.value_loss"] < 10
    )  # though it pays a hundred times as much


def learner_popart(learner: Learner) -> Any:
    return learner.popart if isinstance(learner, VMPO) else learner.valuation.popart


@pytest.mark.parametrize("learner", LEARNERS)
def test_what_one_task_pays_changes_nothing_for_the_other(small: Any, learner: str) -> None:
    steps = []
    for pay in (1.0, 1000.0):
        config, agent, rollout = experience(small, learner=learner)
        rollout.rewards[:, rollout.tasks == 1] *= pay
        rollout.values.zero_(), rollout.next_values.zero_()
        torch.nn.init.zeros_(agent.value_layer.weight)
        before = agent.actor[0].weight.detach().clone()
        changes = {"popart": 1.0, "epochs": 1} | ({"kl_stop": 1e6, "kl_high": 1e6} if learner == "ppo" else {})
        learner_of(config, agent, **changes).update(rollout, torch.Generator().manual_seed(0))
        steps.append(agent.actor[0].weight.detach() - before)
    assert steps[0].abs().max() > 1e-4
    torch.testing.assert_close(*steps, rtol=1e-2, atol=1e-5)


def gradient(small: Any, learner: str, weights: tuple[float, ...]) -> torch.Tensor:
    config, agent, rollout = experience(small, envs=9, learner=learner, task_weights=weights)
    made = learner_of(config, agent)
    marks = rollout.rewards * torch.where(rollout.tasks == 1, 1 / RICH, 1.0)
    (batch,) = rollout.minibatches(marks, marks, 1, False, torch.Generator().manual_seed(0))
    loss = made._loss(batch, *((agent.unroll(batch.observations, {}, batch.starts),) if learner == "ppo" else ()))[0]
    loss.backward()
    return torch.cat([p.grad.flatten() for p in agent.actor.parameters()])


@pytest.mark.parametrize("learner", LEARNERS)
def test_losses_are_weighed_between_tasks_whatever_their_environments(small: Any, learner: str) -> None:
    first, second, both = (gradient(small, learner, weights) for weights in ((1, 1e-9), (1e-9, 1), (1, 3)))
    assert not torch.allclose(first, second, atol=1e-4)
    torch.testing.assert_close(both, 0.25 * first + 0.75 * second, rtol=1e-3, atol=1e-6)


def test_the_better_half_is_that_of_each_task(small: Any) -> None:
    config, agent, rollout = experience(small, learner="vmpo")
    made = learner_of(config, agent)
    advantages = torch.randn(rollout.rewards.shape, generator=torch.Generator().manual_seed(0))
    gradients = []
    for shift in (0.0, 10.0):  # were there one half for both, the first task's steps would fall out of it
        moved = advantages + shift * (rollout.tasks == 1)
        (batch,) = rollout.minibatches(moved, moved, 1, False, torch.Generator().manual_seed(0))
        made.optimizer.zero_grad()
        made._loss(batch)[0].backward()
        gradients.append(agent.actor[0].weight.grad.clone())
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize(("agent", "learner"), [("mlp", "ppo"), ("merel2020", "vmpo")])
def test_a_run_of_two_tasks_resumes_bit_for_bit(
    small: Any, begun: list[int], tmp_path: Path, agent: str, learner: str
) -> None:
    common = {"task": TASKS, "agent": agent, "learner": learner, "privileged_critic": True}
    train(small(**common, run_dir=tmp_path / "whole"), make_two_tasks)
    for steps in (256, 512):
        train(small(**common, run_dir=tmp_path / "parts", steps=steps, resume=True), make_two_tasks)
    assert begun == [0, 0, 256]
    assert_same_state(tmp_path / "whole", tmp_path / "parts")
    assert_same_learning(tmp_path / "whole", tmp_path / "parts")
    assert any("popart" in name for name in newest(tmp_path / "whole")[0])


def test_both_tasks_are_learnt_though_one_pays_a_hundred_times_as_much(small: Any, tmp_path: Path) -> None:
    for learner, settings in LEARNERS.items():
        config = small(
            task=TASKS, envs=32, rollout=32, steps=40_000, learner=learner, run_dir=tmp_path / learner,
            **{learner: settings},
        )  # fmt: skip
        train(config, make_two_tasks)
        last = read_metrics(config.folder / "metrics.csv")[-1]
        assert last["run.reward"] > 0.5 and last["two-tap.reward"] > 0.5 * RICH


def test_each_task_is_logged_and_evaluated_for_itself(small: Any, tmp_path: Path) -> None:
    train(small(task=TASKS, evaluation=EvaluationSettings(episodes=3)), make_two_tasks)
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    assert {"run.reward", "run.reward.near_run", "two-tap.reward.near_two-tap", "run.ended.time_limit"} <= rows[
        2
    ].keys()
    assert not {"run.reward.near_two-tap", "two-tap.reward.near_run"} & rows[2].keys()
    mean = (rows[2]["run.reward"] + rows[2]["two-tap.reward"]) / 2
    assert rows[2]["reward"] == pytest.approx(mean)
    assert {"run.evaluation_return", "two-tap.evaluation_return"} <= rows[-1].keys()
    told = Policy.load(tmp_path / "run").facts
    assert told["tasks"] == list(TASKS)
    assert [evaluation["task"] for evaluation in told["evaluations"]] == list(TASKS)


def test_curves_are_drawn_of_each_task(small: Any, tmp_path: Path) -> None:
    train(small(task=TASKS, evaluation=EvaluationSettings(episodes=2, every=128)), make_two_tasks)
    curves = draw_curves([tmp_path / "run"], tmp_path / "curves.svg")
    measures = [curve.measure for curve in curves]
    assert measures == [f"{task}.{name}" for task in TASKS for name in ("reward", "early_ends", "evaluation_return")]
    last = {curve.measure: curve.mean[-1] for curve in curves}
    assert last["two-tap.reward"] > 10 * last["run.reward"]
    assert "(two-tap)" in (tmp_path / "curves.svg").read_text()


def test_a_policy_of_two_tasks_values_each_and_acts_alike(small: Any, tmp_path: Path) -> None:
    train(small(task=TASKS), make_two_tasks)
    policy = Policy.load(tmp_path / "run")
    observation, _ = make_two_tasks("run", 4, "fast", 1, None).reset(seed=0)
    assert policy.act(observation)[0].shape == (4, 2)
    said = policy.agent.step(policy.senses.flatten(observation), {})[0].value
    assert said.shape == (4, 2)
    mean, std = (policy.facts[name][1] for name in ("value_mean", "value_std"))
    estimates = policy.estimates("two-tap")
    assert estimates and estimates.discount == policy.facts["discount"]
    torch.testing.assert_close(estimates.read(said), said[:, 1] * std + mean)
    assert policy.estimates("run-gaps") is None


@pytest.mark.parametrize("learner", LEARNERS)
def test_a_critic_keeps_what_it_knows_of_a_task_when_others_join(small: Any, tmp_path: Path, learner: str) -> None:
    common = {"ppo": PPOSettings(gamma=0.9), "vmpo": VMPOSettings(gamma=0.9)}
    train(small(task=("run",), run_dir=tmp_path / "old", **common), make_two_tasks)
    new = {"task": ("two-tap", "run"), "run_dir": tmp_path / "new", "init_from": str(tmp_path / "old")}
    run = TrainingRun(small(**new, learner=learner, **common), make_two_tasks)
    old, observation = Policy.load(tmp_path / "old"), run.collector.observation
    before, after = old.agent.step(observation, {})[0], run.agent.step(observation, {})[0]
    torch.testing.assert_close(after.mean, before.mean)
    facts = run.learner.value_facts()
    said = after.value * torch.tensor(facts["value_std"]) + torch.tensor(facts["value_mean"])
    torch.testing.assert_close(said[:, 1], before.value / old.facts["reward_scale"], rtol=1e-4, atol=1e-5)
    assert said[:, 0].abs().max() < 1e-6


def test_all_worlds_of_the_rodent_give_the_same_senses() -> None:
    spaces = {name: RodentVectorEnv(name, 1).single_observation_space for name in WORLDS}
    assert len(spaces) == 5
    shared = share_space(spaces)
    assert all(list(space.spaces) == list(shared.spaces) for space in spaces.values())


def test_two_worlds_of_the_rodent_train_one_network(tmp_path: Path) -> None:
    config = TrainConfig(
        task=("run-gaps", "two-tap"), agent="merel2020", learner="vmpo", privileged_critic=True, envs=4, rollout=8,
        steps=128, pool=2, threads=1, run_dir=tmp_path / "run", aids=TrainingAids(episode_seconds=0.2),
        evaluation=EvaluationSettings(episodes=0),
        merel2020=Merel2020Settings(proprioception=(16,), core=8, critic=(8,), policy=(8,)),
    )  # fmt: skip
    train(config)
    named = {name for row in read_metrics(tmp_path / "run" / "metrics.csv") for name in row}
    assert {"run-gaps.reward.velocity", "two-tap.value_loss", "run-gaps.episode_length"} <= named
    policy = Policy.load(tmp_path / "run")
    assert not policy.senses.privileged and policy.agent.tasks == 2
    assert {"privileged/floor_ahead", "privileged/orb"} <= dict(policy.senses.critic_senses).keys()


def test_one_task_may_be_named_as_it_is() -> None:
    assert TrainConfig(task="two-tap") == TrainConfig(task=("two-tap",))
    config = parse_arguments(["--task", "run-gaps", "two-tap", "--task-weights", "1", "2"])
    assert config.task == ("run-gaps", "two-tap") and config.folder == Path("runs/run-gaps+two-tap-mlp")
    assert Tasks(config.task, torch.tensor([0, 0, 0, 1]), config.task_weights).step_weights.tolist() == pytest.approx(
        [4 / 9, 8 / 3]
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"task": ()}, "task must name different tasks, one at least, not none"),
        ({"task": ("run", "run")}, "task must name different tasks, one at least, not run, run"),
        ({"task_weights": (1.0,)}, "task_weights must be a number above 0 for each of 2 tasks"),
        ({"task_weights": (1.0, 0.0)}, "task_weights must be finite and above 0"),
        ({"privileged": True}, "would tell the agent which it is: train an expert on one task"),
        ({"task_aids": {"run-gaps": TrainingAids()}}, "task_aids name run-gaps, and the run's tasks are run, two-tap"),
        ({"envs": 3, "physics": "fast+paper"}, "envs must be 4 or more, one for each task and preset, not 3"),
        ({"kickstart": "x"}, "kickstart.weights must be one number, or one for each of 2 tasks"),
        ({"mlp": MLPSettings(), "picture_every": 0}, "picture_every must be 1 or more"),
    ],
)
def test_tasks_that_do_not_go_together_are_one_clear_line(wrong: dict[str, Any], message: str) -> None:
    if "kickstart" in wrong:
        wrong = {"kickstart": replace(TrainConfig().kickstart, weights=(0.1, 0.2, 0.3))}
    with pytest.raises(UsageError, match=message) as caught:
        TrainConfig(**({"task": TASKS} | wrong))
    assert "\n" not in str(caught.value)
