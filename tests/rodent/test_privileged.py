"""Privileged senses: what no animal senses, off unless asked for, and the same in both simulators."""

import math

import mujoco
import numpy as np
import pytest
import torch
from scipy import ndimage
from side_by_side import SideBySide

from rodent.aids import TrainingAids
from rodent.env import RodentVectorEnv
from rodent.errors import UsageError
from rodent.physics import CONTROL_TIMESTEP
from rodent.relief import ACROSS, AHEAD
from rodent.tasks import TASKS
from rodent.tasks.escape_bowl import EscapeBowl
from rodent.tasks.maze_forage import CELL_SIZE, ORB_HEIGHT
from rodent.tasks.two_tap import NEAR, Phase
from rodent.ways import STEEP, easing, toil

SENSES = {
    "run": {"forward": 3, "midline": 3},
    "run-gaps": {"floor_ahead": 26, "forward": 3, "midline": 3},
    "maze-forage": {"waypoint": 3},
    "escape-bowl": {"outward": 3, "relief": 77, "way_out": 3},
    "two-tap": {"orb": 3, "orb_from_side": 3, "phase": 5, "waited": 1},
}


def in_world(env, name):
    """A privileged vector of the only environment, in the world's frame, from the world's origin."""
    state = env.engine.state
    torso = env.body.torso
    vector = env._observe()[f"privileged/{name}"][0]
    return state.xmat[0, torso].view(3, 3).numpy() @ vector + state.xpos[0, torso].numpy()


@pytest.mark.parametrize("name", TASKS)
def test_they_are_there_only_if_asked_for(name):
    plain, more = RodentVectorEnv(name), RodentVectorEnv(name, privileged=True)
    assert not [sense for sense in plain.senses.sizes if sense.startswith("privileged")]
    sizes = {sense: size for sense, size in more.senses.sizes.items() if sense not in plain.senses.sizes}
    assert sizes == {f"privileged/{sense}": size for sense, size in SENSES[name].items()}
    observation, _ = more.reset(seed=0)
    assert more.observation_space.contains(observation)


@pytest.mark.parametrize("name", TASKS)
def test_dm_controls_environment_gives_the_same(name):
    both = SideBySide(name, privileged=True)
    both.random_steps(8)
    both.reset(3, 2)
    both.random_steps(8)


def test_the_corridor_leads_along_x_and_its_midline_is_where_y_is_zero():
    env = RodentVectorEnv("run", 1, privileged=True, aids=TrainingAids(fallen_starts=1.0, start_offset=0.5))
    env.reset(seed=0)
    state, torso = env.engine.state, env.body.torso
    along = in_world(env, "forward") - state.xpos[0, torso].numpy()
    np.testing.assert_allclose(along, [1, 0, 0], atol=1e-12)
    there = in_world(env, "midline")
    assert abs(state.xpos[0, torso, 1]) > 0.01 and there[1] == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(there[[0, 2]], state.xpos[0, torso].numpy()[[0, 2]], atol=1e-12)


def test_the_floor_ahead_is_the_gaps():
    env = RodentVectorEnv("run-gaps", 1, privileged=True)
    env.reset(seed=0)
    np.testing.assert_allclose(env._observe()["privileged/floor_ahead"], 1, atol=1e-12)
    begins, ends = (env.engine.state.memory[name][0].numpy() for name in ("begins", "ends"))
    torso = env.engine.state.xpos[0, env.body.torso, 0].item() - env.engine.state.qpos[0, 0].item()
    middle = (ends[1] + begins[2]) / 2
    env.engine.state.qpos[0, 0] = middle - 0.45 - torso  # the sixteenth cell lies in the gap's middle
    env.engine.forward(np.array([0]))
    floor = env._observe()["privileged/floor_ahead"][0]
    x = middle - 0.45 + np.arange(-0.17, 0.87, 1e-5)[: 26 * 4000] + 5e-6
    expected = ((x[:, None] >= begins) & (x[:, None] <= ends)).any(1).reshape(26, 4000).mean(1)
    assert floor[15] == pytest.approx(0, abs=1e-12) and ((floor > 0.01) & (floor < 0.99)).any()
    np.testing.assert_allclose(floor, expected, atol=1e-3)


