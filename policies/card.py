"""Model cards: what a published policy is, in words."""

from __future__ import annotations

from typing import Any


def write_card(facts: dict[str, Any], parameters: int) -> str:
    """The card of a policy, as Markdown.

    Args:
        facts: what `policy.json` holds.
        parameters: how many numbers the network learnt.
    """
    tasks = ", ".join(facts.get("tasks", [])) or "no task yet"
    lines = [
        f"# A virtual rodent: {tasks}",
        "",
        f"A `{facts['agent']}` agent of {parameters:,} parameters "
        f"({'; '.join(f'{name} {_in_words(value)}' for name, value in facts['settings'].items())}).",
        f"It reads {sum(size for _, size in facts['senses'])} numbers of {len(facts['senses'])} senses "
        f"and drives {len(facts['actions'])} actuators, 50 times a second.",
        "",
        "| | |",
        "|---|---|",
    ]
    told = ("learner", "physics", "steps", "training_seconds", "seed", "init_from", "privileged", "mujoco")
    lines += [
        f"| {name.replace('_', ' ')} | {_in_words(facts[name])} |" for name in told if facts.get(name) is not None
    ]
    lines += ["", "## Returns", "", *_returns(facts.get("evaluations", []))]
    lines += [
        "",
        "## Use",
        "",
        "```python",
        "from policies import Policy",
        "",
        'policy = Policy.load("path/to/this/folder")',
        "action, state = policy.act(observation)  # senses by name, (n, d) each -> actions (n, A)",
        "```",
        "",
        "It is a simulated animal's motor policy and controls nothing else.",
    ]
    return "\n".join(lines) + "\n"


def _in_words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _returns(evaluations: list[dict[str, Any]]) -> list[str]:
    if not evaluations:
        return ["Not measured yet."]
    lines = [
        "| task | simulator | physics | action | episodes | mean return | 95 % interval | maximum |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for e in evaluations:
        action = "mean" if e["deterministic"] else "sampled"
        low, high = e["ci95"]
        lines.append(
            f"| {e['task']} | {e.get('simulator', 'rodent')} | {e['physics']} | {action} | {e['episodes']} "
            f"| {e['mean_return']:.1f} | {low:.1f} to {high:.1f} | {e['max_return']:.0f} |"
        )
    return [*lines, "", "Intervals are bootstrapped over the episodes of this one network."]
