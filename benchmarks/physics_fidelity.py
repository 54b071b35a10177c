"""Which physics to train under: the total time to a rat that runs 0.75 of the maximum under `paper`.

    python benchmarks/physics_fidelity.py speed                     # how fast each steps; wants a quiet machine
    python benchmarks/physics_fidelity.py train CANDIDATE --seed 0  # one run, on one thread, in runs/fidelity/
    python benchmarks/physics_fidelity.py report                    # evaluates the runs and writes the table

A candidate takes the place of `fast` in `assets/configs/run.yaml`, whose later phases are the finish under `paper`;
nothing else differs. The runs leave all their checkpoints. `report` evaluates their mean action under `paper`, whole
episodes of 30 s without training aids, and finds the first checkpoint from which on all return 0.75 of the maximum. Its
time is what collecting and learning took until then, evaluation left out. With `--screen` both take 0.4 of every phase,
in runs/screen/, and half of the maximum instead.
"""

import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import mujoco
import numpy as np
import torch
import tyro
from writing import write_result

from policies.checkpoint import Checkpoints
from policies.config import EvaluationSettings, TrainConfig, load_yaml
from policies.evaluation import evaluate
from policies.metrics import METRICS_FILE, read_metrics
from policies.policy import Policy
from policies.run_folder import CHECKPOINTS
from policies.storage import read_tensors
from policies.training import train
from rodent.env import RodentVectorEnv
from rodent.machine import describe_machine
from rodent.physics import PRESETS, Physics

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "assets" / "configs" / "run.yaml"
RESULTS = Path("benchmarks") / "results"
CHECKPOINT_EVERY = 25_000  # steps: how finely the time to the target is known
FAST = PRESETS["fast"]


@dataclass(frozen=True)
class Contest:
    """What the candidates are compared by."""

    runs: Path
    result: Path
    target: float  # of the maximum, mean action, under `paper`
    scale: float = 1.0  # of the recipe's steps


WHOLE = Contest(Path("runs") / "fidelity", RESULTS / "physics_fidelity.json", target=0.75)
SCREEN = Contest(Path("runs") / "screen", RESULTS / "physics_screen.json", target=0.5, scale=0.4)

# Physics that are not presets of the software: they stand here to be compared.
VARIANTS = {
    variant.name: variant
    for variant in (
        Physics("paper-2ms", 0.002),
        replace(FAST, name="fast-1ms", timestep=0.001),
        replace(FAST, name="fast-2.5ms", timestep=0.0025),
        replace(FAST, name="fast-4ms", timestep=0.004),
        replace(FAST, name="fast-euler", integrator=mujoco.mjtIntegrator.mjINT_EULER),
        replace(FAST, name="fast-elliptic", cone=mujoco.mjtCone.mjCONE_ELLIPTIC),
        replace(FAST, name="fast-noslip", noslip_iterations=5),
        replace(FAST, name="fast-self-collision", self_collision=True),
        replace(FAST, name="fast-5-iterations", iterations=5),
        replace(FAST, name="fast-3-iterations", iterations=3),
    )
}
PRESETS.update(VARIANTS)

# What the recipe's first phase under `fast` and its others run under.
CANDIDATES = {
    "paper": ("paper", "paper"),
    "fast": ("fast", "fast"),
    "fast-1ms": ("fast-1ms", "fast-1ms"),
    "fast-2.5ms": ("fast-2.5ms", "fast-2.5ms"),
    "4ms-then-fast": ("fast-4ms", "fast"),
    "fast-self-collision": ("fast-self-collision", "fast-self-collision"),
    "fast+paper": ("fast", "fast+paper"),  # half of the environments each
}


@dataclass
class Speed:
    """How fast each candidate steps a running rat, beside `paper`, in one run."""

    envs: int = 64
    rounds: int = 5  # each measures every candidate once
    steps: int = 20  # control steps a measurement
    threads: int = 2
    policy: str = "run"
    output: Path = RESULTS / "physics_speed.json"


@dataclass
class Train:
    """Train one candidate with one seed."""

    candidate: tyro.conf.Positional[str]
    seed: int = 0
    threads: int = 1  # of the simulation: they change the wall time and nothing else
    screen: bool = False


@dataclass
class Report:
    """Evaluate the runs that are there and write the table."""

    episodes: int = 16
    every: int = 4  # checkpoints from one evaluation to the next
    screen: bool = False