def test_following_the_waypoints_leads_to_every_orb_without_crossing_a_wall():
    env = RodentVectorEnv("maze-forage", 1, privileged=True)
    env.reset(seed=2)
    memory, state = env.engine.state.memory, env.engine.state
    remaining, place = int((~memory["touched"]).sum()), state.qpos[0, :2].numpy().copy()
    walls = env.engine.model_of(0)
    boxes = (walls.geom_bodyid == walls.body("maze_body").id) & (walls.geom_conaffinity > 0)
    for _ in range(200):
        target = in_world(env, "waypoint")
        assert target[2] == pytest.approx(ORB_HEIGHT)
        assert np.abs(target[:2] - place).sum() < 2 * CELL_SIZE
        middle = (target[:2] + place) / 2
        inside = np.abs(walls.geom_pos[boxes, :2] - middle) < walls.geom_size[boxes, :2] - 1e-6
        assert not inside.all(1).any()
        place = target[:2]
        at_orb = (memory["places"][0] - torch.from_numpy(place)).abs().sum(1) < 1e-6
        memory["touched"][0] |= at_orb
        if memory["touched"].all():
            break
        offset = state.xpos[0, env.body.torso, :2] - state.qpos[0, :2]
        state.qpos[0, :2] = torch.from_numpy(place) - offset
        env.engine.forward(np.array([0]))
    assert remaining in (6, 9, 12) and memory["touched"].all()


def follow(env: RodentVectorEnv, place: torch.Tensor) -> np.ndarray:
    """World x, y of a point that goes by 3 cm a time where `way_out` says, from a place to beyond the rim."""
    state, torso = env.engine.state, env.body.torso
    points = [place.numpy()]
    while np.linalg.norm(points[-1]) < 3.5:
        state.xpos[0, torso, :2] = torch.from_numpy(points[-1])
        points.append(points[-1] + 0.03 * (in_world(env, "way_out")[:2] - points[-1]))
        assert len(points) < 200
    return np.array(points)


def slopes(env: RodentVectorEnv, places: np.ndarray) -> np.ndarray:
    """Of the ground in any direction, degrees, at 100 points of the way through places x and y."""
    world = env.engine.model_of(0)
    heights = world.hfield_data.reshape(201, 201) * world.hfield_size[0, 2]
    steep = np.degrees(np.arctan(np.hypot(*np.gradient(heights, 0.06))))
    spans = np.linalg.norm(np.diff(places, axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(spans)])
    at = np.linspace(0, along[-1], 100)
    x, y = (np.interp(at, along, places[:, axis]) for axis in (0, 1))
    return ndimage.map_coordinates(steep, [(y + 6) / 0.06, (x + 6) / 0.06], order=1)


