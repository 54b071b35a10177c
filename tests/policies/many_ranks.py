"""Runs of point masses by two ranks, and what the ranks say of them, for `test_distributed.py`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from point_mass import PointMasses, make_point_masses
from two_tasks import TASKS, make_two_tasks

from policies.config import EvaluationSettings, Phase, TrainConfig
from policies.distillation import DistillationSettings
from policies.distributed import ManyRanks
from policies.environment import MakeEnv, action_names
from policies.kickstart import KickstartSettings
from policies.lstm import LSTMSettings
from policies.merel2020 import Merel2020Settings
from policies.mlp import MLPSettings
from policies.observation import ObservationSpec
from policies.policy import Policy
from policies.ppo import PPOSettings
from policies.registry import AGENTS, make_agent
from policies.stopping import StopRequest
from policies.training import TrainingRun, train
from policies.vmpo import VMPOSettings
from rodent.errors import UsageError

RANKS = 2
_PHASES = (
    Phase(steps=256),
    Phase(steps=256, physics="fast+paper", action_std=0.3, rollout=8),
    Phase(rate=1e-4, steps=1),
)
RUNS: dict[str, dict[str, Any]] = {
    **{f"{agent}-{learner}": {"agent": agent, "learner": learner} for agent in AGENTS for learner in ("ppo", "vmpo")},
    "stopping": {"ppo": PPOSettings(minibatch=48, rate=3e-3, kl_stop=1e-4, kl_low=1e-6, kl_high=1e-5)},  # ends early
    "phases": {"schedule": _PHASES, "steps": 640, "evaluation": EvaluationSettings(episodes=2)},
    "tasks": {"task": TASKS, "privileged_critic": True, "evaluation": EvaluationSettings(episodes=2)},  # a rank's each
    "uneven-tasks": {"task": (*TASKS, "run-gaps"), "physics": "fast+paper", "agent": "lstm", "learner": "vmpo"},
    "student": {"task": TASKS, "learner": "distill", "agent": "lstm"},
    "telling-student": {"task": TASKS, "learner": "distill", "agent": "merel2020", "privileged_critic": True},
    "kickstart": {"task": TASKS, "kickstart": KickstartSettings((0.5,), steps=300)},
}
RUNS["merel2020-ppo"] |= {"vision": True, "ppo": PPOSettings(minibatch=16)}  # a minibatch is one rank's alone
RUNS["merel2020-vmpo"] |= {"vmpo": VMPOSettings(minibatch=16)}
RUNS["telling-student"] |= {"distill": DistillationSettings(minibatch=16, auxiliary=5.0)}
RUNS["uneven-tasks"] |= {"task_weights": (1.0, 3.0, 2.0), "vmpo": VMPOSettings(minibatch=16)}


def configure(name: str, folder: Path, **changes: Any) -> TrainConfig:
    """The configuration of one of `RUNS`, into a folder below `folder`."""
    common = {
        "envs": 8,
        "rollout": 16,
        "steps": 384,
        "threads": 1,
        "checkpoint_every": 128,
        "run_dir": folder / name,
        "evaluation": EvaluationSettings(episodes=0),
        "mlp": MLPSettings(hidden=(16,)),
        "lstm": LSTMSettings(encoder=(16,), core=8, head=(16,)),
        "merel2020": Merel2020Settings(
            channels=(4,), vision=8, proprioception=(16,), core=8, critic=(8,), policy=(8, 8)
        ),
        "ppo": PPOSettings(minibatch=48, entropy=0.01),
        "vmpo": VMPOSettings(minibatch=48),
        "distill": DistillationSettings(minibatch=16),
    }
    knowing, plain = (f"{task}={folder / task}" for task in TASKS)
    taught: dict[str, dict[str, Any]] = {
        "student": {"expert": (knowing, plain)},
        "telling-student": {"expert": (knowing, plain)},
        "kickstart": {"expert": (knowing,), "init_from": str(folder / TASKS[1])},
    }
    return TrainConfig(**(common | RUNS[name] | taught.get(name, {}) | changes))


def save_experts(folder: Path) -> None:
    """Save an expert of each of `TASKS`, under its name; that of the first reads a privileged sense."""
    for task, privileged in zip(TASKS, (True, False), strict=True):
        env = make_two_tasks(task, 1, "fast", 1, None, privileged=privileged)
        senses, settings = ObservationSpec.of(env.single_observation_space, privileged=privileged), MLPSettings((16,))
        with torch.random.fork_rng():
            torch.manual_seed(3)
            agent = make_agent("mlp", senses.size, 2, settings)
        torch.nn.init.constant_(agent.value_layer.bias, 0.7)
        facts = {"tasks": [task], "discount": 0.9, "reward_scale": 2.0}
        Policy(agent, settings, senses, action_names(env), facts).save(folder / task)


def maker(config: TrainConfig) -> MakeEnv:
    """Makes what a configuration trains on."""
    return make_two_tasks if len(config.task) > 1 else make_point_masses


def run_everything(rank: int, folder: Path) -> None:
    """What each rank does: every run, and everything that may go wrong."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=RANKS)
    ManyRanks().first(lambda: save_experts(folder))
    for name in RUNS:
        config = configure(name, folder)
        run = TrainingRun(config, maker(config), ManyRanks())
        run.go(StopRequest())
        weights = {key: value.numpy() for key, value in run.agent.state_dict().items()}
        np.savez(folder / f"{name}-{rank}.npz", **weights)
    np.savez(folder / f"reductions-{rank}.npz", **reduce_numbers(ManyRanks()))
    stopped = configure("mlp-ppo", folder / "stopped", resume=True)
    told = {"stopped": outcome(stopped, hurt_on_a_rank("stop"))}
    if rank == 0:
        shutil.copy(stopped.folder / "metrics.csv", folder / "stopped" / "stopped.csv")
    told |= {
        "resumed": outcome(stopped, make_counted),
        "resumed_for": str(Counted.taken),
        "held": outcome(configure("mlp-ppo", folder), make_point_masses),
        "odd": outcome(configure("mlp-ppo", folder / "odd", envs=9), make_point_masses),
        "full": outcome(configure("mlp-ppo", folder / "full"), full_disk(folder / "full" / "mlp-ppo")),
        "infinite": outcome(configure("mlp-ppo", folder / "infinite"), hurt_on_a_rank("poison")),
        "infinite-vmpo": outcome(configure("mlp-vmpo", folder / "infinite"), hurt_on_a_rank("poison")),
    }
    try:
        ManyRanks().check_alike({"weight": torch.full((2,), float(rank))})
        told["apart"] = "done"
    except UsageError as error:
        told["apart"] = str(error)
    (folder / f"told-{rank}.json").write_text(json.dumps(told))
    dist.destroy_process_group()


