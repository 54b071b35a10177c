"""Whether layers move by the same rules as each other, as senses and joints, and as themselves in other tasks."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

from matplotlib.figure import Figure

from analysis.dsa import dynamical_similarity as compare_dynamics
from analysis.inference import Estimate, not_estimable
from analysis.inputs import Array, Labels
from analysis.report.findings import Arrays, Finding, Outcome, Picture
from analysis.report.source import Source, principal
from analysis.report.stages.beside import BESIDE, recorded
from analysis.report.stages.sampling import told, whole_episodes

_STEPS, _COMPONENTS, _DRAWS = 6000, 6, 40
_DELAYS = (1, 5, 10)  # steps: a layer is a part of the state of network and body
_MEASURE = "distance of dynamics (DSA, rad)"
_FEWEST = 4  # episodes, two for each half


def dynamical_similarity(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Distances between the dynamics of layers in each task, and of each layer in two tasks.

    Each is beside those between halves of one of the two: what noise alone sets apart.
    """
    outcome, names = Outcome(), [*source.layers, *BESIDE]
    states: dict[tuple[str, str], tuple[Array, Labels]] = {}
    over = {}
    for task in source.task_names:
        rows = whole_episodes(source, task, _STEPS, seed, _FEWEST)
        over[task] = f"episodes ({told(source, rows)})"
        for name in names:
            states[task, name] = principal(recorded(source, name, rows), _COMPONENTS)[0], source.episodes[rows]
    for task in source.task_names:
        for one, other in combinations(names, 2):
            found = _distance(states[task, one], states[task, other], seed)
            outcome.findings.append(Finding(_MEASURE, found, task, one, other, over[task]))
        distances = {tuple(sorted((e.layer, e.variable))): e.estimate.value for e in outcome.findings if e.task == task}
        outcome.pictures[task] = Picture(_drawn(distances, names), _CAPTION.format(task, over[task]))
    for one, other in combinations(source.task_names, 2):
        for name in names:
            found = _distance(states[one, name], states[other, name], seed)
            both = f"{over[one]} of {one}, {over[other]} of {other}"
            outcome.findings.append(Finding(_MEASURE, found, "", name, f"{one} and {other}", both))
    return outcome


def _drawn(distances: Mapping[tuple[str, ...], float], names: list[str]) -> Figure:
    figure = Figure((1.8 + 0.42 * len(names), 1.4 + 0.42 * len(names)), layout="constrained")
    ax = figure.add_subplot()
    matrix = [[0.0 if one == other else distances[tuple(sorted((one, other)))] for other in names] for one in names]
    image = ax.imshow(matrix, vmin=0, cmap="viridis_r")
    ax.set_xticks(range(len(names)), names, rotation=45, ha="right", fontsize="small")
    ax.set_yticks(range(len(names)), names, fontsize="small")
    figure.colorbar(image, label="distance (rad)")
    return figure


_CAPTION = "{}, {}: distances between the dynamics (DSA); the table tells how far noise alone sets them apart."


def _distance(one: tuple[Array, Labels], other: tuple[Array, Labels], seed: int) -> Estimate:
    if not one[0].size or not other[0].size:
        return not_estimable("constant")
    return compare_dynamics(one[0], other[0], (one[1], other[1]), _DELAYS, draws=_DRAWS, seed=seed).distance
