"""What a training run is told: nested dataclasses, every leaf of which is a flag, and their YAML form."""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
import yaml

from policies.distillation import DistillationSettings
from policies.experts import name_experts
from policies.kickstart import KickstartSettings
from policies.lstm import LSTMSettings
from policies.merel2020 import Merel2020Settings
from policies.mlp import MLPSettings
from policies.modulated import ModulatedSettings
from policies.plain import build, to_plain
from policies.ppo import PPOSettings
from policies.registry import AGENTS, LEARNERS, find_agent, find_learner
from policies.vmpo import VMPOSettings
from rodent.aids import TrainingAids
from rodent.errors import UsageError
from rodent.flags import parse_flags
from rodent.physics import find_physics
from rodent.seeds import check_seed
from rodent.tasks import TASKS, Task, make_task
from rodent.vision import VisionSettings, training_vision

CONFIG_FILE = "config.yaml"
_NO_SUBCOMMANDS = (tyro.conf.AvoidSubcommands,)  # a phase's aids have flags where a file gives the phase some

# What a run may change when it resumes: where it ends, what it writes, and how fast it goes.
CHANGEABLE = {
    "steps", "minutes", "run_dir", "keep", "checkpoint_every", "threads", "learner_threads", "evaluation", "resume",
    "overwrite",
}  # fmt: skip


@dataclass(frozen=True)
class Phase:
    """One stretch of a run's schedule."""

    share: float = 1.0  # of the run's length; the shares of all phases are scaled to sum to 1
    steps: int | None = None  # or its length in environment steps; either all phases have it or none
    physics: str | None = None  # preset (None: the run's); "fast+paper" gives each preset half of the environments
    rollout: int | None = None  # steps of each environment between updates (None: the run's); longer: larger batches
    action_std: float | None = None  # reached at the end of the phase, from what it was (None: learnt)
    noise_persistence: float | None = None  # share of an action's noise that stays in the next (None: the run's)
    rate: float | None = None  # learning rate, held (None: the learner's own rule)
    aids: TrainingAids | None = None  # aids of this phase, all of them (None: the run's)
    # Parameters of the task that differ from its own in this phase, so that a curriculum may end at the task itself; of
    # several tasks under the name of each.
    parameters: Annotated[dict[str, Any], tyro.conf.Suppress] = field(default_factory=dict)

    def task(self, name: str) -> Task:
        """The task of that name, as it is in this phase.

        Raises:
            UsageError: it has no such parameters, or may not have these values.
        """
        of_tasks = bool(self.parameters) and self.parameters.keys() <= TASKS.keys()
        own = self.parameters.get(name, {}) if of_tasks else self.parameters
        if not isinstance(own, dict):
            raise UsageError(f"a phase's parameters of {name} must be a mapping of names to values, not {own!r}")
        ranges = {key: tuple(value) if isinstance(value, list) else value for key, value in own.items()}
        return make_task(name, **ranges)

    def __post_init__(self) -> None:
        if not 0 < self.share < math.inf or (self.steps is not None and self.steps < 1):
            raise UsageError(
                f"a phase must have a finite share above 0 or at least 1 step, not {self.share} and {self.steps}"
            )
        if self.rollout is not None and self.rollout < 1:
            raise UsageError(f"a phase's rollout must be at least 1 step, not {self.rollout}")
        if self.action_std is not None and not 0 < self.action_std < math.inf:
            raise UsageError(f"a phase's action_std must be above 0 and finite, not {self.action_std}")
        if self.noise_persistence is not None and not 0 <= self.noise_persistence < 1:
            raise UsageError(
                f"a phase's noise_persistence must be at least 0 and below 1, not {self.noise_persistence}"
            )
        if self.rate is not None and not 0 < self.rate < math.inf:
            raise UsageError(f"a phase's rate must be above 0 and finite, not {self.rate}")


