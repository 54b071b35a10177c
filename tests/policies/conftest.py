from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from policies.config import EvaluationSettings, TrainConfig
from policies.lstm import LSTMSettings
from policies.merel2020 import Merel2020Settings
from policies.mlp import MLPSettings
from policies.modulated import ModulatedSettings
from policies.stopping import StopRequest
from policies.training import TrainingRun

torch.set_num_threads(1)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """At how many environment steps each training run of a test begins, or goes on.

    Training anew gives the same numbers as going on does, and so does not show in them.
    """
    begun: list[int] = []
    go = TrainingRun.go

    def noted(run: TrainingRun, stop: StopRequest) -> None:
        begun.append(run.steps)
        go(run, stop)

    monkeypatch.setattr(TrainingRun, "go", noted)
    return begun


@pytest.fixture
def small(tmp_path: Path) -> Any:
    """Makes configurations of runs that last a fraction of a second on point masses."""

    def configure(**changes: Any) -> TrainConfig:
        defaults: dict[str, Any] = {
            "envs": 8,
            "rollout": 16,
            "steps": 512,
            "threads": 1,
            "run_dir": tmp_path / "run",
            "evaluation": EvaluationSettings(episodes=0),
            "mlp": MLPSettings(hidden=(16,)),
            "lstm": LSTMSettings(encoder=(16,), core=8, head=(16,)),
            "modulated": ModulatedSettings(hidden=(16,), runner=MLPSettings(hidden=(16,))),
            "merel2020": Merel2020Settings(proprioception=(16,), core=8, critic=(8,), policy=(8, 8)),
        }
        return TrainConfig(**(defaults | changes))

    return configure
