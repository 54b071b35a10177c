from types import SimpleNamespace

import numpy as np
import pytest

from analysis.report.findings import Outcome
from analysis.report.stages.between_tasks import APART, BIASED, CEILING, CKA, RSA, RSA_CEILING, likeness_of_tasks

CLUSTERS, STEPS, UNITS = 20, 200, 12


def outcome_of(tasks=("run", "two-tap"), visited=CLUSTERS):
    """Four episodes of each task that visit clusters of posture; `shared` answers alike in all, `kept` does not."""
    rng = np.random.default_rng(0)
    names = np.repeat(tasks, 4 * STEPS)
    labels = rng.integers(CLUSTERS, size=len(names))
    labels[names == tasks[-1]] %= visited
    answers = rng.normal(size=(1 + len(tasks), CLUSTERS, UNITS))
    own = 1 + np.searchsorted(np.array(tasks), names)
    noise = 0.5 * rng.normal(size=(2, len(names), UNITS))
    values = {"shared": answers[0][labels] + noise[0], "kept": answers[own, labels] + noise[1]}
    episodes = np.repeat(np.arange(4 * len(tasks)), STEPS)
    source = SimpleNamespace(
        task_names=list(tasks), tasks=names, episodes=episodes, lengths=np.full(4 * len(tasks), STEPS), layers={}
    )
    outcome = Outcome()
    outcome.findings += likeness_of_tasks(source, np.arange(len(names)), labels, values, 0)
    return {(each.measure, each.layer): each.estimate for each in outcome.findings}, outcome


def test_a_layer_that_answers_alike_is_told_from_one_that_keeps_tasks_apart():
    found, _ = outcome_of()
    assert found[CKA, "shared"].value > 0.9 and found[CKA, "shared"].beat == ("samples permuted within blocks",)
    assert found[CKA, "kept"].value < 0.3 and found[CKA, "kept"].beat == ()
    assert found[RSA, "shared"].value > 0.8 and found[RSA, "shared"].beat
    assert found[RSA, "kept"].value < 0.3 and not found[RSA, "kept"].beat
    assert 0.8 < found[RSA_CEILING, "shared"].value <= 1
    assert found[APART, "kept"].value == 1 - found[CKA, "kept"].value and not found[APART, "kept"].nulls
    for layer in ("shared", "kept"):
        assert 0.9 < found[CEILING, layer].value <= 1
        assert np.median(found[BIASED, layer].nulls["samples permuted within blocks"]) > 0.2
    assert found[BIASED, "kept"].value > found[CKA, "kept"].value + 0.1 and found[BIASED, "kept"].beat == ()
    assert found[CEILING, "shared"].value == pytest.approx(found[CKA, "shared"].value, abs=0.05)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [({"tasks": ("run",)}, "one task"), ({"visited": 5}, "5 clusters of posture in both; needs 8")],
)
def test_what_can_not_be_compared_has_a_reason(arguments, reason):
    found, _ = outcome_of(**arguments)
    assert found and not any(each.estimable for each in found.values())
    assert all(each.reason == reason for (measure, _), each in found.items() if measure == CKA)
