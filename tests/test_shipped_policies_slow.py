"""The policies in the box do what their cards say, in dm_control's own environment."""

from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest

from policies.assessment import assess
from policies.policy import Policy
from rodent.machine import name_machine

pytestmark = pytest.mark.slow

POLICIES = Path(__file__).parents[1] / "assets" / "policies"


def told_by_card(policy: Policy) -> dict[str, Any]:
    """The evaluation by which a policy was chosen."""
    (told,) = [
        e
        for e in policy.facts["evaluations"]
        if e["simulator"] == "dm_control" and e["deterministic"] and e["physics"] == "paper"
    ]
    return told


@pytest.mark.parametrize("folder", sorted(path for path in POLICIES.iterdir() if path.is_dir()), ids=lambda f: f.name)
def test_a_shipped_policy_earns_what_its_card_says(folder: Path):
    policy = Policy.load(folder)
    told = told_by_card(policy)
    report = assess(policy, policy.task, told["episodes"], told["seed"], simulator="dm_control")
    if policy.facts["machine"] == name_machine() and policy.facts["mujoco"] == mujoco.__version__:
        assert report["returns"] == told["returns"]
    else:  # the last bit of a sum may differ, and with it whole episodes
        variances = [np.var(e["returns"], ddof=1) / e["episodes"] for e in (told, report)]
        assert abs(report["mean_return"] - told["mean_return"]) <= 3 * np.sqrt(sum(variances))
