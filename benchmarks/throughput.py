"""Stepping against the physics limit, resets and memory of every task: the README's table of speed.

    python benchmarks/throughput.py [--seconds 45] [--output benchmarks/results/throughput.json]

For each task and preset 256 environments with all senses, pool and resets included, beside bare `mj_step` of the same
states under the same controls on as many threads, and dm_control's environment, in one run (`rodent bench`); for the
first task with one thread, too. Each row is a process of its own, so that its peak memory is its own too.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from writing import write_result

from rodent.tasks import TASKS


@dataclass
class Flags:
    tasks: tuple[str, ...] = tuple(TASKS)
    envs: int = 256
    seconds: float = 45.0  # of measuring, a row: in 12 the limit's share wavers by 0.2
    presets: tuple[str, ...] = ("paper", "fast", "paper-half-step")
    threads: int = 2
    output: Path = Path("benchmarks/results/throughput.json")


def measure(flags: Flags, task: str, preset: str, threads: int) -> dict:
    command = ["bench", "--task", task, "--physics", preset, "--envs", str(flags.envs),
               "--threads", str(threads), "--seconds", str(flags.seconds), "--json"]  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "rodent.cli", *command], capture_output=True, text=True, check=True)
    row = json.loads(done.stdout)
    return row | {"step_of_64_ms": round(64e3 / row["control_steps_per_s"], 1)}


def main(flags: Flags) -> None:
    rows = [measure(flags, flags.tasks[0], preset, 1) for preset in flags.presets]
    rows += [measure(flags, task, preset, flags.threads) for task in flags.tasks for preset in flags.presets]
    rate = {(row["task"], row["physics"], row["threads"]): row["control_steps_per_s"] for row in rows}
    first = flags.tasks[0]
    scaling = {
        preset: round(rate[first, preset, flags.threads] / rate[first, preset, 1], 3) for preset in flags.presets
    }
    result = {
        "command": " ".join(["python", *sys.argv]),
        "thread_scaling": scaling,
        "machine": rows[0]["machine"],
        "rows": [{key: value for key, value in row.items() if key != "machine"} for row in rows],
    }
    write_result(flags.output, result)
    print(
        "| task | physics | threads | control steps/s | of the limit | times dm_control | a reset, ms "
        "| a step of 64, ms | peak memory |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| `{row['task']}` | `{row['physics']}` | {row['threads']} | {row['control_steps_per_s']:,.0f} "
            f"| {row['limit_ratio']:.2f} | {row['dm_control_ratio']:.1f} | {row['reset_ms']:.2g} "
            f"| {row['step_of_64_ms']:.0f} | {row['peak_memory_gib']:.2f} GiB |"
        )
    print(f"\none thread to {flags.threads}, {first}: {scaling}")


if __name__ == "__main__":
    main(tyro.cli(Flags))
