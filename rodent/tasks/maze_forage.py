"""Collect the orbs of a maze: dm_control's `rodent_maze_forage`."""

from __future__ import annotations

import math
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import mujoco
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from torch import Tensor

from rodent.arenas import colours_seed, compose_maze, found_sensor, hide, textured
from rodent.body import Body
from rodent.engine import State, recent_samples
from rodent.opengl import without_opengl
from rodent.senses import PRIVILEGED, Sense, in_torso_frame, polar, speed_along
from rodent.tasks.base import Look, Memory, Path, Start, Task, physics_spec, scene_spec
from rodent.tasks.parameters import Admissible, parameter

if TYPE_CHECKING:
    from dm_control import composer

CELLS = 11  # along each side of the maze, outer walls included
CELL_SIZE = 0.5  # m
WALL_HEIGHT = 0.3  # m
ORB_RADIUS, ORB_HEIGHT = 0.05, 0.125  # m
ORB_REWARD = 50.0
_FAR = 10_000  # steps: no path
_COUNT = Admissible(1, 4, kind="integer")
_MOST_WALLS = 60  # boxes that cover all walls; in 600 mazes there were 8 to 23
_WALL_TEXTURES = 8  # dm_control's, of which each maze has one
_FIRST_WALL_TEXTURE = "labmaze_style_01/blue"
_FLOOR_TEXTURE = "aesthetic_texture"
_EXTENT = 9.54  # m; MuJoCo's measure of a maze, by which it limits shadows and distances: 9.0 to 10.5 in dm_control's
_INVISIBLE = (0.0, 0.0, 0.0, 0.0)  # RGBA
_MATERIALS_OWN_COLOUR = (0.5, 0.5, 0.5, 1.0)  # MuJoCo's default, which lets a geom have its material's
_SIDES = tuple(range(1, CELLS + 1, 2))  # cells; of the rectangles that cover walls and floor
# The planes that carry pictures, five a wall and one a tile: the axis they are perpendicular to, on which side of the
# middle they are, and their orientation.
_PLANES = {
    "wall -x": (0, -1, (-1, -1, 1, 1)),
    "wall +x": (0, 1, (1, 1, 1, 1)),
    "wall -y": (1, -1, (1, 1, 0, 0)),
    "wall +y": (1, 1, (0, 0, 1, 1)),
    "wall top": (2, 1, (1, 0, 0, 0)),
    "floor": (2, 0, (1, 0, 0, 0)),
}


@dataclass(frozen=True)
class Maze:
    """A maze that was drawn. Positions are in m, in the world's frame."""

    seed: int  # of labmaze's generator, whose first regenerated maze it is
    open: NDArray[np.bool_]  # (CELLS, CELLS), by row (-y) and column (x): no wall
    walls: NDArray[np.float64]  # (walls, 2, 3), each box's centre and half its sides
    tiles: NDArray[np.float64]  # (tiles, 2, 3), the same of the floor's planes
    texture: int  # which of dm_control's textures the walls bear
    orbs: NDArray[np.float64]  # (orbs, 2)
    spawns: NDArray[np.float64]  # (spawns, 2), one in each room


