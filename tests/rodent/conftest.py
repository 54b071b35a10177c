import mujoco
import numpy as np
import pytest

from rodent.painting import update_positions
from rodent.tasks import make_task


@pytest.fixture(scope="session")
def corridor_model() -> mujoco.MjModel:
    return make_task("run").scene(np.random.default_rng(0))


@pytest.fixture
def rat_at(corridor_model):
    """A function that gives the corridor's data with the rat at rest at (x, y), heading along world x."""

    def place(x: float = 5.0, y: float = 0.0) -> mujoco.MjData:
        data = mujoco.MjData(corridor_model)
        data.qpos[:7] = (x, y, 0, 1, 0, 0, 0)
        update_positions(corridor_model, data)
        return data

    return place
