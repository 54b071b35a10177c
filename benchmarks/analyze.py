"""What `rodent analyze` costs: time by stage, memory and the page's size, on a session that it records first.

    python benchmarks/analyze.py [--episodes 25 --steps 1000] [--units 1000] [--output benchmarks/results/analyze.json]

The shipped `run` acts in four tasks that do not end early: by default 4 tasks x 25 episodes x 1,000 steps. It has fewer
than a thousand units, so its hidden layers are widened without changing what it does. Recording is not counted.
`--browser` opens the page in headless Chromium, too, and tells when its first frame was there.
"""

import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro
from browser import opened
from torch import nn
from writing import write_result

from analysis.nwb_record import record
from analysis.recording import Session
from analysis.report.analyze import analyze
from policies.mlp import MLPAgent
from policies.policy import Policy
from policies.registry import make_agent
from rodent.errors import UsageError
from rodent.machine import describe_machine

TASKS = ("run", "maze-forage", "escape-bowl", "two-tap")


@dataclass
class Flags:
    policy: str = "run"  # of the agent mlp
    tasks: tuple[str, ...] = TASKS
    units: int = 1000  # about how many its hidden layers get together
    episodes: int = 25  # of each task
    steps: int = 1000  # control steps an episode
    film: bool = False  # with the films that the page plays
    browser: bool = False  # open the page, too
    session: Path | None = None  # analyse this one instead of recording
    output: Path = Path("benchmarks/results/analyze.json")


def main(flags: Flags) -> None:
    with tempfile.TemporaryDirectory() as folder:
        session = flags.session or record(
            widened(Policy.load(flags.policy), flags.units),
            Path(folder) / "widened.nwb",
            flags.tasks,
            flags.episodes,
            steps=flags.steps,
        )
        report = Path(folder) / "report"
        done = analyze([session], report, film=flags.film, progress=lambda share, what: print(f"{share:4.0%} {what}"))
        again = analyze([session], report, film=flags.film)
        page = Path(done["page"])
        found = {
            "seconds": done["seconds"],
            "seconds_from_cache": again["seconds"],
            "peak_memory_gib": done["peak_memory_gib"],
            "page_mb": round(page.stat().st_size / 1e6, 2),
            "stages": {each["stage"]: each["seconds"] for each in done["stages"]},
            "failures": {each["stage"]: each["failure"] for each in done["stages"] if each["failure"]},
            **described(session),
            "machine": describe_machine(),
        }
        if flags.browser:
            with opened(page) as (_, seconds):
                found["page_opens_s"] = seconds
    write_result(flags.output, found)
    print(json.dumps(found, indent=2))


def widened(policy: Policy, units: int) -> Policy:
    """The same policy of more hidden units: some are there twice and share their outgoing weights (Chen et al. 2016).

    The critic, which recordings of the shipped policies leave out, begins anew.
    """
    agent = policy.agent
    if not isinstance(agent, MLPAgent):
        raise UsageError(f"only policies of the agent mlp can be widened here, not {agent.name}; give --session")
    before, rng = policy.settings.hidden, np.random.default_rng(0)
    settings = replace(policy.settings, hidden=tuple(max(n, round(n * units / sum(before))) for n in before))
    wide = make_agent(agent.name, agent.observation_size, agent.action_size, settings, policy.senses.critic_size)
    kept = {name: value for name, value in agent.state_dict().items() if not name.startswith("critic.")}
    came = np.arange(agent.observation_size)  # which old unit each new one of the layer before is
    for name, layer in agent.actor.named_children():
        if isinstance(layer, nn.Linear):
            old, new = layer.out_features, getattr(wide.actor, name).out_features
            left = np.concatenate([np.arange(old), rng.integers(old, size=new - old)])
            shares = torch.from_numpy(np.bincount(came)[came]).float()
            kept[f"actor.{name}.weight"] = layer.weight[left][:, came] / shares
            kept[f"actor.{name}.bias"] = layer.bias[left]
            came = left
    wide.load_state_dict(kept, strict=False)
    return replace(policy, agent=wide.requires_grad_(False), settings=settings)


def described(path: Path) -> dict:
    """What is analysed."""
    with Session(path) as session:
        trials = session.trials
        return {
            "tasks": list(dict.fromkeys(trials["task"])),
            "episodes": len(trials),
            "steps": int(trials["steps"].sum()),
            "units": sum(layer.shape[1] for layer in session.layers.values()),
        }


if __name__ == "__main__":
    main(tyro.cli(Flags))
