"""What must be so before a run begins: memory, teachers and weights that are there, and folders that are its own."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from policies.checkpoint import Checkpoints
from policies.config import CONFIG_FILE, TrainConfig, difference, load_yaml, to_json, to_yaml
from policies.distributed import Ranks
from policies.experts import load_experts
from policies.policy import Policy
from policies.run_folder import CHECKPOINTS, claim, disk_errors, hold
from policies.storage import write_atomically
from rodent.errors import UsageError
from rodent.machine import memory_bytes

_LEAST_BYTES = 1024  # of memory, that a step of a rat takes until it is learnt from: some 250 numbers that it senses


def prepared(config: TrainConfig, ranks: Ranks, held: ExitStack, beginning: ExitStack) -> TrainConfig:
    """A configuration whose run folders are there and held; complains before they are made or an old run is touched.

    Args:
        config: of the run.
        ranks: the processes.
        held: until it is closed, nobody else trains in these folders.
        beginning: if it is closed by an error, a run that was to be overwritten is put back.

    Raises:
        UsageError: memory, a teacher or the policy to begin with is missing; or a folder holds another run, or one that
            `--overwrite` would delete and the new one needs, or is held by another process, or cannot be written to.
    """
    _check_memory(config, ranks)
    if config.init_from is not None and _begins(config):
        Policy.load(config.init_from)
    _check_overwritten(config)
    experts = load_experts(config.expert, config.task)
    if config.learner == "distill" and (without := [task for task in config.task if task not in experts]):
        raise UsageError(f"nobody teaches {without[0]}: give --expert {without[0]}=POLICY")
    several = len(config.seeds) > 1
    held.enter_context(hold(config.folder))
    beginning.enter_context(claim(config.folder, several, config.resume, config.overwrite))
    if several:
        if (whole := config.folder / CONFIG_FILE).is_file():
            check_same(config, to_json(load_yaml(whole)), "runs")
        for folder in run_folders(config):
            held.enter_context(hold(folder))
        with disk_errors(config.folder):
            write_atomically(config.folder / CONFIG_FILE, to_yaml(config))
    return config


def run_folders(config: TrainConfig) -> list[Path]:
    """The run folder of each seed."""
    return [config.folder / f"seed-{seed}" for seed in config.seeds] if len(config.seeds) > 1 else [config.folder]


def check_same(config: TrainConfig, theirs: dict[str, Any], what: str = "a run") -> None:
    """Complain of a run folder that would go on by another configuration than its own.

    Args:
        config: of this run.
        theirs: the configuration that the folder holds, as JSON.
        what: it holds.

    Raises:
        UsageError: it is another one.
    """
    if other := difference(to_json(config), theirs):
        raise UsageError(
            f"{config.folder} holds {what} of another configuration: {other}; resume with the same, or give another "
            "--run-dir"
        )


def _check_memory(config: TrainConfig, ranks: Ranks) -> None:
    """Complains of what can't fit here, before the system ends the process without a word."""
    share = ranks.share(config.envs)
    steps = (share.stop - share.start) * max(phase.rollout or config.rollout for phase in config.phases)
    needed, there = steps * _LEAST_BYTES, memory_bytes()
    if there and needed > there:
        raise UsageError(
            f"{config.envs} environments' rollouts need {needed / 2**30:.0f} GiB of memory at least, and "
            f"{there / 2**30:.1f} are here: give fewer --envs or a shorter --rollout"
        )


def _check_overwritten(config: TrainConfig) -> None:
    """Complains of a run that is to begin with what it would delete."""
    sources = [config.init_from or "", *(name.rpartition("=")[2] for name in config.expert)]
    for source in filter(None, sources) if config.overwrite else ():
        if Path(source).resolve().is_relative_to(config.folder.resolve()):
            raise UsageError(f"--overwrite deletes {config.folder}, and the run needs {source}: give another --run-dir")


def _begins(config: TrainConfig) -> bool:
    """Whether a seed begins. One that resumes needs no `init_from`, which may be on another machine."""
    begun = [Checkpoints(folder / CHECKPOINTS, config.keep).files() for folder in run_folders(config)]
    return not (config.resume and all(begun))
