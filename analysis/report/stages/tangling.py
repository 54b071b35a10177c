"""Whether layers are less tangled than what the muscles do."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from analysis.report.findings import Arrays, Finding, Outcome, Picture
from analysis.report.source import TIMESTEP, Source, equal_windows, principal
from analysis.tangling import compare_tangling, plot_tangling

_COMPONENTS, _WINDOW, _WINDOWS = 8, 50, 40
_MEASURE = "share of states in which forces are more tangled, less one half"


def tangling(source: Source, earlier: Mapping[str, Arrays], seed: int) -> Outcome:
    """Tangling of each layer against that of the actuators' forces, over windows of a second, task by task."""
    outcome = Outcome()
    for task in source.task_names:
        rows = source.of_task(task)
        forces = principal(source.series("actuator_force")[rows], _COMPONENTS)[0]
        for layer in source.layers:
            scores = principal(source.layer(layer, rows), _COMPONENTS)[0]
            about = {"task": task, "layer": layer, "interval_over": "episodes"}
            if not scores.size or not forces.size:
                outcome.missing(_MEASURE, "constant", **about)
                continue
            (windows, episodes), (other, _) = (
                equal_windows(each, source.episodes[rows], _WINDOW, _WINDOWS, np.random.default_rng(seed))
                for each in (scores, forces)
            )
            if len(windows) < 2:
                outcome.missing(_MEASURE, f"{len(windows)} windows of a second; needs 2", **about)
                continue
            found = compare_tangling(windows, other, TIMESTEP, seed=seed, episodes=episodes)
            outcome.findings.append(Finding(_MEASURE, found.difference, **about))
            if found.difference.estimable:
                ax = plot_tangling(found)
                ax.set_xlabel(f"tangling of {layer} (1/s²)")
                ax.set_ylabel("tangling of the forces (1/s²)")
                figure = ax.figure
                assert isinstance(figure, Figure)
                caption = f"{task}: each dot is a state; above the line, forces are more tangled than {layer}."
                outcome.pictures[f"{task}.{layer}"] = Picture(figure, caption)
    return outcome