def test_the_bowls_outward_direction_leads_away_from_the_origin():
    env = RodentVectorEnv("escape-bowl", 1, privileged=True)
    env.reset(seed=0)
    env.engine.state.qpos[0, :3] = torch.tensor([3.0, -4.0, 1.0])
    env.engine.forward(np.array([0]))
    torso = env.engine.state.xpos[0, env.body.torso].numpy()
    outward = in_world(env, "outward") - torso
    np.testing.assert_allclose(outward, np.append(torso[:2], 0) / np.linalg.norm(torso[:2]), atol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_the_bowls_way_out_is_short_and_gentler_than_straight_ones(seed):
    env = RodentVectorEnv("escape-bowl", 1, privileged=True)
    env.reset(seed=seed)
    way = follow(env, torch.tensor([0.3, 0.0], dtype=torch.float64))
    assert 0.03 * len(way) < 1.3 * 3.2
    angles = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    straight = [np.outer([0.3, 3.5], [np.cos(angle), np.sin(angle)]) for angle in angles]
    of_way, of_straight = (np.array([slopes(env, each) for each in ways]) for ways in ([way], straight))
    assert of_way.mean() < of_straight.mean(1).min()
    assert np.quantile(of_way, 0.9) < 0.9 * np.quantile(of_straight, 0.9)


def test_without_bumps_the_way_out_leads_away_from_the_middle():
    env = RodentVectorEnv(EscapeBowl(smoothness=1.0), 1, privileged=True)
    env.reset(seed=0)
    way = follow(env, torch.tensor([0.6, -0.8], dtype=torch.float64))
    assert (np.diff(np.linalg.norm(way, axis=1)) > 0).all()
    bearing = np.arctan2(way[:, 1], way[:, 0]) - np.arctan2(-0.8, 0.6)
    assert np.abs(bearing).max() < 0.2


def test_the_toil_of_level_ground_is_its_length_and_that_of_a_slope_more():
    half_side, n = 3.0, 51
    rows, columns = np.mgrid[-half_side : half_side : n * 1j, -half_side : half_side : n * 1j]
    level = toil(np.zeros((n, n)), half_side)
    assert level.shape == (26, 26)
    from_middle = np.hypot(rows, columns)[::2, ::2]
    inside = from_middle < 2.5
    np.testing.assert_allclose(level[inside], half_side - 0.24 - from_middle[inside], atol=0.15)  # it ends at a place
    slope = toil(STEEP * rows, half_side)
    np.testing.assert_allclose(slope[inside], 2 * level[inside], rtol=0.1)
    ridge = 2.0 * np.exp(-(((columns - 1) / 0.2) ** 2)) * (np.abs(rows) < 2)  # a wall to the right
    around = toil(ridge, half_side)[13]  # places of y = 0 from left to right
    assert around[15] > around[10] + 0.5  # 0.6 m from the middle, before the wall and on the other side
    points = torch.tensor([[0.6, 0.0]], dtype=torch.float64)
    assert easing(points, torch.from_numpy(toil(ridge, half_side))[None], half_side)[0, 0] < 0  # away from the wall


def test_the_relief_is_the_bowls_ground_around_the_torso_and_turns_with_the_rat():
    env = RodentVectorEnv("escape-bowl", 1, privileged=True)
    env.reset(seed=0)
    yaw, state, torso = 2.1, env.engine.state, env.body.torso
    state.qpos[0, :7] = torch.tensor([1.7, -1.1, 0.4, np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)])
    env.engine.forward(np.array([0]))
    model, place = env.engine.model_of(0), state.xpos[0, torso].numpy()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    ground = int(np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_HFIELD)[0])
    forward, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    expected = []
    for across in ACROSS.tolist():
        for ahead in AHEAD.tolist():
            above = np.append(place[:2] + ahead * forward + across * left, 5.0)
            down = mujoco.mj_rayHfield(model, data, ground, above, np.array([0.0, 0.0, -1.0]), None)
            expected.append(5.0 - down - place[2])
    relief = env._observe()["privileged/relief"][0]
    assert np.ptp(relief) > 0.05
    np.testing.assert_allclose(relief, expected, atol=6e-3)  # a cell of 6 cm is two triangles


def test_the_orb_and_the_phase_are_known():
    env = RodentVectorEnv("two-tap", 1, privileged=True)
    env.reset(seed=0)
    memory = env.engine.state.memory
    np.testing.assert_allclose(in_world(env, "orb"), memory["orb"][0].numpy(), atol=1e-12)
    memory["phase"][0] = int(Phase.TAPPED_ONCE)
    env.step(np.zeros((1, 38)))
    observation = env._observe()
    assert observation["privileged/phase"][0].tolist() == [0, 1, 0, 0, 0]
    assert observation["privileged/waited"][0, 0] == pytest.approx(0.02)


