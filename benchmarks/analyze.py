"""What `rodent analyze` costs: time by stage, memory and the page's size, on a session that it records first.

    python benchmarks/analyze.py [--episodes 25 --steps 1000] [--output benchmarks/results/analyze.json]

The shipped `run` acts in four tasks that do not end early, its 1,318 units recorded: by default 4 tasks x 25 episodes x
1,000 steps. Recording is not counted. `--browser` opens the page in headless Chromium, too, and tells when its first
frame was there.
"""

import json
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from writing import write_result

from analysis.nwb_record import record
from analysis.report.analyze import analyze
from rodent.machine import describe_machine

TASKS = ("run", "maze-forage", "escape-bowl", "two-tap")


@dataclass
class Flags:
    policy: str = "run"
    episodes: int = 25  # of each task
    steps: int = 1000  # control steps an episode
    film: bool = False  # with the films that the page plays
    browser: bool = False  # open the page, too
    session: Path | None = None  # analyse this one instead of recording
    output: Path = Path("benchmarks/results/analyze.json")


def main(flags: Flags) -> None:
    with tempfile.TemporaryDirectory() as folder:
        session = flags.session or record(
            flags.policy, Path(folder) / "synthetic.nwb", TASKS, flags.episodes, steps=flags.steps
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
            "episodes": flags.episodes,
            "steps": flags.steps,
            "tasks": TASKS,
            "machine": describe_machine(),
        }
        if flags.browser:
            found["page_opens_s"] = opening(page)
    write_result(flags.output, found)
    print(json.dumps(found, indent=2))


def opening(page: Path) -> float:
    """Seconds until the page shows its first frame and the cursor stands on it, in a browser that is running."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto("about:blank")
        start = time.perf_counter()
        tab.goto(page.as_uri())
        tab.wait_for_function("state.step >= 0")
        taken = time.perf_counter() - start
        browser.close()
    return round(taken, 2)


if __name__ == "__main__":
    main(tyro.cli(Flags))
