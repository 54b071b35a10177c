"""Model cards: what a published policy is, in words."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np

from policies.intervals import student_ci95

_TOLD = (
    "command",
    "learner",
    "learners_before",
    "physics",
    "physics_before",
    "steps",
    "steps_before",
    "training_seconds",
    "training_seconds_before",
    "trained_on",
    "machine",
    "versions",
    "renderer",
    "seed",
    "seeds",
    "chosen",
    "untrained_seed",
    "init_from",
    "runner",
    "experts",
    "learnt_to_tell",
    "privileged",
    "mujoco",
)


_MASS = 0.34  # kg, of the rat
_REAL = (
    f"A real mammal of this mass, {_MASS} kg, makes {1.62 * _MASS**-0.15:.1f} strides a second when it walks as it "
    f"likes (doi:10.1038/srep28825), and {269 / 60 * _MASS**-0.14:.1f} where it changes from trot to gallop (Heglund, "
    "Taylor and McMahon 1974, doi:10.1126/science.186.4169.1112); rats gallop from 0.6 to 0.75 m/s on (Gillis and "
    "Biewener 2001, doi:10.1242/jeb.204.15.2717)."
)
_EXPLAINED = {  # rows of measures, by how their names begin
    "stride_hz_": "`stride_hz_A_to_B` is of the windows of 1.28 s in which this one moved at A to B m/s.",
    "speed": "`speed` is a mean over whole episodes, with whatever rests and falls they hold.",
    "off_its_feet": "`off_its_feet`: torso or pelvis 60 degrees from upright.",
    "action_roughness": "`action_roughness` is the change of the action from step to step beside its spread.",
    "tremor": "`tremor` is the share of the joints' velocity power above 12 Hz.",
}
_SHARES = ("belly_contact", "upside_down", "off_its_feet")
_COMPARED = {  # what who acts beside a policy is, by what its evaluation tells of it
    "expert": "An expert may read senses that this policy lacks.",
    "runner": "The runner is the one that this policy modulates, acting alone.",
    "control": "A control is another policy, kept in `controls`.",
    "untrained_seed": (
        "The untrained network is this one with fresh weights and the same normalisation of its senses; of a network "
        "that learnt nothing the mean action may hardly move the rat, so that sampled ones stand beside it."
    ),
}


_AS_IN_DM_CONTROL = {"antialias": "smooth edges", "shadows": "shadows"}


def _in_sight(facts: dict[str, Any]) -> str:
    if "picture" not in facts:
        return ""
    rows, columns, _ = facts["picture"][1]
    every, drawn_by = facts.get("picture_every", 1), facts.get("vision", {}).get("renderer")
    picture = f" and a picture of {columns}x{rows} pixels" + (f" drawn by {drawn_by}" if drawn_by else "")
    as_in_dm_control = [words for name, words in _AS_IN_DM_CONTROL.items() if facts.get(name)]
    picture += f" with {' and '.join(as_in_dm_control)}" if as_in_dm_control else ""
    return picture + (f", which stays for {every} steps," if every > 1 else "")


def write_card(facts: dict[str, Any], parameters: int, learnt: int) -> str:
    """The card of a policy, as Markdown.

    Args:
        facts: what `policy.json` holds.
        parameters: how many numbers the network has.
        learnt: how many of them training may change; the others are of a part that was learnt before.
    """
    tasks = ", ".join(facts.get("tasks", [])) or "no task yet"
    frozen = f", {learnt:,} of them learnt here and the others before" if learnt < parameters else ""
    lines = [
        f"# A virtual rodent: {tasks}",
        "",
        f"{'An' if facts['agent'] == 'mlp' else 'A'} `{facts['agent']}` agent of {parameters:,} parameters{frozen} "
        f"({'; '.join(f'{name} {_in_words(value)}' for name, value in facts['settings'].items())}).",
        f"It reads {sum(size for _, size in facts['senses'])} numbers of {len(facts['senses'])} senses"
        f"{_in_sight(facts)} and drives {len(facts['actions'])} actuators, 50 times a second.",
        "",
        "| | |",
        "|---|---|",
    ]
    titles = {"machine": "measured on"} if "trained_on" in facts else {}
    told = {name: facts[name] for name in _TOLD if facts.get(name) is not None}
    if "seeds" in told:
        told["seeds"] = _over_seeds(told["seeds"])
    lines += [f"| {titles.get(name, name.replace('_', ' '))} | {_in_words(value)} |" for name, value in told.items()]
    evaluations = _by_task([*facts.get("evaluations", []), *facts.get("comparisons", [])])
    lines += ["", "## Returns", "", *_returns(evaluations, facts)]
    if any(e.get("measures") for e in chain(*evaluations.values())):
        lines += ["", "## How it moves", "", *_measures(evaluations)]
    if facts.get("known_failures"):
        lines += ["", "## Known failures", "", facts["known_failures"]]
    if facts.get("curve"):
        lines += ["", "## Learning curve", "", f"![Learning curve]({facts['curve']})"]
        lines += ["", facts["curve_shows"]] if facts.get("curve_shows") else []
    if film := facts.get("film"):
        films = {f"Film, {task}": file for task, file in film.items()} if isinstance(film, dict) else {"Film": film}
        lines += ["", "## Film", "", *(f"![{title}]({file})" for title, file in films.items())]
        lines += ["", f"It shows {facts['filmed']}."] if facts.get("filmed") else []
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
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, dict):
        return "; ".join(f"{name} {inner}" for name, inner in value.items())
    return f"{value:,}" if isinstance(value, int) else str(value)


def _over_seeds(returns: dict[str, Any]) -> str:
    """What each seed returns, and of several of one task the mean."""
    values = np.array([value for value in returns.values() if isinstance(value, float)])
    if len(values) < 2:
        return _in_words(returns)
    low, high = student_ci95(values)
    return f"{_in_words(returns)}; their mean {values.mean():.1f}, by Student's t over seeds {low:.1f} to {high:.1f}"


def _by_task(evaluations: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    tasks = dict.fromkeys(e["task"] for e in evaluations)
    return {task: [e for e in evaluations if e["task"] == task] for task in tasks}


def _returns(evaluations: dict[str, list[dict[str, Any]]], facts: dict[str, Any]) -> list[str]:
    """A table of returns, a row an evaluation; it names who acted if others did, too."""
    if not evaluations:
        return ["Not measured yet."]
    compared = bool(facts.get("comparisons"))
    header = ["task", "simulator", "physics", "action", "episodes", "of seed"]
    header += ["mean return", "95 % interval", "maximum"]
    rows = []
    for e in chain(*evaluations.values()):
        row = [e["task"], e.get("simulator", "rodent"), e["physics"], _action(e), str(e["episodes"]), str(e["seed"])]
        row += [f"{e['mean_return']:.1f}", _interval(e["ci95"]), f"{e['max_return']:.0f}"]
        rows.append([_actor(e) or "this"] * compared + row)
    lines = _table(["policy"] * compared + header, rows)
    if not compared:
        return [*lines, "", "Intervals are bootstrapped over the episodes of this one network."]
    told = [words for who, words in _COMPARED.items() if any(who in e for e in facts["comparisons"])]
    words = ["Intervals are bootstrapped over the episodes of one network each.", "All act in the same worlds.", *told]
    return [*lines, "", " ".join(words)]


def _interval(bounds: list[float] | None) -> str:
    return f"{bounds[0]:.1f} to {bounds[1]:.1f}" if bounds else "unknown of one"


def _action(evaluation: dict[str, Any]) -> str:
    return "mean" if evaluation["deterministic"] else "sampled"


def _actor(evaluation: dict[str, Any]) -> str:
    """Who acted; nothing for the policy itself."""
    if "expert" in evaluation:
        return f"expert {evaluation['expert']}"
    if "control" in evaluation:
        return f"control {evaluation['control']}"
    if "runner" in evaluation:
        return f"runner {evaluation['runner']}, alone"
    return f"untrained, seed {evaluation['untrained_seed']}" if "untrained_seed" in evaluation else ""


def _measures(evaluations: dict[str, list[dict[str, Any]]]) -> list[str]:
    """A table of the measures of movement a task, a column an evaluation."""
    lines: list[str] = []
    shown: dict[str, None] = {}
    for task, each in evaluations.items():
        measured = [e for e in each if e.get("measures")]
        titles = [(_actor(e), e.get("simulator", "rodent"), e["physics"], _action(e)) for e in measured]
        told = [item for e in measured for item in e["measures"].items()]
        # Speeds at which nobody moved are no rows; what nobody did at all is.
        names = list(dict.fromkeys(name for name, value in told if value is not None or "_hz_" not in name))
        rows = [[name, *(_measure(e, name) for e in measured)] for name in names]
        shown |= dict.fromkeys(names)
        if rows:
            lines += ["", f"### {task}", ""] if len(evaluations) > 1 else []
            lines += _table(["measure", *(", ".join(filter(None, title)) for title in titles)], rows)
    return [*lines[lines[:1] == [""] :], *(["", explained] if (explained := _explain(shown)) else [])]


def _explain(names: Iterable[str]) -> str:
    """What the rows of a table of measures mean."""
    names = list(names)
    words = [_REAL] if "stride_hz" in names else []
    if shares := [f"`{name}`" for name in _SHARES if name in names]:
        words.append(f"{', '.join(shares)}: shares of the time.")
    return " ".join(words + [text for row, text in _EXPLAINED.items() if any(name.startswith(row) for name in names)])


def _measure(evaluation: dict[str, Any], name: str) -> str:
    if (value := evaluation["measures"].get(name)) is None:
        return "-"
    bounds = evaluation.get("measures_ci95", {}).get(name)  # cards of before had none
    return f"{value:.3g}" + (f" ({bounds[0]:.3g} to {bounds[1]:.3g})" if bounds else "")


def _table(header: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(header)} |", "|---" * len(header) + "|", *(f"| {' | '.join(row)} |" for row in rows)]