@pytest.mark.parametrize(("left", "told"), [(0.2, 0.17), (0.01, -0.02), (-0.01, 0.02), (-0.2, -0.17)])
def test_the_orb_is_known_from_the_side_on_which_it_is(left, told):
    env = RodentVectorEnv("two-tap", 1, privileged=True)
    env.reset(seed=0)
    state, torso = env.engine.state, env.body.torso
    axes = state.xmat[0, torso].view(3, 3)
    state.memory["orb"][0] = state.xpos[0, torso] + axes @ torch.tensor([0.3, left, 0.1], dtype=torch.float64)
    np.testing.assert_allclose(env._observe()["privileged/orb_from_side"][0], [0.3, told, 0.1], atol=1e-9)


def test_an_orb_that_is_farther_than_two_metres_is_known_as_at_two():
    env = RodentVectorEnv("two-tap", 1, privileged=True)
    env.reset(seed=0)
    state, torso = env.engine.state, env.body.torso
    axes = state.xmat[0, torso].view(3, 3)
    state.memory["orb"][0] = state.xpos[0, torso] + axes @ torch.tensor([2.4, 1.83, 0.0], dtype=torch.float64)
    np.testing.assert_allclose(env._observe()["privileged/orb_from_side"][0], [1.6, 1.2, 0.0], atol=1e-9)


@pytest.mark.parametrize("name", TASKS)
def test_an_aid_pays_for_speed_towards_where_the_task_leads(name):
    env = RodentVectorEnv(name, 2, privileged=True, aids=TrainingAids(approach=0.5))
    env.reset(seed=1)
    leads = {"maze-forage": "waypoint", "escape-bowl": "outward", "two-tap": "orb"}.get(name, "forward")
    torso, root, state = env.body.torso, env.body.root_qpos, env.engine.state
    turned = state.xmat[:, torso].view(-1, 3, 3).numpy()
    towards = np.einsum("nij,nj->ni", turned, env._observe()[f"privileged/{leads}"])[:, :2]
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    speeds = np.array([0.8, -0.3])
    state.qvel[:, root : root + 2] = torch.from_numpy(speeds[:, None] * towards)
    env.engine.forward(np.arange(2))
    np.testing.assert_allclose(env.task.progress(state, env.body), speeds, atol=1e-9)
    assert "approach" in env.step(np.zeros((2, 38)))[-1]["shaping_terms"]


def test_it_pays_nothing_where_a_hand_reaches_the_orb():
    env = RodentVectorEnv("two-tap", 1, privileged=True, aids=TrainingAids(approach=1.0))
    env.reset(seed=0)
    state = env.engine.state
    state.memory["orb"][0, :2] = state.xpos[0, env.body.torso, :2] + 0.03
    state.qvel[0, env.body.root_qpos] = 0.5
    assert env.step(np.zeros((1, 38)))[-1]["shaping_terms"]["approach"] == 0


@pytest.mark.parametrize(
    ("phase", "waited", "due"),
    [(Phase.UNTAPPED, 0, True), (Phase.TAPPED_ONCE, 0.3, False), (Phase.TAPPED_ONCE, 0.8, True),
     (Phase.TAPPED_TOO_SOON, 0.8, False), (Phase.NO_SECOND_TAP, 1.5, False)],
)  # fmt: skip
def test_a_hand_can_come_nearer_to_the_orb_while_a_tap_is_due(phase, waited, due):
    env = RodentVectorEnv("two-tap", 2, privileged=True)
    env.reset(seed=0)
    state, hands = env.engine.state, torch.from_numpy(env.body.paws[:2])
    state.memory["phase"][:] = int(phase)
    state.memory["first_time"].copy_(state.time - waited)
    state.memory["orb"].copy_(state.xpos[:, hands[1]] + torch.tensor([[0.05, 0, 0], [0, 0, 1]]))
    env.task.prepare(state)
    near, far = env.task.nearness(state, env.body).tolist()
    nearest = (state.xpos[:, hands] - state.memory["orb"][:, None]).norm(dim=-1).amin(1)
    assert near == pytest.approx(math.exp(-float(nearest[0]) / NEAR) if due else 1)
    assert far < 1e-4 if due else far == 1


