from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from experience import experience
from point_mass import make_point_masses
from torch import Tensor

from policies.agent import Output
from policies.config import Phase
from policies.mlp import MLPAgent, MLPSettings
from policies.modulated import ModulatedAgent, ModulatedSettings
from policies.observation import ObservationSpec
from policies.policy import Policy
from policies.ppo import PPO, PPOSettings
from policies.probe import Experiment, clamp
from policies.registry import make_agent
from policies.synergies import measure_synergies
from policies.training import train
from rodent.errors import UsageError
from rodent.symmetry import Mirror

SENSES = ObservationSpec((("gyro", 3), ("privileged/floor", 2), ("touch", 1)))
FLOOR = SENSES.units("privileged/floor")
A, B = 4, 5
SETTINGS = ModulatedSettings(hidden=(8,), synergies=3, reach=2.0, runner=MLPSettings(hidden=(8,)))
# In a mirror the gyro's first and last axes turn round, and two actuators change places with the two others.
SENSES_MIRROR = Mirror(np.arange(6), np.array([-1, 1, -1, 1, 1, 1], np.float32))
ACTIONS_MIRROR = Mirror(np.array([2, 3, 0, 1]), np.array([1, -1, 1, -1], np.float32))


def make(settings: ModulatedSettings = SETTINGS, critic_size: int = 0) -> ModulatedAgent:
    """With weights that say something, and synergies that are their own mirror images or their opposites'."""
    torch.manual_seed(0)
    senses = replace(SENSES, critic_senses=(("critic", critic_size),) if critic_size else ())
    agent = make_agent("modulated", SENSES.size, A, settings, critic_size, senses=senses)
    assert isinstance(agent, ModulatedAgent)
    for network in (agent.actor, agent.critic, agent.runner.actor):
        torch.nn.init.normal_(network[-1].weight, std=0.3)
    half = 0.5**0.5
    synergies = half * torch.tensor([[1.0, 1, 0, 0], [0, 0, 1, 1], [1, -1, 0, 0], [0, 0, -1, 1]])
    if not settings.sideways:
        agent.adopt(synergies, torch.tensor([1.0, 0.5, 0.25, 0.1]))
    return agent


def say(agent: ModulatedAgent, observation: Tensor) -> Output:
    return agent.step(observation, {})[0]


def test_without_commands_it_does_what_the_runner_does() -> None:
    agent, observation = make(), torch.randn(B, SENSES.size)
    runs = agent.runner.step(observation, {})[0].mean
    controls = agent.controls(say(agent, observation), torch.zeros(B, 3))
    torch.testing.assert_close(controls, runs.clamp(-1, 1))


def test_what_is_withheld_reaches_the_modulator_and_not_the_runner() -> None:
    agent = make(replace(SETTINGS, withheld=("gyro",)))
    agent.runner.normaliser.update(torch.randn(50, SENSES.size) + 3)
    observation = torch.randn(B, SENSES.size)
    told = observation.clone()
    told[:, :3] = agent.runner.normaliser.mean[:3].float()
    output = say(agent, observation)
    torch.testing.assert_close(output.drive, agent.runner.step(told, {})[0].mean.clamp(-1, 1))
    assert not torch.equal(output.mean, say(agent, told).mean)
    assert torch.equal(say(make(), observation).drive, make().runner.step(observation, {})[0].mean.clamp(-1, 1))


@pytest.mark.parametrize("taper", [0.0, 0.5, 1.0])
def test_a_command_moves_the_controls_along_its_synergy_by_a_power_of_its_spread(taper: float) -> None:
    agent = make(replace(SETTINGS, taper=taper))
    still = Output(torch.zeros(1, 3), torch.zeros(1, 3), torch.zeros(1), drive=torch.zeros(1, A))
    for k, expected in enumerate((2.0, 2.0 * 0.5**taper, 2.0 * 0.25**taper)):
        command = torch.zeros(1, 3)
        command[0, k] = 0.1
        moved = agent.controls(still, command)[0]
        torch.testing.assert_close(moved, 0.1 * expected * agent.synergies[:, k])
    far = torch.full((1, 3), 7.0)
    assert torch.equal(agent.controls(still, far), agent.controls(still, torch.ones(1, 3)))


def test_what_lies_ahead_is_read_by_the_phase_of_the_stride() -> None:
    agent = make()
    observation = torch.randn(B, SENSES.size)
    drive = agent.runner.step(observation, {})[0].mean.clamp(-1, 1)
    strength = drive @ agent.synergies / agent.spread
    phase = strength[:, :2] / strength[:, :2].norm(dim=1, keepdim=True).clamp(min=0.3)
    own = observation[:, [0, 1, 2, 5]]
    floor = observation[:, list(FLOOR)]
    expected = torch.cat([strength, own, floor, floor * phase[:, :1], floor * phase[:, 1:]], 1)
    seen = Experiment(agent.layers()).at(0)
    agent.step(observation, {}, probe=seen)
    torch.testing.assert_close(seen.activations["features"], expected)


