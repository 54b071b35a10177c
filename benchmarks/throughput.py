"""Stepping against the physics limit, threads and memory: the README's table of speed.

    python benchmarks/throughput.py [--seconds 30] [--output benchmarks/results/throughput.json]

For each preset, with one thread and with two: 256 environments with all senses, beside bare `mj_step` of the same
states under the same controls on as many threads, and dm_control's environment, in one run (`rodent bench`). Each row
is a process of its own, so that its peak memory is its own too.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass
class Flags:
    task: str = "run"
    envs: int = 256
    seconds: float = 30.0  # of measuring, a row
    presets: tuple[str, ...] = ("paper", "fast")
    threads: tuple[int, ...] = (1, 2)
    output: Path = Path("benchmarks/results/throughput.json")


def measure(flags: Flags, preset: str, threads: int) -> dict:
    command = ["bench", "--task", flags.task, "--physics", preset, "--envs", str(flags.envs),
               "--threads", str(threads), "--seconds", str(flags.seconds), "--json"]  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "rodent.cli", *command], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main(flags: Flags) -> None:
    rows = [measure(flags, preset, threads) for preset in flags.presets for threads in flags.threads]
    rate = {(row["physics"], row["threads"]): row["control_steps_per_s"] for row in rows}
    few, many = min(flags.threads), max(flags.threads)
    scaling = {preset: round(rate[preset, many] / rate[preset, few], 3) for preset in flags.presets}
    result = {
        "command": " ".join(["python", *sys.argv]),
        "thread_scaling": scaling,
        "machine": rows[0]["machine"],
        "rows": [{key: value for key, value in row.items() if key != "machine"} for row in rows],
    }
    flags.output.parent.mkdir(parents=True, exist_ok=True)
    flags.output.write_text(json.dumps(result, indent=2) + "\n")
    print("| preset | threads | control steps/s | of the limit | times dm_control | peak memory |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        print(
            f"| `{row['physics']}` | {row['threads']} | {row['control_steps_per_s']:.0f} | {row['limit_ratio']:.3f} "
            f"| {row['dm_control_ratio']:.2f} | {row['peak_memory_gib']:.2f} GiB |"
        )
    print(f"\nfirst to last thread count: {scaling}")


if __name__ == "__main__":
    main(tyro.cli(Flags))
