"""Measure a run's policies as a published one must be, and put the best where shipped policies lie.

    python benchmarks/publish_policy.py RUN NAME [--episodes 20] [--command "rodent train ..."] [--known-failures "..."]

Of a run of several seeds the one with the highest return is published (of several tasks, their mean as shares of the
maxima), in worlds of `--choose-seed`, since in those of the card the best of several would look better than it is; the
card tells the returns of all. Whole episodes of the mean action in dm_control's own environment, of each of its tasks;
of the published one also in ours under `paper`, of its mean and of its sampled actions, and at half the step, since a
gait that needs its step is an artefact. Beside it, in the same worlds, stand the experts that taught
it, the runner that it modulates, or an untrained network, and what `--control` names, which is saved in `controls`
beside it: their mean action in dm_control's environment and their sampled ones in ours. With learning curve, films,
strips of their frames and the run's configuration beside it. Each evaluation is kept in the run folder as it is made,
so that the same command goes on where it was broken off.

A policy that sees needs OpenGL, since dm_control draws its pictures with nothing else.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import tyro
from PIL import Image
from writing import write_picture, write_result

from policies.assessment import assess
from policies.config import CONFIG_FILE, load_yaml, to_yaml
from policies.curves import draw_curves
from policies.experts import name_experts
from policies.film import film_policy
from policies.metrics import METRICS_FILE, early_ends, owners_of_columns, read_metrics
from policies.policy import Policy
from policies.run_folder import seed_folders
from policies.storage import write_atomically
from rodent.errors import UsageError
from rodent.machine import name_machine, name_versions
from rodent.rendering import probe

Setting = tuple[str, str, bool]  # simulator, physics, mean action
CHOICE: Setting = ("dm_control", "paper", True)  # what a policy is chosen by
OTHERS: tuple[Setting, ...] = (
    ("rodent", "paper", True),
    ("rodent", "paper", False),
    ("rodent", "paper-half-step", True),
)
COMPARED: tuple[Setting, ...] = (CHOICE, ("rodent", "paper", False))  # for whoever stands beside it
MEASURED = "measured.json"  # in the run folder
OWN = (  # of a card, not a control's
    "comparisons", "seeds", "chosen", "known_failures", "curve", "curve_shows", "film", "filmed",
)  # fmt: skip
CHAINED = (
    "Its own run begins at the dotted line. The runs that led to it are left of that line; their physics, noise and "
    "starts differ, so that their rewards are not to be compared."
)
HOME = Path(__file__).parents[1] / "assets" / "policies"


@dataclass
class Flags:
    run: tyro.conf.Positional[Path]  # run folder
    name: tyro.conf.Positional[str]  # of the shipped policy
    episodes: int = 20
    seed: int = 1000  # of the worlds; training evaluates on seed 0
    choose_seed: int = 2000  # of the worlds in which the best of several seeds is chosen
    brief: bool = False  # leave out the published one's rows in our simulator, until the command is run without
    untrained_seed: int = 0  # of the weights of the untrained network
    expert: tuple[str, ...] = ()  # TASK=POLICY, or POLICY for its own tasks (default: those that the run learnt from)
    control: tuple[str, ...] = ()  # NAME=POLICY: who else stands beside it; NAME of small letters, digits and hyphens
    command: str | None = None  # what trained it, for the card
    known_failures: str | None = None  # for the card
    film_seconds: float = 6.0
    film_episode: int = 0  # of `seed`, in whose worlds nothing was trained
    film_camera: str = "side"  # see `rodent.cameras.CAMERAS`
    strip_from: float | None = None  # s into the film, from which its strip shows frames (None: its middle)
    strip_every: float = 0.16  # s from frame to frame of the strip


def measure(policy: Policy, task: str, setting: Setting, flags: Flags) -> dict[str, Any]:
    """The report on a policy; one that was made here before, by a publication that was broken off, stands."""
    simulator, physics, deterministic = setting
    place = flags.run / MEASURED
    kept = json.loads(place.read_text()) if place.exists() else {}
    where = {"machine": name_machine(), "versions": name_versions()}
    key = json.dumps([policy.digest, task, *setting, flags.episodes, flags.seed, where])
    if key not in kept:
        kept[key] = assess(policy, task, flags.episodes, flags.seed, physics, simulator, deterministic)
        write_result(place, kept)
    report: dict[str, Any] = kept[key]
    print(task, setting, report["mean_return"], report["ci95"], report["measures"], flush=True)
    return report


def own_rows(policy: Policy, settings: tuple[Setting, ...], flags: Flags) -> list[dict[str, Any]]:
    """Evaluations of a policy in each of its tasks."""
    steps = {"steps": policy.facts["steps"]}
    return [steps | measure(policy, task, setting, flags) for task in policy.tasks for setting in settings]


def choose(policies: list[Policy], flags: Flags) -> tuple[int, str | None]:
    """Which of the seeds is published, and what the card says of how it was chosen, if there were several.

    Raises:
        UsageError: they would be chosen in the worlds that the card reports.
    """
    if len(policies) == 1:
        return 0, None
    if flags.choose_seed == flags.seed:
        raise UsageError(f"--choose-seed is the seed of the card, {flags.seed}, too: choose in other worlds")
    elsewhere = replace(flags, seed=flags.choose_seed)
    shares = [share(own_rows(policy, (CHOICE,), elsewhere)) for policy in policies]
    how = f"of {len(policies)} seeds, by the mean return of {flags.episodes} episodes of seed {flags.choose_seed}"
    return int(np.argmax(shares)), how


def comparisons(policy: Policy, flags: Flags) -> list[dict[str, Any]]:
    """Evaluations of those who stand beside a policy, in each of its tasks."""
    return [
        who | measure(other, task, setting, flags)
        for task in policy.tasks
        for who, other in beside(policy, task, flags)
        for setting in COMPARED
    ]


def beside(policy: Policy, task: str, flags: Flags) -> Iterator[tuple[dict[str, Any], Policy]]:
    """Who stands beside a policy in a task, and how the card names it: teacher, runner, a network without training."""
    if expert := name_experts(flags.expert or policy.facts.get("experts", [])).get(task):
        yield {"expert": expert}, Policy.load(expert)
    if policy.agent.PARTS:  # without its runner it would be another architecture
        runner = policy.facts["runner"]
        yield {"runner": runner}, Policy.load(runner)
    else:
        yield {"untrained_seed": flags.untrained_seed}, policy.untrained(flags.untrained_seed)
    for name, control in load_controls(flags.control).items():
        yield {"control": name}, control


def load_controls(told: tuple[str, ...]) -> dict[str, Policy]:
    """The policies that `--control` names, by name, which is a folder's."""
    named = [re.fullmatch("([a-z0-9-]+)=(.+)", each) for each in told]
    if None in named:
        raise UsageError(f"--control takes NAME=POLICY, as in sitter=runs/sitter, not {told[named.index(None)]!r}")
    return {each[1]: Policy.load(each[2]) for each in named if each}


