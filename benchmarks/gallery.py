"""The README's gallery: each world from outside and through the rat's eye, its own body hidden as in dm_control.

    python benchmarks/gallery.py [--output assets/pictures/gallery.png]

Each rat is put where there is something to see, and stands there for a moment under zero action. Text in the file says
which renderer drew it (`PIL.Image.open(path).text`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
import torch
import tyro
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from rodent.env import RodentVectorEnv
from rodent.painting import Picture, update_positions
from rodent.rendering import Renderer
from rodent.tasks import episode_rng

WIDTH, HEIGHT, EYE, CAPTION, MARGIN = 240, 200, 240, 24, 4  # pixels
SETTLING = 10  # control steps
Place = tuple[float, float, float]  # x m, y m, yaw rad


@dataclass
class Flags:
    output: Path = Path("assets/pictures/gallery.png")


@dataclass(frozen=True)
class Exhibit:
    """Where the rat of a task stands, and where a camera stands that looks at it."""

    task: str
    place: Callable[[RodentVectorEnv], Place]
    bearing: float  # deg, from the rat's heading to the direction of view
    elevation: float  # deg, negative looks down
    distance: float  # m
    episode: int = 0  # of seed 0


def before_a_gap(env: RodentVectorEnv) -> Place:
    floor = env.task.chart(env.engine.model_of(0))
    return floor["ends"][1] - 0.15, 0.0, 0.0


def before_an_orb_of_the_maze(env: RodentVectorEnv) -> Place:
    """Half a metre from the first orb, on the side where a wall is farthest."""
    model, orb = env.engine.model_of(0), env.engine.state.memory["places"][0, 0].numpy()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    yaws = np.arange(4) * np.pi / 2
    backwards = [np.array([-np.cos(yaw), -np.sin(yaw), 0]) for yaw in yaws]
    below_it = np.array([*orb, 0.05])
    yaw = yaws[int(np.argmax([free_way(model, data, below_it, way) for way in backwards]))]
    return orb[0] - 0.5 * np.cos(yaw), orb[1] - 0.5 * np.sin(yaw), yaw


def before_the_orb(env: RodentVectorEnv) -> Place:
    x, y, _ = env.engine.state.memory["orb"][0].tolist()
    return x - 0.3, y, 0.0


EXHIBITS = (
    Exhibit("run", lambda env: (5.0, 0.0, 0.0), bearing=50, elevation=-15, distance=0.8),
    Exhibit("run-gaps", before_a_gap, bearing=50, elevation=-25, distance=1.0),
    Exhibit("maze-forage", before_an_orb_of_the_maze, bearing=0, elevation=-55, distance=2.4),
    Exhibit("escape-bowl", lambda env: (1.2, 0.0, 0.0), bearing=20, elevation=-20, distance=1.7),
    Exhibit("two-tap", before_the_orb, bearing=60, elevation=-15, distance=0.8),
)


def draw(exhibit: Exhibit) -> tuple[Picture, Picture, dict]:
    """The world from outside (HEIGHT, WIDTH, 3), through the rat's eye (EYE, EYE, 3), and how they were made."""
    env = RodentVectorEnv(exhibit.task, 1)
    env.reset(seed=[0], options={"episode": exhibit.episode})
    x, y, yaw = exhibit.place(env)
    put(env, x, y, yaw)
    for _ in range(SETTLING):
        env.step(np.zeros(env.action_space.shape))
    scene = env.task.scene(episode_rng(env.task, 0, exhibit.episode))
    env.task.dress(scene, {name: env.engine.state.memory[name][0] for name in env.task.shown})
    data = mujoco.MjData(scene)
    data.qpos[:] = env.qpos[0]
    update_positions(scene, data)
    camera = mujoco.MjvCamera()
    camera.lookat[:] = data.xpos[env.body.torso]
    camera.distance, camera.elevation = exhibit.distance, exhibit.elevation
    camera.azimuth = np.degrees(yaw) + exhibit.bearing
    with Renderer(scene, WIDTH, HEIGHT) as outside, Renderer(scene, EYE, EYE) as eye:
        return outside.render(data, camera), eye.render(data, "egocentric"), outside.description


def put(env: RodentVectorEnv, x: float, y: float, yaw: float) -> None:
    """Let the rat stand there at rest, on whatever ground there is."""
    model, root = env.engine.model_of(0), env.body.root_qpos
    data, high = mujoco.MjData(model), 2.0
    mujoco.mj_forward(model, data)
    below = free_way(model, data, np.array([x, y, high]), np.array([0.0, 0, -1]))
    qpos = model.qpos0.copy()
    qpos[root : root + 7] = (x, y, high - below, np.cos(yaw / 2), 0, 0, np.sin(yaw / 2))
    env.engine.state.qpos[0] = torch.from_numpy(qpos)
    env.engine.state.qvel[0] = 0
    env.engine.forward_at_rest(np.array([0]))


def free_way(model: mujoco.MjModel, data: mujoco.MjData, begin: np.ndarray, direction: np.ndarray) -> float:
    """How far it is from a point to the world's geoms, which are in group 0, m."""
    groups = np.array([1, 0, 0, 0, 0, 0], dtype=np.uint8)
    return mujoco.mj_ray(model, data, begin, direction, groups, True, -1, np.full(1, -1, np.int32))


def assemble(pictures: list[tuple[Picture, Picture, dict]]) -> Image.Image:
    """A column an exhibit: caption, outside, eye."""
    size = (len(pictures) * (WIDTH + MARGIN) - MARGIN, CAPTION + HEIGHT + MARGIN + EYE)
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 15)
    for column, (exhibit, (outside, eye, _)) in enumerate(zip(EXHIBITS, pictures, strict=True)):
        left = column * (WIDTH + MARGIN)
        pen.text((left + WIDTH / 2, CAPTION / 2), exhibit.task, "black", font, anchor="mm")
        sheet.paste(Image.fromarray(outside), (left, CAPTION))
        sheet.paste(Image.fromarray(eye), (left, CAPTION + HEIGHT + MARGIN))
    return sheet


def main(flags: Flags) -> None:
    drawn = [draw(exhibit) for exhibit in EXHIBITS]
    sheet = assemble(drawn)
    how = PngInfo()
    for name in ("renderer", "gl_renderer", "shadows", "antialias"):
        how.add_text(name, str(drawn[0][2][name]))
    part = flags.output.with_suffix(".part.png")
    sheet.save(part, optimize=True, pnginfo=how)
    part.replace(flags.output)
    print(flags.output, flags.output.stat().st_size // 1000, "kB")


if __name__ == "__main__":
    main(tyro.cli(Flags))
