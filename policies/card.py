"""Model cards: what a published policy is, in words."""

from __future__ import annotations

from typing import Any

_TOLD = (
    "command",
    "learner",
    "physics",
    "steps",
    "training_seconds",
    "machine",
    "seed",
    "seeds",
    "untrained_seed",
    "init_from",
    "experts",
    "privileged",
    "mujoco",
)


_MASS = 0.34  # kg, of the rat
_REAL = (
    f"A real mammal of this mass, {_MASS} kg, makes {1.62 * _MASS**-0.15:.1f} strides a second when it walks as it "
    f"likes (doi:10.1038/srep28825), and {269 / 60 * _MASS**-0.14:.1f} where it changes from trot to gallop (Heglund, "
    "Taylor and McMahon 1974, doi:10.1126/science.186.4169.1112). `speed` is a mean over whole episodes, with whatever "
    "rests and falls they hold. `belly_contact` and `upside_down` are shares of the time, `action_roughness` is the "
    "change of the action from step to step beside its spread, `tremor` the share of the joints' velocity power above "
    "12 Hz."
)


def _in_sight(facts: dict[str, Any]) -> str:
    if "picture" not in facts:
        return ""
    rows, columns, _ = facts["picture"][1]
    every, drawn_by = facts.get("picture_every", 1), facts.get("vision", {}).get("renderer")
    picture = f" and a picture of {columns}x{rows} pixels" + (f" drawn by {drawn_by}" if drawn_by else "")
    return picture + (f", which stays for {every} steps," if every > 1 else "")


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
        f"It reads {sum(size for _, size in facts['senses'])} numbers of {len(facts['senses'])} senses"
        f"{_in_sight(facts)} and drives {len(facts['actions'])} actuators, 50 times a second.",
        "",
        "| | |",
        "|---|---|",
    ]
    lines += [
        f"| {name.replace('_', ' ')} | {_in_words(facts[name])} |" for name in _TOLD if facts.get(name) is not None
    ]
    evaluations = facts.get("evaluations", [])
    lines += ["", "## Returns", "", *_returns(evaluations)]
    if measured := [e for e in evaluations if e.get("measures")]:
        lines += ["", "## How it moves", "", *_measures(measured)]
    if facts.get("known_failures"):
        lines += ["", "## Known failures", "", facts["known_failures"]]
    for title, file in (("Learning curve", facts.get("curve")), ("Film", facts.get("film"))):
        if file:
            lines += ["", f"## {title}", "", f"![{title}]({file})"]
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
    if isinstance(value, dict):
        return "; ".join(f"{name} {inner}" for name, inner in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def _returns(evaluations: list[dict[str, Any]]) -> list[str]:
    if not evaluations:
        return ["Not measured yet."]
    lines = [
        "| task | simulator | physics | action | episodes | mean return | 95 % interval | maximum |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for e in evaluations:
        low, high = e["ci95"]
        lines.append(
            f"| {e['task']} | {e.get('simulator', 'rodent')} | {e['physics']} | {_action(e)} | {e['episodes']} "
            f"| {e['mean_return']:.1f} | {low:.1f} to {high:.1f} | {e['max_return']:.0f} |"
        )
    return [*lines, "", "Intervals are bootstrapped over the episodes of this one network."]


def _action(evaluation: dict[str, Any]) -> str:
    return "mean" if evaluation["deterministic"] else "sampled"


def _measures(evaluations: list[dict[str, Any]]) -> list[str]:
    """A table of the measures of movement, a column an evaluation."""
    columns = [f"{e.get('simulator', 'rodent')}, {e['physics']}, {_action(e)}" for e in evaluations]
    lines = [f"| measure | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name in evaluations[0]["measures"]:
        values = [e["measures"].get(name) for e in evaluations]
        lines.append(f"| {name} | {' | '.join('-' if v is None else f'{v:.3g}' for v in values)} |")
    return [*lines, "", _REAL] if "stride_hz" in evaluations[0]["measures"] else lines