def of_control(rows: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """What was measured of a control beside a policy, for its own card."""
    return [{key: row[key] for key in row if key != "control"} for row in rows if row.get("control") == name]


def share(rows: list[dict[str, Any]]) -> float:
    """The mean over tasks of the return as a share of the maximum."""
    return float(np.mean([row["mean_return"] / row["max_return"] for row in rows]))


def told(rows: list[dict[str, Any]]) -> float | str:
    """Returns of one seed, for the card."""
    returns = {row["task"]: round(row["mean_return"], 1) for row in rows}
    return ", ".join(f"{task} {value}" for task, value in returns.items()) if len(rows) > 1 else returns.popitem()[1]


def draw_strip(film: Path, output: Path, start: float | None, every: float, count: int = 5) -> None:
    """A row of a film's frames, `every` seconds one, from `start` seconds (None: the middle of the film) on."""
    frames, seconds = iio.imread(film), iio.immeta(film)["duration"] / 1000
    step = round(every / seconds)
    wanted = len(frames) // 2 if start is None else round(start / seconds)
    first = max(0, min(wanted, len(frames) - step * (count - 1) - 1))
    strip = Image.fromarray(np.concatenate(list(frames[first::step][:count]), axis=1))
    write_picture(output, strip)


def draw_films(home: Path, tasks: list[str], flags: Flags) -> str | dict[str, str]:
    """A film and its strip of each task; returns what the card says of them."""
    endings = {task: f"-{task}" if len(tasks) > 1 else "" for task in tasks}
    for task, ending in endings.items():
        film = home / f"film{ending}.gif"
        film_policy(
            str(home), film, task, flags.film_camera, flags.film_seconds, flags.seed, flags.film_episode,
            width=320, height=240, fps=12.5,
        )  # fmt: skip
        draw_strip(film, home / f"strip{ending}.png", flags.strip_from, flags.strip_every)
    films = {task: f"film{ending}.gif" for task, ending in endings.items()}
    return films if len(tasks) > 1 else films[tasks[0]]


def tell_early_ends(metrics: list[Path], tasks: list[str]) -> str:
    """What ended the episodes of the run itself before their time, for the card; which may be failure or success."""
    rows = [row for path in metrics for row in read_metrics(path)]
    names = [name for owner in owners_of_columns(tasks) for name in early_ends(rows, owner)]
    counts = Counter({name: int(sum(row.get(name, 0) for row in rows)) for name in names})
    causes = [f"{name.replace('ended.', '')} ({count:,})" for name, count in counts.most_common() if count]
    return f"Its own run's ends before the time limit: {', '.join(causes)}." if causes else ""


def main(flags: Flags) -> None:
    folders = seed_folders(flags.run)
    policies, controls = [Policy.load(folder) for folder in folders], load_controls(flags.control)
    best, chosen = choose(policies, flags)
    firsts = [own_rows(policy, (CHOICE,), flags) for policy in policies]
    policy, home = policies[best], HOME / flags.name
    policy.facts |= {
        "command": flags.command,
        "seeds": {f"seed {p.facts['seed']}:": told(rows) for p, rows in zip(policies, firsts, strict=True)},
        "chosen": chosen,
        "machine": name_machine(),
        "versions": name_versions(),
        **({"renderer": probe().gl_renderer or probe().name} if policy.senses.sees else {}),
        "evaluations": [*firsts[best], *own_rows(policy, () if flags.brief else OTHERS, flags)],
        "comparisons": comparisons(policy, flags),
        "known_failures": flags.known_failures,
        "curve": "curve.png",
    }
    policy.save(home)
    for name, control in controls.items():
        for fact in OWN:
            control.facts.pop(fact, None)
        control.facts["evaluations"] = of_control(policy.facts["comparisons"], name)
        control.save(home / "controls" / name)
    policy.facts["film"] = draw_films(home, policy.tasks, flags)
    policy.facts["filmed"] = f"the mean action in episode {flags.film_episode} of seed {flags.seed}, under paper"
    chained = any(curve.began for curve in draw_curves([flags.run], home / "curve.png", chain=True))
    with Image.open(home / "curve.png") as curve:
        write_picture(home / "curve.png", curve)
    shows = [CHAINED if chained else "", tell_early_ends([folder / METRICS_FILE for folder in folders], policy.tasks)]
    policy.facts["curve_shows"] = " ".join(filter(None, shows)) or None
    policy.save(home)
    config = load_yaml(folders[best] / CONFIG_FILE)
    write_atomically(home / CONFIG_FILE, to_yaml(replace(config, run_dir=None, resume=False, overwrite=False)))


if __name__ == "__main__":
    main(tyro.cli(Flags))
