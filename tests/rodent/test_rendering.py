import os
import subprocess
import sys

import mujoco
import numpy as np
import pytest

from rodent.body import TORSO
from rodent.cameras import CAMERAS, Follower
from rodent.errors import UsageError
from rodent.painting import update_positions
from rodent.rendering import Backend, Renderer, probe

RAYS = Backend("warp")


@pytest.fixture(scope="module")
def renderer(corridor_model):
    with Renderer(corridor_model, 96, 72, RAYS, antialias=False) as renderer:
        yield renderer


def rat_pixels(picture):
    """Where something teal is seen: the rat's collision shapes, or its skin under `teal_skin`."""
    red, green, blue = picture.astype(int).transpose(2, 0, 1)
    teal = (green > red + 60) & (blue > red + 60)
    return np.argwhere(teal)


@pytest.fixture
def teal_skin(corridor_model):
    before = corridor_model.skin_rgba.copy()
    corridor_model.skin_rgba[:] = (0, 1, 1, 1)
    yield
    corridor_model.skin_rgba[:] = before


def test_mujoco_gl_disabled_selects_the_ray_tracer(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "disabled")
    backend = probe()
    assert backend.name == "warp"
    assert backend.tried[0] == ("OpenGL", "not tried: MUJOCO_GL=disabled")


def test_a_kind_of_opengl_that_fails_is_told_and_the_ray_tracer_takes_its_place(monkeypatch):
    kind = "cgl" if sys.platform != "darwin" else "osmesa"  # there is none of it on this system
    monkeypatch.setenv("MUJOCO_GL", kind)
    backend = probe()
    assert backend.name == "warp"
    name, outcome = backend.tried[0]
    assert name == kind and "Error" in outcome and "\n" not in outcome


def test_unknown_mujoco_gl_is_named(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "vulkan")
    with pytest.raises(UsageError, match=r"MUJOCO_GL='vulkan'.*egl.*disabled"):
        probe()


@pytest.mark.parametrize("camera", CAMERAS)
def test_every_camera_shows_something(renderer, rat_at, camera):
    picture = renderer.render(rat_at(), camera)
    assert picture.shape == (72, 96, 3) and picture.dtype == np.uint8
    assert picture.std(axis=(0, 1)).min() > 10


def test_own_body_is_hidden_from_the_egocentric_camera_alone(renderer, rat_at):
    data = rat_at()
    hidden, shown = renderer.render(data, "egocentric"), renderer.render(data, "walker/egocentric")
    assert len(rat_pixels(hidden)) == 0
    assert len(rat_pixels(shown)) > 100
    assert (hidden == shown).all(axis=2).mean() > 0.5  # the world around it is the same


@pytest.mark.usefixtures("teal_skin")
def test_from_outside_the_rat_is_its_skin(renderer, rat_at, corridor_model):
    """Against the same picture with the skin far away, which shows none of the collision shapes either."""
    data = rat_at()
    with_skin = renderer.render(data, "side")
    corridor_model.skin_bonebindpos[:] += 100
    without_skin = renderer.render(data, "side")
    corridor_model.skin_bonebindpos[:] -= 100
    assert len(rat_pixels(with_skin)) > 100
    assert len(rat_pixels(without_skin)) == 0


@pytest.mark.usefixtures("teal_skin")
@pytest.mark.parametrize("camera", ["side", "back", "top"])
def test_the_rat_stays_in_the_middle_when_it_moves_three_metres(renderer, rat_at, camera):
    for x in (5.0, 8.0):
        row, column = rat_pixels(renderer.render(rat_at(x), camera)).mean(axis=0)
        assert abs(row - 36) < 15 and abs(column - 48) < 15


def test_the_side_camera_stands_at_the_rats_right(renderer, rat_at):
    """The rat runs to the right of the picture, and the camera is at negative y."""
    camera = Follower(renderer.model, "side").follow(rat_at())
    assert camera.azimuth == pytest.approx(90.0, abs=1.0)
    level = np.radians(camera.elevation)
    eye_y = camera.lookat[1] - camera.distance * np.cos(level) * np.sin(np.radians(camera.azimuth))
    assert eye_y == pytest.approx(-0.6, abs=0.02)


def test_motion_is_seen_against_the_floor(renderer, rat_at):
    """A plain floor bears lines: the picture changes although camera and rat moved together."""
    here, there = (renderer.render(rat_at(x), "top").astype(int) for x in (5.0, 5.1))
    assert (np.abs(here - there).max(axis=2) > 40).mean() > 0.02


def test_the_rats_own_eye_sees_no_lines(renderer, rat_at):
    """They are for those who watch; the agent sees the world as dm_control made it."""
    floor = renderer.render(rat_at(5.1), "egocentric")[-20:].astype(int)
    assert np.abs(np.diff(floor, axis=1)).max() < 10