def speed(flags: Speed) -> None:
    names = ["paper", "fast", *VARIANTS]
    policy = Policy.load(flags.policy)
    rates: dict[str, list[float]] = {name: [] for name in names}
    rewards: dict[str, list[float]] = {name: [] for name in names}
    diverged = dict.fromkeys(names, 0)
    for round_ in range(flags.rounds):
        for name in names:
            env = RodentVectorEnv("run", flags.envs, name, flags.threads)
            generator = torch.Generator().manual_seed(round_)
            observation, _ = env.reset(seed=round_)
            took, state = 0.0, None
            for t in range(2 * flags.steps):  # the first half lets the rat set off
                action, state = policy.act(observation, state, deterministic=False, generator=generator)
                began = time.perf_counter()
                observation, reward, *_ = env.step(action)
                took += (time.perf_counter() - began) * (t >= flags.steps)
            rates[name].append(flags.envs * flags.steps / took)
            rewards[name].append(float(reward.mean()))
            diverged[name] += env.divergences
    rows = [
        {
            "physics": name,
            "control_steps_per_s": round(float(np.median(rates[name])), 1),
            "of_paper": round(float(np.median(rates[name]) / np.median(rates["paper"])), 2),
            "reward": round(float(np.mean(rewards[name])), 3),
            "diverged": diverged[name],
        }
        for name in names
    ]
    _write(flags.output, rows)
    print("| physics | control steps/s | times `paper` | reward a step of the policy shipped | diverged |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(
            f"| `{row['physics']}` | {row['control_steps_per_s']:.0f} | {row['of_paper']:.2f} | {row['reward']:.2f} "
            f"| {row['diverged']} |"
        )


def candidate_config(flags: Train) -> TrainConfig:
    """The recipe under a candidate's physics."""
    config = load_yaml(CONFIG)
    contest = SCREEN if flags.screen else WHOLE
    first, others = CANDIDATES[flags.candidate]
    schedule = tuple(
        replace(
            phase, physics=(others if i else first) if phase.physics == "fast" else phase.physics,
            steps=round(contest.scale * phase.steps),
        )
        for i, phase in enumerate(config.phases)
    )  # fmt: skip
    return replace(
        config, steps=round(contest.scale * config.steps), schedule=schedule, threads=flags.threads,
        seeds=(flags.seed,), run_dir=contest.runs / flags.candidate / f"seed-{flags.seed}",
        keep=1000, checkpoint_every=CHECKPOINT_EVERY, evaluation=EvaluationSettings(episodes=0),
    )  # fmt: skip


def train_candidate(flags: Train) -> None:
    if flags.candidate not in CANDIDATES:
        sys.exit(f"unknown candidate {flags.candidate!r}: choose one of {', '.join(CANDIDATES)}")
    train(replace(candidate_config(flags), resume=True))


def report(flags: Report) -> None:
    rows = []
    contest = SCREEN if flags.screen else WHOLE
    for candidate in CANDIDATES:
        for folder in sorted((contest.runs / candidate).glob("seed-*")):
            rows.append(_time_to_target(candidate, folder, flags, contest.target))
            print(json.dumps(rows[-1]), flush=True)
    _write(contest.result, rows)
    print(
        f"| before the finish | seed | steps to {contest.target} | minutes to {contest.target} | last return "
        "| minutes of the run |"
    )
    print("|---|---|---|---|---|---|")
    for row in rows:
        steps = "not reached" if row["steps_to_target"] is None else f"{row['steps_to_target']:,}"
        minutes = "" if row["minutes_to_target"] is None else f"{row['minutes_to_target']:.0f}"
        print(
            f"| {row['candidate']} | {row['seed']} | {steps} | {minutes} | {row['last_return']:.0f} "
            f"| {row['minutes']:.0f} |"
        )


def _time_to_target(candidate: str, folder: Path, flags: Report, target: float) -> dict:
    """Evaluates checkpoints from the last backwards until one falls short of the target."""
    policy = Policy.load(folder)
    seconds = _training_seconds(folder)
    returns: dict[int, float] = {}
    for path in Checkpoints(folder / CHECKPOINTS, 1000).files()[:: -flags.every]:
        arrays, content = read_tensors(path)
        steps = content["facts"]["steps"]
        weights = {name.removeprefix("agent/"): a for name, a in arrays.items() if name.startswith("agent/")}
        policy.agent.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        result = evaluate(policy, policy.task, flags.episodes)
        returns[steps] = round(result.mean_return, 1)
        if result.mean_return < target * result.max_return:
            break
    reached = [steps for steps, value in returns.items() if value >= target * result.max_return]
    last = max(returns)
    return {
        "candidate": candidate,
        "seed": policy.facts["seed"],
        "steps_to_target": min(reached) if reached else None,
        "minutes_to_target": round(seconds(min(reached)) / 60, 1) if reached else None,
        "last_return": returns[last],
        "steps": last,
        "minutes": round(seconds(last) / 60, 1),
        "returns": dict(sorted(returns.items())),
    }


def _training_seconds(folder: Path):
    """Seconds of collecting and learning up to so many steps."""
    rows = [row for row in read_metrics(folder / METRICS_FILE) if "steps_per_s" in row]
    steps = np.array([row["steps"] for row in rows])
    took = np.cumsum(np.diff(steps, prepend=0) / np.array([row["steps_per_s"] for row in rows]))
    return lambda at: float(np.interp(at, steps, took))


def _write(path: Path, rows: list[dict]) -> None:
    result = {"command": " ".join(["python", *sys.argv]), "machine": describe_machine(), "rows": rows}
    write_result(path, result)


if __name__ == "__main__":
    flags = tyro.cli(Speed | Train | Report)
    {Speed: speed, Train: train_candidate, Report: report}[type(flags)](flags)
