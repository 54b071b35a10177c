"""V-MPO beside PPO on `run` at equal steps, with a feed-forward agent and with the paper's.

    python benchmarks/learners.py train AGENT LEARNER --seed 0  # one run, in runs/learners/; goes on where it stopped
    python benchmarks/learners.py report                        # evaluates the runs that have ended, writes the table

All runs have the first phases of `assets/configs/run.yaml`: the same aids, environments, steps and schedule of the
actions' noise. But in the second phase half of the rats live in the paper's own physics: of what is learnt under `fast`
alone, more or less carries over by chance, and that hides how the learners differ. The learners' settings are those of
that file for `mlp`, on which they were tuned, PPO's in many trials, as the schedule was, and V-MPO's in a dozen; and
those of `run-merel2020.yaml` for `merel2020`: PPO's the same, V-MPO's its defaults. `vmpo-own-noise` learns the noise
from the same start instead, to tell what the schedule is worth: the limit of V-MPO on the standard deviation has
nothing to hold where that is scheduled.

`report` evaluates the mean action under `paper` and under `fast`: whole episodes of 30 s without aids, in this
project's own environment and worlds of a seed that no run had before. It tells each seed's return, that of an untrained
network as a floor, and V-MPO's return over PPO's; and copies each run's curve beside its table. It writes each row as
it has it, does not evaluate anew what the table has already, and leaves rows of runs that are no longer there. Runs of
another configuration than today's do not count.
"""

import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from numpy.typing import NDArray
from writing import kept_rows, write_result

from policies.config import CONFIG_FILE, EvaluationSettings, TrainConfig, difference, load_yaml, to_json
from policies.evaluation import evaluate
from policies.metrics import METRICS_FILE, read_metrics
from policies.policy import Policy
from policies.training import train
from rodent.machine import describe_machine

CONFIGS = Path(__file__).parents[1] / "assets" / "configs"
CONFIG_OF = {"mlp": CONFIGS / "run.yaml", "merel2020": CONFIGS / "run-merel2020.yaml"}
RUNS = Path("runs") / "learners"
RESULT = Path("benchmarks") / "results" / "learners.json"
CURVES = Path("benchmarks") / "results" / "learners"
PHASES = 2  # of the recipe's, until it begins to teach getting up
LAST_PHYSICS = "fast+paper"  # of the second
PHYSICS = ("paper", "fast")
SEED = 1000  # of the worlds in which policies are evaluated
RESAMPLES = 2_000
AgentName = Literal["mlp", "merel2020"]
LearnerName = Literal["ppo", "vmpo", "vmpo-own-noise"]
AGENTS: tuple[AgentName, ...] = ("mlp", "merel2020")
LEARNERS: tuple[LearnerName, ...] = ("ppo", "vmpo", "vmpo-own-noise")
UNTRAINED = "untrained"
NOTES = (
    "ppo and vmpo have one schedule of noise, which was tuned on this task with mlp and ppo; so were ppo's settings "
    "in many trials, and vmpo's in a dozen of seeds 0 and 1; merel2020 has ppo's of these and vmpo's defaults, which "
    "nine trials of other settings with seed 0 did not better; vmpo-own-noise learns its noise",
    "in the first phase all rats live under fast, in the second half of them, and the others under paper",
    f"returns are of this project's own environment, not dm_control's, in worlds of seed {SEED}, which no run had",
    "an interval of a ratio is a bootstrap over the seeds of either learner and over their episodes; of one seed it "
    "says nothing of other seeds, and of three little",
)
Row = dict[str, Any]
Key = tuple[str, str, int]  # agent, learner, seed


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
    config = load_yaml(CONFIG_OF[flags.agent])
    schedule = config.schedule[:PHASES]
    schedule = (*schedule[:-1], replace(schedule[-1], physics=LAST_PHYSICS))
    if flags.learner == "vmpo-own-noise":
        schedule = tuple(replace(phase, action_std=None) for phase in schedule)
    return replace(
        config, agent=flags.agent, learner=flags.learner.split("-")[0], schedule=schedule, threads=flags.threads,
        steps=sum(phase.steps or 0 for phase in schedule), seeds=(flags.seed,), resume=True,
        run_dir=_folder(flags.agent, flags.learner, flags.seed), evaluation=EvaluationSettings(episodes=0),
    )  # fmt: skip


def _folder(agent: str, learner: str, seed: int) -> Path:
    return RUNS / f"{agent}-{learner}" / f"seed-{seed}"


