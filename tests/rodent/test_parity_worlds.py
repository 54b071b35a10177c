"""The gate in the four worlds: from the same start, actions and events, ours is dm_control's environment."""

import copy

import mujoco
import numpy as np
import pytest
from side_by_side import SideBySide

from rodent.tasks import episode_rng
from rodent.tasks.escape_bowl import EscapeBowl
from rodent.tasks.maze_forage import MazeForage
from rodent.tasks.run_gaps import RunGaps
from rodent.tasks.two_tap import Phase, TwoTap

WORLDS = ["run-gaps", "maze-forage", "escape-bowl", "two-tap"]


@pytest.mark.parametrize("scale", [0.3, 1.0], ids=["moderate", "saturated"])
@pytest.mark.parametrize("task", WORLDS)
def test_a_hundred_steps_equal_dm_controls_to_the_bit(task, scale):
    SideBySide(task).random_steps(100, scale)


def test_feet_in_a_gap_fall_and_end_both_at_the_same_step():
    both = SideBySide(RunGaps(gap_length=(0.6, 0.7)), privileged=True)  # wider than the rat is long
    qpos = both.qpos
    model = both.ours.engine.model_of(1)
    second = model.body("ground").geomadr[0] + 1
    gap = model.geom_pos[second, 0] + model.geom_size[second, 0]
    qpos[:3] = gap + 0.3, 0.3, 0.0
    both.put(qpos)
    ends = []
    while not ends or not (ends[-1][0] or ends[-1][1]):
        _, terminated, truncated, causes = both.step(np.zeros(38))
        ends.append((terminated, truncated))
        assert len(ends) < 50
    assert ends[-1] == (True, False) and causes == ["fell_off"]


@pytest.mark.parametrize("task", WORLDS)
def test_every_arena_is_the_one_that_dm_control_compiles(task):
    """Same geoms that can be touched, where, how large and of what friction; the same rat; the same options."""
    both = SideBySide(task)
    for episode in (2, 3):
        both.reset(11, episode)
        both.random_steps(1)  # moves what is moved between steps
        ours, theirs = copy.copy(both.ours.engine.model_of(1)), both.physics.model.ptr
        for field, values in both.ours.engine.state.model.items():
            getattr(ours, field)[:] = values[1].numpy()
        for field in ("geom_pos", "geom_quat", "geom_size", "geom_friction", "geom_solref", "geom_margin", "geom_gap"):
            a, b = (getattr(model, field)[model.geom_conaffinity > 0] for model in (ours, theirs))
            assert np.array_equal(a, b), field
        assert np.array_equal(ours.hfield_data, theirs.hfield_data)
        for field in ("qpos0", "jnt_range", "dof_damping", "actuator_gainprm", "actuator_biasprm", "tendon_stiffness"):
            assert np.array_equal(getattr(ours, field), getattr(theirs, field)), field
        for option in ("timestep", "integrator", "cone", "iterations", "noslip_iterations", "solver", "disableflags"):
            assert np.array_equal(getattr(ours.opt, option), getattr(theirs.opt, option)), option


@pytest.mark.parametrize("cue", [False, True])
def test_a_head_that_crosses_the_rim_is_paid_alike_in_any_orientation(cue):
    both = SideBySide(EscapeBowl(cue=cue), privileged=True)
    rng = np.random.default_rng(0)
    rewards = []
    for x in (0.3, 2.7, 2.95, 3.05, 3.3, 5.8, 5.95, 6.05, 6.5):
        for tilt in (0.0, 0.4, 0.6, 1.5, 3.0):
            qpos = both.qpos
            qpos[:7] = x, 0.5 * rng.uniform(-1, 1), 0.4, np.cos(tilt / 2), np.sin(tilt / 2), 0, 0
            qpos[7:] += rng.uniform(-0.1, 0.1, len(qpos) - 7)
            both.put(qpos)
            rewards.append(both.step(rng.uniform(-1, 1, 38))[0])
    assert min(rewards) < 0.05 and max(rewards) == 1.0
    assert ("walker/origin" in both.ours.single_observation_space.spaces) == cue


class Tapper:
    """Holds the left hand on the orb, or the whole rat far from it, step by step, in both simulators.

    Both tell the privileged senses, which are compared as well, and what colour the orb has.
    """

    def __init__(self, task):
        self.both = SideBySide(task, privileged=True)
        self.scene = self.both.task.scene(np.random.default_rng(0))
        self.model = self.both.physics.model.ptr
        self.data = mujoco.MjData(self.model)
        self.rest = self.both.qpos

    @property
    def memory(self):
        return {name: values[1].numpy() for name, values in self.both.ours.engine.state.memory.items()}

    def qpos(self, on_orb, offset=(0.0, 0.0, 0.0)):
        self.data.qpos[:] = self.rest
        mujoco.mj_kinematics(self.model, self.data)
        hand = next(
            g for g in range(self.model.ngeom) if self.model.geom_bodyid[g] == self.model.body("walker/hand_L").id
        )
        qpos = self.rest.copy()
        qpos[:3] += self.memory["orb"] - self.data.geom_xpos[hand] + offset
        if not on_orb:
            qpos[:2] += 0.5
        return qpos

    def step(self, on_orb=False):
        self.both.put(self.qpos(on_orb))
        reward, *_ = self.both.step(np.zeros(38))
        theirs = self.both.theirs.environment
        assert self.memory["phase"] == int(theirs.task._state_logic)
        target = theirs.task._targets[0][0]
        assert (self.memory["touched"], self.memory["touched_again"]) == target.activated
        assert np.array_equal(self.memory["orb"], theirs.physics.bind(target.geom).pos)
        assert self.colour == theirs.physics.bind(target.material).texid[int(mujoco.mjtTextureRole.mjTEXROLE_RGB)]
        return reward

    @property
    def colour(self):
        """The texture of the orb in pictures of ours."""
        task, state = self.both.task, self.both.ours.engine.state
        task.dress(self.scene, {name: state.memory[name][1] for name in task.shown})
        return self.scene.mat_texid[
            self.scene.geom("target_0_0/geom").matid[0], int(mujoco.mjtTextureRole.mjTEXROLE_RGB)
        ]


