"""A policy is published with what it earns in each of its tasks, beside its experts and an untrained network."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from policies.config import CONFIG_FILE, TrainConfig, load_yaml, to_yaml
from policies.merel2020 import Merel2020Agent, Merel2020Settings
from policies.metrics import METRICS_FILE
from policies.mlp import MLPSettings
from policies.observation import ObservationSpec
from policies.policy import Policy
from policies.registry import make_agent
from policies.run_folder import POLICY
from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from rodent.tasks.run import Run
from rodent.tasks.two_tap import TwoTap
from tests.benchmark import load

SHORT = {"run": Run(time_limit=0.1), "two-tap": TwoTap(time_limit=0.1)}
SETTINGS = Merel2020Settings(channels=(2,), vision=4, proprioception=(8,), core=6, critic=(), policy=(7,))


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    """The script, whose episodes last for five control steps of ours."""
    module = load("publish_policy", monkeypatch)
    monkeypatch.setattr("policies.assessment.make_task", SHORT.__getitem__)
    monkeypatch.setattr(module, "CHOICE", ("rodent", "fast", True))
    monkeypatch.setattr(module, "OTHERS", (("rodent", "paper", True),))
    monkeypatch.setattr(module, "COMPARED", (("rodent", "fast", True), ("rodent", "fast", False)))
    return module


def save_run(folder: Path, policy: Policy, config: TrainConfig) -> None:
    policy.save(folder / POLICY)
    (folder / CONFIG_FILE).write_text(to_yaml(config))
    (folder / METRICS_FILE).write_text(
        "steps,seconds,reward,run.reward,two-tap.reward\n64,1,0.1,0.1,0.1\n128,2,0.3,0.2,0.4\n"
    )


def save_expert(folder: Path, task: str) -> None:
    env = RodentVectorEnv(SHORT[task], 1, "fast", 1, privileged=True)
    senses, settings = ObservationSpec.of(env.single_observation_space, privileged=True), MLPSettings((8,))
    agent = make_agent("mlp", senses.size, 38, settings)
    names = tuple(actuator.name for actuator in env.body.actuators)
    Policy(agent.requires_grad_(False), settings, senses, names, {"tasks": [task], "privileged": True}).save(folder)


def student(experts: list[str]) -> Policy:
    env = RodentVectorEnv(SHORT["run"], 1, "fast", 1, vision=True)
    senses = ObservationSpec.of(env.single_observation_space)
    names = tuple(actuator.name for actuator in env.body.actuators)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        agent = Merel2020Agent(senses.size, 38, SETTINGS, picture_shape=senses.picture[1], tasks=2)
    facts = {"tasks": list(SHORT), "seed": 0, "steps": 128, "experts": experts, "picture_every": 5}
    return Policy(agent.requires_grad_(False), SETTINGS, senses, names, facts)


def test_a_student_is_published_with_its_tasks_its_experts_and_an_untrained_network(
    script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "HOME", tmp_path / "shipped")
    for task in SHORT:
        save_expert(tmp_path / task, task)
    experts = [f"{task}={tmp_path / task}" for task in SHORT]
    config = TrainConfig(
        task=tuple(SHORT), agent="merel2020", learner="distill", vision=True, expert=tuple(experts), merel2020=SETTINGS
    )
    save_run(tmp_path / "taught", student(experts), config)
    flags = script.Flags(tmp_path / "taught", "student", episodes=2, untrained_seed=3, film_seconds=0.2)
    script.comparisons(student(experts), flags)  # broken off, and begun anew: nothing is measured twice
    measured, assess = [], script.assess
    monkeypatch.setattr(script, "assess", lambda *told: measured.append(told) or assess(*told))
    script.main(replace(flags, brief=True))
    assert [(told[1], told[4]) for told in measured] == [("run", "fast"), ("two-tap", "fast")]
    assert len(Policy.load(tmp_path / "shipped" / "student").facts["evaluations"]) == 2
    script.main(flags)
    assert len(measured) == 4  # the student's own
    monkeypatch.setattr(script, "assess", assess)

    home = tmp_path / "shipped" / "student"
    facts, card = Policy.load(home).facts, (home / "README.md").read_text()
    assert [(e["task"], e["physics"]) for e in facts["evaluations"]] == [
        ("run", "fast"), ("two-tap", "fast"), ("run", "paper"), ("two-tap", "paper"),
    ]  # fmt: skip
    beside = [(e["task"], e.get("expert", e.get("untrained_seed")), e["deterministic"]) for e in facts["comparisons"]]
    assert beside == [
        (task, who, mean) for task in SHORT for who in (str(tmp_path / task), 3) for mean in (True, False)
    ]
    with_control = replace(flags, control=(f"twin={home}",))
    (*_, named, twin) = [who for who, _ in script.beside(Policy.load(home), "run", with_control)]
    assert (named, twin) == ({"untrained_seed": 3}, {"control": "twin"})
    (fresh,) = [e for e in facts["comparisons"] if e["task"] == "run" and "untrained_seed" in e and e["deterministic"]]
    assert script.assess(Policy.load(home).untrained(3), "run", 2, 1000, "fast")["returns"] == fresh["returns"]
    for task in SHORT:
        assert f"| this | {task} | rodent | fast | mean | 2 |" in card
        assert f"| expert {tmp_path / task} | {task} | rodent | fast | sampled | 2 |" in card
        assert f"| untrained, seed 3 | {task} | rodent | fast | mean | 2 |" in card
        assert f"![Film, {task}](film-{task}.gif)" in card
        assert (home / f"film-{task}.gif").is_file() and (home / f"strip-{task}.png").is_file()
    assert "It shows the mean action in episode 0 of seed 1000, under paper." in card
    assert facts["versions"]["torch"] == torch.__version__
    assert facts["curve_shows"] is None  # no run led to this one
    assert (home / "curve.png").is_file() and load_yaml(home / CONFIG_FILE).task == tuple(SHORT)


def test_a_control_is_shipped_beside_the_policy_and_named_on_its_card(script, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(script, "HOME", tmp_path / "shipped")
    for name in ("taught", "idler"):
        save_expert(tmp_path / name / POLICY, "run")
    taught = Policy.load(tmp_path / "taught" / POLICY)
    taught.facts |= {"seed": 0, "steps": 128}
    save_run(tmp_path / "taught", taught, TrainConfig(task="run", privileged=True))
    flags = script.Flags(tmp_path / "taught", "expert", episodes=2, film_seconds=0.2, brief=True)
    script.main(replace(flags, control=(f"idler={tmp_path / 'idler'}",)))
    home = tmp_path / "shipped" / "expert"
    control = Policy.load(home / "controls" / "idler")
    assert control.digest == Policy.load(tmp_path / "idler").digest
    beside = [row for row in Policy.load(home).facts["comparisons"] if "control" in row]
    assert [{"control": "idler"} | row for row in control.facts["evaluations"]] == beside
    assert len(beside) == len(script.COMPARED)
    assert "| control idler | " in (home / "README.md").read_text()
    for wrong in (str(tmp_path / "idler"), f"An idler={tmp_path / 'idler'}", "idler="):
        with pytest.raises(UsageError, match="--control takes NAME=POLICY"):
            script.main(replace(flags, control=(wrong,)))


def row(task: str, value: float) -> dict:
    return {"task": task, "mean_return": value, "max_return": {"run-gaps": 1500.0, "maze-forage": 600.0}[task]}


def test_of_several_tasks_each_counts_by_its_share_of_its_maximum(script) -> None:
    assert script.share([row("run-gaps", 150.0), row("maze-forage", 300.0)]) == pytest.approx(0.3)
    assert script.told([row("run-gaps", 150.04)]) == 150.0
    assert script.told([row("run-gaps", 150.0), row("maze-forage", 300.0)]) == "run-gaps 150.0, maze-forage 300.0"


def test_beside_a_modulated_policy_stands_its_runner_since_it_has_no_untrained_network(script) -> None:
    flags = script.Flags(Path("run"), "name")
    ((who, runner),) = script.beside(Policy.load("run-gaps-expert"), "run-gaps", flags)
    assert who == {"runner": "run"} and runner.agent.name == "mlp" and runner.tasks == ["run"]


def test_the_best_of_several_seeds_is_chosen_in_other_worlds_than_the_card_s(
    script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (0, 1):
        save_expert(tmp_path / "run" / f"seed-{seed}" / POLICY, "run")
    policies = [Policy.load(folder) for folder in script.seed_folders(tmp_path / "run")]
    digests = [policy.digest for policy in policies]
    better_there = {(0, 1000): 30.0, (1, 1000): 20.0, (0, 2000): 10.0, (1, 2000): 15.0}

    def assess(policy: Policy, task: str, episodes: int, seed: int, *_: object) -> dict:
        value = better_there[digests.index(policy.digest), seed]
        return {"task": task, "mean_return": value, "max_return": 1500.0, "ci95": [0, 1], "measures": {}}

    for policy in policies:
        policy.facts["steps"] = 128
    monkeypatch.setattr(script, "assess", assess)
    flags = script.Flags(tmp_path / "run", "runner")
    assert script.choose(policies, flags) == (1, "of 2 seeds, by the mean return of 20 episodes of seed 2000")
    assert script.choose(policies[:1], replace(flags, choose_seed=1000)) == (0, None)
    with pytest.raises(UsageError, match="--choose-seed is the seed of the card, 1000, too"):
        script.choose(policies, replace(flags, choose_seed=1000))


def test_the_card_says_what_ended_episodes_before_their_time_since_it_may_be_success(script, tmp_path: Path) -> None:
    metrics = tmp_path / METRICS_FILE
    metrics.write_text(
        "steps,seconds,maze.ended.all_orbs_taken,maze.ended.diverged,maze.ended.time_limit\n64,1,1,0,5\n128,2,3,0,\n"
    )
    told = script.tell_early_ends([metrics, metrics], ["run", "maze"])
    assert told == "Its own run's ends before the time limit: maze.all_orbs_taken (8)."
    metrics.write_text("steps,seconds,ended.time_limit\n64,1,5\n")
    assert script.tell_early_ends([metrics], ["run"]) == ""
