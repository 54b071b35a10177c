"""The wiring of the paper's agent, shown by where gradients go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from experience import experience
from torch import Tensor

from policies.agent import Output, reset_state
from policies.cells import CELLS
from policies.config import load_yaml
from policies.distillation import Distillation
from policies.learner import Learner
from policies.merel2020 import LARGE, Merel2020Agent, Merel2020Settings
from policies.ppo import PPO
from policies.vmpo import VMPO
from rodent.errors import UsageError

ROOT = Path(__file__).parents[2]
T, B, D, A = 4, 3, 5, 2
SHAPE = (16, 12, 3)
SMALL = Merel2020Settings(
    channels=(4, 4), vision=6, proprioception=(8,), core=7, critic=(5,), policy=(6, 5), initial_std=0.3
)
WIRINGS = ("merel2020", "value-reads-policy", "shared")


def make(sees: bool = True, critic_size: int = 0, **changes: Any) -> Merel2020Agent:
    torch.manual_seed(0)
    return Merel2020Agent(D, A, replace(SMALL, **changes), critic_size, SHAPE if sees else None)


def pictures() -> Tensor:
    return torch.randint(0, 256, (T, B, *SHAPE), dtype=torch.uint8)


def unroll(agent: Merel2020Agent) -> Output:
    observations = torch.randn(T, B, D + agent.critic_size)
    starts = torch.zeros(T, B, dtype=torch.bool)
    seen = pictures() if agent.vision else None
    return agent.unroll(observations, agent.initial(B), starts, seen)


def reached(agent: Merel2020Agent, loss: Tensor) -> set[str]:
    """The modules that a loss trains."""
    agent.zero_grad()
    loss.backward()
    return {
        name.partition(".")[0] for name, p in agent.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0
    }


def policy_loss(output: Output) -> Tensor:
    return output.log_prob(torch.randn(T, B, A)).sum()


ENCODERS = {"vision", "proprioception"}
POLICY = {"policy", "actor", "log_std"}
VALUE = {"core", "critic"}


@pytest.mark.parametrize(
    ("changes", "by_policy", "by_value"),
    [
        ({}, POLICY | ENCODERS, VALUE | ENCODERS),
        ({"skip": False}, POLICY | ENCODERS, VALUE | ENCODERS),
        ({"encoders": "value"}, POLICY, VALUE | ENCODERS),
        ({"wiring": "value-reads-policy"}, POLICY | ENCODERS, VALUE),
        ({"wiring": "shared"}, POLICY | ENCODERS | {"core"}, VALUE | ENCODERS),
        ({"cell": "gru"}, POLICY | ENCODERS, VALUE | ENCODERS),
        ({"cell": "rnn"}, POLICY | ENCODERS, VALUE | ENCODERS),
        ({"cell": "feedforward"}, POLICY | ENCODERS, VALUE | ENCODERS),
    ],
)
def test_each_loss_trains_what_the_wiring_says(
    changes: dict[str, Any], by_policy: set[str], by_value: set[str]
) -> None:
    agent = make(**changes)
    assert reached(agent, policy_loss(unroll(agent))) == by_policy
    assert reached(agent, unroll(agent).value.square().sum()) == by_value


@pytest.mark.parametrize(
    ("changes", "untouched"),
    [({}, {"core"}), ({"encoders": "value"}, {"core", "proprioception"}), ({"wiring": "shared"}, set())],
)
@pytest.mark.parametrize(
    ("learner", "taught"), [(PPO, False), (PPO, True), (VMPO, False), (VMPO, True), (Distillation, True)]
)
def test_all_that_a_learner_makes_of_the_policy_leaves_the_core_untouched(
    learner: type[Learner], taught: bool, changes: dict[str, Any], untouched: set[str]
) -> None:
    agent, rollout = experience("merel2020", replace(SMALL, **changes), taught=True)
    settings = replace(learner.settings_type(), value=0.0, **({"entropy": 0.01} if learner is PPO else {}))
    teaching = learner(agent, settings)
    if taught:
        teaching.expert_weights = torch.ones(1)
    before = {name: value.clone() for name, value in agent.named_parameters()}
    teaching.update(rollout, torch.Generator().manual_seed(0))
    moved = {name.partition(".")[0] for name, value in agent.named_parameters() if not torch.equal(value, before[name])}
    critic = {"critic"} if learner is VMPO else set()  # whose outputs PopArt scales anew
    assert moved == {"core", "proprioception"} - untouched | {"policy", "actor", "log_std"} | critic


@pytest.mark.parametrize("sees", [True, False])
@pytest.mark.parametrize("changes", [{}, {"encoders": "value"}, {"wiring": "value-reads-policy"}, {"wiring": "shared"}])
def test_gradients_are_clipped_together_where_the_same_losses_made_them(changes: dict[str, Any], sees: bool) -> None:
    agent = make(sees=sees, **changes)
    groups = agent.trained_apart()
    assert sorted(id(p) for group in groups for p in group) == sorted(id(p) for p in agent.parameters())
    if changes.get("wiring") == "shared":
        assert len(groups) == 1
        return
    trained = []
    for loss in (policy_loss(unroll(agent)), unroll(agent).value.square().sum()):
        agent.zero_grad()
        loss.backward()
        trained.append([{p.grad is not None and bool(p.grad.any()) for p in group} for group in groups])
    by_policy, by_value = trained
    assert (by_policy[0], by_value[0]) == ({True}, {False}) and (by_policy[1], by_value[1]) == ({False}, {True})
    assert all(each == {True} for each in by_policy[2:] + by_value[2:]) and (len(groups) == 3) == (changes == {})


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("skip", [True, False])
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [(6,), (6, 5, 4)])
def test_every_parameter_is_reached(wiring: str, skip: bool, cell: str, layers: tuple[int, ...]) -> None:
    agent = make(wiring=wiring, skip=skip, cell=cell, policy=layers, critic_size=2)
    output = unroll(agent)
    (policy_loss(output) + output.value.square().sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in agent.parameters())


def test_the_policy_hears_the_core_though_it_does_not_train_it() -> None:
    agent = make()
    observation, picture = torch.randn(B, D), pictures()[0]
    state = agent.initial(B)
    other = {**state, "core.h": torch.randn_like(state["core.h"])}
    ours, theirs = (agent.step(observation, each, picture)[0].mean for each in (state, other))
    assert not torch.equal(ours, theirs)


@pytest.mark.parametrize("wiring", WIRINGS)
@pytest.mark.parametrize("cell", CELLS)
def test_unrolling_is_stepping_with_pictures_and_any_cell(wiring: str, cell: str) -> None:
    agent = make(wiring=wiring, cell=cell)
    observations, seen, starts = torch.randn(T, B, D), pictures(), torch.rand(T, B) < 0.3
    state = {name: torch.randn_like(value) for name, value in agent.initial(B).items()}
    unrolled = agent.unroll(observations, state, starts, seen)
    for t in range(T):
        output, state = agent.step(observations[t], reset_state(state, starts[t]), seen[t])
        for ours, theirs in zip(output[:3], unrolled[:3], strict=True):
            torch.testing.assert_close(ours, theirs[t])
    assert agent.recurrent == bool(state)


def test_what_it_sees_changes_what_it_does() -> None:
    agent = make()
    observation = torch.randn(B, D)
    ours, theirs = (agent.step(observation, agent.initial(B), pictures()[0])[0] for _ in range(2))
    assert not torch.equal(ours.mean, theirs.mean) and not torch.equal(ours.value, theirs.value)


def test_a_picture_that_stays_is_looked_at_once_and_trains_as_if_it_were_looked_at_again() -> None:
    agent = make()
    stays = torch.tensor([[0, 1, 0], [0, 1, 1], [0, 0, 1], [1, 0, 1]], dtype=torch.bool)  # the first always is new
    seen = pictures()
    for t in range(1, T):
        seen[t, stays[t]] = seen[t - 1, stays[t]]
    looked: list[int] = []
    agent.vision.stages.register_forward_hook(lambda module, inputs, output: looked.append(len(inputs[0])))
    gradients = []
    for look in (agent.vision, agent.vision.watch):
        agent.zero_grad()
        features = look(seen)
        (features * torch.linspace(-1, 1, features.numel()).view_as(features)).sum().backward()
        gradients.append([features.detach(), *(p.grad.clone() for p in agent.vision.parameters())])
    assert looked == [T * B, T * B - int(stays[1:].sum())]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


def test_without_a_camera_there_is_no_visual_branch() -> None:
    agent = make(sees=False)
    assert not any(name.startswith("vision") for name, _ in agent.named_parameters())
    assert "vision" not in agent.layers()
    assert unroll(agent).mean.shape == (T, B, A)


def test_an_agent_that_sees_asks_for_pictures() -> None:
    agent = make()
    with pytest.raises(UsageError, match="given no picture: make the environment with vision"):
        agent.step(torch.randn(B, D), agent.initial(B))


@pytest.mark.parametrize(("cell", "theirs"), [("gru", torch.nn.GRU), ("rnn", torch.nn.RNN)])
def test_cells_are_torchs_own(cell: str, theirs: Any) -> None:
    ours = CELLS[cell](D, 6)
    other = theirs(D, 6)
    weights = {"weight_ih_l0": ours.input.weight, "weight_hh_l0": ours.recurrent.weight, "bias_ih_l0": ours.input.bias}
    other.load_state_dict({**weights, "bias_hh_l0": torch.zeros(len(ours.input.bias))})
    inputs, h = torch.randn(T, B, D), torch.randn(B, 6)
    outputs = ours.unroll(inputs, (h,), torch.zeros(T, B, dtype=torch.bool))
    torch.testing.assert_close(outputs, other(inputs, h[None])[0])


def test_the_large_sizes_are_those_of_their_configuration() -> None:
    config = load_yaml(ROOT / "assets" / "configs" / "merel2020-large.yaml")
    assert config.agent_settings == LARGE


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"policy": ()}, "one to three layers"),
        ({"policy": (4, 4, 4, 4)}, "one to three layers"),
        ({"proprioception": ()}, r"merel2020\.proprioception must name at least one layer"),
        ({"core": 0}, "at least one unit in each layer"),
        ({"cell": "spiking"}, "cell must be one of lstm, gru, rnn, feedforward, not 'spiking'"),
        ({"wiring": "value-reads-policy", "encoders": "value"}, "encoders is value under wiring merel2020 alone"),
        ({"initial_std": 0.0}, "initial_std must be above 0"),
    ],
)
def test_settings_that_make_no_agent_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(SMALL, **wrong)
