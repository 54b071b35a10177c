"""The training job: from a configuration to a run folder with a policy in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from policies.checkpoint import CheckpointError, Checkpoints
from policies.collector import Collector
from policies.config import CONFIG_FILE, TrainConfig, difference, to_json, to_yaml
from policies.environment import MakeEnv, action_names, make_rodent_env, make_training_env, training_seeds
from policies.evaluation import evaluate
from policies.metrics import Metrics
from policies.observation import ObservationSpec
from policies.policy import Policy
from policies.progress import RunProgress
from policies.registry import find_learner, make_agent
from policies.rollout import Rollout
from policies.run_folder import CHECKPOINTS, POLICY, claim
from policies.schedule import Schedule
from policies.stopping import StopRequest
from policies.storage import Arrays, write_atomically
from rodent.errors import UsageError


def train(config: TrainConfig, make_env: MakeEnv = make_rodent_env) -> list[Path]:
    """Train each seed of a configuration, one after the other, and end early but cleanly on SIGTERM or Ctrl-C.

    Several seeds get sub-folders `seed-N` of the run folder; a resumed run skips those that are done.

    Returns:
        The run folder of each seed that was begun.

    Raises:
        UsageError: the folder holds a run or another configuration, a disk is full, the numbers diverged.
    """
    torch.set_num_threads(config.threads)
    claim(config.folder, config.resume, config.overwrite)
    folders = []
    with StopRequest() as stop:
        for seed in config.seeds:
            folder = config.folder if len(config.seeds) == 1 else config.folder / f"seed-{seed}"
            folders.append(folder)
            run = TrainingRun(replace(config, seeds=(seed,), run_dir=folder), make_env)
            run.go(stop)
            if stop:
                break
    return folders


class TrainingRun:
    """One seed's training, from its start or from its newest checkpoint.

    Between two updates its whole state is in `state` and `facts`: what they hold, put back, continues bit for bit.
    """

    def __init__(self, config: TrainConfig, make_env: MakeEnv) -> None:
        self.config = config
        self.make_env = make_env
        self.folder = config.folder
        self.seed = config.seeds[0]
        self.schedule = Schedule.of(config)
        self.checkpoints = Checkpoints(self.folder / CHECKPOINTS, config.keep)
        self.steps = 0  # of all environments together
        self.seconds = 0.0  # of wall time, over all sessions
        self.phase = 0
        self.evaluations: list[dict[str, Any]] = []
        self._evaluated_at = 0
        held = self._held_checkpoint()
        if held is not None:
            self.phase = held[1]["phase"]
        self.generator = torch.Generator().manual_seed(self.seed)
        self.env = make_training_env(make_env, config, self._physics())
        self.senses = ObservationSpec.of(self.env.single_observation_space)
        self._make_agent(from_policy=config.init_from if held is None else None)
        self.learner: Any = find_learner(config.learner)
        self.learner = self.learner(self.agent, config.learner_settings)
        self.rollout = Rollout.empty(config.rollout, config.envs, self.agent)
        self._begin_phase()
        if held is not None:
            self._restore(*held)

    def go(self, stop: StopRequest) -> None:
        """Train until the schedule ends or `stop` is requested; leave a checkpoint and a policy behind."""
        with self._disk_errors():
            write_atomically(self.folder / CONFIG_FILE, to_yaml(self.config))
            metrics = Metrics(self.folder, self.steps)
        try:
            with RunProgress(f"{self.config.task}, seed {self.seed}") as progress:
                while self.schedule.progress(self.steps, self.seconds) < 1 and not stop:
                    self._advance(metrics, progress)
                if self._saved_at != self.steps or not stop:
                    self._finish(metrics)
        finally:
            metrics.close()
            self.env.close()