def report(flags: Report) -> None:
    before = kept_rows(RESULT)
    rows = {(row["agent"], row["learner"], row["seed"]): row for row in before}
    for key, policy in _ended_runs():
        agent, learner, seed = key
        known = rows.get(key)
        if known and (known["policy"], known["episodes"]) == (policy.digest, flags.episodes):
            continue
        rows[key] = _row(key, policy, flags) | _training_facts(key, policy)
        if learner == "ppo":
            floor = (agent, UNTRAINED, seed)
            rows[floor] = _row(floor, policy.untrained(seed), flags)
        CURVES.mkdir(parents=True, exist_ok=True)
        shutil.copy(_folder(*key) / METRICS_FILE, CURVES / f"{agent}-{learner}-seed-{seed}.csv")
        _write([*rows.values()])
    for row in rows.values():
        told = ", ".join(f"{physics} {row[physics]['mean_return']} {row[physics]['ci95']}" for physics in PHYSICS)
        print(f"{row['agent']} {row['learner']} seed {row['seed']}: {told} of 1500")
    for each in [*compare_all([*rows.values()]), *NOTES]:
        print(each)


def _ended_runs() -> Iterator[tuple[Key, Policy]]:
    for agent in AGENTS:
        for learner in LEARNERS:
            for folder in sorted((RUNS / f"{agent}-{learner}").glob("seed-*/policy")):
                seed = int(folder.parent.name.removeprefix("seed-"))
                policy, config = Policy.load(folder), run_config(Train(agent, learner, seed))
                trained_by = load_yaml(folder.parent / CONFIG_FILE)
                if other := difference(to_json(config), to_json(trained_by)):
                    print(f"{folder.parent} is of another configuration, and left out: {other}")
                elif policy.facts["steps"] >= config.steps:
                    yield (agent, learner, seed), policy


def _write(rows: list[Row]) -> None:
    told = {"command": " ".join(["python", *sys.argv]), "machine": describe_machine(), "notes": NOTES}
    write_result(RESULT, told | {"rows": rows, "compared": compare_all(rows)})


def _row(key: Key, policy: Policy, flags: Report) -> Row:
    agent, learner, seed = key
    told: Row = {"agent": agent, "learner": learner, "seed": seed, "policy": policy.digest}
    told["episodes"] = flags.episodes
    for physics in PHYSICS:
        result = evaluate(policy, "run", flags.episodes, SEED, physics).to_json()
        told[physics] = {name: result[name] for name in ("mean_return", "ci95", "returns")}
        print(*key, physics, told[physics]["mean_return"], flush=True)
    return told


def _training_facts(key: Key, policy: Policy) -> Row:
    return {
        "steps": policy.facts["steps"],
        "trained_under": policy.facts["physics"],
        "training_minutes": round(policy.facts["training_seconds"] / 60, 1),
        "action_std": round(read_metrics(_folder(*key) / METRICS_FILE)[-1]["std"], 3),
    }


def compare_all(rows: list[Row]) -> list[Row]:
    """Each agent's learners beside PPO, under each physics."""
    return [
        compare(agent, learner, physics, rows)
        for agent in AGENTS
        for learner in LEARNERS[1:]
        for physics in PHYSICS
        if {(agent, "ppo"), (agent, learner)} <= {(row["agent"], row["learner"]) for row in rows}
    ]


def compare(agent: str, learner: str, physics: str, rows: list[Row]) -> Row:
    """A learner's return over PPO's, seed by seed and of the means over all of their seeds, with a 95 % interval."""
    ours, theirs, floor = (
        {
            row["seed"]: np.array(row[physics]["returns"])
            for row in rows
            if (row["agent"], row["learner"]) == (agent, of)
        }
        for of in (learner, "ppo", UNTRAINED)
    )
    mine, ppos, untrained = (_mean(returns) for returns in (ours, theirs, floor))
    rng = np.random.default_rng(0)
    drawn = [_mean(_resampled(ours, rng)) / _mean(_resampled(theirs, rng)) for _ in range(RESAMPLES)]
    return {
        "agent": agent,
        "learner": learner,
        "physics": physics,
        "mean_return": round(mine, 1),
        "ppo_mean_return": round(ppos, 1),
        "untrained_mean_return": round(untrained, 1),
        "ratio": round(mine / ppos, 3),
        "ratio_ci95": [round(float(bound), 3) for bound in np.percentile(drawn, [2.5, 97.5])],
        "ratio_above_untrained": round((mine - untrained) / (ppos - untrained), 3),
        "ratio_by_seed": {
            seed: round(float(ours[seed].mean() / theirs[seed].mean()), 3)
            for seed in sorted(ours.keys() & theirs.keys())
        },
        "seeds": {learner: sorted(ours), "ppo": sorted(theirs), UNTRAINED: sorted(floor)},
    }


def _mean(returns: dict[int, NDArray[np.float64]]) -> float:
    """The mean over seeds of each one's mean over its episodes."""
    return float(np.mean([each.mean() for each in returns.values()]))


def _resampled(returns: dict[int, NDArray[np.float64]], rng: np.random.Generator) -> dict[int, NDArray[np.float64]]:
    """As many seeds, each with as many episodes, drawn with replacement."""
    seeds = rng.choice(list(returns), len(returns))
    return {place: rng.choice(returns[seed], len(returns[seed])) for place, seed in enumerate(seeds)}


if __name__ == "__main__":
    match tyro.cli(Train | Report):
        case Train() as told:
            train(run_config(told))
        case Report() as told:
            report(told)
