"""What the cards of experts tell: of the runs that led to them, by their configurations, and of what was asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from policies.config import TrainConfig, load_yaml
from policies.policy import Policy

ROOT = Path(__file__).parents[2]
CONFIGS = {
    path.stem: path
    for home in ("assets/configs", "benchmarks/results/*-trials")
    for path in ROOT.glob(f"{home}/*.yaml")
}
UPDATE = 8192  # steps, of the largest


def chain_of(source: str) -> tuple[list[TrainConfig], Policy]:
    """The configurations that led to what a run begins with, the last first, and the policy in the box before them."""
    configs = []
    while (run := re.fullmatch("runs/(.+)", source)) is not None:
        configs.append(load_yaml(CONFIGS[run[1].split("/")[0]]))  # of several seeds each has a folder of its own
        source = str(configs[-1].init_from)
    return configs, Policy.load(source if "/" not in source else str(ROOT / source))


@pytest.mark.parametrize("name", ["run-gaps-expert", "maze-forage-expert", "escape-bowl-expert", "two-tap-expert"])
def test_what_a_card_tells_of_the_runs_before_is_what_the_configurations_in_the_box_do(name: str) -> None:
    facts = Policy.load(name).facts
    before, runner = chain_of(facts["init_from"])
    told = sum(config.steps for config in before) + runner.facts["steps"]
    assert 0 <= facts["steps_before"] - told < UPDATE * max(len(before), 1)  # each ended with a whole update
    physics = {phase.physics for config in before for phase in config.phases} | {*runner.facts["physics"]}
    assert {*facts["physics_before"]} == physics
    assert all(list(config.task) == facts["tasks"] for config in before)
    shipped = [load_yaml(path) for path in (ROOT / "assets" / "configs").glob("*.yaml")]
    last = [config for config in shipped if config.init_from == facts["init_from"]]
    assert any(0 <= facts["steps"] - config.steps < UPDATE for config in last)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("run-gaps-expert", {"mean_return": 800}),
        ("maze-forage-expert", {"mean_return": 100}),
        ("escape-bowl-expert", {"escaped_fraction": 0.5}),
        ("two-tap-expert", {"first_taps": 3, "second_tap_fraction": 0.5}),
    ],
)
def test_a_card_has_what_was_asked_in_dm_controls_environment(name: str, asked: dict[str, float]) -> None:
    told = Policy.load(name).facts["evaluations"][0]
    setting = [told[key] for key in ("simulator", "physics", "deterministic", "episodes")]
    assert setting == ["dm_control", "paper", True, 20]
    assert all((told | told["measures"])[key] >= least for key, least in asked.items())