@dataclass(frozen=True)
class MazeForage(Task):
    """Reward: 50 for each orb, once, in the control step in which the rat first touches it at any physics step.

    The episode ends with discount 1 when all are taken. As in dm_control, an orb in the maze's very middle counts as
    touched at the start, and is paid in the first step: see docs/parity.md.
    """

    name: ClassVar[str] = "maze-forage"
    summary: ClassVar[str] = "collect the orbs in the rooms of a maze of 5.5 x 5.5 m"
    varies: ClassVar[bool] = True
    shown: ClassVar[tuple[str, ...]] = ("places", "touched")

    rooms: int = parameter(4, _COUNT)  # at most; labmaze fits in as many as it can
    orbs_per_room: int = parameter(3, _COUNT)

    @property
    def max_return(self) -> float:
        return ORB_REWARD * self._most_orbs

    @property
    def reward_range(self) -> tuple[float, float]:
        return 0.0, self.max_return

    def compose(self) -> composer.Task:
        return compose_maze(CELLS, CELL_SIZE, WALL_HEIGHT, self._labyrinth(0))

    def draw(self, rng: np.random.Generator) -> Maze:
        with without_opengl():
            import labmaze
            from dm_control.locomotion.arenas.covering import make_walls

        seed = int(rng.integers(2**31))
        labyrinth = self._labyrinth(seed)
        labyrinth.regenerate()
        grid = labyrinth.entity_layer
        cells = np.array([list(row) for row in str(grid).strip().split("\n")])
        walls = [_box(wall) for wall in make_walls(grid, wall_char="*", make_odd_sized_walls=True)]
        floor = labyrinth.variations_layer
        tiles = [
            _box(tile) * ((1, 1, 0), (1, 1, 1))  # they lie on the ground
            for variation in f".{string.ascii_uppercase}"
            if variation in floor
            for tile in make_walls(floor, wall_char=variation, make_odd_sized_walls=True)
        ]
        orbs, spawns = (
            _place(*np.nonzero(cells == token))
            for token in (labmaze.defaults.OBJECT_TOKEN, labmaze.defaults.SPAWN_TOKEN)
        )
        texture = np.random.RandomState(colours_seed(rng)).choice(_WALL_TEXTURES)  # dm_control's first draw
        return Maze(seed, cells != "*", np.array(walls), np.array(tiles), int(texture), orbs, spawns)

    def build(self, arena: Maze, substeps: int = 20) -> mujoco.MjModel:
        if len(arena.walls) > _MOST_WALLS:
            raise RuntimeError(f"a maze of {len(arena.walls)} walls does not fit the layout of {_MOST_WALLS}")
        spec = _empty_maze(self).copy()
        body = spec.body("maze_body")
        for position, size in arena.walls:
            body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=position, size=size)
        for _ in range(_MOST_WALLS - len(arena.walls)):
            hide(body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=(WALL_HEIGHT,) * 3))
        for i in range(self._most_orbs):
            geom = _add_orb(spec, i, substeps)
            if i < len(arena.orbs):
                spec.body(f"orb {i}").pos = (*arena.orbs[i], 0)
            else:
                hide(geom)
        spec.add_numeric(name="tiles", data=arena.tiles.ravel())
        spec.add_numeric(name="texture", data=[arena.texture])
        spec.add_numeric(name="open", data=arena.open.ravel().astype(float))
        spec.add_numeric(name="spawns", data=arena.spawns.ravel())
        spec.add_numeric(name="orbs", data=arena.orbs.ravel())
        return spec.compile()

    def install(self, composed: composer.Task, arena: Maze) -> None:
        composed.root_entity._maze = self._labyrinth(arena.seed)

    def stage(self, arenas: int = 1, terrain_step: int = 1) -> mujoco.MjSpec:
        """A stock of planes of each size, since renderers read a plane's size but once, and as many orbs as can be."""
        spec = _emptied_scene(self)
        spec.stat.extent = _EXTENT
        for kind, (_, _, orientation) in _PLANES.items():
            for a, b in _rectangles(kind):
                repeat = (a, _height(kind, b) / CELL_SIZE)
                material = textured(spec, f"{kind} {a} {b}", _FLOOR_TEXTURE, repeat)
                for i in range(_stock(a, b)):
                    plane = spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, name=f"{kind} {a} {b} {i}")
                    plane.size = (a * CELL_SIZE / 2, _height(kind, b) / 2, CELL_SIZE)
                    plane.quat, plane.material, plane.contype, plane.conaffinity = orientation, material, 0, 0
        for i in range(self._most_orbs):
            geom = spec.worldbody.add_body(name=f"target_0_{i}/").add_geom(name=f"target_0_{i}/geom")
            geom.pos, geom.size = (0, 0, ORB_HEIGHT), (ORB_RADIUS, 0, 0)
            geom.material = textured(spec, f"target_0_{i}/target_sphere", "target_0_0/target_sphere")
        return spec

    def look(self, stage: mujoco.MjModel, world: mujoco.MjModel) -> Look:
        look = {name: getattr(stage, name).copy() for name in ("geom_pos", "geom_rgba", "mat_texid", "body_pos")}
        planes = stage.geom_type == mujoco.mjtGeom.mjGEOM_PLANE
        look["geom_rgba"][planes] = _INVISIBLE
        real = (world.geom_bodyid == world.body("maze_body").id) & (world.geom_conaffinity > 0)
        walls = np.stack([world.geom_pos[real], world.geom_size[real]], axis=1)
        tiles = world.numeric("tiles").data.reshape(-1, 2, 3)
        for kind in _PLANES:
            _show_planes(look, stage, kind, tiles if kind == "floor" else walls)
        texture = stage.texture(_FIRST_WALL_TEXTURE).id + int(world.numeric("texture").data[0])
        last = stage.mat("floor 1 1").id  # the walls' materials come before the floor's
        look["mat_texid"][:last, mujoco.mjtTextureRole.mjTEXROLE_RGB] = texture
        orbs, most = world.numeric("orbs").data.reshape(-1, 2), np.arange(self._most_orbs)
        present = most < len(orbs)
        look["body_pos"][stage.body("target_0_0/").id + most[present], :2] = orbs
        look["geom_rgba"][stage.geom("target_0_0/geom").id + most] = np.where(
            present[:, None], _MATERIALS_OWN_COLOUR, _INVISIBLE
        )
        return look

    def dress(self, scene: mujoco.MjModel, memory: Memory) -> None:
        """Make the orbs that were taken invisible, as dm_control does."""
        places = memory["places"].numpy()
        places = places[np.isfinite(places[:, 0])]
        orbs = scene.geom("target_0_0/geom").id + np.arange(len(places))
        distance = np.abs(scene.body_pos[scene.geom_bodyid[orbs], None, :2] - places).sum(2)
        scene.mat_rgba[scene.geom_matid[orbs], 3] = ~memory["touched"].numpy()[distance.argmin(1)]

    def start(self, model: mujoco.MjModel, body: Body, rng: np.random.Generator) -> Start:
        spawns = model.numeric("spawns").data.reshape(-1, 2)
        qpos = model.qpos0.copy()
        x, y = spawns[rng.integers(len(spawns))]
        half = np.pi * rng.uniform()
        qpos[body.root_qpos : body.root_qpos + 7] = (x, y, 0, np.cos(half), 0, 0, np.sin(half))
        return Start(qpos, np.zeros(model.nv))

    def begin(self, model: mujoco.MjModel, rng: np.random.Generator) -> dict[str, np.ndarray]:
        orbs = model.numeric("orbs").data.reshape(-1, 2)
        absent = np.arange(self._most_orbs) >= len(orbs)
        places = np.full((self._most_orbs, 2), np.inf)
        places[: len(orbs)] = orbs
        return {
            "places": places,  # m; those of absent orbs are infinitely far
            "touched": absent | self._touched_before_the_start(model),
            "paid": absent,
            "taken": np.array(0),  # orbs paid in the last control step
        }

    def advance(self, state: State) -> None:
        memory = state.memory
        found, _ = recent_samples(state, self._most_orbs)
        memory["touched"] |= (found > 0).any(2)
        memory["taken"].copy_((memory["touched"] & ~memory["paid"]).sum(1))
        memory["paid"].copy_(memory["touched"])

    def rewards(self, state: State, body: Body) -> dict[str, Tensor]:
        return {"orbs": ORB_REWARD * state.memory["taken"].double()}

    def truncated(self, state: State) -> dict[str, Tensor]:
        return {"all_orbs_taken": state.memory["touched"].all(1)}

    def outcomes(self, body: Body, paths: Sequence[Path]) -> dict[str, np.ndarray]:
        """orbs: mean number that an episode was paid for."""
        return {"orbs": np.array([(path.rewards.sum() / ORB_REWARD, 1) for path in paths])}

    def chart(self, model: mujoco.MjModel) -> dict[str, np.ndarray]:
        return {"distances": _path_lengths(model.numeric("open").data.reshape(CELLS, CELLS) > 0)}

    def recall(self, composed: composer.Task, physics: Any, memory: Memory) -> None:
        for target in composed._active_targets[0]:
            place = torch.from_numpy(physics.model.body_pos[physics.model.geom_bodyid[target._geom_id], :2])
            which = (memory["places"][0] - place).abs().sum(1).argmin()
            memory["touched"][0, which] = target.activated

    def progress(self, state: State, body: Body) -> Tensor:
        return speed_along(_next_waypoint(state, body) - state.xpos[:, body.torso], state, body)

    def privileged(self, body: Body) -> tuple[Sense, ...]:
        def waypoint(state: State) -> Tensor:
            return in_torso_frame(_next_waypoint(state, body) - state.xpos[:, body.torso], state, body)

        return (Sense(f"{PRIVILEGED}waypoint", 3, "m", waypoint),)

    def landmarks(self, body: Body) -> tuple[Sense, ...]:
        """Distance and bearing of the nearest orb left, whatever wall is between."""

        def offset(state: State) -> Tensor:
            left = torch.where(state.memory["touched"][..., None], math.nan, state.memory["places"])
            offsets = left - state.xpos[:, None, body.torso, :2]
            nearest = offsets.square().sum(2).nan_to_num(math.inf).argmin(1)
            flat = offsets[torch.arange(len(offsets)), nearest]
            return torch.cat([flat, ORB_HEIGHT - state.xpos[:, body.torso, 2:]], 1)

        return polar("orb", offset, body)

    @property
    def _most_orbs(self) -> int:
        return self.rooms * self.orbs_per_room

    def _labyrinth(self, seed: int) -> Any:
        import labmaze

        return labmaze.RandomMaze(
            height=CELLS,
            width=CELLS,
            max_rooms=self.rooms,
            room_min_size=4,
            room_max_size=5,
            spawns_per_room=1,
            objects_per_room=self.orbs_per_room,
            random_seed=seed,
        )

    def _touched_before_the_start(self, model: mujoco.MjModel) -> NDArray[np.bool_]:
        """The orbs that a rat in the maze's middle touches: it stands there while dm_control's orbs look."""
        data = mujoco.MjData(model)
        mujoco.mj_fwdPosition(model, data)
        touching = set(data.contact.geom.ravel().tolist())
        return np.array([model.geom(f"orb {i}").id in touching for i in range(self._most_orbs)])


