"""The policies in the box, and those that their cards set beside them, do what each row of the cards says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.assessment import assess
from policies.policy import DESCRIPTION_FILE, Policy, shipped_policies
from rodent.machine import name_machine, name_versions
from rodent.rendering import probe

POLICIES = Path(__file__).parents[1] / "assets" / "policies"


def told_by_cards() -> Iterator[Any]:
    """Folder and evaluation, a row of a card each."""
    for folder in sorted(path.parent for path in POLICIES.glob(f"*/{DESCRIPTION_FILE}")):
        facts = json.loads((folder / DESCRIPTION_FILE).read_text())
        for told in [*facts["evaluations"], *facts.get("comparisons", [])]:
            expert, fresh = told.get("expert", told.get("runner")), told.get("untrained_seed")
            if expert not in (None, *shipped_policies()):  # another folder's policy need not be here
                continue
            sees = "picture" in facts and expert is None
            who = told.get("control", expert) or (folder.name if fresh is None else f"untrained-{folder.name}")
            marks = [pytest.mark.slow, *([pytest.mark.gl] if sees else [])]
            yield pytest.param(folder, told, marks=marks, id="-".join((folder.name, *row(told), who)))


def row(told: dict[str, Any]) -> tuple[str, ...]:
    return told["task"], told["simulator"], told["physics"], "mean" if told["deterministic"] else "sampled"


def actor(folder: Path, told: dict[str, Any]) -> Policy:
    policy = Policy.load(folder)
    if "control" in told:
        return Policy.load(folder / "controls" / told["control"])
    if other := told.get("expert", told.get("runner")):
        return Policy.load(other)
    return policy.untrained(told["untrained_seed"]) if "untrained_seed" in told else policy


def told_of_the_like(facts: dict[str, Any]) -> bool:
    """Whether a card was written where the very same numbers are to be expected."""
    renderer = (probe().gl_renderer or probe().name) if "renderer" in facts else None
    versions = facts.get("versions", name_versions() | {"mujoco": facts["mujoco"]})  # the first cards tell no others
    return (facts["machine"], versions, facts.get("renderer")) == (name_machine(), name_versions(), renderer)


@pytest.mark.parametrize(("folder", "told"), [*told_by_cards()])
def test_a_shipped_policy_earns_what_its_card_says(folder: Path, told: dict[str, Any]):
    policy = Policy.load(folder)
    task, simulator, physics, _ = row(told)
    who, episodes, seed = actor(folder, told), told["episodes"], told["seed"]
    report = assess(who, task, episodes, seed, physics, simulator, told["deterministic"])
    own = {name: told[name] for name in ("machine", "versions") if name in told}  # of a row that was added later
    if told_of_the_like(policy.facts | own):
        assert report["returns"] == told["returns"]
        assert {name: report["measures"][name] for name in told["measures"]} == told["measures"]
    else:  # the last bit of a sum may differ, and with it whole episodes
        variances = [np.var(e["returns"], ddof=1) / e["episodes"] for e in (told, report)]
        assert abs(report["mean_return"] - told["mean_return"]) <= 3 * np.sqrt(sum(variances))
