from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from point_mass import LIMIT, PointMasses, make_point_masses

from policies.config import TrainConfig
from policies.environment import Mixture, make_training_env, training_seeds


def test_a_mixture_is_its_parts_side_by_side() -> None:
    whole = PointMasses(5, aids=True)
    mixture = Mixture([PointMasses(2, "fast", aids=True), PointMasses(3, "paper", aids=True)])
    rng = np.random.default_rng(0)
    ours, _ = mixture.reset(seed=[1, 2, 3, 4, 5])
    theirs, _ = whole.reset(seed=[1, 2, 3, 4, 5])
    for _ in range(LIMIT + 3):
        assert_equal(ours, theirs)
        actions = rng.uniform(-1, 1, (5, 2))
        ours, *our_rest, our_info = mixture.step(actions)
        theirs, *their_rest, their_info = whole.step(actions)
        assert_equal(our_rest, their_rest)
        assert our_info.keys() == their_info.keys()
        assert_equal(our_info, their_info)


def test_a_mixture_resumes() -> None:
    one, other = (Mixture([PointMasses(2), PointMasses(3)]) for _ in range(2))
    one.reset(seed=0)
    one.step(np.full((5, 2), 0.5))
    other.load_state_dict(one.state_dict())
    assert_equal(one.step(np.zeros((5, 2)))[:4], other.step(np.zeros((5, 2)))[:4])


def test_presets_joined_by_a_plus_share_the_environments() -> None:
    config = TrainConfig(envs=7, physics="fast+paper")
    env = make_training_env(make_point_masses, config, config.phases[0])
    assert isinstance(env, Mixture)
    assert [(part.num_envs, part.physics) for part in env.parts] == [(4, "fast"), (3, "paper")]


def test_what_pools_of_arenas_cost_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    config = TrainConfig(task=("run-gaps",), envs=4, physics="fast+paper", pool=3)
    make_training_env(make_point_masses, config, config.phases[0])
    assert re.fullmatch(r"6 arenas of run-gaps compiled in \d+\.\d s\n", capsys.readouterr().err)
    flat = replace(config, task=("run",))
    make_training_env(make_point_masses, flat, flat.phases[0])
    assert capsys.readouterr().err == ""


def test_no_two_runs_or_phases_share_seeds() -> None:
    seeds = [seed for run in (0, 1) for phase in (0, 1) for seed in training_seeds(run, phase, 256)]
    assert len(set(seeds)) == len(seeds)


def assert_equal(ours: Any, theirs: Any) -> None:
    if isinstance(ours, dict):
        for name in ours:
            assert_equal(ours[name], theirs[name])
    elif isinstance(ours, np.ndarray) and ours.dtype != object:
        np.testing.assert_array_equal(ours, theirs)
    elif ours is not None:
        for one, other in zip(ours, theirs, strict=True):
            assert_equal(one, other)
