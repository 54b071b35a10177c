"""Millions of violent control steps in each world: nothing crashes, leaks or goes astray.

    python benchmarks/soak.py [--tasks run two-tap] [--steps 2000000] [--output benchmarks/results/soak.json]

Actions are by turns random, saturated at random, and saturated and held. Now and then one rat gets an impossible
velocity: its episode, and no other, must end as diverged. Each task runs in a process of its own, so that its memory
is its own too. Each row is written as it comes, beside those of other tasks that went through the same before. Exit
code 1 if anything was not as it must be.
"""

import json
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import tyro
from writing import write_result

from rodent.env import RodentVectorEnv
from rodent.machine import describe_machine, peak_memory_gib
from rodent.tasks import TASKS, make_task

HOLD = 25  # control steps for which one kind of action lasts
KICK_EVERY = 200  # control steps
IMPOSSIBLE = 1e12  # m/s
MEMORY_GROWTH = 1.02


@dataclass(frozen=True)
class Flags:
    tasks: tuple[str, ...] = tuple(TASKS)
    steps: int = 2_000_000  # control steps a task, over all environments
    envs: int = 64
    physics: str = "fast"
    pool: int = 16  # arenas
    threads: int = 0  # worker threads; 0: every core
    episode_seconds: float = 6.0  # shorter than the tasks' own, so that more episodes begin
    seed: int = 0
    output: Path | None = Path("benchmarks/results/soak.json")  # nothing: print one task's row alone


class Violence:
    """Actions (envs, 38) by turns random, saturated at random, and saturated and held."""

    def __init__(self, env: RodentVectorEnv, seed: int) -> None:
        self._rng, self._shape = np.random.default_rng(seed), np.shape(env.action_space.sample())
        self._held = np.zeros(self._shape)

    def at(self, t: int) -> np.ndarray:
        kind = t // HOLD % 3
        if kind == 0:
            return self._rng.uniform(-1, 1, self._shape)
        if kind == 1 or t % HOLD == 0:
            self._held = self._rng.choice([-1.0, 1.0], self._shape)
        return self._held


def soak(task: str, flags: Flags) -> dict:
    """What a task went through; its `faults` is an empty list if all was as it must be."""
    env = RodentVectorEnv(
        make_task(task, time_limit=flags.episode_seconds), flags.envs, flags.physics, flags.threads, pool=flags.pool
    )
    env.reset(seed=flags.seed)
    violence, rng = Violence(env, flags.seed), np.random.default_rng(flags.seed)
    faults: list[str] = []
    endings: Counter[str] = Counter()
    kicks, memory, count = 0, [], -(-flags.steps // flags.envs)
    for t in range(count):
        kicked = np.zeros(flags.envs, dtype=bool)
        if t % KICK_EVERY == KICK_EVERY // 2:
            kicked[rng.integers(flags.envs)] = True
            env.engine.state.qvel[np.flatnonzero(kicked)] = IMPOSSIBLE
            kicks += 1
        step = env.step(violence.at(t))
        faults += [f"step {t}: {fault}" for fault in find_faults(step, kicked)]
        endings.update({cause: int(ended.sum()) for cause, ended in step[-1]["endings"].items()})
        memory.append(peak_memory_gib())
    if endings["diverged"] != env.divergences:
        faults.append(f"{endings['diverged']} episodes ended as diverged, but {env.divergences} were counted")
    growth = memory[-1] / memory[count // 4] if memory[-1] else 1.0
    if growth > MEMORY_GROWTH:
        faults.append(f"memory grew by {growth - 1:.1%} after the first quarter")
    return {
        "task": task,
        "control_steps": count * flags.envs,
        "endings": dict(endings),
        "kicks": kicks,
        "divergences_of_its_own": env.divergences - kicks,
        "peak_memory_gib": round(memory[-1], 3),
        "memory_growth": round(growth - 1, 4),
        "faults": faults[:20],
    }


def find_faults(step: tuple, kicked: np.ndarray) -> list[str]:
    """What is wrong about a step: what `env.step` gave, and which rats (envs,) had an impossible velocity."""
    observation, reward, terminated, truncated, info = step
    faults = []
    if not np.isfinite(reward).all() or not all(np.isfinite(values).all() for values in observation.values()):
        faults.append("an observation or a reward is not finite")
    diverged = info["endings"]["diverged"]
    if (kicked & ~diverged).any():
        faults.append("an impossible velocity was not noticed")
    if (reward[diverged] != 0).any() or not terminated[diverged].all():
        faults.append("a diverged episode was paid or went on")
    ended = np.logical_or.reduce(list(info["endings"].values()))
    if not np.array_equal(ended, terminated | truncated):
        faults.append("an episode ended without a cause, or did not end with one")
    return faults


def in_a_process_of_its_own(task: str, flags: Flags) -> dict:
    command = [sys.executable, __file__, "--output", "None", "--tasks", task]
    for name, value in asdict(replace(flags, tasks=(), output=None)).items():
        if name not in ("tasks", "output"):
            command += [f"--{name.replace('_', '-')}", str(value)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        return {"task": task, "faults": [f"the process ended with code {done.returncode}"]}
    return json.loads(done.stdout)


def main(flags: Flags) -> int:
    if flags.output is None:
        print(json.dumps(soak(flags.tasks[0], flags)))
        return 0
    command = f"python benchmarks/soak.py --steps {flags.steps} --envs {flags.envs} --physics {flags.physics}"
    faulty = False
    for task in flags.tasks:
        row = in_a_process_of_its_own(task, flags) | {"processor": describe_machine()["processor"]}
        # Read only now: other tasks may have been soaked by another process meanwhile.
        before = json.loads(flags.output.read_text()) if flags.output.exists() else {}
        rows = {row["task"]: row for row in before.get("rows", ()) if before["command"] == command} | {task: row}
        ordered = sorted(rows.values(), key=lambda row: list(TASKS).index(row["task"]))
        write_result(flags.output, {"command": command, "machine": describe_machine(), "rows": ordered})
        print(task, "; ".join(row["faults"]) or "as it must be", flush=True)
        faulty |= bool(row["faults"])
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Flags)))