def _empty(spec: mujoco.MjSpec) -> None:
    """Take out of a maze its walls, floor and orbs."""
    for geom in (*spec.worldbody.geoms, *spec.body("maze_body").geoms):
        if geom.name != "ground":
            spec.delete(geom)
    for body in spec.worldbody.bodies:
        if body.name.startswith("target_"):
            spec.delete(body)


def _emptied_scene(task: MazeForage) -> mujoco.MjSpec:
    """A maze's scene without its walls, floor and orbs, and without their materials."""
    spec = scene_spec(task)
    _empty(spec)
    for material in spec.materials:
        spec.delete(material)
    return spec


def _rectangles(kind: str) -> list[tuple[int, int]]:
    """The sizes that planes of a kind can have, in cells; the height of a wall counts as one."""
    return [(a, b) for a in _SIDES for b in (_SIDES if kind in ("wall top", "floor") else (1,))]


def _height(kind: str, b: int) -> float:
    """A plane's extent along its own y, m."""
    return b * CELL_SIZE if kind in ("wall top", "floor") else WALL_HEIGHT


def _stock(a: int, b: int) -> int:
    """How many planes of a kind and a size there are: three times and more what 1,200 mazes had, or all that fit."""
    return 8 + 60 // (a * b)


def _show_planes(look: Look, stage: mujoco.MjModel, kind: str, boxes: NDArray[np.float64]) -> None:
    """Take planes of a kind from the stock and put them on boxes (n, 2, 3), each a centre and half the sides."""
    axis, side, _ = _PLANES[kind]
    centres = boxes[:, 0].copy()
    centres[:, axis] += side * boxes[:, 1, axis]
    sides = np.rint(2 * np.delete(boxes[:, 1], axis, axis=1) / CELL_SIZE).astype(int)
    used: Counter[str] = Counter()
    for centre, (a, b) in zip(centres, sides.tolist(), strict=True):
        size = f"{kind} {a} {b}"
        if used[size] == _stock(a, b):
            raise RuntimeError(f"a maze does not fit the stage: it has more than {used[size]} planes {size!r}")
        geom = stage.geom(f"{size} {used[size]}").id
        used[size] += 1
        look["geom_pos"][geom], look["geom_rgba"][geom] = centre, 1.0