def outcome(config: TrainConfig, make_env: MakeEnv) -> str:
    """`done` with the folders that were returned, the line of an error, or the code of a silent exit."""
    try:
        return f"done {[str(path) for path in train(config, make_env)]}"
    except UsageError as error:
        return str(error)
    except SystemExit as exit_:
        return f"exit {exit_.code}"


def reduce_numbers(ranks: ManyRanks) -> dict[str, Any]:
    """What ranks make of numbers that each has some of: of `numbers()`, the first 5 rows and the others."""
    own = numbers()[:5] if ranks.writes else numbers()[5:]
    count, mean, variance = ranks.moments(own.double())
    return {
        "mean": ranks.mean(own),
        "var": ranks.var(own),
        "std": ranks.std(own),
        "moments": torch.stack([mean, variance]),
        "count": count,
        "sum": ranks.sum(own[:2]),
        "any": [ranks.any(ranks.rank == 1), ranks.any(False)],
        "gathered": ranks.gather(ranks.rank),
        "first": ranks.first(lambda: [ranks.rank]),
        "dealt": ranks.deal(lambda: [10, 11]),
    }


def numbers() -> torch.Tensor:
    return 3 + 2 * torch.randn(12, 4, generator=torch.Generator().manual_seed(0))


class Counted(PointMasses):
    """Counts the control steps that this process takes with any of them: of a run that begins anew, all."""

    taken = 0

    def step(self, actions: np.ndarray) -> Any:
        Counted.taken += 1
        return super().step(actions)


def make_counted(task: str, envs: int, physics: str, threads: int, aids: Any, **named: Any) -> PointMasses:
    return Counted(envs, physics, aids)


def full_disk(run: Path) -> MakeEnv:
    """Makes point masses, and sees to it that no checkpoint can be written."""

    def make(task: str, envs: int, physics: str, threads: int, aids: Any, **named: Any) -> PointMasses:
        (run / "checkpoints").touch()
        return PointMasses(envs, physics, aids)

    return make


def hurt_on_a_rank(how: str, rank: int = RANKS - 1) -> MakeEnv:
    """Makes point masses of which those of a rank are hurt in their 20th step: `stop`, `kill` or `poison`."""

    class Hurt(PointMasses):
        taken = 0

        def step(self, actions: np.ndarray) -> Any:
            observation, reward, *rest = super().step(actions)
            self.taken += 1
            if dist.get_rank() == rank and self.taken == 20:
                if how == "poison":
                    reward = reward * np.nan
                else:
                    os.kill(os.getpid(), {"stop": signal.SIGTERM, "kill": signal.SIGKILL}[how])
            return observation, reward, *rest

    return lambda task, envs, physics, threads, aids, **named: Hurt(envs, physics, aids)


if __name__ == "__main__":  # under torchrun: one rank is killed in the first attempt
    attempt = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
    torch.set_num_threads(1)
    where = Path(sys.argv[1])
    (where / f"attempt-{attempt}-rank-{os.environ['RANK']}").touch()
    make = make_counted if attempt else hurt_on_a_rank("kill", int(sys.argv[2]))
    train(replace(configure("merel2020-vmpo", where), resume=True), make)
    (where / f"taken-{os.environ['RANK']}").write_text(str(Counted.taken))
