"""What dm_control's own examples of 2020 build is what our tasks compose: else parity would be with ourselves."""

from types import SimpleNamespace

import numpy as np
import pytest

from rodent.opengl import without_opengl
from rodent.tasks import TASKS
from rodent.tasks.escape_bowl import EscapeBowl
from rodent.tasks.parameters import bounds
from rodent.tasks.run_gaps import RunGaps

with without_opengl():
    from dm_control import composer, mjcf
    from dm_control.composer.variation.distributions import Uniform
    from dm_control.locomotion.examples import basic_rodent_2020

BUILDERS = {
    "run-gaps": basic_rodent_2020.rodent_run_gaps,
    "maze-forage": basic_rodent_2020.rodent_maze_forage,
    "escape-bowl": basic_rodent_2020.rodent_escape_bowl,
    "two-tap": basic_rodent_2020.rodent_two_touch,
}


@pytest.fixture
def published(monkeypatch):
    """What a builder hands to its environment, which without OpenGL could not be made: the rat's eye is on."""
    monkeypatch.setattr(composer, "Environment", SimpleNamespace)
    return lambda name: BUILDERS[name](random_state=0)


def settings(thing):
    """The attributes of an object that are numbers, words, or tuples of them."""

    def plain(value):
        return isinstance(value, int | float | str | None) or (
            isinstance(value, tuple | list) and all(plain(each) for each in value)
        )

    return {name: value for name, value in vars(thing).items() if plain(value)}


@pytest.mark.parametrize("name", BUILDERS)
def test_task_arena_and_limit_have_the_published_settings(published, name):
    theirs, ours = published(name), TASKS[name]()
    composed = ours.compose()
    assert theirs.time_limit == ours.time_limit
    assert settings(theirs.task) == settings(composed)
    arena = settings(theirs.task.root_entity)
    assert arena and arena == {k: v for k, v in settings(composed.root_entity).items() if k in arena}
    assert theirs.task.control_timestep == composed.control_timestep
    assert theirs.task.physics_timestep == composed.physics_timestep


@pytest.mark.parametrize("name", BUILDERS)
def test_the_published_model_is_ours_to_the_letter_but_for_the_memory_it_reserves(published, name):
    def model_of(task):
        lines = task.root_entity.mjcf_model.to_xml_string().splitlines()
        return [line for line in lines if not line.strip().startswith("<size ")]

    theirs, ours = model_of(published(name).task), model_of(TASKS[name]().compose())
    assert len(theirs) > 100 and theirs == ours


@pytest.mark.parametrize("name", ["maze-forage", "two-tap"])
def test_orbs_are_built_alike(published, name):
    (theirs,), (ours,) = published(name).task._target_builders, TASKS[name]().compose()._target_builders
    assert (theirs.func, theirs.args, theirs.keywords) == (ours.func, ours.args, ours.keywords)


def test_platforms_and_gaps_have_the_published_distributions(published):
    arena = published("run-gaps").task.root_entity
    assert arena._platform_length == Uniform(*bounds(RunGaps().platform_length))
    assert arena._gap_length == Uniform(*bounds(RunGaps().gap_length))


def test_mazes_have_the_published_rooms(published):
    theirs, ours = published("maze-forage").task.root_entity._maze, TASKS["maze-forage"]().compose().root_entity._maze
    names = [name for name in dir(theirs) if not name.startswith("_") and name != "regenerate"]
    told = [name for name in names if isinstance(getattr(theirs, name), int | float | str)]
    assert {"max_rooms", "room_min_size", "room_max_size", "spawns_per_room", "objects_per_room"} <= set(told)
    assert {name: getattr(theirs, name) for name in told} == {name: getattr(ours, name) for name in told}


def test_the_bowls_terrain_is_the_published_one_for_the_same_bumps(published, monkeypatch):
    monkeypatch.setattr(mjcf.Physics, "contexts", None)  # or it would ask for OpenGL
    arena = published("escape-bowl").task.root_entity
    physics = mjcf.Physics.from_mjcf_model(arena.mjcf_model)
    for seed in range(3):
        arena.regenerate(None)
        arena.initialize_episode(physics, np.random.RandomState(seed))
        ours = EscapeBowl().draw(np.random.RandomState(seed))
        assert np.array_equal(physics.model.hfield_data, ours.ravel().astype(np.float32))
