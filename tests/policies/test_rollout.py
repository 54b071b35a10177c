from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from point_mass import LIMIT, PointMasses, make_cued

from policies.agent import Agent
from policies.collector import Collector
from policies.observation import ObservationSpec
from policies.registry import AGENTS, make_agent
from policies.rollout import Rollout

TIME, ENVS = 25, 4


def collect(name: str, rollouts: int = 1, cue: bool = False) -> tuple[Agent, Rollout, dict[str, float], Collector]:
    torch.manual_seed(0)
    env = PointMasses(ENVS, aids=True, cue=cue)
    senses = ObservationSpec.of(env.single_observation_space)
    agent = make_agent(name, senses.size, 2, AGENTS[name].settings_type())
    rollout = Rollout.empty(TIME, ENVS, agent)
    collector = Collector(env, agent, senses, [1, 2, 3, 4], torch.Generator().manual_seed(0))
    figures = {}
    for _ in range(rollouts):
        figures = collector.collect(rollout)
    return agent, rollout, figures, collector


def test_a_start_follows_each_ending() -> None:
    _, rollout, _, _ = collect("mlp")
    assert rollout.starts[0].all()
    torch.testing.assert_close(rollout.starts[1:], rollout.ended[:-1])
    assert rollout.truncated[LIMIT - 1].any()


@pytest.mark.parametrize("name", AGENTS)
def test_what_was_recorded_is_what_unrolling_gives(name: str) -> None:
    agent, rollout, _, _ = collect(name, rollouts=2)
    assert not rollout.starts[0].all()
    output = agent.unroll(rollout.observations, rollout.initial_state, rollout.starts)
    torch.testing.assert_close(output.mean, rollout.means)
    torch.testing.assert_close(output.value, rollout.values)
    torch.testing.assert_close(output.log_prob(rollout.actions), rollout.log_probs)


class Listening(PointMasses):
    def reset(self, **named: Any) -> Any:
        self.heard: list[np.ndarray] = []
        return super().reset(**named)

    def step(self, actions: np.ndarray) -> Any:
        self.heard.append(actions.copy())
        return super().step(actions)


def test_noise_that_persists_is_carried_from_action_to_action_until_the_episode_ends() -> None:
    torch.manual_seed(0)
    env = Listening(ENVS, aids=True)
    senses = ObservationSpec.of(env.single_observation_space)
    agent = make_agent("mlp", senses.size, 2, AGENTS["mlp"].settings_type(initial_std=0.05))
    rollout = Rollout.empty(TIME, ENVS, agent)
    collector = Collector(env, agent, senses, [1, 2, 3, 4], torch.Generator().manual_seed(0))
    collector.noise_persistence = 0.5
    collector.collect(rollout)
    own, executed = rollout.actions - rollout.means, torch.from_numpy(np.stack(env.heard)) - rollout.means
    assert rollout.starts[1:].any()
    carried = torch.zeros(ENVS, 2)
    for t in range(TIME):
        carried[rollout.starts[t]] = 0
        carried = own[t] + 0.5 * carried
        torch.testing.assert_close(executed[t], carried)


@pytest.mark.parametrize("name", AGENTS)
def test_the_value_after_a_truncation_is_that_of_the_final_observation(name: str) -> None:
    agent, rollout, _, _ = collect(name)
    torch.manual_seed(0)
    env = PointMasses(ENVS, aids=True)
    senses = ObservationSpec.of(env.single_observation_space)
    observation, _ = env.reset(seed=[1, 2, 3, 4])
    state = agent.initial(ENVS)
    for t in range(LIMIT):  # again, without the collector
        output, state = agent.step(senses.flatten(observation), state)
        controls = agent.controls(output, rollout.actions[t]).detach().numpy()
        observation, _, _, truncated, info = env.step(controls)
        if t + 1 < LIMIT and not rollout.ended[t].any():
            torch.testing.assert_close(rollout.next_values[t], rollout.values[t + 1])
    final = senses.flatten_each(info["final_obs"][truncated])
    where = torch.from_numpy(truncated)
    expected = agent.step(final, {key: value[where] for key, value in state.items()})[0].value
    torch.testing.assert_close(rollout.next_values[LIMIT - 1][where], expected.detach())
    assert not torch.allclose(rollout.next_values[LIMIT - 1][where], rollout.values[LIMIT][where])


def test_the_log_tells_the_tasks_own_reward_apart_from_shaping() -> None:
    _, rollout, figures, _ = collect("mlp")
    actions = rollout.actions.clamp(-1, 1)
    shaping = -0.01 * actions.square().sum(-1)
    assert figures["shaping.effort"] == pytest.approx(shaping.mean().item(), rel=1e-5)
    assert figures["reward"] == pytest.approx((rollout.rewards - shaping).mean().item(), rel=1e-5)
    assert figures["reward.near"] == figures["reward"]
    assert figures["ended.time_limit"] == rollout.truncated.sum()
    own = (rollout.rewards - shaping)[:LIMIT].sum(0)
    lasted = rollout.truncated[LIMIT - 1] & ~rollout.ended[: LIMIT - 1].any(0)
    if bool(lasted.all()):
        assert figures["episode_return"] == pytest.approx(own.mean().item(), rel=1e-5)
        assert figures["episode_length"] == LIMIT


def test_minibatches_have_about_the_size_asked_for_and_no_fewer_than_one_sequence() -> None:
    agent = make_agent("lstm", 3, 2, AGENTS["lstm"].settings_type())
    rollout = Rollout.empty(32, 16, agent)
    assert rollout.count_minibatches(128, whole_sequences=False) == 4
    assert rollout.count_minibatches(10_000, whole_sequences=False) == 1
    assert rollout.count_minibatches(1, whole_sequences=True) == 16


def test_every_step_is_in_one_minibatch() -> None:
    _, rollout, _, _ = collect("mlp")
    marks = torch.arange(TIME * ENVS).view(TIME, ENVS).float()
    batches = list(rollout.minibatches(marks, marks, 3, False, torch.Generator().manual_seed(0)))
    assert sorted(torch.cat([batch.returns.flatten() for batch in batches]).tolist()) == list(range(TIME * ENVS))
    assert [batch.returns.shape[0] for batch in batches] == [1, 1, 1]


def test_sequences_stay_whole_and_keep_their_state() -> None:
    _, rollout, _, _ = collect("lstm", rollouts=2)
    marks = torch.arange(ENVS).expand(TIME, ENVS).float()
    for batch in rollout.minibatches(marks, marks, 2, True, torch.Generator().manual_seed(0)):
        ids = batch.returns[0].long()
        assert (batch.returns == batch.returns[0]).all()
        torch.testing.assert_close(batch.observations, rollout.observations[:, ids])
        torch.testing.assert_close(batch.initial_state["core.h"], rollout.initial_state["core.h"][ids])


def test_a_collector_goes_on_from_its_saved_state() -> None:
    _, rollout, _, collector = collect("lstm")
    saved = {name: np.array(value) for name, value in collector.state_dict().items()}
    noise = collector.generator.get_state()
    collector.collect(rollout)
    expected = rollout.observations.clone()
    collector.load_state_dict(saved)
    collector.generator.set_state(noise)
    collector.collect(rollout)
    assert torch.equal(rollout.observations, expected)


def test_the_cue_is_gone_after_the_first_step() -> None:
    env = make_cued("run", 2, "fast", 1, None)
    assert env.reset(seed=0)[0]["cue"].all()
    assert not env.step(np.zeros((2, 2)))[0]["cue"].any()
