"""V-MPO beside PPO on `run` at equal steps, with a feed-forward agent and with the paper's.

    python benchmarks/learners.py train AGENT LEARNER --seed 0  # one run, in runs/learners/; goes on where it stopped
    python benchmarks/learners.py report                        # evaluates the runs that have ended, writes the table

All runs have the first phases of `assets/configs/run.yaml`: the same physics, noise, aids, environments and steps; the
learner's settings are its own. `report` evaluates the mean action under `paper`, whole episodes of 30 s without aids,
and copies each run's curve beside its table. Rows of runs that are no longer there stay.
"""

import json
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import tyro
from writing import write_result

from policies.config import EvaluationSettings, TrainConfig, load_yaml
from policies.evaluation import evaluate
from policies.metrics import METRICS_FILE
from policies.policy import Policy
from policies.training import train
from rodent.machine import describe_machine

CONFIG = Path(__file__).parents[1] / "assets" / "configs" / "run.yaml"
RUNS = Path("runs") / "learners"
RESULT = Path("benchmarks") / "results" / "learners.json"
CURVES = Path("benchmarks") / "results" / "learners"
PHASES = 2  # of the recipe's, until it begins to teach getting up
AgentName = Literal["mlp", "merel2020"]
LearnerName = Literal["ppo", "vmpo"]
AGENTS: tuple[AgentName, ...] = ("mlp", "merel2020")
LEARNERS: tuple[LearnerName, ...] = ("ppo", "vmpo")


@dataclass
class Train:
    """Train one agent by one learner with one seed."""

    agent: tyro.conf.Positional[AgentName]
    learner: tyro.conf.Positional[LearnerName]
    seed: int = 0
    threads: int = 1  # of the simulation: they change the wall time and nothing else


@dataclass
class Report:
    """Evaluate the runs that have ended and write the table."""

    episodes: int = 20


def run_config(flags: Train) -> TrainConfig:
    config = load_yaml(CONFIG)
    schedule = config.schedule[:PHASES]
    return replace(
        config, agent=flags.agent, learner=flags.learner, schedule=schedule, threads=flags.threads,
        steps=sum(phase.steps or 0 for phase in schedule), seeds=(flags.seed,), resume=True,
        run_dir=_folder(flags.agent, flags.learner, flags.seed), evaluation=EvaluationSettings(episodes=0),
    )  # fmt: skip


def _folder(agent: str, learner: str, seed: int) -> Path:
    return RUNS / f"{agent}-{learner}" / f"seed-{seed}"


def report(flags: Report) -> None:
    before = json.loads(RESULT.read_text())["rows"] if RESULT.exists() else []
    rows = {(row["agent"], row["learner"], row["seed"]): row for row in before}
    for agent in AGENTS:
        for learner in LEARNERS:
            for folder in sorted((RUNS / f"{agent}-{learner}").glob("seed-*/policy")):
                seed = int(folder.parent.name.removeprefix("seed-"))
                row = _evaluated(Policy.load(folder.parent), flags.episodes)
                if row["steps"] >= run_config(Train(agent, learner, seed)).steps:
                    rows[agent, learner, seed] = {"agent": agent, "learner": learner, "seed": seed} | row
                    CURVES.mkdir(parents=True, exist_ok=True)
                    shutil.copy(folder.parent / METRICS_FILE, CURVES / f"{agent}-{learner}-seed-{seed}.csv")
    ratios = [_compared(agent, list(rows.values())) for agent in AGENTS]
    result = {"command": " ".join(["python", *sys.argv]), "machine": describe_machine()}
    write_result(RESULT, result | {"rows": list(rows.values()), "vmpo_of_ppo": ratios})
    for row in rows.values():
        print(f"{row['agent']} {row['learner']} seed {row['seed']}: {row['mean_return']} {row['ci95']} of 1500")
    for ratio in ratios:
        print(ratio)


def _evaluated(policy: Policy, episodes: int) -> dict:
    result = evaluate(policy, "run", episodes)
    return {
        "steps": policy.facts["steps"],
        "mean_return": round(result.mean_return, 1),
        "ci95": [round(bound, 1) for bound in result.ci95],
        "training_minutes": round(policy.facts["training_seconds"] / 60, 1),
    }


def _compared(agent: str, rows: list[dict]) -> dict:
    """V-MPO's return over PPO's, of the means over the seeds that both have."""
    returns = {
        learner: {row["seed"]: row["mean_return"] for row in rows if (row["agent"], row["learner"]) == (agent, learner)}
        for learner in LEARNERS
    }
    seeds = sorted(returns["ppo"].keys() & returns["vmpo"].keys())
    means = [float(np.mean([returns[learner][seed] for seed in seeds])) if seeds else None for learner in LEARNERS]
    ratio = round(means[1] / means[0], 3) if means[0] and means[1] is not None else None
    return {"agent": agent, "seeds": seeds, "ratio": ratio}


if __name__ == "__main__":
    match tyro.cli(Train | Report):
        case Train() as told:
            train(run_config(told))
        case Report() as told:
            report(told)
