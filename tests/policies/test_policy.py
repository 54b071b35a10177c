from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
import torch
from point_mass import PointMasses
from safetensors.torch import save_file

import policies.policy
from policies.agent import Agent
from policies.lstm import LSTMSettings
from policies.merel2020 import Merel2020Settings
from policies.mlp import MLPSettings
from policies.modulated import ModulatedSettings
from policies.observation import ObservationSpec
from policies.policy import Policy, shipped_policies
from policies.registry import AGENTS, make_agent
from rodent.errors import UsageError

SETTINGS: dict[str, Any] = {
    "mlp": MLPSettings(hidden=(8,)),
    "lstm": LSTMSettings(encoder=(8,), core=4, head=(8,)),
    "merel2020": Merel2020Settings(proprioception=(8,), core=4, critic=(8,), policy=(4, 4)),
    "modulated": ModulatedSettings(hidden=(8,), senses=("velocity",), runner=MLPSettings(hidden=(8,))),
}
OBSERVATION = PointMasses(3).reset(seed=0)[0]


def make(name: str = "mlp", **facts: Any) -> Policy:
    torch.manual_seed(0)
    senses = ObservationSpec.of(PointMasses(1).single_observation_space)
    agent: Agent = make_agent(name, senses.size, 2, SETTINGS[name], senses=senses)
    agent.normaliser.update(torch.randn(10, senses.size))
    return Policy(agent, SETTINGS[name], senses, ("push_0", "push_1"), facts)


@pytest.mark.parametrize("name", AGENTS)
def test_a_saved_policy_acts_as_before(name: str, tmp_path: Path) -> None:
    ours = make(name, tasks=["run"], seed=3)
    ours.save(tmp_path)
    theirs = Policy.load(tmp_path)
    one, other = None, None
    for _ in range(3):
        action, one = ours.act(OBSERVATION, one)
        again, other = theirs.act(OBSERVATION, other)
        assert action.shape == (3, 2)
        np.testing.assert_array_equal(action, again)
    assert theirs.facts == {"tasks": ["run"], "seed": 3, "privileged": False, "mujoco": mujoco.__version__}
    assert theirs.action_names == ("push_0", "push_1")
    assert theirs.settings == SETTINGS[name]


@pytest.mark.parametrize("name", [name for name in AGENTS if not AGENTS[name].PARTS])
def test_an_untrained_policy_shares_all_but_the_weights_and_what_tells_of_training(name: str, tmp_path: Path) -> None:
    trained = make(name, tasks=["run"], discount=0.9, reward_scale=0.5, seed=3, steps=10, evaluations=[])
    fresh, again = (trained.untrained(4) for _ in range(2))
    for buffer, value in trained.agent.named_buffers():
        assert torch.equal(dict(fresh.agent.named_buffers())[buffer], value), buffer
    weights = dict(fresh.agent.named_parameters())
    for parameter, value in trained.agent.named_parameters():
        assert weights[parameter].shape == value.shape, parameter
        assert torch.equal(weights[parameter], dict(again.agent.named_parameters())[parameter])
    drawn = [parameter for parameter, value in trained.agent.named_parameters() if value.ndim > 1]
    assert not any(torch.equal(weights[each], dict(trained.agent.named_parameters())[each]) for each in drawn)
    assert fresh.facts == {"tasks": ["run"], "discount": 0.9, "reward_scale": 0.5, "untrained_seed": 4}
    fresh.save(tmp_path)
    assert Policy.load(tmp_path).facts["untrained_seed"] == 4
    card = (tmp_path / "README.md").read_text()
    assert "| untrained seed | 4 |" in card and "Not measured yet." in card


def test_a_policy_has_no_untrained_one_of_a_negative_seed_or_where_a_part_of_it_was_trained_before() -> None:
    with pytest.raises(UsageError, match="must be 0 or more, not -1"):
        make().untrained(-1)
    with pytest.raises(UsageError, match="give the policy that its runner was made of"):
        make("modulated").untrained(0)


def test_the_description_says_what_the_network_reads_and_does(tmp_path: Path) -> None:
    make(tasks=["run"], seed=3, steps=10, physics=["fast"]).save(tmp_path)
    told = json.loads((tmp_path / "policy.json").read_text())
    assert sorted(told["senses"]) == [["cue", 1], ["position", 2], ["velocity", 2]]
    assert told["actions"] == ["push_0", "push_1"]
    assert told["privileged"] is False
    assert {"format", "agent", "settings", "mujoco", "tasks", "seed", "steps", "physics"} <= told.keys()
    assert "| seed | 3 |" in (tmp_path / "README.md").read_text()


