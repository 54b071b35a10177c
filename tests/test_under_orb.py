"""Where a rat that is to tap an orb spends its time."""

import numpy as np
import pytest
import torch

from policies.play import Episode
from tests.benchmark import load

ROOT = 2  # of qpos in these episodes


def test_near_is_over_the_ground_and_still_is_over_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    script = load("under_orb", monkeypatch)
    # For two seconds it runs along x at 1 m/s, and waits for two more; the orb hangs 2 m ahead, 14 cm high.
    x = np.concatenate([np.linspace(0, 2, 101), np.full(100, 2.0)])
    qpos = np.zeros((201, 6))
    qpos[:, ROOT] = x
    shown = [{"orb": torch.tensor([2.0, 0.3, 0.14])}] * 200
    episode = Episode(0, qpos, np.zeros((200, 1)), np.zeros(200), shown, "time_limit")
    far = script.distances(episode, ROOT)
    assert far.shape == (200,)
    assert far[[0, -1]] == pytest.approx([np.hypot(1.98, 0.3), 0.3])
    still = script.slow(episode, ROOT)
    # Half a second before it stops, less than 0.1 m of its way lies within the second around.
    assert not still[:119].any() and still[121:].all()
