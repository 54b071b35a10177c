"""The floor under every return: actions that are drawn without looking."""

import numpy as np
import pytest
import torch

from tests.benchmark import load


def test_actions_are_drawn_anew_over_their_whole_range_and_are_the_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = load("random_actions", monkeypatch).random_actions("run")
    observation = {"any": np.zeros((100, 1))}

    def drawn() -> list[np.ndarray]:
        generator = torch.Generator().manual_seed(3)
        return [policy.act(observation, generator=generator)[0] for _ in range(2)]

    first, second = drawn()
    assert first.shape == (100, 38) and not np.array_equal(first, second)
    assert -1 <= first.min() < -0.99 and 0.99 < first.max() <= 1 and abs(first.mean()) < 0.05
    assert all(map(np.array_equal, (first, second), drawn()))