def test_an_aid_pays_for_the_way_of_a_hand_to_the_orb_and_takes_it_back_on_the_way_from_it():
    env = RodentVectorEnv("two-tap", 1, "fast", privileged=True, aids=TrainingAids(reach=0.5))
    env.reset(seed=0)
    state, rng, paid = env.engine.state, np.random.default_rng(0), []
    state.memory["orb"].copy_(state.xpos[:, env.body.paws[0]] + torch.tensor([[0.1, 0, 0.1]]))
    first = env.task.nearness(state, env.body)
    for _ in range(25):
        paid.append(env.step(rng.uniform(-1, 1, (1, 38)))[-1]["shaping_terms"]["reach"])
    assert state.memory["phase"] == Phase.UNTAPPED and max(paid) > 0 > min(paid)
    assert sum(paid) == pytest.approx(0.5 * (env.task.nearness(state, env.body) - first).numpy())


def test_a_tap_is_paid_the_rest_of_the_way_and_a_new_orb_costs_nothing():
    env = RodentVectorEnv("two-tap", 1, "fast", privileged=True, aids=TrainingAids(reach=0.5))
    env.reset(seed=0)
    memory = env.engine.state.memory
    before = float(env.task.nearness(env.engine.state, env.body))
    memory["touched"][:], memory["touch_time"][:] = True, 0.0
    assert env.step(np.zeros((1, 38)))[-1]["shaping_terms"]["reach"] == pytest.approx(0.5 * (1 - before))
    memory["due"][:] = True
    assert abs(env.step(np.zeros((1, 38)))[-1]["shaping_terms"]["reach"]) < 0.05


@pytest.mark.parametrize(("waited", "becomes"), [(0.68, Phase.TAPPED_ONCE), (0.9, Phase.NO_SECOND_TAP)])
def test_that_a_tap_falls_due_or_is_missed_is_not_paid(waited, becomes):
    env = RodentVectorEnv("two-tap", 1, "fast", privileged=True, aids=TrainingAids(reach=0.5))
    env.reset(seed=0)
    memory = env.engine.state.memory
    memory["orb"][:] = 9.0  # far
    memory["phase"][:] = int(Phase.TAPPED_ONCE)
    memory["first_time"][:] = -waited
    for _ in range(3):
        assert env.step(np.zeros((1, 38)))[-1]["shaping_terms"]["reach"] == pytest.approx(0, abs=1e-6)
    assert memory["phase"] == becomes


@pytest.mark.parametrize(("waited", "early"), [(0.3, 0.4), (0.69, 0.01), (0.72, 0), (0.85, 0)])
def test_haste_costs_by_how_much_a_second_tap_came_too_soon_once(waited, early):
    env = RodentVectorEnv("two-tap", 1, "fast", aids=TrainingAids(haste=10.0))
    env.reset(seed=0)
    memory = env.engine.state.memory
    memory["orb"][:] = 9.0  # out of reach: no touch but the made one
    memory["phase"][:] = int(Phase.TAPPED_ONCE)
    memory["touched"][:], memory["touched_again"][:] = True, True
    memory["first_time"][:] = CONTROL_TIMESTEP - waited
    paid = [env.step(np.zeros((1, 38)))[-1]["shaping_terms"]["haste"].item() for _ in range(3)]
    assert paid == pytest.approx([-10 * early, 0, 0])


def test_where_nothing_is_to_be_touched_nothing_is_paid_for_coming_nearer():
    env = RodentVectorEnv("run", 2, aids=TrainingAids(reach=0.5), privileged=True)
    env.reset(seed=0)
    assert env.step(np.ones((2, 38)))[-1]["shaping_terms"]["reach"].tolist() == [0, 0]


def test_it_needs_what_privileged_senses_know():
    with pytest.raises(UsageError, match="approach needs what privileged senses know"):
        RodentVectorEnv("maze-forage", aids=TrainingAids(approach=1.0))
