"""Each picture of the README's gallery shows something."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "gallery.py"


def load():
    spec = importlib.util.spec_from_file_location("gallery", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


gallery = load()


@pytest.mark.gl
@pytest.mark.parametrize("exhibit", gallery.EXHIBITS, ids=lambda exhibit: exhibit.task)
def test_no_picture_of_the_gallery_is_black_or_blank(exhibit):
    outside, eye, how = gallery.draw(exhibit)
    assert how["gl_renderer"]
    for picture in (outside, eye):
        assert 20 < picture.mean() < 235 and picture.std(axis=(0, 1)).max() > 15
