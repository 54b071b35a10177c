"""The policies in the box do what their cards say, in dm_control's own environment."""

from pathlib import Path

import pytest

from policies.assessment import assess
from policies.policy import Policy

pytestmark = pytest.mark.slow

POLICIES = Path(__file__).parents[1] / "assets" / "policies"


@pytest.mark.parametrize("folder", sorted(path for path in POLICIES.iterdir() if path.is_dir()), ids=lambda f: f.name)
def test_a_shipped_policy_earns_what_its_card_says(folder: Path):
    policy = Policy.load(folder)
    (told,) = [
        e
        for e in policy.facts["evaluations"]
        if e["simulator"] == "dm_control" and e["deterministic"] and e["physics"] == "paper"
    ]
    report = assess(policy, policy.task, episodes=8, seed=7, simulator="dm_control")
    low, high = report["ci95"]
    assert low <= told["ci95"][1] and high >= told["ci95"][0]
    assert report["mean_return"] > 0.8 * told["mean_return"]
