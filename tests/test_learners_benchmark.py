"""The comparison of learners tells what each was given, and what its numbers are worth."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from policies.config import difference, parse_arguments, to_json, to_yaml
from policies.policy import Policy
from tests.benchmark import load


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    return load("learners", monkeypatch)


def row(learner: str, seed: int, paper: list[float], fast: list[float]) -> dict:
    return {"agent": "mlp", "learner": learner, "seed": seed, "paper": {"returns": paper}, "fast": {"returns": fast}}


ROWS = [
    row("ppo", 0, [100.0, 140.0], [400.0, 400.0]),
    row("ppo", 1, [80.0, 80.0], [400.0, 400.0]),
    row("untrained", 0, [19.0, 21.0], [20.0, 20.0]),
    row("vmpo", 0, [60.0, 60.0], [300.0, 300.0]),
    row("vmpo", 1, [60.0, 60.0], [300.0, 300.0]),
]


def test_runs_share_steps_physics_and_noise_but_where_vmpo_learns_its_own(script) -> None:
    configs = {learner: script.run_config(script.Train("mlp", learner)) for learner in script.LEARNERS}
    assert {name: config.learner for name, config in configs.items()} == {
        "ppo": "ppo", "vmpo": "vmpo", "vmpo-own-noise": "vmpo",
    }  # fmt: skip
    noise = {name: [phase.action_std for phase in config.schedule] for name, config in configs.items()}
    assert noise["vmpo-own-noise"] == [None, None] and noise["ppo"] == noise["vmpo"] and None not in noise["ppo"]
    assert len({(config.steps, config.physics, config.envs, config.aids) for config in configs.values()}) == 1
    assert {tuple(phase.physics for phase in config.schedule) for config in configs.values()} == {(None, "fast+paper")}
    assert len({config.folder for config in configs.values()}) == 3


OWN_NOISE = ["--learner", "vmpo", "--schedule.0.action-std", "None", "--schedule.1.action-std", "None"]


@pytest.mark.parametrize(
    ("learner", "flags"), [("ppo", []), ("vmpo", ["--learner", "vmpo"]), ("vmpo-own-noise", OWN_NOISE)]
)
def test_runs_of_the_papers_agent_are_those_of_its_configuration(script, learner: str, flags: list[str]) -> None:
    config = parse_arguments(["--config", str(script.CONFIG_OF["merel2020"]), *flags])
    ours = script.run_config(script.Train("merel2020", learner))
    other = script.run_config(script.Train("mlp", learner))
    assert (ours.schedule, ours.aids, ours.ppo) == (other.schedule, other.aids, other.ppo)
    assert difference(to_json(config), to_json(ours)) is None and config.steps == ours.steps
    manual = (Path(__file__).parents[1] / "docs" / "agents.md").read_text()
    assert "run-merel2020.yaml " + " ".join(flags) in " ".join(manual.replace("\\\n", "").split())


def test_a_ratio_has_an_interval_each_seeds_own_and_a_floor_under_either_physics(script) -> None:
    paper, fast = script.compare_all(ROWS)
    assert (paper["learner"], paper["physics"], fast["physics"]) == ("vmpo", "paper", "fast")
    assert (paper["mean_return"], paper["ppo_mean_return"], paper["untrained_mean_return"]) == (60.0, 100.0, 20.0)
    assert paper["ratio"] == 0.6 and paper["ratio_above_untrained"] == 0.5
    assert paper["ratio_by_seed"] == {0: 0.5, 1: 0.75}
    assert paper["ratio_ci95"] == [0.462, 0.75]  # PPO's mean is seldom above 130 and never below 80, V-MPO's always 60
    assert fast["ratio"] == 0.75 and fast["ratio_ci95"] == [0.75, 0.75]
    assert script.compare_all(ROWS[:3]) == []


def test_a_run_that_ended_is_evaluated_under_both_physics_beside_an_untrained_network(
    script, tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    asked: list[tuple[int | None, int, str]] = []

    def evaluate(policy: Policy, task: str, episodes: int, seed: int, physics: str) -> object:
        asked.append((policy.facts.get("untrained_seed"), seed, physics))
        return type("Told", (), {"to_json": lambda self: {"mean_return": 9.0, "ci95": [8.0, 10.0], "returns": [9.0]}})()

    monkeypatch.setattr(script, "evaluate", evaluate)
    for learner, seed, steps, rate in (("ppo", 4, 400_000, 3e-4), ("ppo", 5, 400_000, 1e-9), ("vmpo", 4, 1_000, 3e-4)):
        policy, folder = Policy.load("run"), script._folder("mlp", learner, seed)
        policy.facts |= {"steps": steps, "training_seconds": 60.0}
        policy.save(folder / "policy")
        config = script.run_config(script.Train("mlp", learner, seed))
        config = replace(config, ppo=replace(config.ppo, rate=rate))  # seed 5 is of another configuration
        (folder / "config.yaml").write_text(to_yaml(config))
        (folder / "metrics.csv").write_text("steps,seconds,std\n1,1.0,0.4\n2,2.0,0.2\n")
    script.report(script.Report(episodes=1))
    assert "seed-5 is of another configuration, and left out: ppo.rate is 1e-09 there" in capsys.readouterr().out
    script.report(script.Report(episodes=1))  # has nothing left to evaluate
    assert asked == [(None, 1000, "paper"), (None, 1000, "fast"), (4, 1000, "paper"), (4, 1000, "fast")]
    told = json.loads(script.RESULT.read_text())
    assert [(row["learner"], row["seed"]) for row in told["rows"]] == [("ppo", 4), ("untrained", 4)]
    assert told["rows"][0]["trained_under"] == ["fast", "fast+paper", "paper"]
    assert told["rows"][0]["action_std"] == 0.2 and told["compared"] == []
    assert any("this project's own environment" in note and "seed 1000" in note for note in told["notes"])
    assert any("vmpo's in a dozen of seeds 0 and 1" in note for note in told["notes"])
    assert (script.CURVES / "mlp-ppo-seed-4.csv").is_file()