def test_it_reads_the_senses_that_it_is_told_and_privileged_ones() -> None:
    labels = make(replace(SETTINGS, senses=("touch",))).inputs(SENSES)["actor.0.weight"]
    floor = [("privileged/floor", i, phase) for phase in range(3) for i in range(2)]
    assert labels == [("touch", 0), *floor]
    with pytest.raises(UsageError, match=r"^the policy reads no sense 'smell': choose one of gyro, privileged/floor"):
        make(replace(SETTINGS, senses=("smell",)))


@pytest.mark.parametrize("critic_size", [0, 2])
def test_in_a_mirror_it_does_the_mirror_image(critic_size: int) -> None:
    agent = make(replace(SETTINGS, symmetric=True, runner=MLPSettings(hidden=(8,), symmetric=True)), critic_size)
    more = Mirror(np.arange(6, 6 + critic_size), np.full(critic_size, -1, np.float32))
    senses = Mirror(np.concatenate([SENSES_MIRROR.index, more.index]), np.concatenate([SENSES_MIRROR.sign, more.sign]))
    agent.reflect(senses, ACTIONS_MIRROR)
    agent.normaliser.update(torch.randn(50, SENSES.size + critic_size) * 3 + 1)
    agent.runner.normaliser.update(torch.randn(50, SENSES.size) * 2 - 1)
    here = torch.randn(B, SENSES.size + critic_size)
    there = here[:, senses.index] * torch.from_numpy(senses.sign)
    ours, theirs = say(agent, here), say(agent, there)
    controls, reflected = (agent.controls(output, output.mean) for output in (ours, theirs))
    torch.testing.assert_close(controls[:, ACTIONS_MIRROR.index] * torch.from_numpy(ACTIONS_MIRROR.sign), reflected)
    torch.testing.assert_close(ours.value, theirs.value)
    torch.testing.assert_close(agent.value(here), ours.value)
    assert not torch.allclose(controls, reflected)


def test_more_synergies_that_turn_are_found_by_their_mirror_images() -> None:
    agent = make(replace(SETTINGS, symmetric=True, synergies=2, sideways=1))
    agent.reflect(SENSES_MIRROR, ACTIONS_MIRROR)
    half = 0.5**0.5
    own, opposite = half * torch.tensor([[1.0, 0, 1, 0], [1.0, 0, -1, 0]])
    others = half * torch.tensor([[0.0, 1, 0, -1], [0.0, 1, 0, 1]])
    agent.adopt(torch.stack([own, others[0], opposite, others[1]], 1), torch.tensor([4.0, 3.0, 2.0, 1.0]))
    torch.testing.assert_close(agent.synergies, torch.stack([own, others[0], opposite], 1))
    agent.adopt(torch.stack([own, others[0], others[0], opposite], 1), torch.tensor([4.0, 3.0, 2.0, 1.0]))
    torch.testing.assert_close(agent.synergies, torch.stack([own, others[0], opposite], 1))
    torch.testing.assert_close(agent.spread, torch.tensor([4.0, 3.0, 1.0]))
    still = Output(torch.zeros(1, 3), torch.zeros(1, 3), torch.zeros(1), drive=torch.zeros(1, A))
    turned = agent.controls(still, torch.tensor([[0.0, 0.0, 0.1]]))[0]
    torch.testing.assert_close(turned, 0.1 * 5.0 * 0.25**0.5 * opposite)
    with pytest.raises(UsageError, match=r"^the runner has 0 more synergies that turn: lower modulated\.sideways$"):
        agent.adopt(torch.stack([own, opposite, others[0], others[0]], 1), torch.ones(4))


def test_the_runner_never_learns() -> None:
    agent, rollout = experience("modulated")
    assert isinstance(agent, ModulatedAgent)
    before = {name: value.clone() for name, value in agent.state_dict().items()}
    PPO(agent, PPOSettings(rate=1e-2)).update(rollout, torch.Generator().manual_seed(0))
    changed = {name for name, value in agent.state_dict().items() if not torch.equal(value, before[name])}
    assert any(name.startswith("actor.") for name in changed)
    assert not any(name.startswith(("runner.", "synergies", "spread")) for name in changed)


def test_over_controls_it_is_as_broad_as_its_samples() -> None:
    agent = make()
    drive = torch.tensor([[0.1, -0.2, 0.3, 0.0]]).expand(50_000, A)
    output = Output(torch.full((50_000, 3), 0.05), torch.full((50_000, 3), -3.0), torch.zeros(50_000), drive)
    mean, log_std = agent.over_controls(output)
    controls = agent.controls(output, output.sample(torch.Generator().manual_seed(0)))
    torch.testing.assert_close(controls.mean(0), mean[0], atol=2e-3, rtol=0)
    torch.testing.assert_close((controls.var(0) + 1e-4).sqrt(), log_std[0].exp(), rtol=0.02, atol=0)


def test_the_runner_can_be_changed_while_it_acts() -> None:
    agent, observation = make(), torch.randn(B, SENSES.size)
    assert {"runner.senses", "runner.actor.0", "runner.mean", "features", "actor.0", "mean"} <= agent.layers().keys()
    probe = Experiment(agent.layers(), [clamp("runner.mean", 0.25)]).at(0)
    output, _ = agent.step(observation, {}, probe=probe)
    torch.testing.assert_close(agent.controls(output, torch.zeros(B, 3)), torch.full((B, A), 0.25))