@dataclass(frozen=True)
class EvaluationSettings:
    """How a run measures its mean action, without training aids."""

    episodes: int = 16  # 0: never evaluate
    every: int | None = None  # environment steps between evaluations (None: at the end of each phase and of the run)
    physics: str = "paper"  # preset

    def __post_init__(self) -> None:
        if self.episodes < 0 or (self.every is not None and self.every < 1):
            raise UsageError(
                f"evaluation.episodes must be 0 or more and evaluation.every 1 or more, not {self.episodes} and "
                f"{self.every}"
            )


@dataclass(frozen=True)
class TrainConfig:
    """Train an agent on one task or several. Everything a run writes goes to its run folder.

    `--config FILE` (YAML, such as assets/configs/run.yaml) gives defaults, on top of which flags stand.
    """

    task: tuple[str, ...] = ("run",)  # see `rodent tasks`; several share the environments evenly
    task_weights: tuple[float, ...] = ()  # how much the losses of each task count, one a task (none: alike)
    agent: str = "mlp"  # mlp, lstm, merel2020 or modulated
    learner: str = "ppo"  # ppo, vmpo or distill
    expert: tuple[str, ...] = ()  # who teaches: TASK=POLICY, or POLICY for the tasks that it was trained on
    physics: str = "fast"  # of phases that name none: a preset, or A+B for half of the environments each
    envs: int = 256  # environments stepped together, by all ranks
    steps: int = 2_000_000  # environment steps of the whole run
    minutes: float | None = None  # wall time of the whole run, instead of its steps
    seeds: tuple[int, ...] = (0,)  # one run each, one after the other; several go to sub-folders seed-0, seed-1, ...
    rollout: int = 32  # steps of each environment between updates
    pool: int = 64  # arenas to compile beforehand where a task's vary; 0: a new one for each episode, which is slower
    noise_persistence: float = 0.0  # share of an action's noise that stays in the next action's, on top of its own
    privileged: bool = False  # let the agent read the task's privileged senses: an expert, never the animal
    privileged_critic: bool = False  # let its critic alone read them; the policy senses what an animal does
    vision: bool = False  # let the agent see, through the rat's eye
    picture_every: int = 1  # control steps from one picture to the next; in between the last one stays
    antialias: bool = False  # let it see smooth edges, as in dm_control; such a picture takes four times as long
    shadows: bool = False  # let it see shadows, as in dm_control; they take as long again
    threads: int = 2  # of the simulation, of each rank
    learner_threads: int = 1  # of torch while it learns; more help on an idle machine and harm on a busy one
    schedule: tuple[Phase, ...] = ()  # phases, one after the other (none: one phase over the whole run)
    init_from: str | None = None  # policy (folder, run folder or name) whose weights to start from
    # Senses of that policy, by name, and what the run reads in the place of each, with the weights of that one.
    init_senses: Annotated[dict[str, str], tyro.conf.Suppress] = field(default_factory=dict)
    run_dir: Path | None = None  # run folder (None: runs/<task>-<agent>, and -<learner> where that is not ppo)
    resume: bool = False  # go on from the newest checkpoint of the run folder, if it has any
    overwrite: bool = False  # delete the run that the run folder holds
    keep: int = 3  # checkpoints to keep
    checkpoint_every: int = 200_000  # environment steps between checkpoints
    aids: TrainingAids = field(default_factory=lambda: TrainingAids(upright=0.05, jerk=0.05))
    # Aids of one of the tasks, all of them and in every phase, by task (a task that is not named: `aids`).
    task_aids: Annotated[dict[str, TrainingAids], tyro.conf.Suppress] = field(default_factory=dict)

    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    mlp: MLPSettings = field(default_factory=MLPSettings)
    lstm: LSTMSettings = field(default_factory=LSTMSettings)
    merel2020: Merel2020Settings = field(default_factory=Merel2020Settings)
    modulated: ModulatedSettings = field(default_factory=ModulatedSettings)
    ppo: PPOSettings = field(default_factory=PPOSettings)
    vmpo: VMPOSettings = field(default_factory=VMPOSettings)
    distill: DistillationSettings = field(default_factory=DistillationSettings)
    kickstart: KickstartSettings = field(default_factory=KickstartSettings)

    def __post_init__(self) -> None:
        self._check_tasks()
        self._check_experts()
        find_agent(self.agent)
        find_learner(self.learner)
        find_physics(self.evaluation.physics)
        for names in (self.physics, *(p.physics for p in self.schedule if p.physics)):
            for name in names.split("+"):
                find_physics(name)
        for name in (
            "envs",
            "steps",
            "rollout",
            "threads",
            "learner_threads",
            "keep",
            "checkpoint_every",
            "picture_every",
        ):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be 1 or more, not {getattr(self, name)}")
        parts = len(self.task) * max(len(str(phase.physics).split("+")) for phase in self.phases)
        if self.envs < parts:
            raise UsageError(f"envs must be {parts} or more, one for each task and preset, not {self.envs}")
        for phase in self.phases:
            if self.envs // len(self.task) * (phase.rollout or self.rollout) < 2:
                raise UsageError(
                    "a rollout holds one step of a task, which has no spread: give more --envs or --rollout"
                )
        if self.pool < 0:
            raise UsageError(f"pool must be 0 or more, not {self.pool}")
        if not 0 <= self.noise_persistence < 1:
            raise UsageError(f"noise_persistence must be at least 0 and below 1, not {self.noise_persistence}")
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise UsageError(f"minutes must be above 0 and finite, not {self.minutes}")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise UsageError(f"seeds must be different integers of 0 or more, not {self.seeds}")
        for seed in self.seeds:
            check_seed(seed, "each of seeds")
        if self.run_dir is not None and not self.run_dir.parts:
            raise UsageError("run_dir is empty: give the path of a folder")
        if self.privileged and self.privileged_critic:
            raise UsageError("privileged lets the critic read what privileged_critic lets it read: give one of them")
        aids = [*(phase.aids for phase in self.phases), *self.task_aids.values()]
        led = next((each.led for each in aids if each and each.led), None)
        if led and not (self.privileged or self.privileged_critic or self.expert):
            raise UsageError(
                f"aids.{led} needs what privileged senses know: give --privileged or --privileged-critic as well"
            )
        if self.vision and not find_agent(self.agent).sees:
            raise UsageError(f"agent {self.agent} can't see: leave out --vision, or give --agent merel2020")
        if self.init_senses and self.init_from is None:
            raise UsageError("init_senses name senses of the policy to start from: give init_from as well")
        if self.resume and self.overwrite:
            raise UsageError("--resume keeps the run that --overwrite deletes: give one of them")
        if len({phase.steps is None for phase in self.schedule}) > 1:
            raise UsageError("either every phase of the schedule has steps, or none")

    def _check_tasks(self) -> None:
        if isinstance(self.task, str):  # one task may be given as it is
            object.__setattr__(self, "task", (self.task,))
        if not self.task or len(set(self.task)) < len(self.task):
            raise UsageError(f"task must name different tasks, one at least, not {', '.join(self.task) or 'none'}")
        for phase in (Phase(), *self.schedule):
            for task in self.task:
                phase.task(task)
            self._check_named(phase.parameters.keys() & TASKS.keys(), "a phase's parameters")
        self._check_named(self.task_aids.keys(), "task_aids")
        if self.task_weights and len(self.task_weights) != len(self.task):
            raise UsageError(
                f"task_weights must be a number above 0 for each of {len(self.task)} tasks, not {self.task_weights}"
            )
        if not all(0 < weight < math.inf for weight in self.task_weights):
            raise UsageError(f"task_weights must be finite and above 0, not {self.task_weights}")
        if self.privileged and len(self.task) > 1:
            raise UsageError(
                "privileged senses differ between tasks and would tell the agent which it is: train an expert on one "
                "task, or give --privileged-critic"
            )

    def _check_named(self, names: Collection[str], what: str) -> None:
        if strangers := [name for name in names if name not in self.task]:
            raise UsageError(f"{what} name {strangers[0]}, and the run's tasks are {', '.join(self.task)}")

    def _check_experts(self) -> None:
        if self.learner == "distill" and self.privileged:
            raise UsageError(
                "a student reads published senses alone: leave out --privileged, or give --privileged-critic, which "
                "lets its critic alone read more"
            )
        if self.learner == "distill" and self.distill.auxiliary:
            if not find_agent(self.agent).ENCODERS:
                raise UsageError(f"distill.auxiliary teaches encoders, and agent {self.agent} has none: give merel2020")
            if self.agent_settings.encoders == "value":
                raise UsageError("distill.auxiliary teaches encoders that merel2020.encoders lets value alone teach")
            if not self.privileged_critic:
                raise UsageError("distill.auxiliary tells what the critic is told: give --privileged-critic as well")
        if self.expert and self.learner != "distill" and not max(self.kickstart.weights) > 0:
            raise UsageError(
                "experts count for nothing if all of kickstart.weights are 0: raise one, or leave out --expert"
            )
        if len(self.kickstart.weights) not in (1, len(self.task)):
            raise UsageError(
                f"kickstart.weights must be one number, or one for each of {len(self.task)} tasks, not "
                f"{self.kickstart.weights}"
            )

    @property
    def sight(self) -> VisionSettings:
        """How rats see, where they do."""
        return training_vision(self.picture_every, self.antialias, self.shadows)

    @property
    def agent_settings(self) -> Any:
        """The settings of the chosen agent."""
        return getattr(self, self.agent)

    @property
    def learner_settings(self) -> Any:
        """The settings of the chosen learner."""
        return getattr(self, self.learner)

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.run_dir if self.run_dir is not None else default_folder(self.task, self.agent, self.learner)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The schedule, every phase with its physics, rollout, persistence of noise and aids filled in."""
        return tuple(
            replace(
                p,
                physics=p.physics or self.physics,
                rollout=p.rollout or self.rollout,
                noise_persistence=self.noise_persistence if p.noise_persistence is None else p.noise_persistence,
                aids=p.aids or self.aids,
            )
            for p in self.schedule or (Phase(),)
        )


def to_yaml(config: TrainConfig) -> str:
    """The configuration as YAML, every field of it."""
    return yaml.safe_dump(to_json(config), sort_keys=False)


def to_json(config: TrainConfig) -> dict[str, Any]:
    """The configuration as JSON-compatible data; the name of a single task stands for itself."""
    data: dict[str, Any] = to_plain(asdict(config))
    if len(config.task) == 1:
        data["task"] = config.task[0]
    return data


def load_yaml(path: Path) -> TrainConfig:
    """Read a YAML file that names any of the fields of `TrainConfig`; the others keep their defaults.

    Raises:
        UsageError: the file is missing, no YAML, or holds an unknown field or a value of the wrong type.
    """
    try:
        data = yaml.safe_load(path.read_text())
    except OSError as error:
        raise UsageError(f"cannot read the configuration {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not YAML: it holds no text") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    try:
        if data is None:
            raise UsageError("it is empty: give fields of a configuration, as in task: run")
        config = build(TrainConfig, data, "")
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None
    assert isinstance(config, TrainConfig)
    return config


def difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str | None:
    """The first field in which two configurations (as `to_json` gives them) may not differ but do, in words.

    Settings of agents and learners that a run has not chosen do not count. What an older version did not know yet, it
    had at its default.
    """
    with contextlib.suppress(UsageError):  # or held what is no longer known, which is then a difference
        theirs = to_json(build(TrainConfig, theirs, ""))
    idle = {*AGENTS, *LEARNERS} - {ours.get("agent"), ours.get("learner")}
    for name, value in theirs.items():
        if name not in CHANGEABLE | idle and ours.get(name) != value:
            path, here, there = _deepest(name, ours.get(name), value)
            return f"{path} is {there!r} there and {here!r} here"
    return None


def parse_arguments(
    arguments: Sequence[str], prog: str = "rodent train", learner: str = "ppo", description: str | None = None
) -> TrainConfig:
    """The configuration that command-line arguments describe.

    `--config FILE` gives the defaults, flags stand on top. Without `--config`, `--resume` takes the defaults from the
    run folder, so that a run goes on without its flags being repeated. Where nothing names a task, it is the experts'.

    Args:
        arguments: of the command.
        prog: the command.
        learner: what it learns by, unless told.
        description: what its help says that it does (None: that it trains).

    Raises:
        UsageError: a configuration file, a flag or a value is not admissible.
        SystemExit: after help was asked for and printed.
    """
    arguments = [_hyphened(argument) for argument in arguments]
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    first.add_argument("--config", type=Path)
    config, rest = _parse_known(first, arguments, prog)
    for flag, default in (("--run-dir", None), ("--agent", TrainConfig.agent), ("--learner", learner)):
        first.add_argument(flag, default=default)
    for flag in ("--task", "--expert"):
        first.add_argument(flag, nargs="*", default=())
    first.add_argument("--resume", action="store_true")
    known, _ = _parse_known(first, arguments, prog)
    if config.config is not None:
        defaults = load_yaml(config.config)
    else:
        task = tuple(known.task or name_experts(known.expert)) or TrainConfig.task
        held = Path(known.run_dir or default_folder(task, known.agent, known.learner)) / CONFIG_FILE
        resumes = known.resume and held.is_file()
        defaults = load_yaml(held) if resumes else TrainConfig(task=task, learner=learner)
    defaults = replace(defaults, resume=False, overwrite=False)
    _say_what_phases_keep(defaults, rest)
    told = parse_flags(
        lambda: tyro.cli(
            TrainConfig, args=rest, default=defaults, prog=prog, description=description, config=_NO_SUBCOMMANDS
        ),
        prog,
        arguments,
    )
    if (parts := find_agent(told.agent).PARTS) and told.init_from is None:
        raise UsageError(f"agent {told.agent} is built on a trained {' and '.join(parts)}: give --init-from")
    return told


def _say_what_phases_keep(defaults: TrainConfig, arguments: Sequence[str]) -> None:
    """A flag of the whole run changes nothing in phases that a file gives their own: say so on standard error."""
    given = {argument[2:].partition("=")[0].partition(".")[0] for argument in arguments if argument.startswith("--")}
    for name in ("physics", "rollout", "noise_persistence", "aids"):
        own = [str(i) for i, phase in enumerate(defaults.schedule) if getattr(phase, name) is not None]
        if own and (flag := name.replace("_", "-")) in given:
            print(
                f"rodent: --{flag} changes nothing in phases {', '.join(own)} of the schedule, which have their own: "
                f"give --schedule.{own[0]}.{flag} as well",
                file=sys.stderr,
            )


def _hyphened(argument: str) -> str:
    """A flag as it is told in the help, with hyphens; either is taken."""
    flag, equals, value = argument.partition("=")
    return flag.replace("_", "-") + equals + value if flag.startswith("--") else argument


def _parse_known(
    parser: argparse.ArgumentParser, arguments: Sequence[str], prog: str
) -> tuple[argparse.Namespace, list[str]]:
    try:
        return parser.parse_known_args(arguments)
    except argparse.ArgumentError as error:
        raise UsageError(f"{error.argument_name} {error.message} (see {prog} --help)") from None


def default_folder(task: Sequence[str], agent: str, learner: str) -> Path:
    """The run folder of runs that name none."""
    taught = {"ppo": "", "distill": "-student"}.get(learner, f"-{learner}")
    return Path("runs") / f"{'+'.join(task)}-{agent}{taught}"


def _deepest(path: str, here: Any, there: Any) -> tuple[str, Any, Any]:
    if isinstance(here, dict) and isinstance(there, dict):
        for name in there:
            if here.get(name) != there[name]:
                return _deepest(f"{path}.{name}", here.get(name), there[name])
    return path, here, there
