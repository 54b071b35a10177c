"""Which physics to train under: the total time to a rat that runs 0.75 of the maximum under `paper`.

    python benchmarks/physics_fidelity.py speed                     # how fast each steps; wants a quiet machine
    python benchmarks/physics_fidelity.py train CANDIDATE --seed 0  # one run, on one thread, in runs/fidelity/
    python benchmarks/physics_fidelity.py report                    # evaluates the runs and writes the table

A candidate says what each phase of `assets/configs/run.yaml` steps; nothing else differs. The runs leave all their
checkpoints, and a run takes over what another of its seed did as long as the two are alike. `report` evaluates their
mean action under `paper`, whole episodes of 30 s without training aids, and finds the first checkpoint from which on
all return 0.75 of the maximum. Its time leaves evaluation out, and is told twice: as the run took it, whatever else the
machine did, and as a quiet machine takes it on two threads, by what `speed` measured of the physics and
`learning_throughput.py` of the learner. Rows of runs that are no longer there stay, and what is known of the others is
not evaluated again. Both take `--contest`: `whole`, the recipe; `short`, 0.4 of every phase; `screen`, 0.4 of every
phase but the last, which nearly all candidates have under `paper`, to half of the maximum.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import mujoco
import numpy as np
import torch
import tyro
from writing import kept_rows, write_result

from policies.checkpoint import Checkpoints
from policies.config import EvaluationSettings, TrainConfig, load_yaml, to_json
from policies.evaluation import evaluate
from policies.metrics import METRICS_FILE, read_metrics
from policies.plain import build
from policies.policy import Policy
from policies.run_folder import CHECKPOINTS
from policies.training import train
from rodent.env import RodentVectorEnv
from rodent.machine import describe_machine
from rodent.physics import PRESETS, Physics
from rodent.tasks import make_task

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "assets" / "configs" / "run.yaml"
RESULTS = Path("benchmarks") / "results"
SPEEDS = RESULTS / "physics_speed.json"
LEARNING = RESULTS / "learning_throughput.json"
KEEP = 1000  # checkpoints: all of them
CHECKPOINT_EVERY = 25_000  # steps: how finely the time to the target is known
FAST = PRESETS["fast"]
MAX_RETURN = make_task("run").max_return


@dataclass(frozen=True)
class Contest:
    """What the candidates are compared by."""

    runs: Path
    result: Path
    target: float  # of the maximum, mean action, under `paper`
    scale: float = 1.0  # of each phase's steps
    phases: int | None = None  # how many of the recipe's phases; None: all


CONTESTS = {
    "whole": Contest(Path("runs") / "fidelity", RESULTS / "physics_fidelity.json", target=0.75),
    "short": Contest(Path("runs") / "short", RESULTS / "physics_short.json", target=0.75, scale=0.4),
    "screen": Contest(Path("runs") / "screen", RESULTS / "physics_screen.json", target=0.5, scale=0.4, phases=5),
}
ContestName = Literal["whole", "short", "screen"]

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
        replace(FAST, name="fast-5-iterations", iterations=5),
        replace(FAST, name="fast-3-iterations", iterations=3),
    )
}
PRESETS.update(VARIANTS)

# What the recipe's six phases step. The recipe is `fast`: coarse, then half of the environments each, then `paper`.
CANDIDATES = {
    "fast": (*4 * ("fast",), "fast+paper", "paper"),
    "fast to the end": 6 * ("fast",),
    "fast, then paper": (*5 * ("fast",), "paper"),
    "fast+paper": (*5 * ("fast+paper",), "paper"),
    "paper": 6 * ("paper",),
    "fast-1ms": (*4 * ("fast-1ms",), "fast+paper", "paper"),
    "fast-2.5ms": (*4 * ("fast-2.5ms",), "fast+paper", "paper"),
    "4ms, then fast": ("fast-4ms", *3 * ("fast",), "fast+paper", "paper"),
    "fast-self-collision": (*4 * ("fast-self-collision",), "fast+paper", "paper"),
}


@dataclass
class Speed:
    """How fast each candidate steps a running rat, beside `paper`, in one run."""

    envs: int = 64
    rounds: int = 5  # each measures every candidate once
    steps: int = 20  # control steps a measurement
    threads: int = 2
    policy: str = "run"
    output: Path = SPEEDS


@dataclass
class Train:
    """Train one candidate with one seed."""

    candidate: tyro.conf.Positional[str]
    seed: int = 0
    threads: int = 1  # of the simulation: they change the wall time and nothing else
    contest: ContestName = "whole"


@dataclass
class Report:
    """Evaluate the runs that are there and write the table."""

    episodes: int = 16
    every: int = 4  # checkpoints from one evaluation to the next
    contest: ContestName = "whole"


def speed(flags: Speed) -> None:
    names = ["paper", "fast", "fast-self-collision", *VARIANTS]
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


def candidate_config(candidate: str, seed: int, threads: int, contest: Contest) -> TrainConfig:
    """The recipe under a candidate's physics."""
    config = load_yaml(CONFIG)
    lengths = [round(contest.scale * (phase.steps or 0)) for phase in config.phases][: contest.phases]
    schedule = tuple(
        replace(phase, physics=physics, steps=steps)
        for phase, physics, steps in zip(config.phases, CANDIDATES[candidate], lengths, strict=False)
    )
    return replace(
        config, steps=sum(lengths), schedule=schedule, threads=threads, seeds=(seed,),
        run_dir=_folder(contest, candidate, seed), keep=KEEP, checkpoint_every=CHECKPOINT_EVERY,
        evaluation=EvaluationSettings(episodes=0),
    )  # fmt: skip


