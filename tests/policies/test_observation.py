from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict

from policies.observation import Normaliser, ObservationSpec
from rodent.errors import UsageError

SPEC = ObservationSpec((("touch", 1), ("joints", 3)))


def test_senses_are_concatenated_in_the_specs_order() -> None:
    flat = SPEC.flatten({"joints": np.arange(6.0).reshape(2, 3), "touch": np.array([[10.0], [20.0]])})
    assert flat.dtype == torch.float32
    assert flat.tolist() == [[10, 0, 1, 2], [20, 3, 4, 5]]


def test_single_observations_are_flattened_as_a_batch() -> None:
    singles = np.array([{"touch": np.ones(1), "joints": np.zeros(3)}, {"touch": np.zeros(1), "joints": np.ones(3)}])
    assert SPEC.flatten_each(singles).tolist() == [[1, 0, 0, 0], [0, 1, 1, 1]]


def test_pictures_are_no_part_of_a_spec() -> None:
    space = Dict({"eye": Box(0, 255, (64, 64, 3), np.uint8), "touch": Box(-1, 1, (1,))})
    assert ObservationSpec.of(space).senses == (("touch", 1),)


def test_a_spec_comes_from_a_space_and_survives_json() -> None:
    space = Dict({"touch": Box(-1, 1, (1,)), "joints": Box(-1, 1, (3,))})
    spec = ObservationSpec.of(space)
    assert dict(spec.senses) == dict(SPEC.senses) and spec.size == 4
    assert ObservationSpec.from_json(**json.loads(json.dumps(SPEC.to_json()))) == SPEC


@pytest.mark.parametrize(
    ("offered", "message"),
    [
        ({"joints": 3}, "touch is missing"),
        ({"joints": 3, "touch": 1, "camera": 9}, "camera is not one the policy knows"),
        ({"joints": 2, "touch": 1}, "joints has 2 numbers where the policy reads 3"),
    ],
)
def test_senses_that_do_not_fit_are_named(offered: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        SPEC.check(ObservationSpec(tuple(offered.items())))
    if "camera" not in offered:
        with pytest.raises(UsageError, match=re.escape(message)):
            SPEC.flatten({name: np.zeros((2, size)) for name, size in offered.items()})


def test_an_expert_acts_where_its_task_has_got_another_privileged_sense() -> None:
    offered = {"joints": 3, "privileged/orb": 3, "touch": 1}
    SPEC.check(ObservationSpec(tuple(offered.items())))
    with pytest.raises(UsageError, match="privileged/orb is not one the policy knows"):
        SPEC.check(offered)


def test_senses_of_unequal_batches_are_refused() -> None:
    with pytest.raises(UsageError, match=r"shape \(n, d\)"):
        SPEC.flatten({"touch": np.zeros((2, 1)), "joints": np.zeros((3, 3))})
    with pytest.raises(UsageError, match="is missing"):
        SPEC.flatten({"touch": np.zeros(1), "joints": np.zeros(3)})


def test_running_statistics_are_those_of_all_batches_together() -> None:
    rng = np.random.default_rng(0)
    batches = [rng.normal(1e4, 0.1, (n, 2)) for n in (5, 100, 1)]
    normaliser = Normaliser(2)
    for batch in batches:
        normaliser.update(torch.from_numpy(batch)[None])
    everything = np.concatenate(batches)
    np.testing.assert_allclose(normaliser.mean, everything.mean(0), rtol=1e-12)
    np.testing.assert_allclose(normaliser.variance, everything.var(0), rtol=1e-6)
    assert normaliser.count == len(everything)


def test_normalised_numbers_are_standard_and_clipped() -> None:
    normaliser = Normaliser(1)
    batch = torch.randn(1000, 1) * 3 + 5
    normaliser.update(batch)
    assert normaliser(batch).std().item() == pytest.approx(1, abs=0.01)
    assert normaliser(torch.tensor([[1e6], [-1e6]])).flatten().tolist() == [10, -10]


def test_a_constant_sense_becomes_zero() -> None:
    normaliser = Normaliser(1)
    normaliser.update(torch.full((10, 1), 3.0))
    assert normaliser(torch.full((1, 1), 3.0)).item() == 0


def test_looking_does_not_change_the_statistics() -> None:
    normaliser = Normaliser(1)
    normaliser(torch.randn(10, 1))
    assert normaliser.count == 0
