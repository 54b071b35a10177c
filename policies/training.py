"""The training job: from a configuration to a run folder with a policy in it."""

from __future__ import annotations

import contextlib
import math
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from policies.agent import Agent
from policies.checkpoint import Checkpoints, for_rank, joined, of_rank
from policies.collector import Collector
from policies.config import CONFIG_FILE, TrainConfig, to_json, to_yaml
from policies.distributed import ALONE, Ranks, join_ranks
from policies.environment import (
    MakeEnv,
    action_names,
    assign_tasks,
    make_rodent_env,
    make_training_env,
    offered_by_task,
    training_seeds,
)
from policies.evaluation import Evaluation, evaluate
from policies.experts import Experts, check_experts, load_experts
from policies.finite import NotFiniteError, check_finite, keep_batch
from policies.initial_weights import take_weights
from policies.metrics import Metrics
from policies.observation import ObservationSpec
from policies.policy import Policy
from policies.preparation import check_same, prepared, run_folders
from policies.progress import RunProgress
from policies.registry import make_agent_for, make_learner
from policies.rollout import Rollout
from policies.run_folder import CHECKPOINTS, NOT_FINITE, POLICY, disk_errors
from policies.schedule import Schedule
from policies.stopping import StopRequest
from policies.storage import Arrays, below, write_atomically
from policies.threads import torch_threads
from rodent.errors import UsageError
from rodent.machine import name_machine
from rodent.symmetry import mirror_actions, mirror_senses
from rodent.vision import describe_vision

_EVALUATION_SEED = 0
_COLLECTOR = "collector"  # what a checkpoint calls the state of a rank's environments
_OF_LEARNER = "learner"  # within a rank's collector: what a learner keeps of the rank's own environments


def train(config: TrainConfig, make_env: MakeEnv = make_rodent_env, stop: StopRequest | None = None) -> list[Path]:
    """Train each seed of a configuration, one after the other; SIGTERM or Ctrl-C ends early with a checkpoint.

    Several seeds get sub-folders `seed-N` of the run folder. A run that is overwritten stays until the first seed is
    ready to begin. Under `torchrun` every rank calls this; the first one's configuration holds.

    Args:
        config: of the run.
        make_env: makes its environments.
        stop: a request that the caller has entered, to know afterwards whether it ended the run (default: its own).

    Returns:
        The run folder of each seed that was begun; nothing on ranks that write none.

    Raises:
        UsageError: the folder holds a run or another configuration, another process trains in it, a disk is full,
            numbers are no longer finite, a task of a student has no expert, the environments do not divide by the
            ranks, or another rank has gone.
    """
    folders = []
    with join_ranks() as ranks, ExitStack() as held:
        if stop is None:
            stop = held.enter_context(StopRequest(silent=not ranks.writes))
        with ExitStack() as beginning:
            config = ranks.first(lambda: prepared(config, ranks, held, beginning))
            parts = zip(config.seeds, run_folders(config), strict=True)
            seeds = [replace(config, seeds=(seed,), run_dir=folder) for seed, folder in parts]
            run = TrainingRun(seeds[0], make_env, ranks)
        for following in [*seeds[1:], None]:
            folders.append(run.folder)
            run.go(stop)
            if ranks.any(bool(stop)) or following is None:
                break
            run = TrainingRun(following, make_env, ranks)
    return folders if ranks.writes else []


