"""What an agent costs beside the simulation: acting, interventions that are not used, and a student that sees.

    python benchmarks/agent_costs.py [--seconds 60] [--output benchmarks/results/agent_costs.json]

Acting: 256 environments of `run` under `fast` without vision; everything that lies between two steps of the
environments while a rollout is collected, beside those steps, in the same iterations. Interventions: what is there for
a probe's sake alone, beside the step of the agent that it is a part of: the activations' names, and handing each to a
probe that gives it back (medians). The students: the training runs of
`assets/configs/student.yaml` and `student-leaps.yaml` in their first phase of `fast` and of `fast+paper` physics, and
where their time goes; and the first with `merel2020` of the default size. They begin with random weights, and what
they remember is full from the start. Each in a process of its own.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Literal

import torch
import tyro
from writing import write_result

from policies.agent import Agent
from policies.config import EvaluationSettings, TrainConfig, load_yaml
from policies.environment import Mixture, make_rodent_env
from policies.merel2020 import Merel2020Settings
from policies.multitask import SharedSenses
from policies.probe import NOTHING, Probe
from policies.training import TrainingRun
from rodent.bench import parts_of_a_step
from rodent.env import RodentVectorEnv
from rodent.machine import describe_machine, peak_memory_gib
from rodent.stopwatch import Places, Stopwatch

MIXED = "fast+paper"
CONFIGS = Path(__file__).parents[1] / "assets" / "configs"
Part = Literal[
    "", "acting", "interventions", "student", "student_mixed", "seeing_student", "seeing_student_mixed",
    "default_student", "default_student_mixed",
]  # fmt: skip
PARTS: tuple[Part, ...] = (
    "acting", "interventions", "student", "student_mixed", "seeing_student", "seeing_student_mixed",
    "default_student", "default_student_mixed",
)  # fmt: skip
_WARM_UP = 2  # iterations that are not timed: the first rollout teaches nothing, and caches are cold


@dataclass
class Flags:
    seconds: float = 60.0  # of measuring, a part
    threads: int = 2  # of the simulation
    output: Path = Path("benchmarks/results/agent_costs.json")
    only: Part = ""  # measure this part, in this process, and print JSON


def acting(flags: Flags) -> dict:
    config = TrainConfig(agent="merel2020", envs=256, threads=flags.threads)
    with tempfile.TemporaryDirectory() as folder:
        run = _run(config, folder)
        watch = Stopwatch({"collecting": (run.collector, "collect")})
        inner = Stopwatch({"stepping": (run.env, "step")})
        steps, _ = _iterate(run, flags.seconds, watch, inner)
    stepping = inner.seconds()["stepping"]
    return {
        "agent": "merel2020",
        "task": "run",
        "physics": "fast",
        "envs": config.envs,
        "threads": flags.threads,
        "stepping_us_a_step": round(1e6 * stepping / steps, 1),
        "acting_us_a_step": round(1e6 * (watch.seconds()["collecting"] - stepping) / steps, 1),
        "acting_of_stepping": round(watch.seconds()["collecting"] / stepping - 1, 4),
        "peak_memory_gib": round(peak_memory_gib(), 2),
    }


class Naming(Probe):
    """Keeps the names of what it is handed."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str, activation: torch.Tensor) -> torch.Tensor:
        self.names.append(name)
        return activation


@torch.inference_mode()
def interventions(flags: Flags) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(agent="merel2020", envs=256, threads=flags.threads, privileged_critic=True)
        agent: Agent = _run(config, folder).agent
    torch.set_num_threads(1)
    observation, state = torch.randn(256, agent.observation_size + agent.critic_size), agent.initial(256)
    naming = Naming()
    agent.step(observation, state, probe=naming)
    names = [name.rpartition(".") for name in naming.names]
    stepping: list[float] = []
    handing: list[float] = []
    activation, end = observation, time.perf_counter() + flags.seconds / 4
    while time.perf_counter() < end:
        began = time.perf_counter()
        agent.step(observation, state)
        between = time.perf_counter()
        for layer, dot, part in names:
            activation = NOTHING(f"{layer}{dot}{part}", activation)
        handing.append(time.perf_counter() - between)
        stepping.append(between - began)
    step_s, handing_s = median(stepping), median(handing)
    return {
        "agent": "merel2020",
        "envs": 256,
        "activations": len(names),
        "step_us": round(1e6 * step_s, 1),
        "handing_us": round(1e6 * handing_s, 2),
        "handing_of_step": round(handing_s / step_s, 5),
    }


