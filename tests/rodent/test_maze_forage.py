import mujoco
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rodent.body import describe
from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from rodent.tasks import episode_rng
from rodent.tasks.maze_forage import CELL_SIZE, CELLS, MazeForage


def cells_of(places):
    """(row, column) of world positions (..., 2)."""
    middle = (CELLS - 1) / 2
    return {(round(middle - y / CELL_SIZE), round(middle + x / CELL_SIZE)) for x, y in places}


def reachable(opened, start):
    seen, todo = {start}, [start]
    while todo:
        row, column = todo.pop()
        for step in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
            if opened[step] and step not in seen:
                seen.add(step)
                todo.append(step)
    return seen


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**32))
def test_every_orb_can_be_reached_from_every_spawn(rooms, orbs_per_room, seed):
    maze = MazeForage(rooms=rooms, orbs_per_room=orbs_per_room).draw(np.random.default_rng(seed))
    assert 1 <= len(maze.orbs) <= rooms * orbs_per_room and len(maze.orbs) % orbs_per_room == 0
    for spawn in cells_of(maze.spawns):
        assert cells_of(maze.orbs) <= reachable(maze.open, spawn)


def test_walls_stand_where_the_grid_says_and_nothing_is_drawn_into_them():
    maze = MazeForage().draw(np.random.default_rng(1))
    for row in range(CELLS):
        for column in range(CELLS):
            middle = (CELLS - 1) / 2
            place = np.array([(column - middle) * CELL_SIZE, (middle - row) * CELL_SIZE])
            inside = (np.abs(maze.walls[:, 0, :2] - place) < maze.walls[:, 1, :2]).all(1).any()
            assert inside != maze.open[row, column]


def test_episodes_start_clear_of_walls_and_orbs_in_any_direction():
    task, yaws = MazeForage(), []
    for episode in range(8):
        rng = episode_rng(task, 4, episode)
        model = task.world(rng)
        body = describe(model)
        start = task.start(model, body, rng)
        data = mujoco.MjData(model)
        data.qpos[:] = start.qpos
        mujoco.mj_forward(model, data)
        touched = set(data.contact.geom.ravel()) - set(body.geoms)
        assert {model.geom(geom).name for geom in touched} <= {"ground"}
        yaws.append(np.arctan2(start.qpos[6], start.qpos[3]))
    assert np.ptp(yaws) > 1


def test_taken_orbs_come_back_in_the_next_episode_of_that_environment_alone():
    env = RodentVectorEnv("maze-forage", 2)
    env.reset(seed=0)
    memory = env.engine.state.memory
    for name in ("touched", "paid"):
        memory[name][:] = True
    env.reset(options={"reset_mask": np.array([True, False])})
    assert not memory["paid"][0].all() and memory["paid"][1].all()
    assert torch.isfinite(memory["places"][0]).all(1).sum() == (~memory["paid"][0]).sum()


@pytest.mark.parametrize("parameters", [{"rooms": 0}, {"rooms": 2.5}, {"orbs_per_room": 5}])
def test_what_is_not_admissible_is_refused(parameters):
    with pytest.raises(UsageError, match="must be an integer from 1 to 4, not"):
        MazeForage(**parameters)