def test_actions_stay_in_the_range_that_environments_admit() -> None:
    policy = make()
    with torch.no_grad():
        policy.agent.log_std.fill_(3.0)
    action, _ = policy.act(OBSERVATION, deterministic=False, generator=torch.Generator().manual_seed(0))
    assert np.abs(action).max() == 1


def test_sampling_follows_its_generator_and_the_mean_does_not() -> None:
    policy = make()
    samples = [
        policy.act(OBSERVATION, deterministic=False, generator=torch.Generator().manual_seed(k))[0] for k in (0, 0, 1)
    ]
    np.testing.assert_array_equal(samples[0], samples[1])
    assert not np.array_equal(samples[0], samples[2])
    np.testing.assert_array_equal(policy.act(OBSERVATION)[0], policy.act(OBSERVATION)[0])


def test_hidden_state_is_passed_by_hand() -> None:
    policy = make("lstm")
    first, state = policy.act(OBSERVATION)
    second, _ = policy.act(OBSERVATION, state)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(policy.act(OBSERVATION)[0], first)


def test_senses_that_do_not_fit_are_named() -> None:
    with pytest.raises(UsageError, match="velocity is missing"):
        make().act({"position": np.zeros((1, 2)), "cue": np.zeros((1, 1))})


def test_loading_leaves_a_policy_that_cannot_learn(tmp_path: Path) -> None:
    make().save(tmp_path)
    agent = Policy.load(tmp_path).agent
    assert not agent.training and not any(parameter.requires_grad for parameter in agent.parameters())


def test_a_policy_is_found_in_its_run_folder(tmp_path: Path) -> None:
    make().save(tmp_path / "run" / "policy")
    assert Policy.load(str(tmp_path / "run")).agent.name == "mlp"


@pytest.mark.parametrize("home", ["policies/shipped", "assets/policies"])
def test_a_shipped_policy_is_found_by_name(home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "policies").mkdir()
    monkeypatch.setattr(policies.policy, "__file__", str(tmp_path / "policies" / "policy.py"))
    monkeypatch.chdir(tmp_path)
    make(seed=5).save(tmp_path / home / "sprinter")
    assert Policy.load("sprinter").facts["seed"] == 5
    with pytest.raises(UsageError, match=r"no policy at walker: .*shipped policy \(sprinter\)"):
        Policy.load("walker")


def test_a_missing_policy_says_what_would_be_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no policy at .*nowhere: give a policy folder \(with policy\.json\), a run"):
        Policy.load(tmp_path / "nowhere")


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)


def in_half_precision(path: Path) -> None:
    save_file({"weight": torch.zeros(2, dtype=torch.bfloat16)}, path)


def change(**fields: Any) -> Any:
    def apply(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return apply


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("policy.safetensors", truncate, r"policy\.safetensors is damaged"),
        ("policy.safetensors", flip, "does not match its checksum"),
        ("policy.safetensors", Path.unlink, r"policy\.safetensors is missing"),
        ("policy.safetensors", lambda path: path.write_bytes(b""), "is damaged or no file of ours"),
        ("policy.safetensors", lambda path: (path.unlink(), path.mkdir()), "is damaged or no file of ours"),
        ("policy.json", truncate, r"policy\.json is damaged"),
        ("policy.json", lambda path: path.write_text("[]"), "it holds no object"),
        ("policy.json", lambda path: path.write_bytes(b"\xff\xfe\x00"), r"policy\.json is damaged"),
        ("policy.json", change(format=99), "has format 99; this version reads format 1"),
        ("policy.json", change(agent="dqn"), "unknown agent 'dqn'"),
        ("policy.json", change(settings={"hidden": [7]}), "does not hold the network that policy.json describes"),
        ("policy.json", change(settings={"hiden": [7]}), "unknown field settings.hiden: did you mean hidden?"),
        ("policy.json", change(senses=[["a"]]), r"policy\.json is damaged"),
        ("policy.json", change(senses=None), r"policy\.json is damaged"),
        ("policy.json", change(senses=[["a", -1]]), r"policy\.json is damaged"),
        ("policy.json", change(values=-1), r"policy\.json is damaged"),
        ("policy.json", change(evaluations=[{"task": "run"}]), r"policy\.json is damaged: .* is missing"),
        ("policy.json", change(comparisons=3), r"policy\.json is damaged"),
        ("policy.json", change(seeds=["0"]), r"policy\.json is damaged"),
        ("policy.json", change(known_failures=3), r"policy\.json is damaged"),
        ("policy.json", change(tasks=["run"], value_std=[1.0]), r"policy\.json is damaged"),
        ("policy.safetensors", in_half_precision, "is damaged or no file of ours"),
        ("policy.json", lambda path: path.write_text('{"format": 1}'), "senses is missing"),
    ],
)
def test_damage_is_one_clear_line(file: str, damage: Any, message: str, tmp_path: Path) -> None:
    make().save(tmp_path)
    damage(tmp_path / file)
    with pytest.raises(UsageError, match=message) as caught:
        Policy.load(tmp_path)
    assert "\n" not in str(caught.value)


