"""Activations are recorded and changed inside the step, before the action."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from policies.agent import Agent
from policies.merel2020 import Merel2020Agent, Merel2020Settings
from policies.mlp import MLPAgent, MLPSettings
from policies.observation import ObservationSpec
from policies.probe import NOTHING, Experiment, Intervention, add, clamp, replace, scale, silence
from policies.registry import AGENTS, make_agent
from rodent.errors import UsageError

T, B, D, A = 6, 3, 5, 2
SHAPE = (16, 16, 3)
# A layer that every action stands on.
FIRST = {"mlp": "actor.0", "lstm": "core.h", "merel2020": "policy.0.h", "modulated": "actor.0"}


def make(name: str) -> Agent:
    torch.manual_seed(0)
    return make_agent(name, D, A, AGENTS[name].settings_type())


def make_seeing() -> Merel2020Agent:
    torch.manual_seed(0)
    return Merel2020Agent(D, A, Merel2020Settings(policy=(8, 8)), 0, SHAPE)


@torch.no_grad()
def act(agent: Agent, interventions: list[Intervention] | None) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Mean actions (time, batch, A), and what was recorded in each step (None: without any probe)."""
    torch.manual_seed(1)
    observations = torch.randn(T, B, D)
    pictures = torch.randint(0, 256, (T, B, *SHAPE), dtype=torch.uint8)
    experiment = Experiment(agent.layers(), interventions or [])
    state, means, recorded = agent.initial(B), [], []
    for t in range(T):
        probe = experiment.at(t)
        seen = pictures[t] if isinstance(agent, Merel2020Agent) and agent.vision else None
        output, state = agent.step(observations[t], state, seen, NOTHING if interventions is None else probe)
        means.append(output.mean)
        recorded.append(probe.activations)
    return torch.stack(means), recorded


def test_every_activation_has_a_name_and_a_shape() -> None:
    assert make_seeing().layers() == {
        "senses": (D,), "proprioception.0": (128,), "proprioception": (128,), "vision": (64,), "core.c": (128,),
        "core.h": (128,), "core_to_policy": (128,), "policy.0.c": (8,), "policy.0.h": (8,), "policy.1.c": (8,),
        "policy.1.h": (8,), "mean": (A,), "critic.0": (64,),
    }  # fmt: skip
    assert make("mlp").layers() == {
        "senses": (D,), "actor.0": (256,), "actor.1": (256,), "actor.2": (128,), "mean": (A,),
        "critic.0": (256,), "critic.1": (256,), "critic.2": (128,),
    }  # fmt: skip
    assert make("lstm").layers().keys() == {"senses", "encoder.0", "core.c", "core.h", "actor.0", "mean", "critic.0"}
    mirrored = MLPAgent(D, A, MLPSettings(hidden=(4,), symmetric=True)).layers()
    assert mirrored.keys() == {
        f"{where}{part}" for where in ("", "mirror.") for part in ("senses", "actor.0", "critic.0")
    } | {"mean"}


@pytest.mark.parametrize("name", AGENTS)
def test_a_change_of_the_critic_changes_its_value_and_no_action(name: str) -> None:
    agent, observation = make(name), torch.randn(B, D, generator=torch.Generator().manual_seed(2))
    probes = [Experiment(agent.layers(), each).at(0) for each in ([], [clamp("critic.0", 0.5)])]
    with torch.no_grad():
        plain, changed = (agent.step(observation, agent.initial(B), None, probe)[0] for probe in probes)
    assert torch.equal(plain.mean, changed.mean) and (plain.value != changed.value).all()


@pytest.mark.parametrize("name", AGENTS)
def test_no_intervention_is_no_change_of_any_bit(name: str) -> None:
    agent = make(name)
    assert torch.equal(act(agent, [])[0], act(agent, None)[0])
    noop = [scale(FIRST[name], 1.0), add(FIRST[name], 0.0), clamp(FIRST[name], 9.0, start=T)]
    assert torch.equal(act(agent, noop)[0], act(agent, None)[0])


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("kind", ["clamp", "scale", "add", "replace", "silence", "silence senses"])
def test_each_kind_changes_the_action_of_its_own_step(name: str, kind: str) -> None:
    agent, layer, at = make(name), FIRST[name], 2
    size = agent.layers()[layer][0]
    intervention = {
        "clamp": clamp(layer, 0.7, start=at),
        "scale": scale(layer, 3.0, start=at),
        "add": add(layer, 0.5, start=at),
        "replace": replace(layer, torch.randn(T - at, size), start=at),
        "silence": silence(layer, start=at),
        "silence senses": silence("senses", start=at),
    }[kind]
    changed, plain = act(agent, [intervention])[0], act(agent, None)[0]
    assert torch.equal(changed[:at], plain[:at])
    assert (changed[at:] != plain[at:]).any(-1).all()


@pytest.mark.parametrize("stream", ["senses", "vision", "proprioception", "core_to_policy"])
def test_each_input_stream_can_be_silenced(stream: str) -> None:
    agent = make_seeing()
    changed, recorded = act(agent, [silence(stream)])
    assert not recorded[0][stream].any()
    assert (changed != act(agent, None)[0]).any(-1)[1:].all()  # in the first step a core may have little to say