@lru_cache(maxsize=16)
def _empty_maze(task: MazeForage) -> mujoco.MjSpec:
    """The spec of a maze without walls and orbs, and without the planes that only carry their pictures."""
    spec = physics_spec(task).copy()
    _empty(spec)
    return spec


def _add_orb(spec: mujoco.MjSpec, i: int, substeps: int) -> mujoco.MjsGeom:
    """An orb in dm_control's way: contacts are found where it overlaps something, but push nothing."""
    name = f"orb {i}"
    geom = spec.worldbody.add_body(name=name).add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_SPHERE,
        pos=(0, 0, ORB_HEIGHT),
        size=(ORB_RADIUS, 0, 0),
        margin=-2 * ORB_RADIUS,
        gap=2 * ORB_RADIUS,
    )
    found_sensor(spec, name, name, samples=substeps)
    return geom


def _path_lengths(opened: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Steps of the shortest path between any two cells, (CELLS**2, CELLS**2); `_FAR` where there is none."""
    index = np.arange(CELLS * CELLS).reshape(CELLS, CELLS)
    pairs = []
    for here, there in (
        ((slice(None, -1),), (slice(1, None),)),
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
    ):
        passable = opened[here] & opened[there]
        pairs.append(np.stack([index[here][passable], index[there][passable]]))
    rows, columns = np.concatenate(pairs, axis=1)
    graph = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(CELLS**2, CELLS**2))
    steps = csgraph.shortest_path(graph, directed=False, unweighted=True)
    lengths: NDArray[np.int64] = np.where(np.isfinite(steps), steps, _FAR).astype(np.int64)
    return lengths


def _next_waypoint(state: State, body: Body) -> Tensor:
    """The next cell's middle on the shortest path to the nearest orb left, at last the orb itself: (envs, 3)."""
    memory, middle = state.memory, (CELLS - 1) / 2
    rows = torch.arange(len(state.qpos))
    orbs = memory["places"].nan_to_num(posinf=0.0)
    orb_cells = _cell(orbs)
    here = _cell(state.xpos[:, body.torso, :2])
    lengths = memory["distances"][rows[:, None], here[:, None], orb_cells]
    nearest = (lengths + _FAR * memory["touched"]).argmin(1)
    goal = orb_cells[rows, nearest]
    neighbours = (here[:, None] + torch.tensor([0, 1, -1, CELLS, -CELLS])).clamp(0, CELLS**2 - 1)
    best = neighbours[rows, memory["distances"][rows[:, None], neighbours, goal[:, None]].argmin(1)]
    x, y = (best % CELLS - middle) * CELL_SIZE, (middle - best // CELLS) * CELL_SIZE
    waypoint = torch.where((here == goal)[:, None], orbs[rows, nearest], torch.stack([x, y], 1).double())
    return torch.cat([waypoint, torch.full_like(waypoint[:, :1], ORB_HEIGHT)], 1)


def _cell(place: Tensor) -> Tensor:
    """Index, row by row, of the cell at world positions (..., 2)."""
    middle = (CELLS - 1) / 2
    column = (place[..., 0] / CELL_SIZE + middle).round().long().clamp(0, CELLS - 1)
    row = (middle - place[..., 1] / CELL_SIZE).round().long().clamp(0, CELLS - 1)
    return row * CELLS + column


def _place(row: Any, column: Any) -> NDArray[np.float64]:
    """World positions of cells, (..., 2), by dm_control's arithmetic."""
    middle = (CELLS - 1) / 2
    return np.stack([(column - middle) * CELL_SIZE, -(row - middle) * CELL_SIZE], axis=-1)


def _box(wall: Any) -> NDArray[np.float64]:
    """Centre and half the sides of a rectangle of wall cells, (2, 3), by dm_control's arithmetic."""
    row, column = (wall.start.y + wall.end.y - 1) / 2, (wall.start.x + wall.end.x - 1) / 2
    half = [(wall.end.x - column - 0.5) * CELL_SIZE, (wall.end.y - row - 0.5) * CELL_SIZE]
    return np.array([[*_place(row, column), WALL_HEIGHT / 2], [*half, WALL_HEIGHT / 2]])
