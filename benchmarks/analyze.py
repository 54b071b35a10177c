"""What `rodent analyze` costs against episodes: time by stage, memory, the page's size with its film, and its opening.

    python benchmarks/analyze.py [--episodes 6 12 25] [--steps 1000] [--units 1000]
    python benchmarks/analyze.py --first-laboratory --no-film --output benchmarks/results/analyze_first_laboratory.json

The shipped `run` acts in four tasks that do not end early: by default 4 tasks x 6, 12 and 25 episodes x 1,000 steps. It
has fewer than a thousand units, so its hidden layers are widened without changing what it does. Recording is not
counted. The result (benchmarks/results/analyze.json) has all numbers of each size, and by which power of the episodes
the time grows, in total and by stage: 1 is linear. Stages run two at a time, so that their times add up to more than
the total. `--first-laboratory` runs its stages alone (behaviour, tuning, information, encoding, decoding, timescales,
sequences), with the untrained networks beside them. The page is opened in headless Chromium, until its first frame is
there.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from browser import missing_browser, opened
from widening import widened
from writing import write_result

from analysis.nwb_record import record
from analysis.recording import Session
from analysis.report.analyze import analyze
from policies.policy import Policy
from rodent.machine import describe_machine
from rodent.rendering import probe

TASKS = ("run", "maze-forage", "escape-bowl", "two-tap")
PAGE = "page"  # among the stages, in which films are drawn: as many as there are tasks, however many the episodes
ALL, ANALYSES = "all", "all but the page"
FIRST_LABORATORY = (
    "overview", "behaviour", "gait", "tuning", "tuning_maps", "information", "strongest_units", "encoding", "decoding",
    "timescales", "sequences", "task_variance",
)  # fmt: skip


@dataclass
class Flags:
    policy: str = "run"  # of the agent mlp
    tasks: tuple[str, ...] = TASKS
    units: int = 1000  # about how many its hidden layers get together
    episodes: tuple[int, ...] = (6, 12, 25)  # of each task, one session each
    steps: int = 1000  # control steps an episode
    first_laboratory: bool = False  # its stages alone
    film: bool = True  # with the films that the page plays
    browser: bool = True  # open the page, too
    sessions: tuple[Path, ...] = ()  # analyse these instead of recording; the more alike but in episodes, the better
    output: Path = Path("benchmarks/results/analyze.json")


def main(flags: Flags) -> None:
    lacking = lacks(flags)
    for line in lacking:
        print(line)
    browser = flags.browser and not missing_browser()
    stages = FIRST_LABORATORY if flags.first_laboratory else ()
    with tempfile.TemporaryDirectory() as folder:
        sizes = []
        for i, session in enumerate(flags.sessions or recorded(flags, Path(folder))):
            sizes.append(measured(session, Path(folder) / f"report-{i}", stages, flags.film, browser))
    found = {
        "sizes": sizes,
        "exponents": exponents(sizes),
        "lacking": lacking,
        "machine": describe_machine(),
    }
    write_result(flags.output, found)
    print(json.dumps(found, indent=2))


def lacks(flags: Flags) -> list[str]:
    """Lines that say what this machine lacks of what is wanted, and what is done instead."""
    lines = []
    if flags.film and not probe().is_opengl:
        lines.append("no OpenGL works here (`rodent doctor` says why): the ray tracer draws the films, more slowly")
    if flags.browser and (reason := missing_browser()):
        lines.append(f"{reason}: the page is not opened, so that its time is not measured")
    return lines


def recorded(flags: Flags, folder: Path) -> list[Path]:
    """A session of each number of episodes, the fewest first; each begins with the episodes of the one before."""
    policy = widened(Policy.load(flags.policy), flags.units)
    return [
        record(policy, folder / f"widened-{count}.nwb", flags.tasks, count, steps=flags.steps)
        for count in sorted(flags.episodes)
    ]


def measured(session: Path, report: Path, stages: Sequence[str], film: bool, browser: bool) -> dict[str, Any]:
    """What one session costs; the memory is the most that this process has had so far."""
    done = analyze([session], report, stages, film=film, progress=lambda share, what: print(f"{share:4.0%} {what}"))
    again = analyze([session], report, stages, film=film)
    page = Path(done["page"])
    found = {
        **described(session),
        "seconds": done["seconds"],
        "seconds_from_cache": again["seconds"],
        "peak_memory_gib": done["peak_memory_gib"],
        "page_mb": round(page.stat().st_size / 1e6, 2),
        "page_films": page.read_text().count('<script type="text/plain" id="film-'),
        "page_opens_s": None,
        "stages": {each["stage"]: each["seconds"] for each in done["stages"]},
        "failures": {each["stage"]: each["failure"] for each in done["stages"] if each["failure"]},
    }
    if browser:
        with opened(page) as (_, seconds):
            found["page_opens_s"] = seconds
    return found


def exponents(sizes: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """By which power of the episodes the time grows: over all sizes (least squares), and from the last but one on.

    What costs the same whatever the episodes makes the first smaller than the second, which is nearer to what more of
    them would cost. Stages that were not timed in each size, or took no time in one, are left out.
    """
    sizes = sorted(sizes, key=lambda size: size["episodes"])
    episodes = np.array([size["episodes"] for size in sizes], dtype=np.float64)
    if len(np.unique(episodes)) < 2:
        return {}
    times = {ALL: [size["seconds"] for size in sizes]}
    times[ANALYSES] = [size["seconds"] - size["stages"].get(PAGE, 0.0) for size in sizes]
    for stage in sizes[0]["stages"]:
        times[stage] = [size["stages"].get(stage, 0.0) for size in sizes]
    return {
        name: {
            "all sizes": power(episodes, np.array(seconds)),
            "last two": power(episodes[-2:], np.array(seconds[-2:])),
        }
        for name, seconds in times.items()
        if min(seconds) > 0
    }


def power(episodes: np.ndarray, seconds: np.ndarray) -> float:
    """The slope of the logarithms."""
    return round(float(np.polyfit(np.log(episodes), np.log(seconds), 1)[0]), 3)


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
