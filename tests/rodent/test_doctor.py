import json

import numpy as np
import pytest

from rodent import doctor
from rodent.errors import UsageError
from rodent.viewer import display, view


@pytest.fixture
def without_opengl(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disabled")


def test_report_is_json_and_names_what_matters(without_opengl):
    facts = json.loads(json.dumps(doctor.report()))
    assert facts["packages"]["mujoco"].startswith("3.")
    assert facts["machine"]["cores"] >= 1
    assert facts["rendering"]["chosen"] == "warp"
    assert facts["rendering"]["ffmpeg"]
    assert facts["torch"]["threads"] >= 1


def test_without_opengl_it_says_why_and_what_to_install(without_opengl):
    text = doctor.format_report(doctor.report())
    assert "OpenGL: not tried: MUJOCO_GL=disabled" in text
    assert "libegl1 libgl1-mesa-dri" in text and "libosmesa6" in text


@pytest.mark.parametrize(
    ("policy", "is_warned"), [("PASSIVE", False), ("passive", False), ("ACTIVE", True), (None, True)]
)
def test_threads_that_wait_actively_are_warned_of(without_opengl, monkeypatch, policy, is_warned):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if policy:
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    assert any("OMP_WAIT_POLICY" in line for line in doctor.report()["advice"]) == is_warned


def test_a_missing_package_is_named(without_opengl, monkeypatch):
    monkeypatch.setattr(doctor, "_PACKAGES", ("mujoco", "no-such-package"))
    assert "missing packages: pip install no-such-package" in doctor.report()["advice"]


def test_viewing_without_a_display_is_one_clear_line(monkeypatch, corridor_model):
    monkeypatch.setattr("rodent.viewer.platform.system", lambda: "Linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert display() is None
    with pytest.raises(UsageError, match=r"^no display: .*`rodent render`"):
        view(corridor_model, iter([np.zeros(corridor_model.nq)]))
