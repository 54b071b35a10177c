"""The pictures of docs/findings.md, of a report's figures: no wider than a page needs, in few colours.

    python benchmarks/findings_pictures.py report/ [--output assets/pictures/findings]

docs/findings.md has the commands that make the report.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro
from PIL import Image
from writing import write_picture

from rodent.errors import UsageError

PICTURES = {
    "postures": "behaviour.eigenpostures-joint-angles",
    "map": "behaviour.map",
    "ethogram": "behaviour.ethogram",
    "strides": "gait.strides-run",
    "timescales": "timescales.layers",
    "similarity": "similarity.features",
    "sequence": "sequences.touch-down-of-the-left-foot.policy.2",
    "variability": "sequences.variability.touch-down-of-the-left-foot",
    "rotations": "dynamics.rotations.run",
    "flow": "dynamics.flow.run",
    "tangling": "tangling.run.policy.2",
    "dimensions": "dimensions.spectra",
    "linear": "dynamics.linear.run",
}
"""A picture's name to that of a figure of the report."""
WIDTH, COLOURS = 1000, 128  # at most, pixels and entries of the palette


@dataclass
class Flags:
    report: tyro.conf.Positional[Path]  # the report's folder
    session: str = "run"  # whose figures
    output: Path = Path("assets/pictures/findings")


def main(flags: Flags) -> None:
    figures = {name: flags.report / "figures" / flags.session / f"{figure}.png" for name, figure in PICTURES.items()}
    if missing := next((path for path in figures.values() if not path.is_file()), None):
        raise UsageError(f"there is no figure {missing}: make the report by the commands of docs/findings.md")
    flags.output.mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        write_picture(flags.output / f"{name}.png", reduced(Image.open(figure)), COLOURS)
        print(flags.output / f"{name}.png")


def reduced(figure: Image.Image) -> Image.Image:
    """The same, no wider than `WIDTH`."""
    picture = figure.convert("RGB")
    if picture.width > WIDTH:
        size = (WIDTH, round(picture.height * WIDTH / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return picture


if __name__ == "__main__":
    main(tyro.cli(Flags))