def test_follower_smooths_but_does_not_lag_behind_a_gallop(corridor_model, rat_at):
    follower = Follower(corridor_model, "side")
    data = rat_at()
    for step in range(100):  # 1 m/s with a bob of 2 cm at 5 Hz
        data.qpos[0] = 5 + step * 0.02
        data.qpos[2] = 0.02 * np.sin(2 * np.pi * 5 * step * 0.02)
        update_positions(corridor_model, data)
        lookat = follower.follow(data, 0.02).lookat.copy()
        if step > 50:
            torso = data.body(TORSO).xpos
            assert abs(lookat[0] - torso[0]) < 0.08
            assert abs(lookat[2] - torso[2] + data.qpos[2]) < 0.01


def test_a_wall_between_the_camera_and_the_rat_is_looked_over():
    world = """<mujoco><worldbody>
      <geom type="plane" size="5 5 1"/>
      <geom name="wall" type="box" size="1 .02 .15" pos="0 -.3 .15"/>
      <body name="walker/torso" pos="0 0 .05"><freejoint/><geom size=".04"/></body>
    </worldbody></mujoco>"""
    model = mujoco.MjModel.from_xml_string(world)
    data = mujoco.MjData(model)
    update_positions(model, data)
    over = Follower(model, "side").follow(data).elevation
    model.geom_pos[model.geom("wall").id, 1] = -3
    update_positions(model, data)
    assert over < Follower(model, "side").follow(data).elevation - 10


def test_unknown_camera_names_the_valid_ones(renderer, rat_at):
    with pytest.raises(UsageError, match="unknown camera 'front': choose one of side, back, top, egocentric"):
        renderer.render(rat_at(), "front")


def test_no_renderer_at_all_is_one_clear_line(corridor_model):
    with pytest.raises(UsageError, match="nothing here can draw"):
        Renderer(corridor_model, 8, 8, Backend("none"))


def test_description_says_how_the_picture_was_made(renderer):
    assert renderer.description == {
        "renderer": "warp",
        "gl_renderer": "",
        "width": 96,
        "height": 72,
        "shadows": True,
        "antialias": False,
    }


@pytest.mark.gl
def test_opengl_is_found_and_works_after_an_import_without_it(corridor_model, rat_at):
    backend = probe()
    assert backend.is_opengl and backend.gl_renderer
    with Renderer(corridor_model, 96, 72, backend) as renderer:
        for camera in CAMERAS:
            assert renderer.render(rat_at(), camera).std(axis=(0, 1)).min() > 10


@pytest.mark.gl
@pytest.mark.usefixtures("teal_skin")
def test_both_renderers_draw_the_same_scene(corridor_model, rat_at, renderer):
    """In hue: OpenGL's coarse planes miss the lamp, so that its floors are darker."""
    with Renderer(corridor_model, 96, 72, probe(), antialias=False) as opengl:
        for camera in CAMERAS:
            one, other = opengl.render(rat_at(), camera), renderer.render(rat_at(), camera)
            hues = [(p[..., 2].astype(float) - p[..., 0]).ravel() for p in (one, other)]
            assert np.corrcoef(hues)[0, 1] > 0.9, camera


@pytest.mark.gl
def test_a_picture_may_be_larger_than_the_models_framebuffer(corridor_model, rat_at):
    with Renderer(corridor_model, 1280, 720, probe()) as renderer:
        picture = renderer.render(rat_at(), "side")
    assert picture.shape == (720, 1280, 3) and picture[-100:, -100:].std() > 0


DM_CONTROL_EYE = """
import sys
import numpy as np
from dm_control import composer
from rodent.rendering import Backend, Renderer
from rodent.tasks import make_task
task = make_task("run").compose()
task._walker.observables.egocentric_camera.enabled = True
environment = composer.Environment(task, random_state=0)
seen = environment.reset().observation["walker/egocentric_camera"].squeeze()
physics = environment.physics
with Renderer(physics.model.ptr, 64, 64, Backend(sys.argv[1])) as renderer:
    ours = renderer.render(physics.data.ptr, "egocentric")
print(np.abs(seen.astype(int) - ours).max(), seen.std())
"""


@pytest.mark.gl
def test_the_rats_eye_is_dm_controls_pixel_for_pixel():
    kind = probe().name
    command = [sys.executable, "-c", DM_CONTROL_EYE, kind]
    run = subprocess.run(command, env={**os.environ, "MUJOCO_GL": kind}, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    difference, spread = map(float, run.stdout.split())
    assert difference == 0 and spread > 10
