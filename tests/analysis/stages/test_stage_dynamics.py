"""What is told of layers that move, and of such as move in too few dimensions for rotations."""

from importlib import import_module

import numpy as np
import pytest
from made import Fast, run_stage


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(
        import_module("analysis.report.stages.dynamics"), "_DRAWS", {"rotation": 5, "flow": 5, "linear": 5}
    )


@pytest.fixture
def low_rank(without_body):
    """What `dynamics` leaves of a core that moves in six dimensions and a policy that moves in three of them."""
    made = Fast()
    made.series = lambda name: made.senses
    made.values["policy.0"] = made.values["core.h"][:, :3]
    return run_stage("dynamics", made)


def test_a_layer_of_three_dimensions_has_flow_and_linear_dynamics_and_says_why_it_has_no_rotations(low_rank):
    found = {
        (each.measure, each.variable): each.estimate
        for each in low_rank.findings
        if (each.task, each.layer) == ("run", "policy.0")
    }
    rotations = [key for key in found if "jPCA" in key[0] and "less" not in key[0]]
    assert len(rotations) == 7 and {found[key].reason for key in rotations} == {
        "rank 3; needs 6 for as many components"
    }
    assert found["flow field, variance of the velocity explained", ""].nulls
    assert found["linear dynamics, variance of the change explained", ""].nulls


def test_a_difference_from_a_layer_without_planes_is_a_row_that_says_why(low_rank):
    less = [each for each in low_rank.findings if each.measure == "jPCA frequency, less that of another layer (Hz)"]
    assert len(less) == 2 * 2 * 3  # tasks, orders of the two layers, planes
    assert {each.estimate.reason for each in less} == {"policy.0 has rank 3; needs 6"}


def test_episodes_shorter_than_a_window_have_rows_that_say_so(without_body, monkeypatch):
    monkeypatch.setattr(import_module("analysis.report.stages.dynamics"), "_WINDOW", 100)
    made = Fast()
    made.series = lambda name: made.senses
    found = run_stage("dynamics", made).findings
    less = [each.estimate.reason for each in found if each.measure == "jPCA frequency, less that of another layer (Hz)"]
    assert less and set(less) == {"no episode is as long as a window, 100 steps"}


def test_each_plane_tells_its_share_of_the_variance_and_captions_name_the_nulls_that_are_drawn(low_rank):
    shares = [
        each.estimate
        for each in low_rank.findings
        if (each.task, each.layer) == ("run", "core.h") and each.measure.startswith("variance in the plane")
    ]
    assert len(shares) == 3 and sum(each.value for each in shares) == pytest.approx(1)
    assert all(each.interval[0] <= each.value <= each.interval[1] for each in shares)
    linear = low_rank.pictures["linear.run"]
    assert "changes rolled within episodes; each component predicted from itself alone" in linear.caption
    drawn = [text.get_text() for text in linear.figure.axes[0].get_legend().get_texts()]
    assert drawn == ["shifts within episodes", "each component alone"]


def test_a_layer_of_one_dimension_says_why_it_has_no_flow(without_body):
    made = Fast()
    made.layers, made.series = ("policy.0",), lambda name: made.senses
    made.values = {"policy.0": np.tile(made.values["core.h"][:, :1], 2)}
    found = {each.measure: each.estimate for each in run_stage("dynamics", made).findings if each.layer == "policy.0"}
    assert found["flow field, variance of the velocity explained"].reason == "rank 1; needs 2"
    assert found["linear dynamics, variance of the change explained"].estimable
