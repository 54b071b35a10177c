"""What the encoders of a seeing student tell is measured in other corridors, and where there is something to see."""

import mujoco
import numpy as np
import pytest
import torch

from rodent.env import RodentVectorEnv
from tests.benchmark import load


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch):
    return load("floor_seen", monkeypatch)


def test_the_floor_is_in_view_where_mujocos_own_camera_has_it_in_its_frame(script) -> None:
    rats = 24
    env = RodentVectorEnv("run-gaps", rats, "fast", 1)
    env.reset(seed=0)
    assert script.in_view(env).all()  # a rat at rest looks ahead
    root = env.body.root_qpos
    away = 0.3 * torch.randn(rats, 4, generator=torch.Generator().manual_seed(0))
    turned = torch.nn.functional.normalize(torch.tensor([1.0, 0.0, 0.0, 0.0]) + away, dim=1)
    env.engine.state.qpos[1:, root + 3 : root + 7] = turned[1:].double()
    env.engine.state.qpos[1, root + 3 : root + 7] = torch.tensor([0.0, 0.0, 0.0, 1.0]).double()
    env.engine.forward(np.arange(rats))
    found = script.in_view(env)
    assert found[0].all() and not found[1].any()  # the second looks back
    assert 0.2 < found[2:].mean() < 0.8
    for rat in range(rats):
        model = env.engine.model_of(rat)
        data = mujoco.MjData(model)
        data.qpos[:] = env.engine.state.qpos[rat].numpy()
        mujoco.mj_forward(model, data)
        camera, half = data.camera(script.EGOCENTRIC_CAMERA), model.camera(script.EGOCENTRIC_CAMERA).fovy[0] / 2
        right, up, back = camera.xmat.reshape(3, 3).T
        for k, distance in enumerate(script.DISTANCES):
            torso = data.xpos[env.body.torso]
            to = np.array([torso[0] + distance, torso[1], 0.0]) - camera.xpos
            angles = np.degrees([np.arctan2(to @ right, -to @ back), np.arctan2(to @ up, -to @ back)])
            assert found[rat, k] == (np.abs(angles) < half).all(), (rat, k, angles)
    env.close()


def test_a_readout_is_judged_by_corridors_that_it_was_not_fitted_to_and_by_places_among_gaps(script) -> None:
    rng = np.random.default_rng(0)
    times, rats, places = 40, 12, len(script.DISTANCES)
    floor = rng.random((times, rats, places)).astype(np.float32)
    view, counts = rng.random(floor.shape) < 0.5, np.ones(floor.shape, dtype=bool)
    counts[: times // 2] = False
    told, corridor = floor.copy(), np.zeros((times, rats, rats), dtype=np.float32)
    told[~view] = 0.0  # a sight that is right where the place is in view
    told[: times // 2] = rng.random(told[: times // 2].shape)  # and talks nonsense where none is asked
    corridor[:, np.arange(rats), np.arange(rats)] = 1.0
    floor_of_corridor = np.broadcast_to(rng.random((1, rats, places)), floor.shape)
    seen = script.Seen(told, told, told, floor, view, counts)
    found = script.explained(told, seen)
    assert min(found["in_view"]) > 0.99 and max(found["all"]) < 0.8
    by_heart = script.Seen(corridor, corridor, corridor, floor_of_corridor, view, counts)
    assert max(script.explained(corridor, by_heart)["all"]) < 0.1
