"""The benchmark of reports tells how time grows with episodes, and what it could not measure."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from analysis.report.stages import STAGES
from tests.benchmark import load


@pytest.fixture
def script(monkeypatch):
    return load("analyze", monkeypatch)


def test_the_power_of_a_stage_is_that_by_which_its_time_grows_with_the_episodes(script):
    sizes = [
        {
            "episodes": n,
            "seconds": 7 + n + n**2 / 4,
            "stages": {"linear": n, "square": n**2 / 4, "bounded": 2.0, "page": 5.0, "never": 0.0},
        }
        for n in (100, 24, 48)  # in any order
    ]
    found = script.exponents(sizes)
    assert {name: found[name]["all sizes"] for name in ("linear", "square", "bounded", "page")} == {
        "linear": 1.0, "square": 2.0, "bounded": 0.0, "page": 0.0,
    }  # fmt: skip
    assert 1 < found["all"]["all sizes"] < found["all"]["last two"] < 2
    assert found["all but the page"]["all sizes"] > found["all"]["all sizes"]
    assert "never" not in found and script.exponents(sizes[:1]) == {}


def test_what_a_machine_lacks_is_said_before_anything_is_measured(script, monkeypatch):
    monkeypatch.setattr(script, "probe", lambda: SimpleNamespace(is_opengl=False))
    monkeypatch.setattr(script, "missing_browser", lambda: "no Chromium")
    drawn, opened = script.lacks(script.Flags())
    assert drawn.startswith("no OpenGL works here") and "the ray tracer draws the films" in drawn
    assert opened == "no Chromium: the page is not opened, so that its time is not measured"
    assert script.lacks(script.Flags(film=False, browser=False)) == []
    monkeypatch.setattr(script, "probe", lambda: SimpleNamespace(is_opengl=True))
    monkeypatch.setattr(script, "missing_browser", lambda: "")
    assert script.lacks(script.Flags()) == []


def test_the_result_has_each_size_and_how_time_grows_between_them(
    script, mlp_session, lstm_session, tmp_path, monkeypatch
):
    known = {stage.name for stage in STAGES}
    assert set(script.FIRST_LABORATORY) < known
    monkeypatch.setattr(script, "FIRST_LABORATORY", ("overview", "gait"))
    output = tmp_path / "analyze.json"
    flags = script.Flags(first_laboratory=True, film=False, browser=False, output=output)
    script.main(replace(flags, sessions=(lstm_session, mlp_session)))
    found = json.loads(output.read_text())
    assert [size["episodes"] for size in found["sizes"]] == [2, 6]
    assert all(size["page_mb"] > 0.01 and not size["failures"] and size["page_films"] == 0 for size in found["sizes"])
    assert [set(size["stages"]) for size in found["sizes"]] == [{"overview", "gait", "page"}] * 2
    assert set(found["exponents"]) >= {"all", "all but the page", "gait", "page"}
    assert found["sizes"][0]["page_opens_s"] is None and found["lacking"] == []