class TrainingRun:
    """One seed's training, from its start or from its newest checkpoint.

    Between two updates `_state` holds all there is: put back, it continues bit for bit.

    Args:
        config: with one seed; its folder is this run's own.
        make_env: makes environments.
        ranks: the processes that do it together.

    Raises:
        UsageError: the newest checkpoint is of another configuration or number of ranks, or `init_from` does not fit.
    """

    def __init__(self, config: TrainConfig, make_env: MakeEnv, ranks: Ranks = ALONE) -> None:
        self.config = config
        self.make_env = make_env
        self.ranks = ranks
        self.share = ranks.share(config.envs)
        self.folder = config.folder
        self.seed = config.seeds[0]
        self.schedule = Schedule.of(config)
        self.checkpoints = Checkpoints(self.folder / CHECKPOINTS, config.keep)
        self.steps = 0  # of all environments together
        self.inherited: dict[str, Any] = {}  # facts of the policy that it began with, which stay true
        self.seconds = 0.0  # of wall time, over all sessions
        self.phase = 0  # index in the schedule
        self.evaluations: list[dict[str, Any]] = []  # the last ones, one a task, and `steps`, when it was
        self._saved_at = 0  # steps
        self._rate: float | None = None  # environment steps a second, smoothed
        self.generator = torch.Generator().manual_seed(self.seed)
        self.tasks = assign_tasks(config)
        self.experts = ranks.first(lambda: load_experts(config.expert, config.task))
        held = ranks.deal(self._held_checkpoints)
        if held is not None:
            self.phase = held[1]["phase"]
        self._make_env()
        self.agent = self._make_agent()
        self.learner = make_learner(config.learner, self.agent, config.learner_settings, self.tasks, ranks)
        if held is None:
            self.agent.load_state_dict(ranks.first(self._first_weights))
        self.collector = self._make_collector()
        self._set_phase_rules()
        if held is not None:
            self._restore(*held)
        self._began = time.monotonic() - self.seconds

    def go(self, stop: StopRequest) -> None:
        """Train until the schedule ends or `stop` is requested; leave a checkpoint and a policy behind."""
        self.metrics = self._open_metrics() if self.ranks.writes else None
        try:
            name = f"{' and '.join(self.config.task)}, seed {self.seed}"
            with RunProgress(name, silent=not self.ranks.writes) as progress:
                self._say = progress.say
                while self._progress < 1 and not self.ranks.any(bool(stop)):
                    self._enter_phase()
                    self._report(self.iterate(), progress)
                    if self.steps - self._evaluated_at >= (self.config.evaluation.every or math.inf):
                        self._evaluate()
                    if self.steps - self._saved_at >= self.config.checkpoint_every:
                        self._save()
                if self._progress >= 1:
                    self._evaluate()
                if self._saved_at != self.steps:
                    self._save()
        finally:
            self._close()

    def iterate(self) -> dict[str, float]:
        """Collect a rollout and learn from it. The very first rollout only tells the normaliser what to expect.

        Raises:
            UsageError: the numbers are no longer finite; the batch that made them is in the run folder.
        """
        self._anneal()
        self._kickstart()
        began = time.monotonic()
        with torch_threads(1):
            figures = self.collector.collect(self.rollout)
        collected = time.monotonic()
        with torch_threads(self.config.learner_threads):
            if self.agent.normaliser.count > 0:
                figures |= self._learn()
            self.agent.normaliser.update(self.rollout.observations, self.ranks)
        now = time.monotonic()
        count = len(self.rollout.rewards) * self.config.envs
        self.steps += count
        self.seconds = self.ranks.first(lambda: now - self._began)  # one clock, which phases may depend on
        return {
            "steps": self.steps,
            "seconds": self.seconds,
            "steps_per_s": count / (now - began),
            "collecting": (collected - began) / (now - began),
            "phase": self.phase,
            "std": float(self.agent.log_std.detach().exp().mean()),
            **figures,
        }

    def _learn(self) -> dict[str, float]:
        """What the learner makes of the rollout; where that loses its numbers, the run ends."""
        try:
            return self.learner.update(self.rollout, self.generator)
        except NotFiniteError as error:
            parts = self.ranks.gather(error.arrays)
            facts = {"learner": self.learner.name, "steps": self.steps, "width": error.width}
            kept = self.ranks.first(lambda: keep_batch(self.folder / NOT_FINITE, parts, facts))
            raise UsageError(f"{error}; {kept}") from None

    @property
    def _progress(self) -> float:
        return self.schedule.progress(self.steps, self.seconds)

    @property
    def _evaluated_at(self) -> int:
        return self.evaluations[0]["steps"] if self.evaluations else 0

    # Phases

    def _enter_phase(self) -> None:
        """Begin the phase that the schedule names, if it is another than the one in force."""
        phase, _ = self.schedule.locate(self.steps, self.seconds)
        if phase == self.phase:
            return
        if self.config.evaluation.every is None:
            self._evaluate()
        before, after = self.schedule.phases[self.phase], self.schedule.phases[phase]
        self.phase = phase
        if (after.physics, after.aids, after.parameters) != (before.physics, before.aids, before.parameters):
            self.env.close()
            self._make_env()
            self.collector = self._make_collector()
        self._set_phase_rules()

    def _make_env(self) -> None:
        config, phase, teachers = self.config, self.schedule.phases[self.phase], list(self.experts.values())
        self.env = make_training_env(self.make_env, config, phase, teachers, self.ranks, self.seed)
        space = self.env.single_observation_space
        self.senses = ObservationSpec.of(space, config.privileged_critic, config.privileged, config.vision)
        offered, actions = offered_by_task(self.env, config.task, self.ranks), action_names(self.env)
        self.ranks.first(lambda: check_experts(self.experts, offered, actions))

    def _make_collector(self) -> Collector:
        seeds = self.share.of(training_seeds(self.seed, self.phase, self.config.envs))
        tasks = self.tasks.of(self.share)
        experts = Experts(self.experts, tasks, self.agent.action_size) if self.experts else None
        return Collector(self.env, self.agent, self.senses, seeds, self.generator, tasks, experts, self.ranks)

    def _set_phase_rules(self) -> None:
        phase = self.schedule.phases[self.phase]
        assert phase.rollout is not None and phase.noise_persistence is not None
        self.collector.noise_persistence = phase.noise_persistence
        share, ids, taught = self.share, self.tasks.of(self.share).ids, bool(self.experts)
        self.rollout = Rollout.empty(phase.rollout, share.size, self.agent, share, ids, taught)
        self.learner.fix_rate(phase.rate)
        self.agent.log_std.requires_grad_(phase.action_std is None)
        self._log_std_before = self.agent.log_std.detach().clone()

    def _anneal(self) -> None:
        """Move the actions' standard deviation towards the phase's, evenly in its logarithm."""
        target = self.schedule.phases[self.phase].action_std
        if target is not None:
            _, done = self.schedule.locate(self.steps, self.seconds)
            with torch.no_grad():
                self.agent.log_std.copy_((1 - done) * self._log_std_before + done * float(np.log(target)))

    def _kickstart(self) -> None:
        """Tell the learner what its experts weigh now; under `distill` that never changes.

        Weights only fall: once all are 0, nobody asks the experts any more.
        """
        if self.experts and self.config.learner != "distill":
            guided = torch.tensor([task in self.experts for task in self.config.task])
            weights = self.config.kickstart.at(self.steps, guided)
            self.learner.expert_weights = weights if weights.any() else None
            if not weights.any():
                self.collector.experts = None

    # The agent and what is known of it

    def _make_agent(self) -> Agent:
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            actions, tasks = len(action_names(self.env)), len(self.config.task)
            agent = make_agent_for(self.senses, self.config.agent, actions, self.config.agent_settings, tasks)
        if agent.symmetric:
            sizes = dict(self.senses.senses + self.senses.critic_senses)
            agent.reflect(mirror_senses(self.env.body, sizes), mirror_actions(self.env.body))
        return agent

    def _first_weights(self) -> dict[str, torch.Tensor]:
        """What the agent begins with. Other ranks' processors might draw other last digits."""
        if self.config.init_from is not None:
            means = self.learner.value_facts()
            self.inherited = take_weights(self.config, self.agent, self.senses, means, self.env.body, self.make_env)
        return self.agent.state_dict()

    def _policy(self) -> Policy:
        """The agent as it is now, as a policy to publish."""
        facts = {
            "tasks": list(self.config.task),
            "privileged": self.senses.privileged,
            "learner": self.config.learner,
            **self.learner.value_facts(),
            "physics": list(dict.fromkeys(phase.physics for phase in self.schedule.phases[: self.phase + 1])),
            "seed": self.seed,
            "steps": self.steps,
            **self.inherited,
            "training_seconds": round(self.seconds, 1),
            "trained_on": name_machine(),
            "init_from": self.config.init_from,
            **({"experts": list(self.config.expert)} if self.config.expert else {}),
            **self.learner.card_facts(),
            **(self._sight if self.senses.sees else {}),
            "evaluations": self.evaluations,
        }
        return Policy(self.agent, self.config.agent_settings, self.senses, action_names(self.env), facts)

    @property
    def _sight(self) -> dict[str, Any]:
        """How often and how it sees, and what drew the pictures that it learnt from."""
        sight = self.config.sight
        drawn = {"antialias": sight.antialias, "shadows": sight.shadows, "vision": describe_vision(sight)}
        return {"picture_every": sight.every} | drawn

    def _evaluate(self) -> None:
        """Measure the mean action, unless that was done at this very step; a checkpoint is written before."""
        if not self.config.evaluation.episodes or self._evaluated_at == self.steps:
            return
        self._save()
        self.evaluations, self.seconds = self.ranks.first(self._measure)
        self._save()

    def _measure(self) -> tuple[list[dict[str, Any]], float]:
        """The evaluation on each task, and the run's seconds after them."""
        results = [self._evaluate_on(task) for task in self.config.task]
        seconds = time.monotonic() - self._began
        names = ("evaluation_return", "evaluation_low", "evaluation_high")
        figures = self.tasks.label([dict(zip(names, (r.mean_return, *r.ci95), strict=True)) for r in results])
        self._log({"steps": self.steps, "seconds": seconds, **figures})
        return [{"steps": self.steps, **result.to_json()} for result in results], seconds

    def _evaluate_on(self, task: str) -> Evaluation:
        settings = self.config.evaluation
        self._say(f"evaluating {settings.episodes} episodes of {task} under {settings.physics} physics ...")
        result = evaluate(
            self._policy(), task, settings.episodes, _EVALUATION_SEED, settings.physics,
            threads=self.config.threads, make_env=self.make_env,
        )  # fmt: skip
        interval = " [{:.1f}, {:.1f}]".format(*result.ci95) if settings.episodes > 1 else ""
        self._say(
            f"evaluated after {self.steps:,} steps under {result.physics}: mean return {result.mean_return:.1f}"
            f"{interval} of {result.max_return:.0f}"
        )
        return result

    # Files

    def _open_metrics(self) -> Metrics:
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(self.folder / CONFIG_FILE, to_yaml(self.config))
            return Metrics(self.folder, self.steps)

    def _log(self, figures: dict[str, float]) -> None:
        if self.metrics is not None:
            with disk_errors(self.folder):
                self.metrics.write(figures)

    def _report(self, figures: dict[str, float], progress: RunProgress) -> None:
        self._log(figures)
        done = self._progress
        self._rate = figures["steps_per_s"] if self._rate is None else 0.9 * self._rate + 0.1 * figures["steps_per_s"]
        if self.schedule.seconds is None:
            left = max(0, self.schedule.steps - self.steps) / self._rate
        else:
            left = max(0.0, self.schedule.seconds - self.seconds)
        progress.show(done, self.steps, self._rate, left, f"reward {figures['reward']:.3f} a step")

    def _save(self) -> None:
        """Write a checkpoint, and the policy as it is now, unless they hold numbers that are not finite."""
        self.ranks.check_alike(self.agent.state_dict())
        check_finite(self.agent.state_dict() | self.learner.state_dict())
        state = self._state()
        self.ranks.first(lambda: self._write(*state))  # the others wait: who starts ranks may end all when one has
        self._saved_at = self.steps

    def _write(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        with disk_errors(self.folder):
            self.checkpoints.write(self.steps, arrays, facts)
            self._policy().save(self.folder / POLICY)

    def _state(self) -> tuple[Arrays, dict[str, Any]]:
        groups: dict[str, Arrays] = {
            "agent": {name: value.numpy() for name, value in self.agent.state_dict().items()},
            "learner": {name: value.numpy() for name, value in self.learner.state_dict().items()},
            **{of_rank(_COLLECTOR, rank): state for rank, state in enumerate(self.ranks.gather(self._rank_state()))},
            "run": {"generator": self.generator.get_state().numpy(), "log_std_before": self._log_std_before.numpy()},
        }
        facts = {
            "config": to_json(self.config),
            "steps": self.steps,
            "inherited": self.inherited,
            "seconds": self.seconds,
            "phase": self.phase,
            "evaluations": self.evaluations,
            "ranks": self.ranks.count,
        }
        return joined(groups), facts

    def _rank_state(self) -> Arrays:
        """What a checkpoint keeps of each rank's own environments."""
        own = {f"{_OF_LEARNER}/{name}": value.numpy() for name, value in self.learner.rank_state().items()}
        return self.collector.state_dict() | own

    def _restore(self, arrays: Arrays, facts: dict[str, Any]) -> None:
        def tensors(name: str) -> dict[str, torch.Tensor]:
            return {key: torch.from_numpy(value) for key, value in below(f"{name}/", arrays).items()}

        self.agent.load_state_dict(tensors("agent"))
        self.learner.load_state_dict(tensors("learner"))
        self.steps = self._saved_at = facts["steps"]
        self._kickstart()
        self.learner.load_rank_state(tensors(f"{_COLLECTOR}/{_OF_LEARNER}"))
        own = below(f"{_COLLECTOR}/", arrays)
        self.collector.load_state_dict({key: own[key] for key in own if not key.startswith(f"{_OF_LEARNER}/")})
        self.generator.set_state(tensors("run")["generator"])
        self._log_std_before = tensors("run")["log_std_before"]
        before = {"steps_before": facts.get("steps_before", 0)} if self.config.init_from else {}
        self.inherited = facts.get("inherited", before)  # older checkpoints told the steps alone
        self.seconds = facts["seconds"]
        self.evaluations = facts.get("evaluations", [])

    def _held_checkpoints(self) -> list[tuple[Arrays, dict[str, Any]] | None]:
        """The newest checkpoint as each rank needs it, with its own collector; None if there is no checkpoint."""
        held = self.checkpoints.read_newest()
        if held is None:
            return [None] * self.ranks.count
        arrays, facts = held
        check_same(self.config, facts["config"])
        if (count := facts.get("ranks", 1)) != self.ranks.count:
            raise UsageError(
                f"{self.folder} holds a run of {count} ranks, not {self.ranks.count}: resume it with as many "
                f"(torchrun --nproc-per-node), or give another --run-dir"
            )
        return [(for_rank(arrays, _COLLECTOR, rank), facts) for rank in range(count)]

    def _close(self) -> None:
        self.env.close()
        if self.metrics is not None:
            with contextlib.suppress(OSError):  # whatever went wrong before is what matters
                self.metrics.close()
