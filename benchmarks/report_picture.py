"""The README's picture of a report: the head of its page, with the film at a moment of the first episode.

rodent record run --episodes 5 --steps 500 -o run.nwb
rodent analyze run.nwb --film -o report/
python benchmarks/report_picture.py report/ [--seconds 2.4] [--output assets/pictures/report.png]
"""

import io
from dataclasses import dataclass
from pathlib import Path

import tyro
from browser import opened
from PIL import Image
from writing import write_picture

from analysis.report.folder import PAGE


@dataclass
class Flags:
    report: tyro.conf.Positional[Path]  # the report's folder
    seconds: float = 2.4  # from the episode's start
    output: Path = Path("assets/pictures/report.png")


def main(flags: Flags) -> None:
    with opened(flags.report / PAGE) as (tab, _):
        tab.evaluate("seconds => seek(seconds * FPS)", flags.seconds)
        tab.wait_for_function("seconds => state.step === Math.round(seconds * FPS)", arg=flags.seconds)
        tab.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        picture = Image.open(io.BytesIO(tab.screenshot()))
    write_picture(flags.output, picture)
    print(flags.output)


if __name__ == "__main__":
    main(tyro.cli(Flags))
