from __future__ import annotations

import pytest
import torch
from torch.distributions import Independent, Normal, kl_divergence

from policies.agent import Agent, Output, gaussian_kl, reset_state
from policies.lstm import LSTMSettings
from policies.mlp import MLPSettings
from policies.registry import AGENTS, find_agent, find_learner, make_agent
from rodent.errors import UsageError

T, B, D, A = 7, 3, 5, 2


def make(name: str) -> Agent:
    torch.manual_seed(0)
    return make_agent(name, D, A, AGENTS[name].settings_type())


@pytest.mark.parametrize("name", AGENTS)
def test_unrolling_is_stepping_with_the_state_zeroed_at_starts(name: str) -> None:
    agent = make(name)
    assert bool(agent.feature_size) == bool(agent.ENCODERS)
    observations = torch.randn(T, B, D)
    starts = torch.rand(T, B) < 0.3
    state = {key: torch.randn_like(value) for key, value in agent.initial(B).items()}
    unrolled = agent.unroll(observations, state, starts)
    for t in range(T):
        output, state = agent.step(observations[t], reset_state(state, starts[t]))
        assert (output.drive is None) == (unrolled.drive is None)
        assert agent.hidden_size == (0 if output.hidden is None else output.hidden.shape[-1])
        for ours, theirs in zip(output, unrolled, strict=True):
            if theirs is not None:
                torch.testing.assert_close(ours, theirs[t])


@pytest.mark.parametrize("name", AGENTS)
def test_nothing_of_an_episode_reaches_the_next(name: str) -> None:
    agent = make(name)
    starts = torch.zeros(T, B, dtype=torch.bool)
    starts[4] = True
    observations = torch.randn(T, B, D)
    others = torch.cat([torch.randn(4, B, D), observations[4:]])
    ours = agent.unroll(observations, agent.initial(B), starts)
    theirs = agent.unroll(others, agent.initial(B), starts)
    torch.testing.assert_close(ours.mean[4:], theirs.mean[4:])


@pytest.mark.parametrize("name", AGENTS)
def test_what_only_the_critic_reads_changes_values_and_no_action(name: str) -> None:
    torch.manual_seed(0)
    agent = make_agent(name, D, A, AGENTS[name].settings_type(), critic_size=2)
    own, more = torch.randn(B, D), torch.randn(2, B, 2)
    state = agent.initial(B)
    told, otherwise = (agent.step(torch.cat([own, each], 1), state)[0] for each in more)
    alone = agent.step(own, state)[0]
    assert torch.equal(told.mean, otherwise.mean) and torch.equal(told.mean, alone.mean)
    assert (told.value != otherwise.value).all() and alone.value.isnan().all()
    assert agent.normaliser.mean.shape == (D + 2,)


def test_memory_lasts_within_an_episode() -> None:
    agent = make("lstm")
    starts = torch.zeros(T, B, dtype=torch.bool)
    observations = torch.randn(T, B, D)
    others = torch.cat([torch.randn(1, B, D), observations[1:]])
    ours = agent.unroll(observations, agent.initial(B), starts)
    theirs = agent.unroll(others, agent.initial(B), starts)
    assert not torch.allclose(ours.value[-1], theirs.value[-1], atol=1e-7)


def test_the_lstm_core_is_torchs_own_lstm() -> None:
    core = make("lstm").core
    theirs = torch.nn.LSTM(core.input.in_features, core.units)
    theirs.load_state_dict(
        {
            "weight_ih_l0": core.input.weight,
            "weight_hh_l0": core.recurrent.weight,
            "bias_ih_l0": core.input.bias,
            "bias_hh_l0": torch.zeros(4 * core.units),
        }
    )
    inputs = torch.randn(T, B, core.input.in_features)
    h, c = torch.randn(2, B, core.units)
    ours = core.unroll(inputs, (h, c), torch.zeros(T, B, dtype=torch.bool))
    torch.testing.assert_close(ours, theirs(inputs, (h[None], c[None]))[0])


@pytest.mark.parametrize("name", AGENTS)
def test_a_fresh_agent_explores_around_zero(name: str) -> None:
    output, _ = make(name).step(torch.randn(100, D), make(name).initial(100))
    assert output.mean.abs().max() < 0.1
    torch.testing.assert_close(output.log_std.exp(), torch.full((100, A), AGENTS[name].settings_type().initial_std))
    assert output.value.shape == (100,)


def test_densities_are_those_of_a_diagonal_gaussian() -> None:
    ours = Output(torch.randn(4, A), torch.randn(4, A), torch.zeros(4))
    theirs = Independent(Normal(ours.mean, ours.log_std.exp()), 1)
    action = torch.randn(4, A)
    torch.testing.assert_close(ours.log_prob(action), theirs.log_prob(action))
    torch.testing.assert_close(ours.entropy(), theirs.entropy())
    other = Output(torch.randn(4, A), torch.randn(4, A), torch.zeros(4))
    kl = kl_divergence(theirs, Independent(Normal(other.mean, other.log_std.exp()), 1))
    torch.testing.assert_close(gaussian_kl(ours.mean, ours.log_std, other.mean, other.log_std), kl)


def test_samples_have_the_mean_and_the_spread_that_they_should() -> None:
    output = Output(torch.full((20_000, 1), 0.3), torch.full((20_000, 1), -1.0), torch.zeros(20_000))
    sample = output.sample(torch.Generator().manual_seed(0))
    assert sample.mean().item() == pytest.approx(0.3, abs=0.01)
    assert sample.std().log().item() == pytest.approx(-1, abs=0.02)


def test_unknown_names_are_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown agent 'mpl': choose one of mlp, lstm, merel2020"):
        find_agent("mpl")
    with pytest.raises(UsageError, match="unknown learner 'sac': choose one of ppo, vmpo"):
        find_learner("sac")


def test_sizes_that_make_no_network_are_refused() -> None:
    with pytest.raises(UsageError, match=r"mlp\.hidden"):
        MLPSettings(hidden=())
    with pytest.raises(UsageError, match="at least one encoder layer"):
        LSTMSettings(encoder=())
    with pytest.raises(UsageError, match="initial_std must be above 0"):
        MLPSettings(initial_std=0)


def test_an_agent_that_does_not_fit_into_memory_is_refused() -> None:
    with pytest.raises(UsageError, match="an agent mlp of that many units does not fit into memory: give fewer"):
        make_agent("mlp", 158, 38, MLPSettings(hidden=(10**11,)))
