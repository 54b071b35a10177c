"""The pictures of docs/findings.md are figures of a report, made by one command."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rodent.errors import UsageError
from tests.benchmark import load

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(monkeypatch):
    return load("findings_pictures", monkeypatch)


@pytest.fixture
def report(script, tmp_path):
    """One with noise for figures, wider than a page."""
    folder = tmp_path / "figures" / "run"
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(256, size=(60, 1440, 4), dtype=np.uint8)
    for figure in script.PICTURES.values():
        Image.fromarray(pixels).save(folder / f"{figure}.png")
    return tmp_path


def test_they_are_all_that_the_page_shows_and_it_names_the_command(script):
    text = (ROOT / "docs" / "findings.md").read_text()
    assert sorted(re.findall(r"pictures/findings/(\w+)\.png", text)) == sorted(script.PICTURES)
    assert "python benchmarks/findings_pictures.py report/" in text
    kept = {path.stem for path in (ROOT / "assets" / "pictures" / "findings").iterdir()}
    assert kept == set(script.PICTURES)


def test_they_are_no_wider_than_a_page_and_have_few_colours(script, report):
    script.main(script.Flags(report, output=report / "made"))
    for name in script.PICTURES:
        with Image.open(report / "made" / f"{name}.png") as picture:
            assert picture.size == (1000, 42) and picture.mode == "P"
            assert len(picture.getcolors()) <= script.COLOURS


def test_a_figure_that_the_report_lacks_is_told(script, report):
    (report / "figures" / "run" / "dynamics.rotations.run.png").unlink()
    with pytest.raises(UsageError, match=r"no figure .*dynamics\.rotations\.run\.png: make the report"):
        script.main(script.Flags(report, output=report / "made"))
    assert not (report / "made").exists()
