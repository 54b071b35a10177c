"""The example of docs/stable_baselines3.md, as it stands there."""

import re
from pathlib import Path

import gymnasium
import numpy as np
import torch
from stable_baselines3.common.env_checker import check_env

import rodent  # noqa: F401 - registers the environments
from rodent.registration import ENVIRONMENTS

PAGE = Path(__file__).parents[2] / "docs" / "stable_baselines3.md"


def test_the_documented_example_trains_and_acts(capsys):
    torch.set_num_threads(1)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names = {}
    exec(compile(code, str(PAGE), "exec"), names)
    assert names["model"].num_timesteps == 2048
    assert all(bool(p.isfinite().all()) for p in names["model"].policy.parameters())
    assert names["action"].shape == (38,) and np.isfinite(names["reward"])
    assert "first_tap" in capsys.readouterr().out


def test_stable_baselines3_accepts_every_task():
    for env_id in ENVIRONMENTS:
        check_env(gymnasium.make(env_id, flatten=True).unwrapped, warn=False, skip_render_check=True)