EVALUATION = {
    "task": "run",
    "simulator": "dm_control",
    "physics": "paper",
    "deterministic": True,
    "episodes": 20,
    "seed": 3000,
    "mean_return": 1210.4,
    "ci95": [1180.0, 1240.0],
    "max_return": 1500.0,
    "measures": {"speed": 0.8, "stride_hz": None},
}


def test_a_published_card_tells_cost_returns_movement_and_failures() -> None:
    policy = make()
    policy.facts |= {
        "command": "rodent train --config run.yaml --seeds 0 1",
        "seeds": {"seed 0:": 1210.4, "seed 1:": 1100.0},
        "evaluations": [EVALUATION | {"measures_ci95": {"speed": [0.71234, 0.9]}}],
        "known_failures": "It falls at walls.",
        "curve": "curve.png",
        "curve_shows": "Its own run begins at the dotted line.",
    }
    card = policy.card()
    for line in (
        "| command | rodent train --config run.yaml --seeds 0 1 |",
        "| seeds | seed 0: 1210.4; seed 1: 1100.0; their mean 1155.2, by Student's t over seeds 453.8 to 1856.6 |",
        "| run | dm_control | paper | mean | 20 | 3000 | 1210.4 | 1180.0 to 1240.0 | 1500 |",
        "| measure | dm_control, paper, mean |",
        "| speed | 0.8 (0.712 to 0.9) |",
        "| stride_hz | - |",
        "It falls at walls.",
        "![Learning curve](curve.png)",
        "Its own run begins at the dotted line.",
    ):
        assert line in card.splitlines(), line
    assert "## Film" not in card
    assert "kg, makes 1.9 strides a second when it walks as it likes" in card and "and 5.2 where it changes" in card


def test_a_card_tells_each_tasks_returns_and_movement_beside_experts_and_an_untrained_network() -> None:
    policy = make()
    mazes = {"task": "maze-forage", "mean_return": 300.0, "max_return": 600.0}
    policy.facts |= {
        "evaluations": [EVALUATION, EVALUATION | mazes | {"measures": {"orbs": 6.0, "speed": 0.5}}],
        "comparisons": [
            EVALUATION | {"expert": "runner", "measures": {"speed": 0.9}},
            EVALUATION | {"runner": "run", "measures": {}},
            EVALUATION | {"control": "sitter", "measures": {}},
            EVALUATION | mazes | {"untrained_seed": 3, "deterministic": False, "measures": {"orbs": 0.0}},
        ],
        "film": {"run": "film-run.gif", "maze-forage": "film-maze-forage.gif"},
    }
    card = policy.card()
    returns = card[card.index("## Returns") :].splitlines()[4:10]
    assert [line.split(" | ")[:5] for line in returns] == [
        ["| this", "run", "dm_control", "paper", "mean"],
        ["| expert runner", "run", "dm_control", "paper", "mean"],
        ["| runner run, alone", "run", "dm_control", "paper", "mean"],
        ["| control sitter", "run", "dm_control", "paper", "mean"],
        ["| this", "maze-forage", "dm_control", "paper", "mean"],
        ["| untrained, seed 3", "maze-forage", "dm_control", "paper", "sampled"],
    ]
    moves = card[card.index("## How it moves") : card.index("A real mammal")].splitlines()
    assert moves == [
        "## How it moves", "",
        "### run", "",
        "| measure | dm_control, paper, mean | expert runner, dm_control, paper, mean |", "|---|---|---|",
        "| speed | 0.8 | 0.9 |", "| stride_hz | - | - |", "",
        "### maze-forage", "",
        "| measure | dm_control, paper, mean | untrained, seed 3, dm_control, paper, sampled |", "|---|---|---|",
        "| orbs | 6 | 0 |", "| speed | 0.5 | - |", "",
    ]  # fmt: skip
    assert "![Film, run](film-run.gif)" in card and "![Film, maze-forage](film-maze-forage.gif)" in card


def test_what_is_shipped_is_small() -> None:
    def megabytes(folder: Path) -> float:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6

    assert all(megabytes(folder) < 10 for folder in shipped_policies().values())
    assert megabytes(Path(__file__).parents[2] / "assets") < 60


@pytest.mark.parametrize("folder", shipped_policies().values(), ids=lambda folder: folder.name)
def test_a_shipped_card_tells_what_its_description_holds(folder: Path) -> None:
    held, card = (folder / "README.md").read_text(), Policy.load(folder).card()
    assert card[card.index("| | |") :] == held[held.index("| | |") :]
