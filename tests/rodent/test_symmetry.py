import numpy as np

from rodent.env import RodentVectorEnv
from rodent.relief import ACROSS, AHEAD
from rodent.symmetry import mirror_actions, mirror_by_names, mirror_senses
from rodent.tasks.escape_bowl import EscapeBowl


def concatenated(observation):
    return np.concatenate(list(observation.values()), axis=1)


def test_a_mirrored_rat_under_mirrored_actions_senses_the_mirror_image():
    """Two rats, the second in the mirror: their senses stay mirror images until chaos tells the last digits apart."""
    env = RodentVectorEnv("run", 2)
    actions, senses = mirror_actions(env.body), mirror_senses(env.body)
    env.reset(seed=0)
    names = [env.engine.model.joint(i).name for i in range(1, env.engine.model.njnt)]
    qpos = env.engine.state.qpos
    qpos[:] = env.engine.state.qpos.new_tensor(env.engine.model.qpos0)
    qpos[:, 2] = 0.3  # in the air, where no contact can fall differently
    pose = 0.2 * np.random.default_rng(1).normal(size=len(names))
    mirror = mirror_by_names(names)
    qpos[0, 7:] += qpos.new_tensor(pose)
    qpos[1, 7:] += qpos.new_tensor(pose[mirror.index] * mirror.sign)
    env.engine.forward_at_rest(np.arange(2))
    rng = np.random.default_rng(2)
    for _ in range(5):
        action = rng.uniform(-1, 1, 38)
        observation, *_ = env.step(np.array([action, action[actions.index] * actions.sign]))
        seen = concatenated(observation)
        reflected = seen[0, senses.index] * senses.sign
        scale = np.abs(seen).max(axis=0) + 1.0
        assert (np.abs(reflected - seen[1]) / scale).max() < 0.02


def test_reflecting_twice_changes_nothing():
    body = RodentVectorEnv("run").body
    for mirror in (mirror_actions(body), mirror_senses(body)):
        assert np.array_equal(mirror.index[mirror.index], np.arange(len(mirror.index)))
        assert np.array_equal(mirror.sign * mirror.sign[mirror.index], np.ones(len(mirror.index)))


def test_the_senses_are_all_there():
    env = RodentVectorEnv("run")
    assert len(mirror_senses(env.body).index) == sum(env.senses.sizes.values()) == 158


def test_further_senses_have_their_mirror_image_in_their_alphabetical_place():
    env = RodentVectorEnv(EscapeBowl(cue=True), privileged=True)
    mirror = mirror_senses(env.body, env.senses.sizes)
    assert len(mirror.index) == sum(env.senses.sizes.values())
    starts = dict(zip(env.senses.sizes, np.cumsum([0, *env.senses.sizes.values()]), strict=False))
    for name in ("walker/origin", "privileged/outward", "privileged/way_out", "walker/world_zaxis"):
        part = slice(starts[name], starts[name] + 3)
        assert mirror.sign[part].tolist() == [1, -1, 1] and mirror.index[part].tolist() == list(
            range(*part.indices(10**6))
        )
    around = slice(starts["privileged/relief"], starts["privileged/relief"] + len(ACROSS) * len(AHEAD))
    relief = np.arange(len(mirror.index))[around].reshape(len(ACROSS), len(AHEAD))
    assert np.array_equal(mirror.index[around].reshape(relief.shape), relief[::-1])
    assert (mirror.sign[around] == 1).all() and np.array_equal(ACROSS, -ACROSS.flip(0))
