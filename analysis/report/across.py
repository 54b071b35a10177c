"""What several sessions say together: numbers over training seeds, and likeness of their layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.inference import not_estimable, over_seeds
from analysis.report.findings import Finding, Outcome
from analysis.report.likeness import likeness
from analysis.report.source import Source
from analysis.report.stages.information import UNIT

NAME, TITLE = "seeds", "Over sessions"
_SEEDS = "numbers over seeds"


def across(sources: Sequence[Source], found: Sequence[Mapping[str, Sequence[Finding]]], seed: int) -> Outcome:
    """Each number over the sessions, with an interval over them; CKA and RSA between their layers.

    Only networks that differ by their training seed alone are seeds: the numbers of others are not put together.
    Layers of any two sessions are compared.

    Args:
        sources: the sessions.
        found: of each, a stage's name to its findings.
        seed: of clusters and permutations.
    """
    outcome = Outcome()
    if reason := _no_seeds(sources):
        outcome.missing(_SEEDS, reason)
    else:
        _over_seeds(sources, found, outcome)
    likeness(sources, outcome, seed)
    return outcome


def _no_seeds(sources: Sequence[Source]) -> str:
    """Why these sessions are not of networks that differ by their seed alone; empty where they are."""
    protocols = [source.session.protocol for source in sources]
    weights = [protocol.get("weights_sha256") for protocol in protocols]
    if len(set(weights)) < len(weights):
        return "two sessions are of one network; an interval over seeds needs one of each"
    policies = [protocol["policy"] for protocol in protocols]
    alike = {
        "agent": [policy["agent"] for policy in policies],
        "settings": [policy["settings"] for policy in policies],
        "senses": [policy["senses"] for policy in policies],
        "training tasks": [sorted(policy.get("tasks", ())) for policy in policies],
        "state, trained or untrained": ["untrained_seed" in policy for policy in policies],
        "widths of layers": [{name: layer.shape[1:] for name, layer in s.session.layers.items()} for s in sources],
    }
    for what, values in alike.items():
        for source, value in zip(sources, values, strict=True):
            if value != values[0]:
                return f"{sources[0].name} and {source.name} differ in their {what}: these are no seeds of one training"
    return ""


def _over_seeds(sources: Sequence[Source], found: Sequence[Mapping[str, Sequence[Finding]]], outcome: Outcome) -> None:
    for stage in dict.fromkeys(name for each in found for name in each):
        tables = [{each.identity: each.estimate for each in mine.get(stage, ())} for mine in found]
        for key in dict.fromkeys(key for table in tables for key in table):
            measure, task, layer, variable = key
            estimates = [table[key] for table in tables if key in table]
            if len(estimates) < len(sources) or UNIT in layer:  # units of two networks are strangers
                continue
            about = {"task": task, "layer": layer, "variable": variable}
            known = [each for each in estimates if each.estimable]
            count = f"{len(known)} seeds" if len(known) == len(sources) else f"{len(known)} of {len(sources)} seeds"
            told = over_seeds(estimates)
            if len(known) == 1:
                told = not_estimable(f"{count}: the number is not estimable in the others")
            outcome.findings.append(Finding(f"{stage}: {measure}", told, interval_over=count, **about))