def _folder(contest: Contest, candidate: str, seed: int) -> Path:
    return contest.runs / candidate.replace(", ", "-").replace(" ", "-") / f"seed-{seed}"


def train_candidate(flags: Train) -> None:
    if flags.candidate not in CANDIDATES:
        sys.exit(f"unknown candidate {flags.candidate!r}: choose one of {', '.join(CANDIDATES)}")
    contest = CONTESTS[flags.contest]
    config = candidate_config(flags.candidate, flags.seed, flags.threads, contest)
    if not config.folder.exists():
        _begin_like_another(config, contest.runs.glob(f"*/seed-{flags.seed}"))
    train(replace(config, resume=True))


def _begin_like_another(config: TrainConfig, others: Iterable[Path]) -> None:
    """Copies the longest part that another run did exactly as this one would: its checkpoints and metrics."""
    alike: dict[Path, list[Path]] = {}
    for other in others:
        checkpoints = _checkpoints(other)
        for path in checkpoints.files():
            _, facts = checkpoints.read(path)
            if not _alike(config, build(TrainConfig, facts["config"], ""), facts["phase"] + 1):
                break
            alike.setdefault(other, []).append(path)
    if not alike:
        return
    other = max(alike, key=lambda run: alike[run][-1].name)
    for path in alike[other]:
        arrays, facts = _checkpoints(other).read(path)
        _checkpoints(config.folder).write(facts["steps"], arrays, facts | {"config": to_json(config)})
    last = facts["steps"]
    header, *rows = (other / METRICS_FILE).read_text().splitlines(keepends=True)
    (config.folder / METRICS_FILE).write_text(header + "".join(row for row in rows if int(row.split(",")[0]) <= last))
    print(f"took over {last:,} steps from {other}")


def _alike(config: TrainConfig, other: TrainConfig, phases: int) -> bool:
    """Whether two configurations train alike so long as in the first `phases` phases."""
    same = replace(
        other, steps=config.steps, schedule=config.schedule, run_dir=config.run_dir, threads=config.threads,
        resume=config.resume,
    )  # fmt: skip
    return same == config and other.schedule[:phases] == config.schedule[:phases]


def _checkpoints(folder: Path) -> Checkpoints:
    return Checkpoints(folder / CHECKPOINTS, keep=KEEP)


def report(flags: Report) -> None:
    contest = CONTESTS[flags.contest]
    before = kept_rows(contest.result)
    known: dict[tuple[str, int], dict[str, Any]] = {(row["candidate"], row["seed"]): row for row in before}
    rows = []
    for candidate in CANDIDATES:
        folders = {_seed(folder): folder for folder in _folder(contest, candidate, 0).parent.glob("seed-*")}
        for seed in sorted({seed for name, seed in known if name == candidate} | folders.keys()):
            row = known.get((candidate, seed), {})
            if seed in folders and row.get("steps") != _last_steps(folders[seed]):
                row = _evaluated(folders[seed], flags, contest.target)
            rows.append({"candidate": candidate, "seed": seed} | row | _times(candidate, row, contest))
            print(json.dumps(rows[-1]), flush=True)
    _write(contest.result, rows)
    print(
        f"| candidate | seed | steps to {contest.target} | minutes to {contest.target} | return at the end "
        "| minutes of the run | as measured |"
    )
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        steps = "not reached" if row["steps_to_target"] is None else f"{row['steps_to_target']:,}"
        minutes = "" if row["minutes_to_target"] is None else f"{row['minutes_to_target']:.0f}"
        print(
            f"| {row['candidate']} | {row['seed']} | {steps} | {minutes} | {row['last_return']:.0f} "
            f"| {row['minutes']:.0f} | {row['minutes_measured']:.0f} |"
        )