def student(
    flags: Flags, physics: str | None = None, file: str = "student.yaml", sizes: Merel2020Settings | None = None
) -> dict:
    config = load_yaml(CONFIGS / file)
    phase = next(each for each in config.schedule if each.physics == physics)  # None: the run's
    full = replace(config.distill, auxiliary_memory=config.distill.auxiliary_steps)  # as many updates as there ever are
    config = replace(config, merel2020=sizes or config.merel2020, distill=full, init_from=None)
    config = replace(config, threads=flags.threads, schedule=(phase,))
    with tempfile.TemporaryDirectory() as folder:
        run = _run(config, folder)
        watch = Stopwatch(_places_of(run))
        steps, spent = _iterate(run, flags.seconds, watch)
    return {
        "config": file,
        "settings": asdict(config.agent_settings),
        "physics": run.schedule.phases[0].physics,
        "envs": config.envs,
        "threads": flags.threads,
        "picture_every": config.picture_every,
        "steps_per_s": round(steps / spent, 1),
        "shares": watch.shares(spent),
        "peak_memory_gib": round(peak_memory_gib(), 2),
    }


def _places_of(run: TrainingRun) -> Places:
    """Where an iteration spends its time; environments of several tasks or physics have parts of their own."""
    envs = run.env.parts if isinstance(run.env, Mixture) else [run.env]
    mixed = "+" in (run.schedule.phases[0].physics or "")
    places: Places = {}
    for each in envs:
        env = each.env if isinstance(each, SharedSenses) else each
        assert isinstance(env, RodentVectorEnv)
        name = f"{env.task.name}.{env.physics.name}" if mixed else env.task.name
        places |= {f"{name}.{part}": place for part, place in parts_of_a_step(env).items()}
    return places | {
        "inference": (run.agent, "step"),
        "experts": (run.collector.experts, "advise"),
        "learning": (run.learner, "update"),
    }


def _iterate(run: TrainingRun, seconds: float, *watches: Stopwatch) -> tuple[int, float]:
    """Train for about so long under stopwatches, once caches are warm: environment steps and seconds."""
    for _ in range(_WARM_UP):
        run.iterate()
    steps, began = 0, time.perf_counter()
    with ExitStack() as running:
        for watch in watches:
            running.enter_context(watch)
        while time.perf_counter() - began <= seconds:
            run.iterate()
            steps += run.rollout.rewards.numel()
    return steps, time.perf_counter() - began


def _run(config: TrainConfig, folder: str) -> TrainingRun:
    return TrainingRun(replace(config, run_dir=Path(folder), evaluation=EvaluationSettings(0)), make_rodent_env)


def main(flags: Flags) -> None:
    if flags.only:
        measures: dict[str, Callable[[Flags], dict]] = {
            "acting": acting, "interventions": interventions, "student": student,
            "student_mixed": partial(student, physics=MIXED),
            "seeing_student": partial(student, file="student-leaps.yaml"),
            "seeing_student_mixed": partial(student, physics=MIXED, file="student-leaps.yaml"),
            "default_student": partial(student, sizes=Merel2020Settings()),
            "default_student_mixed": partial(student, physics=MIXED, sizes=Merel2020Settings()),
        }  # fmt: skip
        print(json.dumps(measures[flags.only](flags)))
        return
    result: dict = {"command": " ".join(["python", *sys.argv]), "machine": describe_machine()}
    for part in PARTS:
        command = [sys.executable, __file__, "--only", part, "--seconds", str(flags.seconds),
                   "--threads", str(flags.threads)]  # fmt: skip
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        result[part] = json.loads(done.stdout)
        print(part, json.dumps(result[part], indent=1))
    write_result(flags.output, result)


if __name__ == "__main__":
    main(tyro.cli(Flags))
