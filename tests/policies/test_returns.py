from __future__ import annotations

import warnings

import pytest
import torch

from policies.returns import generalized_advantages

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