@pytest.mark.parametrize(
    ("steps", "phase"),
    [
        (9, Phase.TAPPED_ONCE),  # 0.18 s: within the debounce
        (15, Phase.TAPPED_TOO_SOON),
        (34, Phase.TAPPED_TOO_SOON),
        (36, Phase.TAPPED_TWICE),
        (40, Phase.TAPPED_TWICE),
        (44, Phase.TAPPED_TWICE),
        (46, Phase.NO_SECOND_TAP),
    ],
)
def test_a_second_tap_is_judged_by_the_window(steps, phase):
    tapper = Tapper("two-tap")
    assert tapper.step(on_orb=True) > 25
    rewards = [tapper.step() for _ in range(steps - 1)] + [tapper.step(on_orb=True)]
    assert tapper.memory["phase"] == phase
    assert (max(rewards) > 25) == (phase == Phase.TAPPED_TWICE)


@pytest.mark.parametrize("steps", [35, 45])
def test_at_the_windows_edges_floating_point_decides_alike(steps):
    tapper = Tapper(TwoTap(cue=True))
    tapper.step(on_orb=True)
    for _ in range(steps - 1):
        tapper.step()
    tapper.step(on_orb=True)
    tapper.step()


@pytest.mark.parametrize(("second", "wait"), [(40, 2), (20, 62), (None, 107)])
def test_a_new_orb_comes_at_once_after_success_and_after_the_timeout_else(second, wait):
    """Control steps from the second tap, or the first one where there is none, to the new orb."""
    tapper = Tapper(TwoTap(orb_height=(0.05, 0.2), orb_distance=0.4, touch_interval=(0.75, 0.85)))
    for _ in range(2):
        orb = tapper.memory["orb"].copy()
        tapper.step(on_orb=True)
        if second:
            for _ in range(second - 1):
                tapper.step()
            tapper.step(on_orb=True)
        waited = 0
        while np.array_equal(tapper.memory["orb"], orb):
            tapper.step()
            waited += 1
            assert waited < 120
        assert abs(waited - wait) <= (3 if second is None else 1)
        assert tapper.memory["phase"] == Phase.UNTAPPED and not tapper.memory["touched"]


def test_a_hand_that_passes_through_the_orb_within_one_control_step_has_tapped_it():
    tapper = Tapper("two-tap")
    qvel = np.zeros(73)
    qvel[0] = 6.0
    tapper.both.put(tapper.qpos(True, (-0.06, 0, 0)), qvel)
    reward, *_ = tapper.both.step(np.zeros(38))
    assert reward > 25
    state = tapper.both.ours.engine.state
    assert (state.sensordata[1, -2:] == 0).all()  # gone again at the end of the step


def test_only_hands_tap():
    tapper = Tapper("two-tap")
    model = tapper.model
    tapper.data.qpos[:] = tapper.rest
    mujoco.mj_kinematics(model, tapper.data)
    qpos = tapper.rest.copy()
    qpos[:3] += tapper.memory["orb"] - tapper.data.geom_xpos[model.geom("walker/collision_torso").id]
    tapper.both.put(qpos)
    reward, *_ = tapper.both.step(np.zeros(38))
    assert reward < 25 and not tapper.memory["touched"]


def collect(both, orb, qvel=None):
    """Put the rat's torso onto an orb of both mazes and take a step."""
    model = both.physics.model.ptr
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    torso = data.geom_xpos[model.geom("walker/collision_torso").id] - data.qpos[:3]
    qpos = both.qpos
    qpos[:7] = *(np.array([*orb, 0.125]) - torso), 1, 0, 0, 0
    both.put(qpos, qvel)
    return both.step(np.zeros(38))


def test_each_orb_pays_once_and_the_last_one_ends_both_with_discount_one():
    both = SideBySide("maze-forage", seed=2, privileged=True)
    orbs = both.ours.engine.model_of(1).numeric("orbs").data.reshape(-1, 2)
    for orb in orbs[:-1]:
        reward, terminated, truncated, _ = collect(both, orb)
        assert (reward, terminated, truncated) == (50, False, False)
        assert collect(both, orb)[0] == 0
    reward, terminated, truncated, causes = collect(both, orbs[-1])
    assert (reward, terminated, truncated, causes) == (50, False, True, ["all_orbs_taken"])
    both.reset(2, 1)
    assert collect(both, orbs[0])[0] == 50  # all are back


def test_an_orb_that_is_passed_within_one_control_step_is_taken():
    both = SideBySide("maze-forage", seed=2)
    orb = both.ours.engine.model_of(1).numeric("orbs").data[:2]
    qvel = np.zeros(73)
    qvel[2] = 15.0
    reward, *_ = collect(both, orb, qvel)
    state = both.ours.engine.state
    assert reward == 50 and (state.sensordata[1, -12:] == 0).all()  # above it at the end of the step


def test_an_orb_in_the_very_middle_is_paid_in_the_first_step_by_both():
    task = MazeForage()
    orbs = (task.draw(episode_rng(task, 0, k)).orbs for k in range(100))
    episode = next(k for k, places in enumerate(orbs) if (places == 0).all(1).any())
    both = SideBySide(task, seed=0, episode=episode)
    assert both.step(np.zeros(38))[0] == 50
    assert both.step(np.zeros(38))[0] == 0
