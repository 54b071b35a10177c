"""Collecting and learning together beside stepping alone: what training costs on top of the simulation.

    python benchmarks/learning_throughput.py [--seconds 60] [--output benchmarks/results/learning_throughput.json]
    python benchmarks/learning_throughput.py --agents merel2020 --learners ppo vmpo --output FILE

For each agent and learner, in turns: one iteration of the training run of `assets/configs/run.yaml` (acting, stepping,
learning), then the same steps alone, by a twin environment from the same states under the same actions. Each pair runs
in a process of its own, so that its peak memory is its own too. An update is as long as it has minibatches, which PPO
may cut short (`ppo.kl_stop`): how many there were, and how many at most, stands beside.
"""

import itertools
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import tyro
from writing import write_result

from policies.config import EvaluationSettings, load_yaml
from policies.environment import make_rodent_env, make_training_env
from policies.training import TrainingRun
from rodent.machine import describe_machine, peak_memory_gib

CONFIG = Path(__file__).parents[1] / "assets" / "configs" / "run.yaml"
_WARM_UP = 3  # iterations that are not timed: the first rollout teaches nothing, and caches are cold


@dataclass
class Flags:
    agents: tuple[str, ...] = ("mlp", "lstm")
    learners: tuple[str, ...] = ("ppo",)
    seconds: float = 60.0  # of measuring, an agent and learner
    threads: int = 2  # of the simulation
    output: Path = Path("benchmarks/results/learning_throughput.json")
    one: bool = False  # measure the first agent and learner alone, in this process, and print JSON


def measure(agent: str, learner: str, threads: int, seconds: float) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        config = replace(
            load_yaml(CONFIG), agent=agent, learner=learner, threads=threads, run_dir=Path(folder),
            evaluation=EvaluationSettings(0),
        )  # fmt: skip
        run = TrainingRun(config, make_rodent_env)
        minibatches = Minibatches(run)
        twin = make_training_env(make_rodent_env, config, run.schedule.phases[0])
        twin.reset(seed=0)
        together = alone = updates = 0.0
        for i in itertools.count():
            if i == _WARM_UP:
                minibatches.count = 0
            state = run.env.state_dict()
            began = time.perf_counter()
            figures = run.iterate()
            between = time.perf_counter()
            twin.load_state_dict(state)
            loaded = time.perf_counter()
            for action in run.rollout.actions.clamp(-1, 1).numpy():
                twin.step(action)
            if i >= _WARM_UP:
                together += between - began
                alone += time.perf_counter() - loaded
                updates += 1
            if together + alone > seconds:
                break
        steps = updates * run.rollout.rewards.numel()
        return {
            "agent": agent,
            "learner": learner,
            "physics": run.schedule.phases[0].physics,
            "envs": config.envs,
            "threads": threads,
            "steps_per_s": round(steps / together, 1),
            "stepping_alone_steps_per_s": round(steps / alone, 1),
            "ratio": round(alone / together, 3),
            "minibatches": round(minibatches.count / updates, 1),
            "minibatches_at_most": minibatches.at_most,
            "collecting_share": round(figures["collecting"], 3),
            "peak_memory_gib": round(peak_memory_gib(), 2),
            "machine": describe_machine(),
        }


class Minibatches:
    """Counts the minibatches that a run's learner learns from."""

    def __init__(self, run: TrainingRun) -> None:
        self.count = 0
        settings = run.config.learner_settings
        self.at_most = settings.epochs * run.rollout.count_minibatches(settings.minibatch, run.agent.recurrent)
        run.learner.optimizer.register_step_post_hook(self._add)

    def _add(self, *called_with: object) -> None:
        self.count += 1


def main(flags: Flags) -> None:
    if flags.one:
        print(json.dumps(measure(flags.agents[0], flags.learners[0], flags.threads, flags.seconds)))
        return
    rows = []
    for agent, learner in itertools.product(flags.agents, flags.learners):
        command = [sys.executable, __file__, "--one", "--agents", agent, "--learners", learner,
                   "--threads", str(flags.threads), "--seconds", str(flags.seconds)]  # fmt: skip
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        rows.append(json.loads(done.stdout))
    result = {
        "command": " ".join(["python", *sys.argv]),
        "machine": rows[0]["machine"],
        "rows": [{key: value for key, value in row.items() if key != "machine"} for row in rows],
    }
    write_result(flags.output, result)
    print("| agent | learner | minibatches an update | together, steps/s | alone, steps/s | ratio | peak memory |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| `{row['agent']}` | `{row['learner']}` | {row['minibatches']:.0f} of {row['minibatches_at_most']} "
            f"| {row['steps_per_s']:.0f} | {row['stepping_alone_steps_per_s']:.0f} "
            f"| {row['ratio']:.2f} | {row['peak_memory_gib']:.2f} GiB |"
        )


if __name__ == "__main__":
    main(tyro.cli(Flags))