def _seed(folder: Path) -> int:
    return int(folder.name.removeprefix("seed-"))


def _last_steps(folder: Path) -> int:
    files = _checkpoints(folder).files()
    return int(files[-1].stem.removeprefix("step-")) if files else 0


def _evaluated(folder: Path, flags: Report, target: float) -> dict[str, Any]:
    """A run's mean returns by steps, of checkpoints from the last backwards until one falls short of the target."""
    policy = Policy.load(folder)
    returns: dict[str, float] = {}
    checkpoints = _checkpoints(folder)
    for path in checkpoints.files()[:: -flags.every]:
        arrays, facts = checkpoints.read(path)
        weights = {name.removeprefix("agent/"): a for name, a in arrays.items() if name.startswith("agent/")}
        policy.agent.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        result = evaluate(policy, policy.task, flags.episodes)
        returns[str(facts["steps"])] = round(result.mean_return, 1)
        if result.mean_return < target * MAX_RETURN:
            break
    last = _last_steps(folder)
    return {
        "steps": last,
        "last_return": returns[str(last)],
        "minutes_measured": round(_measured_seconds(folder) / 60, 1),
        "measured_on": describe_machine()["processor"],
        "returns": dict(reversed(returns.items())),
    }


def _times(candidate: str, row: dict[str, Any], contest: Contest) -> dict[str, object]:
    """When the mean return reached the target for good, and what a run takes on two threads of a quiet machine."""
    held = [int(steps) for steps, value in row["returns"].items() if value >= contest.target * MAX_RETURN]
    reached = min(held, default=None)
    seconds = _quiet_seconds(candidate, contest)
    return {
        "steps_to_target": reached,
        "minutes_to_target": None if reached is None else round(seconds(reached) / 60, 1),
        "minutes": round(seconds(row["steps"]) / 60, 1),
    }


def _quiet_seconds(candidate: str, contest: Contest) -> Callable[[int], float]:
    """Seconds of collecting and learning up to so many steps, on two threads of a machine that does nothing else."""
    stepping = {row["physics"]: 1 / row["control_steps_per_s"] for row in json.loads(SPEEDS.read_text())["rows"]}
    stepping["fast+paper"] = (stepping["fast"] + stepping["paper"]) / 2
    phases = candidate_config(candidate, 0, 2, contest).phases
    lengths = np.array([phase.steps for phase in phases], float)
    seconds = lengths * (np.array([stepping[phase.physics or ""] for phase in phases]) + _seconds_of_learning())
    ends, spent = np.cumsum([0, *lengths]), np.cumsum([0, *seconds])
    return lambda at: float(np.interp(at, ends, spent))


def _seconds_of_learning() -> float:
    """A step of the recipe's agent, in all its passes."""
    rows = json.loads(LEARNING.read_text())["rows"]
    row = next(row for row in rows if (row["agent"], row.get("learner", "ppo")) == ("mlp", "ppo"))
    return 1 / row["steps_per_s"] - 1 / row["stepping_alone_steps_per_s"]


def _measured_seconds(folder: Path) -> float:
    """Collecting and learning, as the run took them."""
    updates = [row for row in read_metrics(folder / METRICS_FILE) if "steps_per_s" in row]
    counts = np.diff([row["steps"] for row in updates], prepend=0)
    return float((counts / [row["steps_per_s"] for row in updates]).sum())


def _write(path: Path, rows: list[dict]) -> None:
    result = {"command": " ".join(["python", *sys.argv]), "machine": describe_machine(), "rows": rows}
    write_result(path, result)


if __name__ == "__main__":
    match tyro.cli(Speed | Train | Report):
        case Speed() as told:
            speed(told)
        case Train() as told:
            train_candidate(told)
        case Report() as told:
            report(told)
