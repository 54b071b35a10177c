"""Whole episodes of the bare task in either simulator, and what is measured of them."""

import json

import numpy as np
import pytest
import torch

from policies.assessment import assess
from policies.observation import ObservationSpec
from policies.play import SIMULATORS, play
from policies.policy import Policy
from policies.registry import make_agent
from rodent.cli import main
from rodent.dm_control_env import DmControlEnv
from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from rodent.tasks import TASKS
from rodent.tasks.run import Run

SHORT = Run(time_limit=0.3)  # fifteen control steps


def make_policy(senses=None):
    env = RodentVectorEnv("run")
    senses = senses or ObservationSpec.of(env.single_observation_space)
    from policies.mlp import MLPSettings

    torch.manual_seed(0)
    settings = MLPSettings(hidden=(16,))
    agent = make_agent("mlp", senses.size, 38, settings)
    torch.nn.init.normal_(agent.actor[-1].weight, std=0.3)
    names = tuple(actuator.name for actuator in env.body.actuators)
    return Policy(agent.requires_grad_(False), settings, senses, names, {"tasks": ["run"]})


@pytest.fixture(scope="module")
def policy():
    return make_policy()


def test_an_episode_begins_in_the_same_world_in_either_simulator(policy):
    (ours,) = play(policy, SHORT, [3], seed=5, steps=1)
    theirs = DmControlEnv(SHORT)
    theirs.reset(seed=5, episode=3)
    assert np.array_equal(ours.qpos[0], theirs.qpos)
    theirs.reset(seed=5, episode=4)
    assert not np.array_equal(ours.qpos[0], theirs.qpos)


def test_the_same_policy_does_the_same_in_dm_control(policy):
    ours = play(policy, SHORT, [0, 1], seed=2)
    theirs = play(policy, SHORT, [0, 1], seed=2, simulator="dm_control")
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.index, mine.ending) == (other.index, other.ending)
        assert mine.qpos.shape == other.qpos.shape == (16, 74)
        # Products of other batch sizes round otherwise, and the body amplifies it: close for these few steps.
        np.testing.assert_allclose(mine.actions[:5], other.actions[:5], atol=1e-4)
        assert mine.rewards.sum() == pytest.approx(other.rewards.sum(), abs=0.05)


@pytest.mark.parametrize("name", [name for name in TASKS if name != "run"])
def test_every_world_is_the_same_for_a_policy_in_dm_control(policy, name):
    (ours,), (theirs,) = (play(policy, name, [2], seed=5, simulator=each, steps=4) for each in SIMULATORS)
    assert np.array_equal(ours.qpos[0], theirs.qpos[0])
    np.testing.assert_allclose(ours.actions, theirs.actions, atol=1e-4)
    np.testing.assert_allclose(ours.rewards, theirs.rewards, atol=1e-3)


def test_qpos_ends_with_the_episodes_own_last_state_not_with_the_next_ones_first(policy):
    episode, _ = play(policy, SHORT, [0, 1], seed=2)
    longer, _ = play(policy, Run(), [0, 1], seed=2, steps=15)
    assert episode.ending == "time_limit" and longer.ending == "cut"
    assert np.array_equal(episode.qpos, longer.qpos)


def test_an_assessment_keeps_the_contract(policy):
    report = assess(policy, "run", episodes=2, physics="fast")
    assert {
        "task", "simulator", "physics", "episodes", "seed", "returns", "mean_return", "ci95", "max_return", "endings",
        "measures",
    } <= report.keys()  # fmt: skip
    assert len(report["returns"]) == report["episodes"] == 2
    assert report["ci95"][0] <= report["mean_return"] <= report["ci95"][1]
    assert report["endings"] == {"time_limit": 2}
    assert {"speed", "stride_hz", "belly_contact", "action_roughness"} <= report["measures"].keys()
    json.dumps(report)


@pytest.mark.parametrize("simulator", SIMULATORS)
def test_the_tasks_own_outcomes_are_among_the_measures_of_either_simulator(policy, simulator):
    measures = assess(policy, "run-gaps", episodes=1, simulator=simulator)["measures"]
    assert measures["gaps_crossed"] == 0 and "speed" in measures


def test_an_untrained_network_of_a_policys_architecture_is_evaluated_in_its_place(
    policy, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("policies.assessment.make_task", lambda name: SHORT)
    policy.save(tmp_path)
    main(["evaluate", str(tmp_path), "--untrained", "3", "--episodes", "2", "--physics", "fast", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["untrained_seed"] == 3
    assert told["returns"] == assess(policy.untrained(3), "run", episodes=2, physics="fast")["returns"]
    assert told["returns"] != assess(policy, "run", episodes=2, physics="fast")["returns"]


def test_a_policy_that_reads_other_senses_is_refused_by_name(tmp_path, capsys):
    senses = ObservationSpec((("walker/joints_pos", 30), ("walker/whiskers", 24)))
    make_policy(senses).save(tmp_path / "whiskered")
    with pytest.raises(SystemExit) as exit_:
        main(["evaluate", str(tmp_path / "whiskered"), "--episodes", "1"])
    out, err = capsys.readouterr()
    assert exit_.value.code == 2 and out == "" and err.count("\n") == 1
    assert "walker/whiskers is missing" in err


def test_a_policy_that_names_no_task_asks_for_one(tmp_path, capsys):
    policy = make_policy()
    policy.facts.clear()
    policy.save(tmp_path / "taskless")
    with pytest.raises(SystemExit) as exit_:
        main(["evaluate", str(tmp_path / "taskless")])
    assert exit_.value.code == 2 and "give --task" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"simulator": "bullet"}, "unknown simulator 'bullet': choose one of rodent, dm_control"),
        ({"simulator": "dm_control", "physics": "fast"}, "dm_control simulates the paper's physics alone"),
        ({"physics": "quick"}, "unknown physics preset 'quick'"),
        ({"episodes": []}, "episodes must be 1 to 10,000, not 0"),
        ({"seed": -1}, "a seed must be 0 or more"),
        ({"steps": 0}, "at least 1 control step"),
        ({"threads": -2}, "threads must be 0"),
        ({"threads": -2, "simulator": "dm_control"}, "threads must be 0"),
    ],
)
def test_what_cannot_be_played_is_refused(policy, arguments, words):
    with pytest.raises(UsageError, match=words):
        play(policy, SHORT, **{"episodes": [0], **arguments})