class Shaken(MLPAgent):
    """Drives its two actuators with a spread of 0.3 along (1, 1) and of 0.1 along (1, -1)."""

    def step(self, observation: Tensor, *rest: Any, **named: Any) -> Any:
        output, state = super().step(observation, *rest, **named)
        together, apart = torch.randn(2, len(observation), 1)
        mean = (0.3 * together + 0.1 * apart * torch.tensor([1.0, -1.0])) / 2**0.5
        return output._replace(mean=mean), state


def runner(kind: type[MLPAgent] = MLPAgent) -> Policy:
    torch.manual_seed(0)
    senses = ObservationSpec.of(make_point_masses("run", 1, "fast", 1, None).single_observation_space)
    agent = kind(senses.size, 2, MLPSettings((16,)))
    agent.normaliser.update(torch.randn(50, senses.size) + 2)
    torch.nn.init.normal_(agent.actor[-1].weight)
    return Policy(agent, MLPSettings((16,)), senses, ("push_0", "push_1"), {"tasks": ["run"]})


@pytest.mark.parametrize("mirror", [None, Mirror(np.array([1, 0]), np.ones(2, np.float32))])
def test_synergies_are_the_principal_components_of_what_the_runner_does(mirror: Mirror | None) -> None:
    synergies, spread = measure_synergies(runner(Shaken), "fast", make_point_masses, mirror=mirror)
    torch.testing.assert_close(spread, torch.tensor([0.3, 0.1]), rtol=0.05, atol=0)
    tolerance = 1e-6 if mirror else 0.05
    torch.testing.assert_close(synergies[:, 0], torch.full((2,), 0.5**0.5), rtol=0, atol=tolerance)
    torch.testing.assert_close(synergies[:, 1].abs(), torch.full((2,), 0.5**0.5), rtol=0, atol=tolerance)


def test_training_modulates_the_policy_that_it_starts_from(small: Any, tmp_path: Path) -> None:
    source = runner()
    source.save(tmp_path / "runner")
    train(small(agent="modulated", init_from=str(tmp_path / "runner")), make_point_masses)
    policy = Policy.load(tmp_path / "run")
    agent = policy.agent
    assert isinstance(agent, ModulatedAgent)
    observation = make_point_masses("run", 4, "fast", 1, None).reset(seed=0)[0]
    flat = policy.senses.flatten(observation)
    untouched = agent.controls(agent.step(flat, {})[0], torch.zeros(4, 2)).numpy()
    np.testing.assert_allclose(untouched, source.act(observation)[0], atol=1e-6)
    torch.testing.assert_close(agent.synergies.T @ agent.synergies, torch.eye(2))
    assert (agent.spread != 1).all()


def test_training_goes_on_from_a_modulated_policy_with_its_runner(small: Any, tmp_path: Path) -> None:
    runner().save(tmp_path / "runner")
    train(small(agent="modulated", init_from=str(tmp_path / "runner")), make_point_masses)
    still = (Phase(rate=1e-12, steps=1),)
    run = tmp_path / "run"
    train(small(agent="modulated", init_from=str(run), run_dir=tmp_path / "on", schedule=still), make_point_masses)
    first, second = (Policy.load(tmp_path / folder) for folder in ("run", "on"))
    assert first.facts["runner"] == second.facts["runner"] == str(tmp_path / "runner")
    ours, theirs = first.agent.state_dict(), second.agent.state_dict()
    for name in ours:
        if not name.startswith(("normaliser.", "critic.")):  # the critic has a rate of its own
            torch.testing.assert_close(ours[name], theirs[name], rtol=0, atol=1e-9, msg=name)


def test_a_runner_of_other_sizes_is_refused(small: Any, tmp_path: Path) -> None:
    runner().save(tmp_path / "runner")
    settings = ModulatedSettings(hidden=(16,), runner=MLPSettings((8,)))
    with pytest.raises(UsageError, match=r"is a network of other sizes: it has MLPSettings\(hidden=\(16,\)"):
        train(small(agent="modulated", init_from=str(tmp_path / "runner"), modulated=settings), make_point_masses)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": ()}, r"^modulated.hidden must name at least one layer of one unit, not \(\)"),
        ({"synergies": 1}, "^modulated.synergies must be 2 or more, not 1"),
        ({"sideways": -1}, "^modulated.sideways must be 0 or more, not -1"),
        ({"sideways": 2}, "^modulated.sideways needs to know what a mirror does: give --modulated.symmetric as well"),
        ({"reach": float("nan")}, "^modulated.reach must be above 0 and finite, not nan"),
        ({"taper": 1.5}, "^modulated.taper must lie in \\[0, 1\\], not 1.5"),
        ({"initial_std": 0.0}, "^modulated.initial_std must be above 0 and finite, not 0.0"),
    ],
)
def test_faulty_settings_are_one_clear_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ModulatedSettings(**settings)
