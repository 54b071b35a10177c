"""Whether layers are less tangled than what the muscles do, beside the same of the senses and the joints."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.inference import not_estimable
from analysis.inputs import Array, Labels
from analysis.report.findings import Arrays, Finding, Layers, Outcome, Picture
from analysis.report.source import TIMESTEP, Source, equal_windows, principal
from analysis.report.stages.beside import BESIDE, recorded
from analysis.report.stages.sampling import population_steps, windows_told
from analysis.tangling import TanglingDifference, compare_tangling, plot_tangling

_COMPONENTS, _WINDOW, _WINDOWS = 8, 50, 40
_MEASURE = "share of states in which forces are more tangled, less one half"


def tangling(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Tangling of each layer against that of the actuators' forces, over windows of a second, task by task.

    Senses, joints and untrained networks stand beside: what senses without tangles pass on is no effect of learning.
    """
    outcome, forces, steps = Outcome(), source.series("actuator_force"), population_steps(source, seed)
    rows = {task: steps[source.tasks[steps] == task] for task in source.task_names}
    over = {task: f"episodes ({windows_told(source, mine, _WINDOW, _WINDOWS)})" for task, mine in rows.items()}
    muscles = {task: principal(forces[mine], _COMPONENTS)[0] for task, mine in rows.items()}
    for task, layer in product(source.task_names, [*source.layers, *BESIDE]):
        found = _against(muscles[task], recorded(source, layer, rows[task]), source.episodes[rows[task]], seed)
        outcome.findings.append(_finding(found, task, layer, over[task]))
        if not isinstance(found, str) and found.difference.estimable:
            outcome.pictures[f"{task}.{layer}"] = _picture(found, task, layer)

    def of_others(layers: Layers) -> list[Finding]:
        found = []
        for (task, mine), (layer, activity) in product(rows.items(), layers.items()):
            part = activity[source.tasks[steps] == task]
            again = _against(muscles[task], part, source.episodes[mine], seed, 0)
            found.append(_finding(again, task, layer, over[task]))
        return found

    outcome.of_others = of_others
    return outcome


def _against(
    forces: Array, values: NDArray[Any], episodes: Labels, seed: int, draws: int = 500
) -> TanglingDifference | str:
    """Values against the forces at the same steps, or why nothing can be said."""
    scores = principal(values, _COMPONENTS)[0]
    if not scores.size or not forces.size:
        return "constant"
    (windows, of_episode), (other, _) = (
        equal_windows(each, episodes, _WINDOW, _WINDOWS, np.random.default_rng(seed)) for each in (scores, forces)
    )
    if len(windows) < 2:
        return f"{len(windows)} windows of a second; needs 2"
    return compare_tangling(windows, other, TIMESTEP, draws=draws, seed=seed, episodes=of_episode)


def _finding(found: TanglingDifference | str, task: str, layer: str, over: str) -> Finding:
    estimate = not_estimable(found) if isinstance(found, str) else found.difference
    return Finding(_MEASURE, estimate, task, layer, interval_over=over)


def _picture(found: TanglingDifference, task: str, layer: str) -> Picture:
    ax = plot_tangling(found)
    ax.set_xlabel(f"tangling of {layer} (1/s²)")
    ax.set_ylabel("tangling of the forces (1/s²)")
    figure = ax.figure
    assert isinstance(figure, Figure)
    return Picture(figure, f"{task}: each dot is a state; above the line, forces are more tangled than {layer}.")
