"""Measure a run's policy as a published one must be, and put it where shipped policies lie.

    python benchmarks/publish_policy.py RUN NAME [--episodes 20]

Whole episodes of the mean action in dm_control's own environment, and in ours under `paper` and at half its step, since
a gait that needs its step is an artefact. The results stand in the policy's description and on its card.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

from policies.assessment import assess
from policies.policy import Policy

SETTINGS = (("dm_control", "paper"), ("rodent", "paper"), ("rodent", "paper-half-step"))


@dataclass
class Flags:
    run: tyro.conf.Positional[Path]  # run folder
    name: tyro.conf.Positional[str]  # of the shipped policy
    episodes: int = 20
    seed: int = 1000  # of the worlds; training evaluates on seed 0


def main(flags: Flags) -> None:
    policy = Policy.load(flags.run)
    evaluations = []
    for simulator, physics in SETTINGS:
        report = assess(policy, policy.task, flags.episodes, flags.seed, physics, simulator)
        evaluations.append({"steps": policy.facts["steps"], **report})
        print(simulator, physics, report["mean_return"], report["ci95"], report["measures"], flush=True)
    policy.facts["evaluations"] = evaluations
    policy.save(Path(__file__).parents[1] / "assets" / "policies" / flags.name)


if __name__ == "__main__":
    main(tyro.cli(Flags))
