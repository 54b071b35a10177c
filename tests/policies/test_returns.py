from __future__ import annotations

import warnings

import pytest
import torch

from policies.returns import generalized_advantages, vtrace

GAMMA, LAM = 0.9, 0.8


def test_advantages_are_torchrls_with_endings_of_both_kinds_in_the_middle() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchrl.objectives.value import functional
    generator = torch.Generator().manual_seed(0)
    shape = (40, 6)
    rewards, values, next_values = torch.randn(3, *shape, generator=generator, dtype=torch.float64)
    terminated = torch.rand(shape, generator=generator) < 0.1
    truncated = (torch.rand(shape, generator=generator) < 0.1) & ~terminated
    assert terminated.any() and truncated.any()
    ended = terminated | truncated
    theirs, returns = functional.generalized_advantage_estimate(
        GAMMA, LAM, values, next_values, rewards, ended, terminated, time_dim=0
    )
    ours = generalized_advantages(rewards, values, next_values, terminated, ended, GAMMA, LAM)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)  # theirs has a float32 discount
    torch.testing.assert_close(ours + values, returns, atol=1e-5, rtol=1e-5)


def test_vtrace_is_torchrls_with_endings_of_both_kinds_in_the_middle() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torchrl.objectives.value import functional
    generator = torch.Generator().manual_seed(0)
    shape = (40, 6)
    rewards, values, next_values, now, then = torch.randn(5, *shape, generator=generator, dtype=torch.float64)
    terminated = torch.rand(shape, generator=generator) < 0.1
    ended = (torch.rand(shape, generator=generator) < 0.1) | terminated
    assert terminated.any() and (ended & ~terminated).any()
    theirs, targets = functional.vtrace_advantage_estimate(
        GAMMA, now, then, values, next_values, rewards, ended, terminated, 1.2, 0.9, time_dim=0
    )
    ours = vtrace(rewards, values, next_values, now - then, terminated, ended, GAMMA, rho_limit=1.2, c_limit=0.9)
    torch.testing.assert_close(ours[0], targets, atol=1e-5, rtol=1e-5)
    ratios = (now - then).exp().clamp(max=1.2)
    torch.testing.assert_close(ratios * ours[1], theirs, atol=1e-5, rtol=1e-5)


def test_on_its_own_actions_vtrace_is_the_return_with_bootstraps_at_cuts_alone() -> None:
    def column(*numbers: float) -> torch.Tensor:
        return torch.tensor(numbers)[:, None]

    rewards, values, next_values = column(1.0, 2.0, 3.0, 4.0), column(0.5, 0.6, 0.7, 0.8), column(0.6, 9.0, 0.8, 7.0)
    cut = column(False, True, False, False)
    targets, advantages = vtrace(rewards, values, next_values, 0 * values, 0 * cut > 0, cut, GAMMA)
    second, fourth = 2 + GAMMA * 9, 4 + GAMMA * 7
    expected = column(1 + GAMMA * second, second, 3 + GAMMA * fourth, fourth)
    torch.testing.assert_close(targets, expected)
    torch.testing.assert_close(advantages, expected - values)


def test_on_its_own_actions_vtrace_with_a_memory_that_decays_is_generalised_advantages() -> None:
    generator = torch.Generator().manual_seed(0)
    rewards, values, next_values = torch.randn(3, 40, 6, generator=generator, dtype=torch.float64)
    terminated = torch.rand(40, 6, generator=generator) < 0.1
    ended = (torch.rand(40, 6, generator=generator) < 0.1) | terminated
    next_values[:-1] = torch.where(ended[:-1], next_values[:-1], values[1:])
    targets, advantages = vtrace(rewards, values, next_values, 0 * values, terminated, ended, GAMMA, LAM)
    expected = generalized_advantages(rewards, values, next_values, terminated, ended, GAMMA, LAM)
    torch.testing.assert_close(advantages, expected)
    torch.testing.assert_close(targets, expected + values)


def test_vtrace_reads_no_value_after_a_termination() -> None:
    nan, end = torch.full((1, 1), float("nan")), torch.ones(1, 1, dtype=torch.bool)
    targets, advantages = vtrace(torch.ones(1, 1), torch.zeros(1, 1), nan, torch.zeros(1, 1), end, end, GAMMA)
    assert (targets.item(), advantages.item()) == (1.0, 1.0)


def of(rewards: list[float], values: list[float], next_values: list[float], ending: str, at: int) -> list[float]:
    here = torch.zeros(len(rewards), 1, dtype=torch.bool)
    here[at] = True
    terminated = here if ending == "terminated" else torch.zeros_like(here)
    columns = [torch.tensor(x)[:, None] for x in (rewards, values, next_values)]
    return generalized_advantages(*columns, terminated, here, GAMMA, LAM)[:, 0].tolist()


def test_a_truncation_is_bootstrapped_with_the_value_of_the_final_observation() -> None:
    advantages = of([1.0, 2.0, 3.0], [0.5, 0.6, 0.7], [0.6, 9.0, 0.1], "truncated", at=1)
    last = 2 + GAMMA * 9 - 0.6
    assert advantages[1] == pytest.approx(last)
    assert advantages[0] == pytest.approx(1 + GAMMA * 0.6 - 0.5 + GAMMA * LAM * last)


def test_a_termination_is_worth_nothing_more() -> None:
    advantages = of([1.0, 2.0, 3.0], [0.5, 0.6, 0.7], [0.6, float("nan"), 0.1], "terminated", at=1)
    assert advantages[1] == pytest.approx(2 - 0.6)
    assert advantages[2] == pytest.approx(3 + GAMMA * 0.1 - 0.7)
