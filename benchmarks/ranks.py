"""Two cores as one rank of two threads or as two ranks of one: what a second process is worth on one machine.

    python benchmarks/ranks.py [--seconds 60] [--rounds 3] [--output benchmarks/results/ranks.json]

Each layout trains the first phase of `assets/configs/run.yaml` by the commands that a user would give, in turns, so
that what else the machine does falls on all of them. The rates are those of the runs' own logs: acting, stepping,
learning and what the ranks tell each other, without the start.
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import tyro
from writing import write_result

from policies.metrics import METRICS_FILE, read_metrics
from rodent.machine import describe_machine

CONFIG = Path(__file__).parents[1] / "assets" / "configs" / "run.yaml"
_WARM_UP = 3  # updates that are not counted: the first rollout teaches nothing, and caches are cold


@dataclass(frozen=True)
class Layout:
    """How a run uses the cores; threads are each rank's."""

    ranks: int
    threads: int
    learner_threads: int


LAYOUTS = (Layout(1, 2, 1), Layout(1, 2, 2), Layout(2, 1, 1))


@dataclass(frozen=True)
class Flags:
    agent: str = "mlp"
    seconds: float = 60.0  # of training, a layout and round
    rounds: int = 3
    output: Path = Path("benchmarks/results/ranks.json")


def measure(layout: Layout, agent: str, seconds: float) -> tuple[int, float, float]:
    """Environment steps of a run, the seconds that they took, and those of them that went into collecting."""
    with tempfile.TemporaryDirectory() as folder:
        flags = {
            "--config": CONFIG, "--agent": agent, "--threads": layout.threads, "--run-dir": folder,
            "--learner-threads": layout.learner_threads, "--minutes": seconds / 60, "--evaluation.episodes": 0,
        }  # fmt: skip
        train = ["-m", "rodent", "train", *(str(word) for pair in flags.items() for word in pair)]
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(layout.ranks)]
        command = [sys.executable, *(torchrun if layout.ranks > 1 else []), *train]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        rows = read_metrics(Path(folder) / METRICS_FILE)
    if len(rows) <= _WARM_UP:
        raise SystemExit(f"{seconds:g} s were too short for more than {_WARM_UP} updates: give more --seconds")
    before, counted = rows[_WARM_UP - 1], rows[_WARM_UP:]
    steps = int(counted[-1]["steps"] - before["steps"])
    each = steps / len(counted)
    took = [each / row["steps_per_s"] for row in counted]
    return steps, sum(took), sum(time * row["collecting"] for time, row in zip(took, counted, strict=True))


def main(flags: Flags) -> None:
    measured: dict[Layout, list[tuple[int, float, float]]] = {layout: [] for layout in LAYOUTS}
    for _ in range(flags.rounds):
        for layout in LAYOUTS:
            measured[layout].append(measure(layout, flags.agent, flags.seconds))
    rows = []
    for layout, rounds in measured.items():
        steps, seconds, collecting = (sum(values) for values in zip(*rounds, strict=True))
        rows.append({
            "ranks": layout.ranks,
            "threads": layout.threads,
            "learner_threads": layout.learner_threads,
            "steps_per_s": round(steps / seconds, 1),
            "steps_per_s_of_each_round": [round(steps / seconds, 1) for steps, seconds, _ in rounds],
            "collecting_share": round(collecting / seconds, 3),
        })  # fmt: skip
    result = {
        "command": " ".join(["python", *sys.argv]),
        "agent": flags.agent,
        "machine": describe_machine(),
        "rows": rows,
    }
    write_result(flags.output, result)
    print("| ranks | threads each | learner threads each | steps/s | share of collecting |")
    print("|---|---|---|---|---|")
    for row in rows:
        print(
            f"| {row['ranks']} | {row['threads']} | {row['learner_threads']} | {row['steps_per_s']:.0f} "
            f"| {row['collecting_share']:.2f} |"
        )


if __name__ == "__main__":
    main(tyro.cli(Flags))
