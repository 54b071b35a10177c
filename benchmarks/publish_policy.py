"""Measure a run's policies as a published one must be, and put the best where shipped policies lie.

    python benchmarks/publish_policy.py RUN NAME [--episodes 20] [--command "rodent train ..."] [--known-failures "..."]

Of a run of several seeds the one with the highest return is published, and the card tells the returns of all. Whole
episodes of the mean action in dm_control's own environment; of the published one also in ours under `paper`, of its
mean and of its sampled actions, and at half the step, since a gait that needs its step is an artefact. With learning
curve, film, a strip of its frames and the run's configuration beside it.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import tyro

from policies.assessment import assess
from policies.config import CONFIG_FILE, load_yaml, to_yaml
from policies.curves import draw_curves
from policies.film import film_policy
from policies.policy import Policy
from policies.run_folder import seed_folders
from rodent.machine import name_machine

# Simulator, physics, mean action: the first is what a policy is chosen by.
SETTINGS = (
    ("dm_control", "paper", True),
    ("rodent", "paper", True),
    ("rodent", "paper", False),
    ("rodent", "paper-half-step", True),
)


@dataclass
class Flags:
    run: tyro.conf.Positional[Path]  # run folder
    name: tyro.conf.Positional[str]  # of the shipped policy
    episodes: int = 20
    seed: int = 1000  # of the worlds; training evaluates on seed 0
    command: str | None = None  # what trained it, for the card
    known_failures: str | None = None  # for the card
    film_seconds: float = 6.0


def measure(policy: Policy, setting: tuple[str, str, bool], flags: Flags) -> dict:
    simulator, physics, deterministic = setting
    report = assess(policy, policy.task, flags.episodes, flags.seed, physics, simulator, deterministic)
    print(setting, report["mean_return"], report["ci95"], report["measures"], flush=True)
    return {"steps": policy.facts["steps"], **report}


def draw_strip(film: Path, output: Path, count: int = 5, every: float = 0.16) -> None:
    """A row of a film's frames, `every` seconds one, from the middle of the film on."""
    frames = iio.imread(film)
    step = round(every / (iio.immeta(film)["duration"] / 1000))
    first = max(0, min(len(frames) // 2, len(frames) - step * (count - 1) - 1))
    iio.imwrite(output, np.concatenate(list(frames[first::step][:count]), axis=1))


def main(flags: Flags) -> None:
    policies = [Policy.load(folder) for folder in seed_folders(flags.run)]
    firsts = [measure(policy, SETTINGS[0], flags) for policy in policies]
    best = max(range(len(policies)), key=lambda i: firsts[i]["mean_return"])
    policy = policies[best]
    evaluations = [firsts[best], *(measure(policy, setting, flags) for setting in SETTINGS[1:])]
    returns = {f"seed {p.facts['seed']}:": round(e["mean_return"], 1) for p, e in zip(policies, firsts, strict=True)}
    policy.facts |= {
        "command": flags.command,
        "seeds": returns,
        "machine": name_machine(),
        "evaluations": evaluations,
        "known_failures": flags.known_failures,
        "curve": "curve.png",
        "film": "film.gif",
    }
    home = Path(__file__).parents[1] / "assets" / "policies" / flags.name
    policy.save(home)
    config = load_yaml(seed_folders(flags.run)[best] / CONFIG_FILE)
    (home / CONFIG_FILE).write_text(to_yaml(replace(config, run_dir=None, resume=False, overwrite=False)))
    draw_curves([flags.run], home / "curve.png")
    film_policy(str(home), home / "film.gif", seconds=flags.film_seconds, width=320, height=240, fps=12.5)
    draw_strip(home / "film.gif", home / "strip.png")


if __name__ == "__main__":
    main(tyro.cli(Flags))