def test_one_sense_is_silenced_by_its_units() -> None:
    spec = ObservationSpec((("joints", 3), ("touch", 2)))
    _, recorded = act(make("lstm"), [silence("senses", spec.units("touch"))])
    assert not recorded[0]["senses"][:, 3:].any() and recorded[0]["senses"][:, :3].all()
    with pytest.raises(UsageError, match="no sense 'smell': choose one of joints, touch"):
        spec.units("smell")


def test_units_environments_and_times_are_chosen() -> None:
    agent = make("merel2020")
    values = torch.tensor([[0.1, 0.2], [0.3, 0.4]])
    _, recorded = act(agent, [clamp("core.h", values, units=[5, 9], envs=[0, 2], start=2, stop=4)])
    _, plain = act(agent, [])
    for t in (2, 3):
        assert torch.equal(recorded[t]["core.h"][[0, 2]][:, [5, 9]], values)
    untouched = torch.ones(B, agent.layers()["core.h"][0], dtype=torch.bool)
    untouched[torch.tensor([[0], [2]]), torch.tensor([5, 9])] = False
    assert torch.equal(recorded[2]["core.h"][untouched], plain[2]["core.h"][untouched])
    assert torch.equal(recorded[3]["core.h"][1], plain[3]["core.h"][1])
    assert not torch.equal(recorded[4]["core.h"][0, [5, 9]], values[0])


@pytest.mark.parametrize("part", ["core.h", "core.c"])
def test_what_is_changed_stays_in_memory(part: str) -> None:
    changed, recorded = act(make("lstm"), [add(part, 1.0, start=1, stop=2)])
    plain, otherwise = act(make("lstm"), [])
    assert torch.equal(recorded[1][part], otherwise[1][part] + 1)
    assert not torch.allclose(recorded[2]["core.c"], otherwise[2]["core.c"])
    assert (changed[1:] != plain[1:]).any(-1).all()


def test_a_cell_state_that_is_overwritten_speaks_in_the_same_step() -> None:
    _, recorded = act(make("lstm"), [clamp("core.c", 0.0)])
    assert not recorded[0]["core.h"].any()


def test_a_trajectory_is_played_from_its_start_to_its_end() -> None:
    trajectory = torch.randn(2, 128)
    _, recorded = act(make("lstm"), [replace("core.c", trajectory, start=3)])
    _, plain = act(make("lstm"), [])
    assert torch.equal(recorded[3]["core.c"], trajectory[0].expand(B, -1))
    assert torch.equal(recorded[4]["core.c"], trajectory[1].expand(B, -1))
    assert torch.equal(recorded[2]["core.c"], plain[2]["core.c"])
    assert not torch.equal(recorded[5]["core.c"], trajectory[1].expand(B, -1))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: silence("cortex"), r"^the agent has no layer 'cortex': choose one of senses, encoder\.0, core\.c"),
        (lambda: silence("core.h", [3, 128]), r"^layer core\.h has no unit 128: its 128 units are 0 to 127$"),
        (lambda: silence("core.h", [-1]), "needs at least one unit, a whole number from 0, not"),
        # Half a unit is an error of types, too; whoever calls without them is told all the same.
        (lambda: silence("core.h", [1.5]), r"a whole number from 0, not \(1\.5,\)$"),  # type: ignore[list-item]
        (lambda: silence("core.h", envs=[]), "needs at least one environment, a whole number from 0, not"),
        (lambda: silence("core.h", start=-1), "must begin at step 0 or later and last a step, not begin at -1$"),
        (lambda: clamp("core.h", 1.0, start=3, stop=3), "last a step, not begin at 3 and end before 3$"),
        (lambda: replace("core.h", torch.zeros(0, 128)), "last a step, not begin at 0 and end before 0$"),
        (lambda: clamp("core.h", torch.zeros(3), [1, 2]), r"2 units of core\.h takes one value, 2, or 2 an environ"),
        (lambda: replace("core.h", torch.zeros(9, 5)), r"not values of shape \(5,\)"),
    ],
)
def test_what_is_not_there_cannot_be_changed(wrong: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Experiment(make("lstm").layers(), [wrong()])


@pytest.mark.parametrize(
    "wrong", [clamp("core.h", torch.zeros(2, 128)), replace("core.h", torch.zeros(T, 2, 3), [1, 2, 5])]
)
def test_values_of_more_or_fewer_environments_than_there_are_is_one_clear_line(wrong: Intervention) -> None:
    message = (
        "^an intervention on core.h has values for 2 environments, and there are 3: give one row for all, or as many$"
    )
    with pytest.raises(UsageError, match=message):
        act(make("lstm"), [wrong])
    act(make("lstm"), [clamp("core.h", torch.zeros(rows, 128)) for rows in (1, B)])


def test_an_environment_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="there is no environment 7 among 3, which are 0 to 2"):
        act(make("lstm"), [silence("core.h", envs=[7])])
