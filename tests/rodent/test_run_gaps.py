import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rodent.body import describe
from rodent.errors import UsageError
from rodent.tasks import episode_rng
from rodent.tasks.run_gaps import FIRST_PLATFORM, LENGTH, RunGaps

ranges = st.tuples(st.floats(0.1, 3), st.floats(0, 2)).map(lambda pair: (pair[0], pair[0] + pair[1]))


@settings(max_examples=15, deadline=None)
@given(ranges, ranges, st.integers(0, 2**32))
def test_platforms_and_gaps_lie_within_their_ranges_to_the_corridors_end(platform_length, gap_length, seed):
    task = RunGaps(platform_length=platform_length, gap_length=gap_length)
    model = task.world(np.random.default_rng(seed))
    ground = model.body("ground")
    geoms = np.arange(ground.geomadr[0], ground.geomadr[0] + ground.geomnum[0])
    geoms = geoms[model.geom_conaffinity[geoms] > 0]
    begins = model.geom_pos[geoms, 0] - model.geom_size[geoms, 0]
    ends = model.geom_pos[geoms, 0] + model.geom_size[geoms, 0]
    lengths, gaps = (ends - begins)[1:], (begins[1:] - ends[:-1])[1:]
    assert begins[0] == 0 and ends[0] == FIRST_PLATFORM
    assert (lengths >= platform_length[0] - 1e-9).all() and (lengths <= platform_length[1] + 1e-9).all()
    assert (gaps >= gap_length[0] - 1e-9).all() and (gaps <= gap_length[1] + 1e-9).all()
    assert begins[-1] < LENGTH <= ends[-1] + gap_length[1]


@pytest.mark.parametrize(("platform", "gap"), [(0.3, 0.1), (0.2, 0.2), (0.1, 0.3), (0.4, 0.0), (0.7, 0.15)])
def test_platforms_and_gaps_of_one_length_fit_the_stage_however_their_sum_is_rounded(platform, gap):
    task = RunGaps(platform_length=platform, gap_length=gap)
    world, stage = task.world(np.random.default_rng(0)), task.stage().compile()
    boxes = task.look(stage, world)["geom_rgba"][:, 3] > 0
    assert stage.body("ground").geomnum[0] == world.body("ground").geomnum[0]
    assert boxes.sum() >= 2 + (LENGTH - FIRST_PLATFORM) // (platform + gap) - 1


def test_the_rat_starts_on_the_first_platform_and_touches_nothing_else():
    task = RunGaps()
    rng = episode_rng(task, 0, 0)
    model = task.world(rng)
    body = describe(model)
    data = mujoco.MjData(model)
    data.qpos[:] = task.start(model, body, rng).qpos
    mujoco.mj_forward(model, data)
    first = model.body("ground").geomadr[0]
    assert set(data.contact.geom.ravel()) - set(body.geoms) <= {first}
    assert data.contact.dist.min(initial=0) > -0.01


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"gap_length": (0.3, 0.2)}, r"gap_length must be a number or a range within \[0, 40\] m, not \(0.3, 0.2\)"),
        ({"gap_length": (-0.1, 0.2)}, r"gap_length must be"),
        ({"gap_length": (0.1, 0.2, 0.3)}, r"gap_length must be"),
        ({"gap_length": "wide"}, r"gap_length must be"),
        ({"platform_length": (0.0, 0.2)}, r"platform_length must be a number or a range within \[0.1, 40\] m"),
        ({"platform_length": (0.4, float("nan"))}, r"platform_length must be"),
        ({"target_velocity": float("inf")}, r"target_velocity must be above 0"),
    ],
)
def test_what_is_not_admissible_is_refused(parameters, words):
    with pytest.raises(UsageError, match=words):
        RunGaps(**parameters)
